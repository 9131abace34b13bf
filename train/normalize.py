"""Reward normalisation, frozen during a rollout and its update."""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class RewardScale(NamedTuple):
    """Running moments of the discounted return of every environment (Engstrom et al. 2020, after OpenAI baselines)."""

    discounted: jax.Array  # [G, A] running discounted return
    count: jax.Array  # []
    mean: jax.Array  # []
    variance: jax.Array  # []


def init_reward_scale(shape: tuple[int, ...], dtype: jnp.dtype) -> RewardScale:
    """Return moments of nothing: rewards are divided by 1 until the first rollout has been seen."""
    return RewardScale(
        discounted=jnp.zeros(shape, dtype),
        count=jnp.zeros((), dtype),
        mean=jnp.zeros((), dtype),
        variance=jnp.ones((), dtype),
    )


def scale_reward(scale: RewardScale, reward: jax.Array) -> jax.Array:
    """Divide by the standard deviation of the discounted return."""
    return reward / jnp.sqrt(scale.variance + 1e-12)


def update_reward_scale(scale: RewardScale, rewards: jax.Array, terminated: jax.Array, gamma: float) -> RewardScale:
    """Add one rollout of raw rewards, [L, G, A]; a terminated step ends its return."""

    def step(discounted: jax.Array, now: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        reward, ended = now
        discounted = gamma * discounted + reward
        return jnp.where(ended, jnp.zeros_like(discounted), discounted), discounted

    discounted, seen = jax.lax.scan(step, scale.discounted, (rewards, terminated))
    added = jnp.asarray(seen.size, scale.count.dtype)
    total = scale.count + added
    delta = jnp.mean(seen) - scale.mean
    squares = scale.variance * scale.count + jnp.var(seen) * added + delta**2 * scale.count * added / total
    return RewardScale(discounted, total, scale.mean + delta * added / total, squares / total)
