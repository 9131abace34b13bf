"""An environment of gymnax as the learner sees it: flat observations, and one distribution of actions."""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import gymnax
import jax
import jax.numpy as jnp
import numpy as np

from jaxtrade.errors import InputError, did_you_mean
from jaxtrade.importing import import_object, told
from train.control_config import ControlConfig
from train.distributions import CATEGORICAL, GAUSSIAN, Distribution, multi_categorical, squashed_gaussian


class World(NamedTuple):
    """An environment, and how to read and to act in it."""

    env: Any
    params: Any  # of the environment, its fields replaced as the configuration says
    observe: Callable[[Any], jax.Array]  # an observation -> [O]
    size: int  # O
    distribution: Distribution  # of actions; its to_env gives what the environment takes
    outputs: int  # numbers that the actor gives: logits, or a mean for each component
    continuous: bool


class Moved(NamedTuple):
    """Where a step led to, before any reset."""

    obs: jax.Array  # [O]
    env_state: Any
    reward: jax.Array  # []
    terminated: jax.Array  # []
    truncated: jax.Array  # []


def make_world(config: ControlConfig) -> World:
    """Return the environment of a configuration.

    Raises:
        InputError: There is no such environment, parameter or component, or its spaces are none that we know.
    """
    env, params = _load(config.env)
    params = _replace(config.env, params, config.env_params)
    size, flatten = _flattener(config.env, env.observation_space(params))
    if config.observe and max(config.observe) >= size:
        raise InputError("observe", f"{max(config.observe)} is no component", f"{config.env} observes {size} numbers")
    kept = np.array(config.observe or range(size), np.int32)

    def observe(observation: Any) -> jax.Array:
        flat = flatten(observation)
        return flat[kept] if config.observe else flat

    distribution, outputs = _actions(config, env.action_space(params))
    continuous = distribution.mode is GAUSSIAN.mode
    return World(env, jax.tree.map(jnp.asarray, params), observe, len(kept), distribution, outputs, continuous)


@contextmanager
def others_code() -> Iterator[None]:
    """Lift strict promotion, which others' environments were not written for."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


def reset(world: World, key: jax.Array, params: Any) -> tuple[jax.Array, Any]:
    """Return the first observation and state of an episode."""
    with others_code():
        observation, env_state = world.env.reset_env(key, params)
        return world.observe(observation), env_state


def step(world: World, key: jax.Array, env_state: Any, action: jax.Array, params: Any) -> Moved:
    """Take a step; `action` is what the distribution stores."""
    with others_code():
        taken = world.distribution.to_env(action)
        observation, reached, reward, terminated, _ = world.env.step_env(key, env_state, taken, params)
        truncated = world.env.is_truncated(reached, params)
        obs = world.observe(observation)
        reward = jnp.asarray(reward, obs.dtype).reshape(())
        return Moved(obs, reached, reward, jnp.asarray(terminated, bool), jnp.asarray(truncated, bool))


def _load(name: str) -> tuple[Any, Any]:
    if ":" not in name:
        if name not in gymnax.registered_envs:
            raise InputError("env", f"gymnax has no environment '{name}'", did_you_mean(name, gymnax.registered_envs))
        with others_code():
            return gymnax.make(name)
    env_class = import_object("env", name, "Give an environment of gymnax by name, or package.module:Class")
    try:
        with others_code():
            env = env_class()
            return env, env.default_params
    except Exception as error:  # whatever a user's class raises is the user's to mend
        raise InputError("env", f"{name} cannot be made: {told(error)}", "Mend the class") from None


def _replace(name: str, params: Any, numbers: dict[str, float]) -> Any:
    """Return the environment's parameters with some fields replaced, each in the type that it had."""
    fields = {field.name: getattr(params, field.name) for field in dataclasses.fields(params)}
    known = [field for field, value in fields.items() if isinstance(value, int | float)]
    for field, number in numbers.items():
        if field not in known:
            raise InputError("env_params", f"{name} has no number '{field}'", did_you_mean(field, known))
        if isinstance(fields[field], int) and not number.is_integer():
            raise InputError("env_params", f"{field} is a whole number, got {number:g}", "Give one")
    return params.replace(**{field: type(fields[field])(number) for field, number in numbers.items()})


def _flattener(name: str, space: Any) -> tuple[int, Callable[[Any], jax.Array]]:
    """Return the size of a space's flat form and the function that flattens; of a choice, one number each."""
    if hasattr(space, "spaces"):
        keyed = isinstance(space.spaces, dict)
        keys = list(space.spaces) if keyed else list(range(len(space.spaces)))
        parts = [_flattener(name, space.spaces[key]) for key in keys]

        def flatten(value: Any) -> jax.Array:
            at = [getattr(value, key) if keyed and hasattr(value, key) else value[key] for key in keys]
            return jnp.concatenate([part(each) for (_, part), each in zip(parts, at, strict=True)])

        return sum(size for size, _ in parts), flatten
    if hasattr(space, "n"):
        return int(space.n), lambda value: jax.nn.one_hot(value, space.n).reshape(-1)
    if hasattr(space, "low"):
        dtype = jnp.result_type(float)
        return int(np.prod(space.shape, dtype=int)), lambda value: jnp.asarray(value, dtype).reshape(-1)
    raise InputError("env", f"{name} observes a {type(space).__name__}", "Use Box, Discrete, Dict and Tuple")


def _actions(config: ControlConfig, space: Any) -> tuple[Distribution, int]:
    """Return the distribution of actions and how many numbers the actor gives for it."""
    if hasattr(space, "n"):
        return CATEGORICAL, int(space.n)
    if hasattr(space, "nvec"):
        sizes = [int(size) for size in np.ravel(space.nvec)]
        return multi_categorical(sizes), sum(sizes)
    if hasattr(space, "spaces") and not isinstance(space.spaces, dict) and all(hasattr(s, "n") for s in space.spaces):
        sizes = [int(each.n) for each in space.spaces]
        together = multi_categorical(sizes)
        return together._replace(to_env=lambda action: tuple(action[..., k] for k in range(len(sizes)))), sum(sizes)
    if hasattr(space, "low"):
        return _box(config, space), int(np.prod(space.shape, dtype=int))
    raise InputError("env", f"{config.env} acts by a {type(space).__name__}", "Use Box, Discrete or Tuple of Discrete")


def _box(config: ControlConfig, space: Any) -> Distribution:
    """Return the Gaussian that is clipped to a box, or squashed into it."""
    shape = tuple(space.shape)
    low, high = (np.broadcast_to(np.asarray(bound, np.float32), shape) for bound in (space.low, space.high))
    if config.network.squash == "clip":
        return GAUSSIAN._replace(to_env=lambda action: jnp.clip(action.reshape(shape), low, high))
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise InputError("network.squash", f"tanh needs bounds, and {config.env} has none", "Use clip")
    squashed = squashed_gaussian()
    center, half = (low + high) / 2, (high - low) / 2
    return squashed._replace(to_env=lambda action: center + half * squashed.to_env(action).reshape(shape))
