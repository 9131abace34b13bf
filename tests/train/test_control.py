"""The learner on gymnax environments: what it records, how it bootstraps, and that it learns."""

from functools import lru_cache, partial

import gymnax
import jax
import numpy as np
import pytest

from train import control as room
from train.config import PPOConfig
from train.control import Control, ControlState, Steps, estimate, init_control, make_control, train_control

ENVS, LENGTH = 8, 32


@lru_cache
def rollout_of(name: str, length: int = LENGTH, limit: int = 9) -> tuple[Control, ControlState, ControlState, Steps]:
    """Return a run before and after one rollout of an environment whose episodes are truncated after `limit` steps."""
    env, params = gymnax.make(name)
    params = params.replace(max_steps_in_episode=limit)
    control = make_control(env, params, PPOConfig(rollout_length=length), ENVS, (16, 16), 1)
    state = init_control(control, params, 0)
    after, steps = jax.jit(lambda each: room.collect(control, each, params, jax.random.key(1)))(state)
    return control, state, after, steps


@pytest.mark.parametrize("name", ["CartPole-v1", "Pendulum-v1"])
def test_a_rollout_ends_episodes_in_place(name: str) -> None:
    """After an end the next observation is a fresh one; else it is where the step led to."""
    _, _, after, steps = rollout_of(name)
    ended = np.asarray(steps.terminated | steps.truncated)
    assert ended.sum() >= ENVS * (LENGTH // 9)
    then = np.concatenate([steps.obs[1:], after.obs[None]])
    np.testing.assert_array_equal(then[~ended], np.asarray(steps.final)[~ended])
    assert (np.abs(then[ended] - np.asarray(steps.final)[ended]).max(axis=-1) > 1e-4).all()
    total = np.zeros(ENVS)
    for reward, returned, end in zip(*map(np.asarray, (steps.reward, steps.returned, ended)), strict=True):
        total += reward
        np.testing.assert_allclose(returned, np.where(end, total, 0), rtol=1e-5)
        total[end] = 0
    np.testing.assert_allclose(after.total, total, rtol=1e-5)


def test_truncated_episodes_are_bootstrapped_and_terminated_ones_are_not() -> None:
    control, state, _, steps = rollout_of("CartPole-v1", limit=9)
    batch = jax.jit(lambda each: estimate(control, state.params, each))(steps)
    gamma, value = control.ppo.gamma, partial(control.network.apply, {"params": state.params}, method="value")
    last = np.asarray(value(steps.final))
    ended = np.asarray(steps.terminated | steps.truncated)
    target = np.asarray(steps.reward) + gamma * last * ~np.asarray(steps.terminated)
    np.testing.assert_allclose(np.asarray(batch.target)[ended], target[ended], rtol=1e-5)
    assert (np.asarray(steps.truncated) & ~np.asarray(steps.terminated)).sum() > 5
    wrong = jax.jit(lambda each: estimate(control, state.params, each))(steps._replace(terminated=steps.truncated))
    assert np.max(np.abs(wrong.target - batch.target)) > 1e-3


@pytest.mark.nightly
def test_parts_of_a_minibatch_are_the_minibatch(monkeypatch: pytest.MonkeyPatch) -> None:
    control, state, _, steps = rollout_of("CartPole-v1")
    flat = jax.tree.map(
        lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), (steps.obs, estimate(control, state.params, steps))
    )
    found = []
    for rows in (4096, 32):
        monkeypatch.setattr("train.parts.ROWS", rows)
        found.append(room.minibatch_gradient(state.params, control, *flat))
    for one, other in zip(*map(jax.tree.leaves, found), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_every_sample_is_used_once_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    control, state, _, _ = rollout_of("CartPole-v1")
    seen = []
    monkeypatch.setattr(room, "descend", lambda *rest: seen.append(rest[3]) or (*rest[2], {}))
    room.update(control, state, gymnax.make("CartPole-v1")[1])
    parts = np.asarray(seen[0]).reshape(control.ppo.epochs, control.ppo.minibatches, ENVS, -1)
    epochs = np.moveaxis(parts, 1, 2).reshape(-1, LENGTH)  # [epoch and environment, step]
    np.testing.assert_array_equal(np.sort(epochs), np.broadcast_to(np.arange(LENGTH), epochs.shape))
    assert len({tuple(order) for order in epochs}) == control.ppo.epochs * ENVS


@pytest.mark.nightly
def test_cartpole_is_learned() -> None:
    """Within 400,000 steps, the mean return of the last episodes is above 450 of 500."""
    env, params = gymnax.make("CartPole-v1")
    ppo = PPOConfig(
        rollout_length=32, epochs=10, minibatches=4, learning_rate=2e-3, entropy_weight=0.0, gamma=0.98, gae_lambda=0.8
    )
    updates = 400_000 // (32 * 32)
    control = make_control(env, params, ppo, 32, (64, 64), updates)
    figures = jax.jit(partial(train_control, control, updates=updates))(init_control(control, params, 0), params)[1]
    late = {name: np.asarray(figures[name])[-30:] for name in ("episodes", "episode_return")}
    assert np.average(late["episode_return"], weights=late["episodes"]) > 450
