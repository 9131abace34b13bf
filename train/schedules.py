"""Named schedules: how the learning rate, the clip range and the weight of the entropy go over a run."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from train.config import PPOConfig, ScheduleConfig


class Knobs(NamedTuple):
    """The numbers that schedules turn; constant within an update."""

    learning_rate: jax.Array  # []
    clip: jax.Array  # []
    entropy_weight: jax.Array  # []


def knobs_at(ppo: PPOConfig, update: jax.Array | int, updates: int, dtype: Any) -> Knobs:
    """Return the numbers of one update.

    Args:
        ppo: First values and their schedules.
        update: Updates done before, [].
        updates: Updates of the whole run.
        dtype: Of the result.
    """
    first = ppo.learning_rate, ppo.clip, ppo.entropy_weight
    schedules = ppo.learning_rate_schedule, ppo.clip_schedule, ppo.entropy_schedule
    done = jnp.asarray(update, dtype)  # counts are exact in float32 up to 2**24
    values = [value * make_schedule(each, updates)(done) for value, each in zip(first, schedules, strict=True)]
    return Knobs(*(jnp.asarray(value, dtype) for value in values))


def make_schedule(config: ScheduleConfig, updates: int) -> optax.Schedule:
    """Return the factor of the first value as a function of the updates done before.

    With p = update / updates the share of the run that is done, w = `warmup`, and s = (p - w) / (1 - w) the share of
    what follows the warm-up:

    - constant: 1
    - linear: 1 + (end - 1) p
    - exponential: e^(-rate p)
    - exponential_to_target: end^p
    - cosine: p / w before w, then end + (1 - end) (1 + cos(pi s)) / 2
    - warmup_exponential: p / w before w, then e^(-rate s)
    """
    warm = config.warmup * updates
    rest = max(updates - warm, 1.0)  # no update is left where the warm-up takes the whole run
    if config.kind == "constant":
        return optax.constant_schedule(1.0)
    if config.kind == "linear":
        return optax.linear_schedule(1.0, config.end, updates)
    if config.kind == "exponential":
        return optax.exponential_decay(1.0, updates, math.exp(-config.rate))
    if config.kind == "exponential_to_target":
        return optax.exponential_decay(1.0, updates, config.end)
    if config.kind == "cosine":
        return optax.warmup_cosine_decay_schedule(0.0, 1.0, warm, warm + rest, config.end)
    return optax.warmup_exponential_decay_schedule(0.0, 1.0, warm, rest, math.exp(-config.rate))
