"""Probe environments: each fails for one part of a learner that is wrong (after A. Jones, and rejax's tests).

One class holds them all, told apart by a number among its parameters, so that a program learns them side by side.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from gymnax.environments import environment, spaces

CONSTANT, OBSERVED, DELAYED, ACTED, BOTH, FOREVER, RECALL = range(7)
NAMES = ("constant reward", "observation", "delay", "action", "observation and action", "infinite horizon", "memory")
GAMMA = 0.98
LIMIT = 8  # steps after which the infinite horizon is truncated
SPAN = 4  # steps of an episode of the memory probe: the cue is seen at the first, asked for at the last
NEVER = 1000


@struct.dataclass
class State(environment.EnvState):
    cue: jax.Array
    time: jax.Array


@struct.dataclass
class Params(environment.EnvParams):
    kind: int = CONSTANT
    max_steps_in_episode: int = LIMIT


class Probe(environment.Environment):
    """Acts by one of two choices; an action is right if it is 1 for a cue of 1 and 0 for one of -1."""

    @property
    def default_params(self) -> Params:
        return Params()

    def sign(self, action: jax.Array) -> jax.Array:
        return jnp.where(action == 1, 1.0, -1.0)

    def step_env(self, key: jax.Array, state: State, action: jax.Array, params: Params) -> Any:
        sign, last = self.sign(action), state.time == SPAN - 1
        rewards = [
            1.0,
            state.cue,
            state.time * 1.0,
            sign,
            sign * state.cue,
            1.0,
            jnp.where(last, sign * state.cue, 0.0),
        ]
        ends = [True, True, state.time == 1, True, True, False, last]
        state = state.replace(time=state.time + 1)
        reward, ended = (jnp.stack([jnp.asarray(each) for each in all_])[params.kind] for all_ in (rewards, ends))
        return self.get_obs(state, params), state, reward, ended, {}

    def reset_env(self, key: jax.Array, params: Params) -> Any:
        state = State(cue=jnp.where(jax.random.bernoulli(key), 1.0, -1.0), time=jnp.int32(0))
        return self.get_obs(state, params), state

    def get_obs(self, state: State, params: Params, key: Any = None) -> jax.Array:
        cue, time = state.cue, state.time * 1.0
        seen = [0.0, cue, time, 0.0, cue, (state.time % LIMIT) / LIMIT, jnp.where(state.time == 0, cue, 0.0)]
        return jnp.stack([jnp.asarray(each) for each in seen])[params.kind][None]

    def action_space(self, params: Params) -> Any:
        return spaces.Discrete(2)

    def observation_space(self, params: Params) -> Any:
        return spaces.Box(-1.0, 1.0, (1,))


class ContinuousProbe(Probe):
    """Acts by a number, whose sign counts."""

    def sign(self, action: jax.Array) -> jax.Array:
        return jnp.where(action[0] > 0, 1.0, -1.0)

    def action_space(self, params: Params) -> Any:
        return spaces.Box(-1.0, 1.0, (1,))


def true_value(kind: int, obs: np.ndarray) -> np.ndarray:
    """Return the value of observations under a policy that is always right; not of the memory probe."""
    return {
        CONSTANT: np.ones_like(obs),
        OBSERVED: obs,
        DELAYED: GAMMA ** (1 - obs),
        ACTED: np.ones_like(obs),
        BOTH: np.ones_like(obs),
        FOREVER: np.full_like(obs, 1 / (1 - GAMMA)),
    }[kind]
