"""Adam with a clipped global norm; its learning rate is given at every step."""

from typing import Any

import jax
import optax

from train.config import PPOConfig


def make_optimizer(config: PPOConfig) -> optax.GradientTransformation:
    """Return the optimiser; epsilon 1e-5 as in the reference implementations of PPO."""
    return optax.chain(optax.clip_by_global_norm(config.max_grad_norm), optax.scale_by_adam(eps=1e-5))


def apply_gradients(
    optimizer: optax.GradientTransformation,
    learning_rate: jax.Array,
    grads: Any,
    opt_state: optax.OptState,
    params: Any,
) -> tuple[Any, optax.OptState]:
    """Return the new parameters and optimiser state.

    optax mixes integer counts with floats, which our own code may not: strict promotion is lifted for its call only.
    """
    with jax.numpy_dtype_promotion("standard"):
        updates, opt_state = optimizer.update(grads, opt_state, params)
    return jax.tree.map(lambda leaf, step: leaf - learning_rate * step, params, updates), opt_state
