"""Adam with a schedule and a clipped global norm."""

from typing import Any

import jax
import optax

from train.config import PPOConfig


def make_schedule(config: PPOConfig, updates: int) -> optax.Schedule:
    """Return the learning rate as a function of the number of gradient steps."""
    steps = updates * config.epochs * config.minibatches
    if config.schedule == "linear":
        return optax.linear_schedule(config.learning_rate, 0.0, steps)
    if config.schedule == "cosine":
        return optax.cosine_decay_schedule(config.learning_rate, steps)
    return optax.constant_schedule(config.learning_rate)


def make_optimizer(config: PPOConfig, updates: int) -> optax.GradientTransformation:
    """Return the optimiser; epsilon 1e-5 as in the reference implementations of PPO."""
    return optax.chain(
        optax.clip_by_global_norm(config.max_grad_norm),
        optax.adam(make_schedule(config, updates), eps=1e-5),
    )


def apply_gradients(
    optimizer: optax.GradientTransformation, grads: Any, opt_state: optax.OptState, params: Any
) -> tuple[Any, optax.OptState]:
    """Return the new parameters and optimiser state.

    optax mixes integer counts with floats, which our own code may not: strict promotion is lifted for this call only.
    """
    with jax.numpy_dtype_promotion("standard"):
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state
