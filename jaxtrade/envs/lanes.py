"""Market lanes: the clock belongs to a lane, the account to an environment.

`G` lanes walk the bars of the training range in rollouts of `L` decisions, on a schedule that no action can change.
A lane stays for `rollouts` rollouts on one segment, then jumps to the next of a shuffled queue. Every pass through the
queue covers every bar of the range, at a new random phase. The first, partly walked segments come before the queue.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxtrade.errors import InputError
from jaxtrade.market.splits import Range


class LaneSchedule(NamedTuple):
    """The static sizes of a schedule."""

    lanes: int  # G
    length: int  # L decisions a rollout
    rollouts: int  # rollouts a segment
    segments: int  # segments a pass through the queue

    @property
    def segment_bars(self) -> int:
        """Decisions of one segment."""
        return self.length * self.rollouts


class Lanes(NamedTuple):
    """Where the lanes are."""

    bar: jax.Array  # [G] first bar of the coming rollout
    left: jax.Array  # [G] rollouts left on the segment, the coming one included
    draws: jax.Array  # [] segments drawn so far
    key: jax.Array  # [] of the queue


def make_schedule(span: Range, lanes: int, length: int, episode_bars: int) -> LaneSchedule:
    """Return the schedule for a range; episodes are whole rollouts, at least one, at most what the range holds.

    Raises:
        InputError: The range is shorter than one rollout.
    """
    if span.decisions < length:
        raise InputError(
            "range 'train'",
            f"holds {span.decisions} decisions, fewer than one rollout of {length} bars",
            "Lower ppo.rollout_length, or give more bars",
        )
    rollouts = max(1, min(episode_bars, span.decisions) // length)
    return LaneSchedule(lanes, length, rollouts, segments=-(-span.decisions // (length * rollouts)) + 1)


def _segment_start(
    schedule: LaneSchedule, key: jax.Array, draw: jax.Array, span: tuple[jax.Array, jax.Array]
) -> jax.Array:
    """Return the first bar of the draw-th segment of the endless shuffled queue."""
    first, last = span
    key_order, key_phase = jax.random.split(jax.random.fold_in(key, draw // schedule.segments))
    slot = jax.random.permutation(key_order, jnp.arange(schedule.segments, dtype=jnp.int32))[draw % schedule.segments]
    phase = jax.random.randint(key_phase, (), 0, schedule.segment_bars, jnp.int32)
    return first + jnp.clip(slot * schedule.segment_bars - phase, 0, last - first - schedule.segment_bars)


def start_lanes(schedule: LaneSchedule, key: jax.Array, first: jax.Array, last: jax.Array) -> Lanes:
    """Place the lanes inside random segments, with staggered times to their first jump; the queue begins after them."""
    draws = jnp.arange(schedule.lanes, dtype=jnp.int32)
    start = jax.vmap(lambda draw: _segment_start(schedule, key, draw, (first, last)))(draws)
    left = schedule.rollouts - draws % schedule.rollouts
    bar = start + (schedule.rollouts - left) * schedule.length
    whole_passes = -(-schedule.lanes // schedule.segments) * schedule.segments
    return Lanes(bar=bar, left=left, draws=jnp.int32(whole_passes), key=key)


def next_lanes(schedule: LaneSchedule, lanes: Lanes, first: jax.Array, last: jax.Array) -> tuple[Lanes, jax.Array]:
    """Move on by one rollout. Return the lanes and which of them jumped, [G]."""
    jumped = lanes.left <= 1
    draw = lanes.draws + jnp.cumsum(jumped, dtype=jnp.int32) - 1
    start = jax.vmap(lambda number: _segment_start(schedule, lanes.key, number, (first, last)))(draw)
    bar = jnp.where(jumped, start, lanes.bar + schedule.length)
    left = jnp.where(jumped, schedule.rollouts, lanes.left - 1)
    draws = lanes.draws + jnp.sum(jumped, dtype=jnp.int32)
    return Lanes(bar=bar, left=left, draws=draws, key=lanes.key), jumped
