"""Action distributions as records of pure functions; parameters are pytrees that a network head returns.

An action is what is stored and what densities are evaluated at; `to_env` makes of it what the environment is given. A
squashed Gaussian stores the Gaussian's own number, so that no density is ever computed from a rounded tanh.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from eval_bridge.spec import LOG_STD_SPAN as SPAN

LOG_TWO_PI = 1.8378770664093453
QUADRATURE = 16  # points of the squashed Gaussian's entropy


class Distribution(NamedTuple):
    """A family of distributions."""

    sample: Callable[[jax.Array, Any], jax.Array]  # (key, parameters) -> action
    log_prob: Callable[[Any, jax.Array], jax.Array]  # (parameters, action) -> [...]
    entropy: Callable[[Any], jax.Array]  # parameters -> [...]
    mode: Callable[[Any], jax.Array]  # parameters -> action
    to_env: Callable[[jax.Array], jax.Array] = lambda action: action  # what the environment is given for an action


class GaussianParams(NamedTuple):
    """Diagonal Gaussian."""

    mean: jax.Array  # [..., A]
    log_std: jax.Array  # [..., A]


def bounded_log_std(raw: jax.Array, initial: float) -> jax.Array:
    """Return a log standard deviation within SPAN of its initial value, a factor of 20 either way.

    `initial + SPAN tanh(raw / SPAN)`. A network's output without bounds takes one bad step to a density that overflows
    (too small) or to an entropy bonus that feeds itself (too large); a hard clip has no gradient to come back by.

    Args:
        raw: [..., A] the network's output.
        initial: Value at raw 0, where the slope is 1.
    """
    return initial + SPAN * jnp.tanh(raw / SPAN)


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
"""Continuous actions that the rules clip to their bounds; the density is that of the unclipped action."""


def multi_categorical(sizes: Sequence[int]) -> Distribution:
    """Return the distribution of K independent choices, the k-th one of `sizes[k]`.

    Parameters are the logits side by side, [..., sum(sizes)]; an action is [..., K] int32.
    """
    cuts = np.cumsum(sizes)[:-1].tolist()

    def split(logits: jax.Array) -> list[jax.Array]:
        return jnp.split(logits, cuts, axis=-1)

    def sample(key: jax.Array, logits: jax.Array) -> jax.Array:
        keys = jax.random.split(key, len(sizes))
        drawn = [CATEGORICAL.sample(each, part) for each, part in zip(keys, split(logits), strict=True)]
        return jnp.stack(drawn, axis=-1).astype(jnp.int32)

    def log_prob(logits: jax.Array, action: jax.Array) -> jax.Array:
        return sum(CATEGORICAL.log_prob(part, action[..., k]) for k, part in enumerate(split(logits)))

    def mode(logits: jax.Array) -> jax.Array:
        return jnp.stack([CATEGORICAL.mode(part) for part in split(logits)], axis=-1).astype(jnp.int32)

    return Distribution(sample, log_prob, lambda logits: sum(map(CATEGORICAL.entropy, split(logits))), mode)


def _log_slope(u: jax.Array) -> jax.Array:
    """Return log d tanh(u) / du = log(1 - tanh(u)^2), which does not lose its digits where tanh is near 1."""
    return 2 * (np.log(2.0).item() - u - jax.nn.softplus(-2 * u))


def squashed_gaussian(low: float = -1.0, high: float = 1.0) -> Distribution:
    """Return the tanh of a diagonal Gaussian, stretched over (low, high).

    The stored action is the Gaussian's own number u; the environment is given `center + half tanh(u)`. Densities and
    entropy are those of what the environment is given (change of variables, as in Haarnoja et al. 2018, appendix C).
    `E[log(1 - tanh(u)^2)]` in the entropy has no closed form: Gauss-Hermite quadrature, which is within 2e-5 for
    standard deviations up to 1, 5e-3 at 2 and 0.2 at 5, where all mass is at the bounds. The mode is that of u, the
    median of the action.

    Args:
        low: Least action.
        high: Largest action.
    """
    center, half = (low + high) / 2, (high - low) / 2
    log_half = np.log(half).item()
    nodes, weights = np.polynomial.hermite_e.hermegauss(QUADRATURE)
    points = list(zip(nodes.tolist(), (weights / weights.sum()).tolist(), strict=True))

    def log_prob(params: GaussianParams, action: jax.Array) -> jax.Array:
        return GAUSSIAN.log_prob(params, action) - jnp.sum(_log_slope(action) + log_half, axis=-1)

    def entropy(params: GaussianParams) -> jax.Array:
        std = jnp.exp(params.log_std)
        slopes = (share * _log_slope(params.mean + node * std) for node, share in points)
        return GAUSSIAN.entropy(params) + jnp.sum(sum(slopes) + log_half, axis=-1)

    def to_env(action: jax.Array) -> jax.Array:
        return center + half * jnp.tanh(action)

    return Distribution(GAUSSIAN.sample, log_prob, entropy, GAUSSIAN.mode, to_env)
