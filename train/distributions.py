"""Action distributions as records of pure functions; parameters are pytrees that a network head returns."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

LOG_TWO_PI = 1.8378770664093453


class Distribution(NamedTuple):
    """A family of distributions."""

    sample: Callable[[jax.Array, Any], jax.Array]  # (key, parameters) -> action
    log_prob: Callable[[Any, jax.Array], jax.Array]  # (parameters, action) -> [...]
    entropy: Callable[[Any], jax.Array]  # parameters -> [...]
    mode: Callable[[Any], jax.Array]  # parameters -> action


class GaussianParams(NamedTuple):
    """Diagonal Gaussian; the decoder clips what it is given, the density is that of the unclipped action."""

    mean: jax.Array  # [..., A]
    log_std: jax.Array  # [..., A]


def _categorical_log_prob(logits: jax.Array, action: jax.Array) -> jax.Array:
    log_probs = jax.nn.log_softmax(logits)
    return jnp.take_along_axis(log_probs, action[..., None], axis=-1)[..., 0]


def _categorical_entropy(logits: jax.Array) -> jax.Array:
    log_probs = jax.nn.log_softmax(logits)
    return -jnp.sum(jnp.exp(log_probs) * log_probs, axis=-1)


def _gaussian_sample(key: jax.Array, params: GaussianParams) -> jax.Array:
    noise = jax.random.normal(key, params.mean.shape, params.mean.dtype)
    return params.mean + jnp.exp(params.log_std) * noise


def _gaussian_log_prob(params: GaussianParams, action: jax.Array) -> jax.Array:
    score = (action - params.mean) * jnp.exp(-params.log_std)
    return jnp.sum(-0.5 * (score**2 + LOG_TWO_PI) - params.log_std, axis=-1)


def _gaussian_entropy(params: GaussianParams) -> jax.Array:
    return jnp.sum(params.log_std + 0.5 * (LOG_TWO_PI + 1), axis=-1)


CATEGORICAL = Distribution(
    sample=lambda key, logits: jax.random.categorical(key, logits),
    log_prob=_categorical_log_prob,
    entropy=_categorical_entropy,
    mode=lambda logits: jnp.argmax(logits, axis=-1),
)
GAUSSIAN = Distribution(
    sample=_gaussian_sample,
    log_prob=_gaussian_log_prob,
    entropy=_gaussian_entropy,
    mode=lambda params: params.mean,
)
