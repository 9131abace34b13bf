"""An environment of gymnax as the learner sees it: spaces, parameters, and what is refused."""

from typing import Any

import gymnax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnax.environments import spaces

from jaxtrade.errors import InputError
from tests.helpers.probe_envs import Probe
from train.control_config import ControlConfig
from train.control_env import make_world, reset, step
from train.distributions import CATEGORICAL, GAUSSIAN, GaussianParams

HERE = "tests.train.test_control_env"
BOUNDS = np.array([-1.0, 0.0]), np.array([3.0, 0.5])


class Odd(Probe):
    """Observes and acts by whatever its subclasses say, and shows the action as the reward."""

    def action_space(self, params: Any) -> Any:
        return spaces.Box(*BOUNDS, (2,))

    def observation_space(self, params: Any) -> Any:
        inner = spaces.Tuple((spaces.Box(-1.0, 1.0, (2, 2)), spaces.Discrete(2)))
        return spaces.Dict({"kind": spaces.Discrete(3), "parts": inner})

    def get_obs(self, state: Any, params: Any, key: Any = None) -> Any:
        return {"kind": jnp.int32(2), "parts": (jnp.arange(4.0).reshape(2, 2), jnp.int32(1))}

    def step_env(self, key: Any, state: Any, action: Any, params: Any) -> Any:
        return self.get_obs(state, params), state, jnp.sum(jnp.asarray(action)), False, {}


class Choices(Odd):
    def action_space(self, params: Any) -> Any:
        return spaces.Tuple((spaces.Discrete(2), spaces.Discrete(3)))

    def step_env(self, key: Any, state: Any, action: Any, params: Any) -> Any:
        first, second = action
        return self.get_obs(state, params), state, 10 * first + second, False, {}


class Unbounded(Odd):
    def action_space(self, params: Any) -> Any:
        return spaces.Box(-np.inf, np.inf, (2,))


class Strange(Odd):
    def observation_space(self, params: Any) -> Any:
        return spaces.Space()


class Broken(Probe):
    def __init__(self) -> None:
        raise RuntimeError("no licence")


def world_of(name: str, **changes: object) -> Any:
    env = name if name in gymnax.registered_envs else f"{HERE}:{name}"
    return make_world(ControlConfig.model_validate({"env": env} | changes))


def reward_of(world: Any, action: Any) -> float:
    _, state = reset(world, jax.random.key(0), world.params)
    return float(step(world, jax.random.key(1), state, jnp.asarray(action), world.params).reward)


def test_observations_are_flattened() -> None:
    """A Dict of a choice and a Tuple of numbers and a choice; choices are one number each."""
    world = world_of("Odd")
    obs, _ = reset(world, jax.random.key(0), world.params)
    np.testing.assert_array_equal(obs, [0, 0, 1, 0, 1, 2, 3, 0, 1])
    assert (world.size, obs.dtype) == (9, jnp.float32)
    obs, _ = reset(world_of("Odd", observe=(6, 2)), jax.random.key(0), world.params)
    np.testing.assert_array_equal(obs, [3, 1])


def test_numbers_are_clipped_to_the_box_or_squashed_into_it() -> None:
    world = world_of("Odd")
    assert (world.outputs, world.continuous, world.distribution.log_prob) == (2, True, GAUSSIAN.log_prob)
    for action, wanted in (([9.0, 9.0], 3.5), ([-9.0, -9.0], -1.0), ([1.0, 0.25], 1.25)):
        np.testing.assert_allclose(reward_of(world, action), wanted)
    world = world_of("Odd", network={"squash": "tanh"})
    for action, wanted in (([50.0, 50.0], 3.5), ([-50.0, -50.0], -1.0), ([0.0, 0.0], 1.25)):
        np.testing.assert_allclose(reward_of(world, action), wanted)
    params = GaussianParams(jnp.zeros(2), jnp.zeros(2))
    assert world.distribution.sample(jax.random.key(0), params).shape == (2,)


def test_choices() -> None:
    world = world_of("Choices")
    assert (world.outputs, world.continuous) == (5, False)
    assert reward_of(world, [1, 2]) == 12
    world = world_of("CartPole-v1")
    assert (world.outputs, world.distribution) == (2, CATEGORICAL)


def test_parameters_are_replaced_in_their_own_type() -> None:
    params = world_of("CartPole-v1", env_params={"max_steps_in_episode": 7, "gravity": 5}).params
    assert (int(params.max_steps_in_episode), float(params.gravity)) == (7, 5.0)
    assert jnp.issubdtype(params.max_steps_in_episode.dtype, jnp.integer)


REFUSED = {
    "name": ("CartPole-v2", {}, "env: gymnax has no environment 'CartPole-v2'. Did you mean 'CartPole-v1'?"),
    "class": (f"{HERE}:Nothing", {}, "has no Nothing"),
    "broken": (f"{HERE}:Broken", {}, "cannot be made: RuntimeError: no licence. Mend the class"),
    "module": ("no_such_module:Env", {}, "cannot be imported"),
    "field": (
        "CartPole-v1",
        {"env_params": {"max_steps_in_episodes": 7}},
        "no number 'max_steps_in_episodes'. Did you mean 'max_steps_in_episode'?",
    ),
    "whole": ("CartPole-v1", {"env_params": {"max_steps_in_episode": 7.5}}, "is a whole number, got 7.5"),
    "component": ("CartPole-v1", {"observe": (0, 4)}, "observe: 4 is no component. CartPole-v1 observes 4 numbers"),
    "bounds": (f"{HERE}:Unbounded", {"network": {"squash": "tanh"}}, "network.squash: tanh needs bounds"),
    "space": (f"{HERE}:Strange", {}, "observes a Space. Use Box, Discrete, Dict and Tuple"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused(what: str) -> None:
    name, changes, message = REFUSED[what]
    with pytest.raises(InputError) as error:
        make_world(ControlConfig.model_validate({"env": name} | changes))
    assert message in str(error.value)


@pytest.mark.nightly
@pytest.mark.parametrize("name", [name for name in gymnax.registered_envs if "MNIST" not in name])  # it downloads
def test_every_environment_of_gymnax(name: str) -> None:
    world = world_of(name)

    def once(key: jax.Array, params: Any) -> tuple[jax.Array, jax.Array]:
        obs, state = reset(world, key, params)
        out = jnp.zeros(world.outputs)
        action = world.distribution.sample(key, GaussianParams(out, out) if world.continuous else out)
        moved = step(world, key, state, action, params)
        return obs, moved.obs

    first, then = jax.eval_shape(once, jax.random.key(0), world.params)
    assert first.shape == then.shape == (world.size,)
