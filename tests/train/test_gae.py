"""Advantages against published tables, by hand, and against a sum over futures written without a recursion."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from train.gae import gae

compiled = jax.jit(gae, static_argnums=5)


def advantages(rewards: Any, values: Any, last: Any, terminated: Any, truncated: Any, **kind: Any) -> np.ndarray:
    """Return the advantages of one walk; `final` gives values of final observations, by step."""
    values = np.asarray(values, np.float32)
    next_values = np.append(values[1:], np.float32(last))
    for step, value in kind.get("final", {}).items():
        next_values[step] = value
    flags = (jnp.asarray(each, bool) for each in (terminated, truncated))
    leaves = (jnp.asarray(leaf, jnp.float32) for leaf in (rewards, values, next_values))
    return np.asarray(compiled(*leaves, *flags, kind["discount"]))


# rlax, rlax/_src/multistep_test.py: GeneralizedAdvantageEstimationTest, lambda 1
RLAX_REWARDS = [[0.0, 0.0, 1.0, 0.0, -0.5], [0.0, 0.0, 0.0, 0.0, 1.0]]
RLAX_VALUES = [[1.0, 4.0, -3.0, -2.0, -1.0, -1.0], [-3.0, -2.0, -1.0, 0.0, 5.0, -1.0]]
RLAX_ANSWERS = [[-1.45118, -4.4557, 2.5396, 0.5249, -0.49], [3.0, 2.0, 1.0, 0.0, -4.9]]


@pytest.mark.parametrize(("row", "gamma", "terminated"), [(0, 0.99, [0] * 5), (1, 0.9, [0, 0, 0, 1, 0])])
def test_rlax_tables(row: int, gamma: float, terminated: list[int]) -> None:
    """The second row's discount of 0 is a termination."""
    *values, last = RLAX_VALUES[row]
    found = advantages(RLAX_REWARDS[row], values, last, terminated, [0] * 5, discount=(gamma, 1.0))
    np.testing.assert_allclose(found, RLAX_ANSWERS[row], atol=1e-4)


# By hand: gamma 0.9, lambda 0.8; step 1 is truncated at a state of value 10, and the reset state has value 3
HAND = {"discount": (0.9, 0.8)}
REWARDS, VALUES, LAST, FINAL = [1.0, 0.0, 2.0, -1.0], [1.0, 2.0, 3.0, 4.0], 5.0, 10.0
NONE, STEP_1 = [0, 0, 0, 0], [0, 1, 0, 0]
CORRECT = [6.84, 7.0, 2.24, -0.5]


def test_a_truncated_step_is_bootstrapped_from_where_it_led() -> None:
    found = advantages(REWARDS, VALUES, LAST, NONE, STEP_1, final={1: FINAL}, **HAND)
    np.testing.assert_allclose(found, CORRECT, rtol=1e-6)


WRONG = {
    "truncation taken as termination": ([0.36, -2.0, 2.24, -0.5], STEP_1, NONE, {1: FINAL}),
    "truncation ignored": ([3.465216, 2.3128, 2.24, -0.5], NONE, NONE, {}),
    "bootstrapped from the reset observation": ([2.304, 0.7, 2.24, -0.5], NONE, STEP_1, {}),
    "truncated and terminated at once": ([0.36, -2.0, 2.24, -0.5], STEP_1, STEP_1, {1: FINAL}),
}


@pytest.mark.parametrize("name", WRONG)
def test_the_wrong_answers_differ(name: str) -> None:
    """Each is what its mistake gives (the last: a step that is both is a termination), and none is the correct one."""
    answer, terminated, truncated, final = WRONG[name]
    found = advantages(REWARDS, VALUES, LAST, terminated, truncated, final=final, **HAND)
    np.testing.assert_allclose(found, answer, rtol=1e-6)
    assert np.max(np.abs(found - CORRECT)) > 1


def by_brute_force(
    rewards: np.ndarray,
    values: np.ndarray,
    next_values: np.ndarray,
    ended: tuple[np.ndarray, np.ndarray],
    discount: tuple[float, float],
) -> np.ndarray:
    """Return the lambda-weighted mean of all n-step returns, less the value; [L]."""
    (terminated, truncated), (gamma, lam) = ended, discount
    result = np.empty_like(rewards)
    for start in range(len(rewards)):
        last = start
        while last < len(rewards) - 1 and not (terminated[last] or truncated[last]):
            last += 1
        n_step, weights, total = [], [], 0.0
        for n, step in enumerate(range(start, last + 1)):
            total += gamma**n * rewards[step]
            n_step.append(total + (0 if terminated[step] else gamma ** (n + 1) * next_values[step]))
            weights.append((1 - lam) * lam**n if step < last else lam**n)
        result[start] = np.dot(weights, n_step) - values[start]
    return result


@pytest.mark.parametrize("seed", range(5))
def test_all_n_step_returns_weighted_by_lambda(seed: int, x64: None) -> None:
    """With terminations and truncations at random, alone and together, over many walks at once."""
    random = np.random.default_rng(seed)
    length, walks, discount = 30, 8, (float(random.uniform(0.8, 1)), float(random.uniform(0, 1)))
    rewards, values, finals = random.normal(size=(3, length, walks))
    terminated, truncated = random.random((2, length, walks)) < 0.15
    onward = np.concatenate([values[1:], finals[-1:]])
    next_values = np.where(terminated | truncated, finals, onward)
    found = compiled(*map(jnp.asarray, (rewards, values, next_values, terminated, truncated)), discount)
    for walk in range(walks):
        ended = terminated[:, walk], truncated[:, walk]
        wanted = by_brute_force(rewards[:, walk], values[:, walk], next_values[:, walk], ended, discount)
        np.testing.assert_allclose(found[:, walk], wanted, atol=1e-12)


def endless(truncates: bool) -> float:
    """Learn the value of a state that pays 1 for ever, in walks of 8 steps; return it."""
    value = np.float32(0)
    end = [0] * 7 + [1]
    for _ in range(400):
        kind = {"discount": (0.98, 0.95), "final": {7: value}}
        ends = (NONE * 2, end) if truncates else (end, NONE * 2)
        value += advantages(np.ones(8), np.full(8, value), value, *ends, **kind).mean()
    return float(value)


def test_a_reward_of_one_for_ever_is_worth_its_horizon() -> None:
    """gamma 0.98, a limit of 8 steps: V = 1 / (1 - gamma) = 50 (stable-baselines3). As a termination: below 7.46."""
    assert abs(endless(truncates=True) - 50) < 0.05
    first_step = (1 - 0.98**8) / (1 - 0.98)
    np.testing.assert_allclose(first_step, 7.46, atol=0.01)
    assert endless(truncates=False) < first_step
