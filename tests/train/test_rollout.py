"""What a rollout records: the environment's own steps, in-place resets, true bootstraps, and no window."""

from dataclasses import replace
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrade.envs.synthetic import synthetic_table
from jaxtrade.envs.trading import make_env_params
from tests.helpers.learning import Fresh, Learner, fresh_of, learner_of
from tests.helpers.worlds import walk
from train.config import TrainConfig
from train.learner import move_lanes
from train.normalize import init_reward_scale, scale_reward, update_reward_scale
from train.rollout import collect, observe_all
from train.state import init_state, make_setup


@pytest.fixture
def calm() -> tuple[Learner, Fresh]:
    return learner_of("lstm, continuous"), fresh_of("lstm, continuous")


@pytest.fixture
def violent() -> tuple[Learner, Fresh]:
    return learner_of("mlp, continuous, ruins"), fresh_of("mlp, continuous, ruins")


def replayed(learner: Learner, fresh: Fresh) -> dict:
    """Take the recorded actions of every account in the environment, one by one, leaves [G, A, L, ...]."""
    actions = jnp.moveaxis(fresh.rollout.action, 0, 2)

    def one(action: jax.Array, bar: jax.Array) -> dict:
        return walk(learner.setup.core, learner.market, action, bar)[1]

    return jax.jit(jax.vmap(jax.vmap(one, (0, None))))(actions, learner.state.lanes.bar)


@pytest.mark.parametrize("name", ["lstm, continuous", pytest.param("mlp, discrete9", marks=pytest.mark.nightly)])
def test_a_rollout_is_the_environment_step_by_step(name: str) -> None:
    learner, fresh = learner_of(name), fresh_of(name)
    seen = replayed(learner, fresh)
    wanted_by_field = {"assets": seen["obs"].assets, "account": seen["obs"].account, "reward": seen["reward"]}
    for field, wanted in wanted_by_field.items():
        np.testing.assert_allclose(getattr(fresh.rollout, field), jnp.moveaxis(wanted, 2, 0), atol=2e-6, err_msg=field)
    assert not fresh.rollout.terminated.any()
    assert np.std(fresh.rollout.reward) > 0


def test_accounts_of_a_lane_act_for_themselves(calm: tuple[Learner, Fresh]) -> None:
    action = np.asarray(calm[1].rollout.action)
    assert len(np.unique(action)) == action.size


def test_a_rollout_stores_no_window(calm: tuple[Learner, Fresh]) -> None:
    """Features lie in `rows` alone, each bar of a lane once; everything else is per account and small."""
    (setup, market, state), fresh = calm
    lanes, accounts, length = 4, 4, 16
    reach, features = setup.policy.config.reach, market.features.shape[-1]
    rollout = fresh.rollout
    assert rollout.rows.shape == (lanes, reach - 1 + length + 1, 1, features)
    for lane, bar in enumerate(state.lanes.bar):
        part = market.features[bar - reach + 1 : bar + length + 1]
        np.testing.assert_array_equal(rollout.rows[lane], part)
    for name, leaf in rollout._asdict().items():
        if name in ("rows", "episodes", "checks"):
            continue
        assert leaf.size <= length * lanes * accounts * 4, f"{name} of shape {leaf.shape} holds more than an account"
    assert setup.config.env.window not in {size for leaf in jax.tree.leaves(state) for size in leaf.shape}


def shapes_within(jaxpr: Any) -> set[tuple[int, ...]]:
    """Return the shapes of all that a program computes, loops and conditions included."""
    shapes = {var.aval.shape for equation in jaxpr.eqns for var in equation.outvars}
    for equation in jaxpr.eqns:
        for inner in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda each: hasattr(each, "eqns")):
            if hasattr(inner, "eqns") or hasattr(inner, "jaxpr"):
                shapes |= shapes_within(getattr(inner, "jaxpr", inner))
    return shapes


@lru_cache
def rollout_shapes(windowed: bool = False) -> set[tuple[int, ...]]:
    """Return the shapes in a rollout of 4,096 accounts and 128 bars over windows of 260 bars with 16 features."""
    table = synthetic_table(260)
    table = replace(table, features=np.repeat(table.features, 2, axis=-1)[..., :16])
    config = TrainConfig(ppo={"rollout_length": 128})
    setup, market = make_setup(config, table.ranges["train"]), make_env_params(table, table.ranges["train"], config.env)
    state = jax.eval_shape(lambda: init_state(setup, market))

    def run(state: Any, market: Any, key: jax.Array) -> Any:
        rows = market.features[state.lanes.bar[:, None] - jnp.arange(120)[None, :]] if windowed else None
        return collect(setup, state, market, key), rows

    return shapes_within(jax.make_jaxpr(run)(state, market, jax.random.key(0)).jaxpr)


