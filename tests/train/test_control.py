"""The learner on gymnax environments: what it records, how it bootstraps, what it remembers, and what it refuses."""

from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.helpers.learning import assert_bitwise
from train import control as room
from train.control import Samples, draw_minibatches, estimate, make_samples, update
from train.control_config import ControlConfig
from train.control_evaluate import evaluate
from train.control_moments import init_moments, standardize, update_moments
from train.control_network import Memory
from train.control_rollout import Control, ControlState, Steps, collect, init_control, make_control, seen
from train.health import cause

ENVS, LENGTH, LIMIT = 8, 32, 9
NAMES = {
    "lstm": {"env": "CartPole-v1", "observe": (0, 2), "network": {"kind": "lstm", "layers": (8,), "hidden": 8}},
    "mlp": {"env": "Pendulum-v1", "network": {"layers": (8,), "squash": "tanh", "std": "state"}},
}


def config_of(name: str, **ppo: object) -> ControlConfig:
    """Return a small run whose episodes are truncated after LIMIT steps."""
    base = {"num_envs": ENVS, "env_params": {"max_steps_in_episode": LIMIT}, "eval_episodes": 5}
    base["ppo"] = {"rollout_length": LENGTH, "normalize_observation": True, "normalize_reward": True, **ppo}
    return ControlConfig.model_validate(base | NAMES[name])


class World(NamedTuple):
    """The second rollout of a run, so that a memory is carried over and observations are normalised."""

    control: Control
    before: ControlState
    after: ControlState
    steps: Steps
    samples: Samples


@lru_cache
def world_of(name: str) -> World:
    control = make_control(config_of(name))
    params = control.world.params

    def run(state: ControlState) -> Any:
        first, steps = collect(control, state, params, jax.random.key(1))
        before = first._replace(moments=update_moments(state.moments, steps.obs))
        after, steps = collect(control, before, params, jax.random.key(2))
        return before, after, steps, make_samples(control, before, steps, estimate(control, before, steps))

    compiled = jax.jit(run).lower(init_control(control, params, 0))
    found = compiled.compile({"xla_backend_optimization_level": 0})(init_control(control, params, 0))
    return World(control, *jax.device_get(found))


