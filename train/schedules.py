"""Named schedules: how the learning rate, the clip range and the weight of the entropy go over a run."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from train.config import PPOConfig, ScheduleConfig

SOON = 1e-6  # share of a run that is left where the warm-up takes all of it


class Knobs(NamedTuple):
    """The numbers that schedules turn; constant within an update."""

    learning_rate: jax.Array  # []
    clip: jax.Array  # []
    entropy_weight: jax.Array  # []


class Hyper(NamedTuple):
    """The numbers of a run that a compiled program need not know: first values, and how long it goes on."""

    learning_rate: Any  # []
    clip: Any  # []
    entropy_weight: Any  # []
    updates: Any  # [] of the whole run
    epochs: Any = None  # [] int32 passes over each rollout, at most ppo.epochs; None: these


def hyper_of(ppo: PPOConfig, updates: int) -> Hyper:
    """Return the numbers of a configuration, for a run of so many updates."""
    return Hyper(ppo.learning_rate, ppo.clip, ppo.entropy_weight, updates)


def knobs_at(ppo: PPOConfig, hyper: Hyper, update: jax.Array | int, dtype: Any) -> Knobs:
    """Return the numbers of one update.

    Args:
        ppo: The schedules.
        hyper: First values, and the updates of the whole run.
        update: Updates done before, [].
        dtype: Of the result.
    """
    schedules = ppo.learning_rate_schedule, ppo.clip_schedule, ppo.entropy_schedule
    share = jnp.asarray(update, dtype) / jnp.asarray(hyper.updates, dtype)  # counts are exact in float32 up to 2**24
    values = [value * make_schedule(each)(share) for value, each in zip(hyper, schedules, strict=False)]
    return Knobs(*(jnp.asarray(value, dtype) for value in values))


def make_schedule(config: ScheduleConfig) -> optax.Schedule:
    """Return the factor of the first value as a function of the share p of the run that is done.

    With w = `warmup`, and s = (p - w) / (1 - w) the share of what follows the warm-up:

    - constant: 1
    - linear: 1 + (end - 1) p
    - exponential: e^(-rate p)
    - exponential_to_target: end^p
    - cosine: p / w before w, then end + (1 - end) (1 + cos(pi s)) / 2
    - warmup_exponential: p / w before w, then e^(-rate s)
    """
    warm = config.warmup
    rest = max(1 - warm, SOON)
    if config.kind == "constant":
        return optax.constant_schedule(1.0)
    if config.kind == "linear":
        return optax.linear_schedule(1.0, config.end, 1)
    if config.kind == "exponential":
        return optax.exponential_decay(1.0, 1, math.exp(-config.rate))
    if config.kind == "exponential_to_target":
        return optax.exponential_decay(1.0, 1, config.end)
    if config.kind == "cosine":
        return optax.warmup_cosine_decay_schedule(0.0, 1.0, warm, warm + rest, config.end)
    return optax.warmup_exponential_decay_schedule(0.0, 1.0, warm, rest, math.exp(-config.rate))
