"""The PPO loss of one minibatch."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from train.config import PPOConfig
from train.distributions import Distribution
from train.schedules import Knobs


class Batch(NamedTuple):
    """What a rollout leaves for the loss; all leaves share their leading axes."""

    action: jax.Array  # [...] or [..., S]
    log_prob: jax.Array  # [...] under the policy that acted
    value: jax.Array  # [...] by the policy that acted
    advantage: jax.Array  # [...]
    target: jax.Array  # [...] return estimate


def normalize_advantages(batch: Batch) -> Batch:
    """Give the advantages of a minibatch mean 0 and standard deviation 1."""
    advantage = batch.advantage
    return batch._replace(advantage=(advantage - jnp.mean(advantage)) / (jnp.std(advantage) + 1e-8))


def ppo_loss(
    dist_params: Any, value: jax.Array, batch: Batch, distribution: Distribution, config: PPOConfig, knobs: Knobs
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Return the loss and its parts.

    The clipped surrogate of Schulman et al. (2017, eq. 7), the squared value error (clipped if asked), and the entropy
    bonus; all means, so that a minibatch in equal parts has the mean of their losses. `approx_kl` is
    mean((ratio - 1) - log ratio).

    Args:
        dist_params: Parameters of the distribution, leaves [...].
        value: [...] value estimates.
        batch: What the rollout left, its advantages normalised.
        distribution: Of the actions.
        config: What does not change over the run: `value_weight` and `value_clip`.
        knobs: Clip range and entropy weight of this update.
    """
    log_ratio = distribution.log_prob(dist_params, batch.action) - batch.log_prob
    ratio = jnp.exp(log_ratio)
    clipped = jnp.clip(ratio, 1 - knobs.clip, 1 + knobs.clip)
    policy_loss = -jnp.mean(jnp.minimum(ratio * batch.advantage, clipped * batch.advantage))
    value_loss = 0.5 * jnp.mean(_value_error(value, batch, config.value_clip))
    entropy = jnp.mean(distribution.entropy(dist_params))
    loss = policy_loss + config.value_weight * value_loss - knobs.entropy_weight * entropy
    parts = {
        "loss": loss,
        "policy_loss": policy_loss,
        "value_loss": value_loss,
        "entropy": entropy,
        "approx_kl": jnp.mean((ratio - 1) - log_ratio),
        "clip_fraction": jnp.mean((jnp.abs(ratio - 1) > knobs.clip).astype(loss.dtype)),
    }
    return loss, parts


def _value_error(value: jax.Array, batch: Batch, clip: float) -> jax.Array:
    error = (value - batch.target) ** 2
    if clip == 0:
        return error
    near = batch.value + jnp.clip(value - batch.value, -clip, clip)
    return jnp.maximum(error, (near - batch.target) ** 2)
