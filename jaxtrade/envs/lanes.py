"""Market lanes: the clock belongs to a lane, the account to an environment.

`G` lanes walk the bars of the training range in rollouts of `L` decisions, on a schedule that no action can change.
A lane stays for `rollouts` rollouts on one segment, then jumps to the next of a shuffled queue. Every pass through the
queue covers every bar of the range, at a new random phase. The first, partly walked segments come before the queue.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxtrade.errors import InputError
from jaxtrade.market.splits import Range


class LaneSchedule(NamedTuple):
    """The static sizes of a schedule."""

    lanes: int  # G
    length: int  # L decisions a rollout
    rollouts: int  # rollouts a segment
    segments: int  # most segments of a pass through the queue: those of the longest range

    @property
    def segment_bars(self) -> int:
        """Decisions of one segment."""
        return self.length * self.rollouts

    def segments_of(self, decisions: jax.Array | int) -> Any:
        """Return the segments of a pass through a range of so many decisions, []."""
        return -(-decisions // self.segment_bars) + 1


class Lanes(NamedTuple):
    """Where the lanes are."""

    bar: jax.Array  # [G] first bar of the coming rollout
    left: jax.Array  # [G] rollouts left on the segment, the coming one included
    draws: jax.Array  # [] segments drawn so far
    key: jax.Array  # [] of the queue


def make_schedule(span: Range, lanes: int, length: int, episode_bars: int, shortest: int | None = None) -> LaneSchedule:
    """Return the schedule for a range; episodes are whole rollouts, at least one, at most what the range holds.

    Args:
        span: The range; of several that share a compiled program, the longest.
        lanes: G.
        length: L.
        episode_bars: Decisions of a segment, rounded down to whole rollouts.
        shortest: Decisions of the shortest of several ranges (default: those of `span`).

    Raises:
        InputError: The range is shorter than one rollout.
    """
    shortest = span.decisions if shortest is None else shortest
    if shortest < length:
        raise InputError(
            "range 'train'",
            f"holds {shortest} decisions, fewer than one rollout of {length} bars",
            "Lower ppo.rollout_length, or give more bars",
        )
    rollouts = max(1, min(episode_bars, shortest) // length)
    schedule = LaneSchedule(lanes, length, rollouts, segments=0)
    return schedule._replace(segments=schedule.segments_of(span.decisions))


def _segment_start(
    schedule: LaneSchedule, key: jax.Array, draw: jax.Array, span: tuple[jax.Array, jax.Array]
) -> jax.Array:
    """Return the first bar of the draw-th segment of the endless shuffled queue.

    A range that holds fewer segments than the longest leaves out the numbers that it does not have.
    """
    first, last = span
    segments = schedule.segments_of(last - first)
    key_order, key_phase = jax.random.split(jax.random.fold_in(key, draw // segments))
    order = jax.random.permutation(key_order, jnp.arange(schedule.segments, dtype=jnp.int32))
    slot = order[jnp.nonzero(order < segments, size=schedule.segments)[0][draw % segments]]
    phase = jax.random.randint(key_phase, (), 0, schedule.segment_bars, jnp.int32)
    return first + jnp.clip(slot * schedule.segment_bars - phase, 0, last - first - schedule.segment_bars)


def start_lanes(schedule: LaneSchedule, key: jax.Array, first: jax.Array, last: jax.Array) -> Lanes:
    """Place the lanes inside random segments, with staggered times to their first jump; the queue begins after them."""
    draws = jnp.arange(schedule.lanes, dtype=jnp.int32)
    start = jax.vmap(lambda draw: _segment_start(schedule, key, draw, (first, last)))(draws)
    left = schedule.rollouts - draws % schedule.rollouts
    bar = start + (schedule.rollouts - left) * schedule.length
    segments = schedule.segments_of(last - first)
    whole_passes = -(-schedule.lanes // segments) * segments
    return Lanes(bar=bar, left=left, draws=jnp.asarray(whole_passes, jnp.int32), key=key)


def next_lanes(schedule: LaneSchedule, lanes: Lanes, first: jax.Array, last: jax.Array) -> tuple[Lanes, jax.Array]:
    """Move on by one rollout. Return the lanes and which of them jumped, [G]."""
    jumped = lanes.left <= 1
    draw = lanes.draws + jnp.cumsum(jumped, dtype=jnp.int32) - 1
    start = jax.vmap(lambda number: _segment_start(schedule, lanes.key, number, (first, last)))(draw)
    bar = jnp.where(jumped, start, lanes.bar + schedule.length)
    left = jnp.where(jumped, schedule.rollouts, lanes.left - 1)
    draws = lanes.draws + jnp.sum(jumped, dtype=jnp.int32)
    return Lanes(bar=bar, left=left, draws=draws, key=lanes.key), jumped
