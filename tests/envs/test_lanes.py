"""The lanes: every bar of the range in every pass, none outside, staggered jumps, deaf to actions."""

from collections import defaultdict
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrade.envs.lanes import Lanes, LaneSchedule, make_schedule, next_lanes, start_lanes
from jaxtrade.errors import InputError
from jaxtrade.market.splits import Range


class Case(NamedTuple):
    """A range and how it is walked."""

    first: int
    decisions: int
    lanes: int
    length: int
    episode: int

    @property
    def schedule(self) -> LaneSchedule:
        return make_schedule(Range(self.first, self.first + self.decisions), self.lanes, self.length, self.episode)


CASES = [
    Case(7, 997, 3, 16, 64),  # a prime number of decisions
    Case(0, 64, 5, 64, 64),  # one segment is all
    Case(3, 127, 2, 64, 256),  # the range ends one bar before a second rollout
    Case(11, 33, 16, 8, 16),  # more lanes than segments
    Case(2, 5, 1, 1, 1),
    Case(50, 301, 7, 10, 1_000_000),  # the episode is as long as the range allows
]
SAMPLE = Case(150, 2623, 16, 64, 256)  # the sample's training range, about


class Walk(NamedTuple):
    """What the lanes did, [rollouts, lanes]."""

    bar: np.ndarray  # first bar of each rollout
    draw: np.ndarray  # number of the segment in the queue; below 0 before the queue
    jumped: np.ndarray  # after the rollout


@partial(jax.jit, static_argnums=(0, 1))
def move(schedule: LaneSchedule, rollouts: int, key: jax.Array, span: tuple) -> tuple[jax.Array, ...]:
    """Move the lanes on; return where they were, whether they jumped then, and the draws before it."""

    def step(lanes: Lanes, _: None) -> tuple[Lanes, tuple]:
        after, jumped = next_lanes(schedule, lanes, *span)
        return after, (lanes.bar, jumped, lanes.draws)

    return jax.lax.scan(step, start_lanes(schedule, key, *span), None, length=rollouts)[1]


def walk(case: Case, seed: int = 0, schedule: LaneSchedule | None = None) -> Walk:
    """Walk a case for at least three passes through the queue."""
    schedule, span = schedule or case.schedule, (jnp.int32(case.first), jnp.int32(case.first + case.decisions))
    rollouts = enough(case, 3)
    bar, jumped, draws = map(np.asarray, move(schedule, rollouts, jax.random.key(seed), span))
    draw = np.full(bar.shape, -1)
    for now in range(rollouts - 1):
        order = np.cumsum(jumped[now]) - 1
        draw[now + 1] = np.where(jumped[now], draws[now] + order, draw[now])
    return Walk(bar, draw, jumped)


