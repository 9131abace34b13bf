"""What a run on gymnax carries from update to update, and how it walks its environments."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from train.control_config import ControlConfig
from train.control_env import World, make_world, reset, step
from train.control_moments import Moments, init_moments, standardize
from train.control_network import ActorCritic, Memory, forget, no_memory
from train.normalize import RewardScale, init_reward_scale
from train.optimizer import make_optimizer
from train.rollout import where_lane


class Control(NamedTuple):
    """The static parts of a run."""

    config: ControlConfig
    world: World
    network: ActorCritic
    optimizer: optax.GradientTransformation


class ControlState(NamedTuple):
    """The state of the learner, E environments; a pytree of arrays."""

    params: Any
    opt_state: Any
    obs: jax.Array  # [E, O] as the environment gives it
    env_state: Any  # leaves [E, ...]
    memory: Memory  # zero where an episode starts
    total: jax.Array  # [E] rewards of the running episode
    length: jax.Array  # [E] its steps
    moments: Moments  # of observations
    reward_scale: RewardScale
    key: jax.Array
    update: jax.Array  # [] updates done


class Steps(NamedTuple):
    """A rollout."""

    obs: jax.Array  # [L, E, O] as the environment gives it
    reached: jax.Array  # [L, E] whether all numbers of the observation that the step led to are finite
    action: jax.Array  # [L, E, ...] as the distribution has it
    log_prob: jax.Array  # [L, E]
    value: jax.Array  # [L, E]
    next_value: jax.Array  # [L, E] of what the step led to, before any reset
    reward: jax.Array  # [L, E] as the environment gives it
    terminated: jax.Array  # [L, E]
    truncated: jax.Array  # [L, E]
    total: jax.Array  # [L, E] rewards of the episode up to here
    length: jax.Array  # [L, E] its steps up to here

    @property
    def ended(self) -> jax.Array:
        """Whether an episode ended with the step, [L, E]."""
        return self.terminated | self.truncated


def make_control(config: ControlConfig) -> Control:
    """Return the static parts.

    Raises:
        InputError: The environment is unknown, or none that we can act in.
    """
    world = make_world(config)
    network = ActorCritic(config.network, world.outputs, world.continuous)
    return Control(config, world, network, make_optimizer(config.ppo))


def init_control(control: Control, env_params: Any, seed: jax.Array | int) -> ControlState:
    """Return the state before the first update, its leaves as an update leaves them: strongly typed, none shared."""
    key_params, key_reset, key = jax.random.split(jax.random.key(seed), 3)
    environments = control.config.num_envs
    obs, env_state = fresh_environments(control, key_reset, env_params, environments)
    memory = no_memory(control.config.network, environments, obs.dtype)
    never = jnp.zeros((1, environments), bool)
    params = control.network.init(key_params, memory, obs[None], never)["params"]
    params = jax.tree.map(lambda leaf: leaf.astype(obs.dtype), params)
    state = ControlState(
        params=params,
        opt_state=control.optimizer.init(params),
        obs=obs,
        env_state=env_state,
        memory=memory,
        total=jnp.zeros(environments, obs.dtype),
        length=jnp.zeros(environments, jnp.int32),
        moments=init_moments(obs.shape[1], obs.dtype),
        reward_scale=init_reward_scale((environments,), obs.dtype),
        key=key,
        update=jnp.int32(0),
    )
    return jax.tree.map(jnp.copy, state)


def fresh_environments(control: Control, key: jax.Array, env_params: Any, count: int) -> tuple[jax.Array, Any]:
    """Return the first observations of some environments, [count, O], and their states, leaves [count, ...]."""
    keys = jax.random.split(key, count)
    fresh = jax.vmap(lambda each: reset(control.world, each, env_params))(keys)
    return jax.tree.map(lambda leaf: jax.lax.convert_element_type(leaf, leaf.dtype), fresh)  # strongly typed


def seen(control: Control, moments: Moments, obs: jax.Array) -> jax.Array:
    """Return observations, [..., O], as the network reads them."""
    return standardize(moments, obs) if control.config.ppo.normalize_observation else obs


def collect(control: Control, state: ControlState, env_params: Any, key: jax.Array) -> tuple[ControlState, Steps]:
    """Walk L steps of every environment; those that end are reset in place, and their memory with them."""
    world, variables = control.world, {"params": state.params}
    never = jnp.zeros((1, control.config.num_envs), bool)
    move = jax.vmap(lambda *now: step(world, *now, env_params))

    def walk(now: ControlState, key: jax.Array) -> tuple[ControlState, Steps]:
        key_action, key_step, key_reset = jax.random.split(key, 3)
        memory, *answer = control.network.apply(variables, now.memory, seen(control, now.moments, now.obs)[None], never)
        dist_params, value = jax.tree.map(lambda leaf: leaf[0], answer)
        action = world.distribution.sample(key_action, dist_params)
        log_prob = world.distribution.log_prob(dist_params, action)
        moved = move(jax.random.split(key_step, control.config.num_envs), now.env_state, action)
        next_value = control.network.apply(variables, memory, seen(control, now.moments, moved.obs), method="value")
        total, length = now.total + moved.reward, now.length + 1
        reached = jnp.all(jnp.isfinite(moved.obs), axis=-1)
        acted = now.obs, reached, action, log_prob, value, next_value
        steps = Steps(*acted, moved.reward, moved.terminated, moved.truncated, total, length)
        now = now._replace(obs=moved.obs, env_state=moved.env_state, memory=memory, total=total, length=length)
        return restart(control, now, steps.ended, (env_params, key_reset)), steps

    return jax.lax.scan(walk, state, jax.random.split(key, control.config.ppo.rollout_length))


def restart(control: Control, state: ControlState, where: jax.Array, start: tuple[Any, jax.Array]) -> ControlState:
    """Open a fresh episode in some environments, [E]; `start` is the environment's parameters and a key."""
    env_params, key = start
    fresh = fresh_environments(control, key, env_params, where.shape[0])
    obs, env_state = jax.tree.map(
        lambda new, old: where_lane(where, new, old.astype(new.dtype)), fresh, (state.obs, state.env_state)
    )
    total, length = (jnp.where(where, jnp.zeros_like(each), each) for each in (state.total, state.length))
    return state._replace(obs=obs, env_state=env_state, memory=forget(state.memory, where), total=total, length=length)
