"""Normalisation of observations, frozen during a rollout and its update, and in evaluation."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

LIMIT = 10.0  # standard deviations


class Moments(NamedTuple):
    """Running mean and variance of each component."""

    count: jax.Array  # []
    mean: jax.Array  # [O]
    variance: jax.Array  # [O]


def init_moments(size: int, dtype: Any) -> Moments:
    """Return the moments of nothing: observations stay as they are until the first rollout has been seen."""
    return Moments(jnp.zeros((), dtype), jnp.zeros(size, dtype), jnp.ones(size, dtype))


def standardize(moments: Moments, obs: jax.Array) -> jax.Array:
    """Shift and scale observations [..., O], and cut them at LIMIT."""
    shape = (1,) * (obs.ndim - 1) + moments.mean.shape
    mean, variance = moments.mean.reshape(shape), moments.variance.reshape(shape)
    return jnp.clip((obs - mean) / jnp.sqrt(variance + 1e-8), -LIMIT, LIMIT)


def update_moments(moments: Moments, obs: jax.Array) -> Moments:
    """Add the observations of a rollout, [L, E, O] (the pairwise form of Chan, Golub and LeVeque 1983)."""
    rows = obs.reshape(-1, obs.shape[-1])
    added = jnp.asarray(rows.shape[0], moments.count.dtype)
    total = moments.count + added
    delta = jnp.mean(rows, axis=0) - moments.mean
    squares = moments.variance * moments.count + jnp.var(rows, axis=0) * added
    squares = squares + delta**2 * (moments.count * added / total)
    return Moments(total, moments.mean + delta * (added / total), squares / total)
