"""Validation on an environment of gymnax: whole episodes by the most likely actions, compiled."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from train.control_env import step
from train.control_moments import Moments
from train.control_network import Memory, no_memory
from train.control_rollout import Control, fresh_environments, seen

LONGEST = 100_000  # steps of a validation; an episode that is still running then counts as far as it got


class Games(NamedTuple):
    """Some episodes side by side, N environments."""

    obs: jax.Array  # [N, O]
    env_state: Any  # leaves [N, ...]
    memory: Memory
    total: jax.Array  # [N] rewards of the first episode
    length: jax.Array  # [N] its steps
    running: jax.Array  # [N] whether it goes on
    key: jax.Array


def evaluate(
    control: Control, params: Any, moments: Moments, env_params: Any, key: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Let the most likely action play `eval_episodes` episodes, each in an environment of its own.

    Observations are normalised by the moments as they stand; rewards are the environment's.

    Returns:
        Return and length of each episode, [N].
    """
    episodes = control.config.eval_episodes
    key_reset, key = jax.random.split(key)
    obs, env_state = fresh_environments(control, key_reset, env_params, episodes)
    games = Games(
        obs=obs,
        env_state=env_state,
        memory=no_memory(control.config.network, episodes, obs.dtype),
        total=jnp.zeros(episodes, obs.dtype),
        length=jnp.zeros(episodes, jnp.int32),
        running=jnp.ones(episodes, bool),
        key=key,
    )

    def goes_on(games: Games) -> jax.Array:
        return jnp.any(games.running) & (jnp.max(games.length) < LONGEST)

    games = jax.lax.while_loop(goes_on, lambda now: play(control, params, moments, env_params, now), games)
    return games.total, games.length


def play(control: Control, params: Any, moments: Moments, env_params: Any, games: Games) -> Games:
    """Take one step in every environment; those whose episode has ended move on, but count no more."""
    episodes = games.running.shape[0]
    key, key_step = jax.random.split(games.key)
    obs, never = seen(control, moments, games.obs), jnp.zeros((1, episodes), bool)
    memory, dist_params, _ = control.network.apply({"params": params}, games.memory, obs[None], never)
    action = control.world.distribution.mode(jax.tree.map(lambda leaf: leaf[0], dist_params))
    move = jax.vmap(lambda *now: step(control.world, *now, env_params))
    moved = move(jax.random.split(key_step, episodes), games.env_state, action)
    return Games(
        obs=moved.obs,
        env_state=jax.tree.map(lambda new, old: new.astype(old.dtype), moved.env_state, games.env_state),
        memory=memory,
        total=games.total + jnp.where(games.running, moved.reward, jnp.zeros_like(moved.reward)),
        length=games.length + games.running.astype(jnp.int32),
        running=games.running & ~(moved.terminated | moved.truncated),
        key=key,
    )