def test_a_rollout_computes_no_window() -> None:
    """Nothing in the whole program has an axis as long as a branch or the window, beside another axis."""
    assert (16, 256, 1) in rollout_shapes()  # positions: the loop's body was looked into
    for shape in rollout_shapes():
        assert not (len(shape) > 1 and {60, 120, 260} & set(shape)), f"an array of shape {shape} has a window axis"
    assert any(len(shape) > 1 and 120 in shape for shape in rollout_shapes(windowed=True)), "a planted window is missed"


def test_a_ruined_account_starts_afresh_on_the_next_bar(violent: tuple[Learner, Fresh]) -> None:
    """In place: the lane's clock goes on, and what it sees next is an account of capital 1 without positions."""
    learner, fresh = violent
    ruined = np.asarray(fresh.rollout.terminated)
    assert 5 < ruined.sum() < ruined.size / 2
    assets, account = np.asarray(fresh.rollout.assets), np.asarray(fresh.rollout.account)
    for step, lane, number in np.argwhere(ruined[:-1]):
        np.testing.assert_array_equal(assets[step + 1, lane, number, :, :3], 0)
        np.testing.assert_allclose(account[step + 1, lane, number], [np.tanh(1), 0, 1], rtol=1e-6)
    alive = ~ruined
    assert np.abs(assets[1:][alive[:-1]][..., 0]).max() > 0.5
    bars = np.broadcast_to(np.asarray(learner.state.lanes.bar)[:, None] + 16, (4, 4))
    np.testing.assert_array_equal(fresh.end.t, bars)
    last = np.asarray([np.flatnonzero(row).max(initial=-1) for row in ruined.reshape(16, 16).T]).reshape(4, 4)
    np.testing.assert_array_equal(fresh.end.time, 15 - last)
    np.testing.assert_array_equal(fresh.rollout.episodes.rows, ruined.sum())


def test_every_life_is_replayed_by_the_environment(violent: tuple[Learner, Fresh]) -> None:
    """After each ruin, the rewards are those of a fresh account from the bar that was reached."""
    learner, fresh = violent
    ruined, reward = np.asarray(fresh.rollout.terminated), np.asarray(fresh.rollout.reward)
    play = jax.jit(lambda actions, bar: walk(learner.setup.core, learner.market, actions, bar)[1]["reward"])
    actions, seen = np.asarray(fresh.rollout.action), 0
    for lane, number in np.ndindex(4, 4):
        start, mine = 0, actions[:, lane, number]
        for end in [*np.flatnonzero(ruined[:, lane, number]), 15]:
            rest = np.concatenate([mine[start:], np.zeros((start, 1), np.float32)])
            wanted = play(rest, learner.state.lanes.bar[lane] + start)[: end + 1 - start]
            np.testing.assert_allclose(reward[start : end + 1, lane, number], wanted, atol=5e-6)
            start, seen = end + 1, seen + 1
            if start == 16:
                break
    assert seen > 20


def check_advantages(learner: Learner, fresh: Fresh, last_value: np.ndarray) -> None:
    """Compare with the recursion by hand; ruin is not bootstrapped, the end of the rollout is, from `last_value`."""
    rollout, gamma, lam = fresh.rollout, 0.99, 0.95
    value, reward = np.asarray(rollout.value, np.float64), np.asarray(rollout.reward, np.float64)
    alive = 1.0 - np.asarray(rollout.terminated)
    following, carried = np.asarray(last_value, np.float64), np.zeros_like(value[0])
    for step in range(15, -1, -1):
        delta = reward[step] + gamma * alive[step] * following - value[step]
        carried = delta + gamma * lam * alive[step] * carried
        np.testing.assert_allclose(fresh.estimated.advantage[step], carried, atol=2e-5, err_msg=f"step {step}")
        following = value[step]
    np.testing.assert_allclose(fresh.estimated.target, fresh.estimated.advantage + rollout.value, rtol=1e-6)


@pytest.mark.parametrize("market", ["calm", "violent"])
def test_advantages_of_a_rollout(market: str, request: pytest.FixtureRequest) -> None:
    """Rewards are not scaled yet: the scale starts at 1."""
    learner, fresh = request.getfixturevalue(market)
    check_advantages(learner, fresh, fresh.rollout.last_value)


