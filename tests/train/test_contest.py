"""Who is best, and who is stopped: every candidate is judged as if it were alone."""

import math
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import pytest

from train.programme.candidates import Contest, judge
from train.state import TrainState

THRESHOLD, PATIENCE = 0.5, 3
NOT_FINITE = (math.nan, math.inf, -math.inf)
FLAT = [0.0] * 8


class Alone(NamedTuple):
    """What became of a candidate."""

    score: float
    at: int
    worse: int
    validations: int
    stopped: int
    params: float


def judged(scores: list[list[float]], threshold: float = THRESHOLD, start: float = -math.inf) -> list[Alone]:
    """Return what becomes of candidates with such scores, [V][K].

    After update u, parameters of candidate k are u + k/8. A start that is finite is warm: validated at update 0.
    """
    count = len(scores[0])
    contest = contest_of(count, start)
    for update, now in enumerate(scores, start=1):
        params = {"w": jnp.asarray([[update + k / 8] for k in range(count)], jnp.float32)}
        learner = contest.learner._replace(params=params, opt_state=params, update=jnp.int32(update))
        given = np.asarray(now, np.float32), jnp.float32(threshold), jnp.int32(PATIENCE)
        contest = judge(contest._replace(learner=learner), *given)
        assert learner.params is params, "the learners themselves go on"
    return [row(contest, k) for k in range(count)]


def contest_of(count: int, start: float) -> Contest:
    """Return a contest before the first update."""
    params = {"w": jnp.asarray([[k / 8] for k in range(count)], jnp.float32)}
    nothing: Any = ()
    learner = TrainState(params, params, nothing, nothing, nothing, nothing, jnp.int32(0))
    score, none = jnp.full(count, start, jnp.float32), jnp.zeros(count, jnp.int32)
    seen = none + int(math.isfinite(start))
    return Contest(learner, (params, params), score, none, score, none, seen, none)


def row(contest: Contest, k: int) -> Alone:
    """Return what a contest says of a candidate."""
    kept, moments = (float(leaf["w"][k, 0]) for leaf in contest.best)
    assert kept == moments, "parameters and optimiser state belong to the same update"
    values = contest.score, contest.at, contest.worse, contest.validations, contest.stopped
    score, *counts = (np.asarray(value)[k].item() for value in values)
    return Alone(score, *counts, kept)


def alone(scores: list[float], k: int, threshold: float, start: float = -math.inf) -> Alone:
    """Return what becomes of candidate k, told in plain Python."""
    best, at, mark, worse, stopped, count = start, 0, start, 0, 0, int(math.isfinite(start))
    for update, score in enumerate(scores, start=1):
        if stopped:
            break
        count += 1
        if math.isfinite(score) and score > best:
            best, at = score, update
        if math.isfinite(score) and (not math.isfinite(mark) or score > mark + threshold):
            mark, worse = score, 0
        else:
            worse += 1
        stopped = update if worse >= PATIENCE else 0
    return Alone(best, at, worse, count, stopped, at + k / 8)


@pytest.mark.parametrize("start", [-math.inf, 1.0])
def test_each_is_judged_as_if_it_were_alone(start: float) -> None:
    """Scores on a grid, so that ties and exact thresholds happen; a tenth of them is no number."""
    random = np.random.default_rng(7)
    stops, late = 0, 0
    for _ in range(60):
        scores = random.integers(-8, 9, (6, 4)) / 4 + np.arange(6)[:, None] / 2 * random.integers(0, 3, 4)
        scores = np.where(random.uniform(size=scores.shape) < 0.1, random.choice(NOT_FINITE, scores.shape), scores)
        found = judged(scores.tolist(), start=start)
        wanted = [alone(column, k, THRESHOLD, start) for k, column in enumerate(scores.T.tolist())]
        assert found == [each._replace(score=np.float32(each.score).item()) for each in wanted]
        stops += sum(each.stopped > 0 for each in found)
        late += sum(each.stopped == 0 for each in found)
    assert stops > 20
    assert late > 20


def test_neighbours_change_nothing() -> None:
    mine = [0.0, 1.0, 0.5, 3.0, 2.0, 2.0, 2.0, 9.0]
    others = {
        "calm": FLAT,
        "better": [10.0 * update for update in range(8)],
        "broken": [math.nan] * 8,
        "infinite": [math.inf] * 8,
    }
    wanted = judged([[score] for score in mine])[0]
    assert wanted == Alone(3.0, 4, 3, 7, 7, 4.0)
    for name, other in others.items():
        assert judged([list(pair) for pair in zip(mine, other, strict=True)])[0] == wanted, name


def test_a_small_gain_is_kept_but_is_no_progress() -> None:
    """Three gains below the threshold: stopped, with the last of them as the best."""
    found = judged([[score] for score in (1.0, 1.1, 1.2, 1.3, 5.0)])[0]
    assert found == Alone(np.float32(1.3).item(), 4, 3, 4, 4, 4.0)
    assert judged([[score] for score in (1.0, 1.1, 1.2, 1.3, 5.0)], threshold=0.0)[0].stopped == 0


def test_what_was_stopped_is_frozen() -> None:
    found = judged([[score] for score in (2.0, 1.0, 1.0, 1.0, 7.0, 8.0, math.nan)])[0]
    assert found == Alone(2.0, 1, 3, 4, 4, 1.0)


def test_no_number_is_no_score() -> None:
    """A candidate that never had one has no best; infinity wins nothing."""
    never, infinite = judged([[math.nan, math.inf], [-math.inf, 1.0], [math.nan, math.inf]])
    assert never == Alone(-math.inf, 0, 3, 3, 3, 0.0)
    assert infinite == Alone(1.0, 2, 1, 3, 0, 2.125)


def test_a_warm_start_must_be_beaten() -> None:
    worse, better = judged([[0.0, 3.0]] * 4, start=1.0)
    assert worse == Alone(1.0, 0, 3, 4, 3, 0.0), "it was validated before the first update"
    assert (better.score, better.at, better.stopped) == (3.0, 1, 4)


def test_judging_is_compiled_once() -> None:
    judge.clear_cache()
    judged([[0.0, 1.0]] * 4)
    assert judge._cache_size() == 1