@pytest.mark.parametrize("name", NAMES)
def test_a_rollout_ends_episodes_in_place(name: str) -> None:
    """Returns and lengths are those of a plain replay; a fresh episode remembers nothing."""
    world = world_of(name)
    total, length = np.array(world.before.total), np.array(world.before.length)
    steps = world.steps
    assert steps.ended.sum() >= ENVS * (LENGTH // LIMIT)
    for at in range(LENGTH):
        total, length = total + steps.reward[at], length + 1
        np.testing.assert_allclose(steps.total[at], total, rtol=1e-5)
        np.testing.assert_array_equal(steps.length[at], length)
        total[steps.ended[at]], length[steps.ended[at]] = 0, 0
    assert (steps.length <= LIMIT).all()
    np.testing.assert_allclose(world.after.total, total, rtol=1e-5)
    for leaf in jax.tree.leaves(world.after.memory):
        assert (np.abs(leaf).sum(1) > 0).tolist() == (~steps.ended[-1]).tolist()


@pytest.mark.parametrize("name", NAMES)
def test_truncated_episodes_are_bootstrapped_from_where_they_got_to(name: str) -> None:
    """Inside an episode the next value is that of the next step; at an end it is of no observation of the rollout."""
    world, gamma = world_of(name), 0.99
    steps, batch = world.steps, world.samples.batch
    inside = ~steps.ended[:-1]
    np.testing.assert_allclose(steps.next_value[:-1][inside], steps.value[1:][inside], rtol=1e-4, atol=1e-5)
    assert (np.abs(steps.next_value[:-1] - steps.value[1:])[~inside] > 1e-6).mean() > 0.9
    reward = steps.reward / np.sqrt(world.before.reward_scale.variance + 1e-12)
    target = reward + gamma * steps.next_value * ~steps.terminated
    np.testing.assert_allclose(batch.target[steps.ended], target[steps.ended], rtol=1e-4, atol=1e-4)
    assert (steps.truncated & ~steps.terminated).sum() > 5


def test_the_value_of_a_final_observation_has_the_memory_it_was_reached_with() -> None:
    world = world_of("lstm")
    control, steps = world.control, world.steps
    variables = {"params": world.before.params}
    at = np.argmax(steps.truncated.any(1))
    env = int(np.argmax(steps.truncated[at]))
    starts = world.samples.starts[: at + 1]
    memory, _, _ = control.network.apply(variables, world.before.memory, world.samples.obs[: at + 1], starts)
    obs = jnp.linspace(-1.0, 1.0, 2)[None].repeat(ENVS, 0)
    reached = control.network.apply(variables, memory, obs, method="value")
    fresh = control.network.apply(variables, jax.tree.map(jnp.zeros_like, memory), obs, method="value")
    assert abs(float(reached[env] - fresh[env])) > 1e-5


def replay(world: World, samples: Samples) -> tuple[np.ndarray, np.ndarray]:
    """Return log-probabilities and values of a rollout by the network that acted, all steps at once."""
    control = world.control
    _, answer, value = control.network.apply(
        {"params": world.before.params}, world.before.memory, samples.obs, samples.starts
    )
    return np.asarray(control.world.distribution.log_prob(answer, samples.batch.action)), np.asarray(value)


@pytest.mark.parametrize("name", NAMES)
def test_the_ratio_is_one_on_fresh_data(name: str) -> None:
    """A replay of the sequences gives what the steps gave, with ends of episodes inside; not with resets a step off."""
    world = world_of(name)
    log_prob, value = replay(world, world.samples)
    np.testing.assert_allclose(np.exp(log_prob - world.steps.log_prob), 1, atol=1e-5)
    np.testing.assert_allclose(value, world.steps.value, atol=1e-5)
    if name == "lstm":
        late = world.samples._replace(starts=world.steps.ended)
        assert np.abs(replay(world, late)[1] - world.steps.value).max() > 1e-3


def test_nothing_before_a_reset_has_influence() -> None:
    """The derivative of all values by the observations before an end is zero after it, and not zero up to it."""
    world = world_of("lstm")
    control, samples = world.control, world.samples
    env = 0
    ends = np.flatnonzero(world.steps.ended[:, env])
    first, last = ends[0] + 1, ends[1]  # a whole episode

    def values(obs: jax.Array) -> jax.Array:
        return control.network.apply({"params": world.before.params}, world.before.memory, obs, samples.starts)[2]

    moved = np.zeros_like(samples.obs)
    moved[first, env] = 1.0
    change = np.array(jax.jvp(values, (samples.obs,), (moved,))[1])
    assert (change[first : last + 1, env] != 0).all()
    change[first : last + 1, env] = 0
    assert (change == 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_every_sample_is_used_once_an_epoch(name: str) -> None:
    """By an mlp, steps of every environment; by an lstm, whole environments."""
    control = world_of(name).control
    ppo = control.config.ppo
    parts = np.asarray(draw_minibatches(control, jax.random.key(0)))
    size = LENGTH if name == "mlp" else ENVS
    parts = parts.reshape(ppo.epochs, ppo.minibatches, *parts.shape[1:])
    epochs = np.moveaxis(parts, 1, -2).reshape(-1, size)
    np.testing.assert_array_equal(np.sort(epochs), np.broadcast_to(np.arange(size), epochs.shape))
    assert len({tuple(order) for order in epochs}) == len(epochs)


@lru_cache
def compiled_update() -> Any:
    control = make_control(config_of("lstm", epochs=1, minibatches=2))
    params = control.world.params
    program = jax.jit(lambda state: update(control, state, params)).lower(init_control(control, params, 0))
    return control, program.compile({"xla_backend_optimization_level": 0})


def test_an_update_normalises_by_what_it_has_seen() -> None:
    """Moments and the reward scale move after the update, by all of its observations."""
    control, once = compiled_update()
    state = init_control(control, control.world.params, 0)
    after, figures = once(state)
    assert (int(after.update), float(figures.scalars["discarded"])) == (1, 0.0)
    assert float(after.moments.count) == ENVS * LENGTH
    assert float(after.reward_scale.count) == ENVS * LENGTH
    steps = collect(control, state, control.world.params, jax.random.split(state.key, 4)[1])[1]
    rows = np.asarray(steps.obs).reshape(-1, 2)
    np.testing.assert_allclose(after.moments.mean, rows.mean(0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(after.moments.variance, rows.var(0), rtol=1e-4)
    ended = np.asarray(steps.ended)
    assert int(figures.episode_rows) == ended.sum()
    np.testing.assert_allclose(figures.episodes["return"][: ended.sum()], np.asarray(steps.total)[ended], rtol=1e-6)
    np.testing.assert_allclose(figures.scalars["episode_length"], np.asarray(steps.length)[ended].sum())


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_update_with_a_number_that_is_not_finite_is_discarded(bad: float) -> None:
    """It is named, nothing is learned, its environment starts afresh, and the next update is well."""
    control, once = compiled_update()
    state = once(init_control(control, control.world.params, 0))[0]
    broken = state._replace(
        obs=state.obs.at[3, 1].set(bad), env_state=state.env_state.replace(theta=state.env_state.theta.at[3].set(bad))
    )
    after, figures = once(broken)
    assert cause({name: int(step) for name, step in figures.checks.items()}) == ("observation", 0)
    assert float(figures.scalars["discarded"]) == 1.0
    for part in ("params", "opt_state", "moments", "reward_scale"):
        assert_bitwise(getattr(after, part), getattr(state, part))
    assert int(after.update) == 2
    assert not np.array_equal(jax.random.key_data(after.key), jax.random.key_data(state.key))
    again, figures = once(after)
    assert float(figures.scalars["discarded"]) == 0.0
    assert np.isfinite(again.obs).all()


def test_moments_are_those_of_all_rows() -> None:
    rng = np.random.default_rng(0)
    parts = [rng.normal(loc, scale, (5, 7, 3)).astype(np.float32) for loc, scale in ((0, 1), (3, 2), (-1, 0.1))]
    moments = init_moments(3, jnp.float32)
    first = standardize(moments, parts[1])
    np.testing.assert_allclose(first, np.clip(parts[1], -10, 10), rtol=1e-6)
    for part in parts:
        moments = update_moments(moments, jnp.asarray(part))
    rows = np.concatenate([part.reshape(-1, 3) for part in parts])
    np.testing.assert_allclose(moments.mean, rows.mean(0), rtol=1e-5)
    np.testing.assert_allclose(moments.variance, rows.var(0), rtol=1e-5)
    far = standardize(moments, rows.mean(0) + 11 * rows.std(0) * np.array([1, -1, 0.5], np.float32))
    np.testing.assert_allclose(far, [10, -10, 5.5], rtol=1e-4)


def test_evaluation_plays_whole_episodes_with_frozen_moments() -> None:
    """Of CartPole, where a reward of one a step makes a return a length."""
    world = world_of("lstm")
    play = jax.jit(partial(evaluate, world.control, env_params=world.control.world.params, key=jax.random.key(0)))
    returns, lengths = play(world.before.params, world.before.moments)
    np.testing.assert_array_equal(returns, lengths)
    assert returns.shape == (5,)
    assert (np.asarray(lengths) >= 1).all()
    assert (np.asarray(lengths) <= LIMIT).all()


@pytest.mark.nightly
def test_parts_of_a_minibatch_are_the_minibatch(monkeypatch: pytest.MonkeyPatch) -> None:
    world = world_of("mlp")
    flat = jax.tree.map(lambda leaf: leaf.reshape(-1, 1, *leaf.shape[2:]), world.samples)
    ppo = world.control.config.ppo
    knobs = room.knobs_at(ppo, room.hyper_of(ppo, 10), jnp.int32(0), jnp.float32)
    found = []
    for rows in (4096, 32):
        monkeypatch.setattr("train.parts.ROWS", rows)
        found.append(room.minibatch_gradient(world.before.params, world.control, Memory((), ()), flat, knobs))
    for one, other in zip(*map(jax.tree.leaves, found), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_what_is_normalised_is_what_is_learned_from() -> None:
    world = world_of("mlp")
    np.testing.assert_allclose(world.samples.obs, seen(world.control, world.before.moments, world.steps.obs), rtol=1e-6)
    assert np.abs(world.samples.obs - world.steps.obs).max() > 0.1