def enough(case: Case, passes: int) -> int:
    """Return the rollouts after which so many passes through the queue are over."""
    schedule = case.schedule
    return schedule.rollouts * (2 + -(-(passes + 2) * schedule.segments // schedule.lanes))


def visits_by_pass(case: Case, walked: Walk, schedule: LaneSchedule) -> dict[int, np.ndarray]:
    """Count how often each pass through the queue visits each decision of the range; unfinished passes are left out."""
    counts, rollouts = defaultdict(lambda: np.zeros(case.decisions, int)), defaultdict(int)
    for bar, draw in zip(walked.bar.ravel(), walked.draw.ravel(), strict=True):
        if draw >= 0:
            counts[draw // schedule.segments][bar - case.first :][: schedule.length] += 1
            rollouts[draw // schedule.segments] += 1
    whole = schedule.segments * schedule.rollouts
    return {number: count for number, count in counts.items() if rollouts[number] == whole}


def check_every_bar(case: Case, schedule: LaneSchedule) -> None:
    """Every pass from the first on is whole, and visits every bar."""
    passes = visits_by_pass(case, walk(case, schedule=schedule), schedule)
    first = -(-case.lanes // schedule.segments)
    assert set(passes) >= {first, first + 1, first + 2}
    for number, count in passes.items():
        assert count.min() >= 1, f"pass {number} leaves out {np.sum(count == 0)} of {case.decisions} bars"
        assert count.sum() == schedule.segments * schedule.segment_bars


@pytest.mark.parametrize("case", [*CASES, SAMPLE], ids=str)
def test_every_pass_visits_every_bar(case: Case) -> None:
    check_every_bar(case, case.schedule)


def test_a_queue_with_a_segment_too_few_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = LaneSchedule.segments_of
    monkeypatch.setattr(LaneSchedule, "segments_of", lambda schedule, decisions: whole(schedule, decisions) - 1)
    with pytest.raises(AssertionError, match="leaves out"):
        check_every_bar(CASES[0], CASES[0].schedule)


@pytest.mark.parametrize("case", [CASES[0], CASES[2], SAMPLE], ids=str)
def test_ranges_of_several_lengths_share_a_schedule(case: Case) -> None:
    """A shorter range has fewer segments a pass, and visits every bar in each; the program knows the longest only."""
    longer = Range(0, 3 * case.decisions)
    shared = make_schedule(longer, case.lanes, case.length, case.episode, shortest=case.decisions)
    own = case.schedule
    assert shared.segments > own.segments
    assert shared._replace(segments=0) == own._replace(segments=0)
    walked = walk(case, schedule=shared)
    passes = visits_by_pass(case, walked, own)
    first = -(-case.lanes // own.segments)
    assert set(passes) >= {first, first + 1, first + 2}
    for count in passes.values():
        assert count.min() >= 1
        assert count.sum() == own.segments * own.segment_bars
    assert walked.bar.min() >= case.first
    assert walked.bar.max() + own.length <= case.first + case.decisions


@pytest.mark.parametrize("case", [*CASES, SAMPLE], ids=str)
def test_no_bar_outside_the_range(case: Case) -> None:
    """The last decision of a rollout and the bar after it, from which it is bootstrapped, included."""
    for seed in range(5):
        bar = walk(case, seed).bar
        assert bar.min() >= case.first
        assert bar.max() + case.schedule.length <= case.first + case.decisions


@pytest.mark.parametrize("case", [*CASES, SAMPLE], ids=str)
def test_a_lane_walks_on_until_it_jumps(case: Case) -> None:
    walked, schedule = walk(case), case.schedule
    stays = ~walked.jumped[:-1]
    np.testing.assert_array_equal(np.diff(walked.bar, axis=0)[stays], schedule.length)
    for lane in walked.jumped.T:
        np.testing.assert_array_equal(np.diff(np.flatnonzero(lane)), schedule.rollouts)


def test_lanes_jump_at_staggered_times() -> None:
    """Of 16 lanes with segments of 4 rollouts, 4 jump after each rollout."""
    np.testing.assert_array_equal(walk(SAMPLE).jumped.sum(axis=1), 4)


def test_the_queue_is_shuffled_anew_in_each_pass() -> None:
    walked, size = walk(SAMPLE), SAMPLE.schedule.segments
    starts = {draw: walked.bar[walked.draw == draw].min() for draw in np.unique(walked.draw) if draw >= 0}
    first = min(starts)
    orders = [[int(starts[first + n * size + k]) for k in range(size)] for n in range(3)]
    assert all(order != sorted(order) for order in orders)
    assert len({tuple(np.argsort(order)) for order in orders}) == 3, "the order is the same in two passes"
    assert len({tuple(sorted(order)) for order in orders}) == 3, "the phase is the same in two passes"


def test_other_seeds_walk_elsewhere() -> None:
    walks = [walk(CASES[0], seed).bar for seed in (0, 0, 1)]
    np.testing.assert_array_equal(walks[0], walks[1])
    assert np.any(walks[0] != walks[2])


@pytest.mark.parametrize(("decisions", "fits"), [(63, False), (64, True), (1, False)])
def test_a_range_shorter_than_a_rollout_is_refused(decisions: int, fits: bool) -> None:
    case = Case(10, decisions, 4, 64, 256)
    if fits:
        assert case.schedule.segment_bars == 64
        return
    with pytest.raises(InputError, match=rf"holds {decisions} decisions, fewer than one rollout of 64 bars\. Lower"):
        _ = case.schedule