def value_of(learner: Learner, env_state: object, bars: jax.Array) -> np.ndarray:
    """Return the values of G x A accounts at their lanes' bars, [G, A]."""
    setup, env_params, state = learner

    def run(env_state: object, bars: jax.Array) -> jax.Array:
        variables = {"params": state.params}
        known = jax.tree.map(lambda leaf: leaf[bars], env_params.known)
        obs = observe_all(setup, env_state, known, env_params)
        rows = jnp.broadcast_to(env_params.features[None], (4, *env_params.features.shape))
        market = setup.policy.apply(variables, rows, bars[:, None], jnp.zeros(4, jnp.int32), method="market")
        return setup.policy.apply(variables, market, obs.assets, obs.account, method="head")[1]

    return np.asarray(jax.jit(run)(env_state, bars))


@pytest.mark.parametrize("market", ["calm", "violent"])
def test_a_jump_bootstraps_from_the_state_truly_reached(market: str, request: pytest.FixtureRequest) -> None:
    """`episode_bars` 64: of four lanes, one jumps after the first rollout. Its last value is that of where it was."""
    learner, fresh = request.getfixturevalue(market)
    setup, env_params, state = learner
    reached = value_of(learner, fresh.end, state.lanes.bar + 16)
    np.testing.assert_allclose(fresh.rollout.last_value, reached, atol=1e-5)
    moved, episodes = move_lanes(setup, state, fresh.end, (env_params, jax.random.key(0)), fresh.rollout.episodes)
    jumped = np.asarray(state.lanes.left) == 1
    assert jumped.sum() == 1
    np.testing.assert_array_equal(moved.lanes.bar[~jumped], state.lanes.bar[~jumped] + 16)
    np.testing.assert_array_equal(moved.env_state.t, np.broadcast_to(moved.lanes.bar[:, None], (4, 4)))
    np.testing.assert_array_equal(np.asarray(moved.env_state.time)[jumped], 0)
    np.testing.assert_array_equal(np.asarray(moved.env_state.account.cash)[jumped], 1)
    np.testing.assert_array_equal(np.asarray(moved.env_state.account.cash)[~jumped], fresh.end.account.cash[~jumped])
    walked = np.asarray(fresh.end.time)[jumped] > 0  # an account ruined on the last bar has not begun another episode
    assert episodes.rows == fresh.rollout.episodes.rows + walked.sum()
    np.testing.assert_array_equal(np.asarray(moved.reward_scale.discounted)[jumped], 0)
    after_jump = value_of(learner, moved.env_state, moved.lanes.bar)
    with pytest.raises(AssertionError, match="step 15"):
        check_advantages(learner, fresh, np.where(jumped[:, None], after_jump, reached))


def test_fresh_accounts_have_capital_one(calm: tuple[Learner, Fresh]) -> None:
    learner, _ = calm
    state = learner.setup.core.fresh(learner.market, jnp.int32(200))
    assert state.account.cash == state.account.peak_equity == 1
    assert state.account.position.dtype == jnp.float32


def test_the_reward_scale_is_that_of_all_discounted_returns() -> None:
    """Three rollouts of random rewards with ends, against NumPy over everything seen so far."""
    random = np.random.default_rng(0)
    scale, seen, running = init_reward_scale((2, 3), jnp.float32), [], np.zeros((2, 3))
    np.testing.assert_allclose(scale_reward(scale, jnp.ones(4)), 1, rtol=1e-6)
    for _ in range(3):
        rewards, ended = random.normal(0.1, 2.0, (20, 2, 3)), random.random((20, 2, 3)) < 0.1
        scale = update_reward_scale(scale, jnp.asarray(rewards, jnp.float32), jnp.asarray(ended), 0.9)
        for reward, end in zip(rewards, ended, strict=True):
            running = 0.9 * running + reward
            seen.append(running)
            running = np.where(end, 0.0, running)
        np.testing.assert_allclose(scale.mean, np.mean(seen), atol=1e-5)
        np.testing.assert_allclose(scale.variance, np.var(seen), rtol=1e-5)
        np.testing.assert_allclose(scale.discounted, running, atol=1e-5)
        assert scale.count == np.size(seen)
    np.testing.assert_allclose(scale_reward(scale, jnp.ones(())), 1 / np.std(seen), rtol=1e-5)
