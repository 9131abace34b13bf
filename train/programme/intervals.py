"""What several candidates reach together: interquartile means, their bootstrap intervals, and how much is selection.

After Agarwal, Schwarzer, Castro, Courville and Bellemare, "Deep Reinforcement Learning at the Edge of the Statistical
Precipice" (2021): a few training runs are a sample, and are reported as one.

A score of NaN is that of a candidate that failed. It counts as worse than every other, so that failures are not hidden
by leaving them out: where they are within the quarter that is cut off anyhow, the mean is that of the middle; where
they reach into it, it is not defined.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
LEVEL = 0.95
RESAMPLES = 2000
SEED = 20_261_122
CUT = 0.25  # share that is cut off at each end
BLOCK_BARS = 10  # least bars of a block, of which a Sharpe ratio is made of half of all
FEWEST_BLOCKS = 6  # of fewer there are too few ways to choose half


class Interval(NamedTuple):
    """An interquartile mean and its interval; None where it is not defined."""

    iqm: float | None
    low: float | None
    high: float | None
    level: float


def iqm(scores: npt.ArrayLike) -> float:
    """Return the interquartile mean of scores of any shape: the mean without the lowest and the highest quarter.

    As many as a quarter holds whole are cut off at each end, as `scipy.stats.trim_mean(scores, 0.25)` does: none of
    fewer than four. NaN where there is no score, or where it is not defined.
    """
    value = float(_trimmed_mean(np.asarray(scores, np.float64).reshape(1, -1))[0])
    return value if math.isfinite(value) else math.nan


def iqm_interval(scores: npt.ArrayLike, level: float = LEVEL, resamples: int = RESAMPLES, seed: int = SEED) -> Interval:
    """Return the interquartile mean over all scores and its interval by the stratified percentile bootstrap.

    Candidates are drawn with replacement within each iteration, apart from the other iterations. The interval speaks of
    other seeds on the same windows, not of other markets. Of few scores it is too narrow: docs/schedules.md says by how
    much.

    Args:
        scores: [K, M] of K candidates in M iterations, or [K].
        level: Share of the resamples inside.
        resamples: How many.
        seed: Of the resamples.

    Returns:
        No bounds for fewer than two candidates, nor where one is not defined.
    """
    table = _table(scores)
    return _interval(iqm(table), _resampled(table, resamples, np.random.default_rng(seed)), level)


def difference_interval(
    a: npt.ArrayLike, b: npt.ArrayLike, level: float = LEVEL, resamples: int = RESAMPLES, seed: int = SEED
) -> Interval:
    """Return the interquartile mean of `a` less that of `b`, and its interval; each is resampled for itself.

    Args:
        a: [K, M] of K candidates in M iterations, or [K].
        b: Another such table; its K may differ.
        level: Share of the resamples inside.
        resamples: How many.
        seed: Of the resamples.

    Returns:
        As `iqm_interval`.
    """
    first, second = _table(a), _table(b)
    generator = np.random.default_rng(seed)
    drawn = _resampled(first, resamples, generator), _resampled(second, resamples, generator)
    with np.errstate(invalid="ignore"):  # both not defined
        return _interval(iqm(first) - iqm(second), drawn[0] - drawn[1], level)


def candidate_overfitting(returns: npt.ArrayLike, blocks: int = 16) -> dict[str, Any]:
    """Return the probability that the best of the candidates is below their median elsewhere, by CSCV.

    Candidates that traded alike, bar by bar, count once.

    Args:
        returns: [T, K] simple returns of K candidates over the same bars.
        blocks: Most blocks that the bars are cut into; fewer where one would be shorter than 10 bars.

    Returns:
        `probability` (None if not defined), `blocks`, `strategies` (different ones), and `why` there is no probability
        or there are fewer blocks, None if neither.
    """
    from eval_bridge.honesty.overfitting import overfitting

    table = np.asarray(returns, np.float64)
    bars, candidates = table.shape
    different = np.unique(table, axis=1) if candidates else table
    strategies = different.shape[1]
    possible = min(blocks, bars // BLOCK_BARS) // 2 * 2
    found: dict[str, Any] = {"probability": None, "blocks": max(possible, 0), "strategies": strategies, "why": None}
    if candidates < 2:
        return found | {"why": "there are fewer than two candidates"}
    if not np.isfinite(table).all():
        return found | {"why": "a candidate has returns that are not finite"}
    if possible < FEWEST_BLOCKS:
        return found | {"why": f"{bars} bars make fewer than {FEWEST_BLOCKS} blocks of {BLOCK_BARS}"}
    if strategies < 2:
        return found | {"why": "all candidates traded alike"}
    if possible < blocks:
        found["why"] = f"{possible} blocks instead of {blocks}: {bars} bars make no more of {BLOCK_BARS} bars each"
    return found | {"probability": overfitting(different, possible).probability}


def _table(scores: npt.ArrayLike) -> FloatArray:
    """Return scores as [K, M]."""
    table = np.asarray(scores, np.float64)
    return table[:, None] if table.ndim == 1 else table


def _trimmed_mean(rows: FloatArray) -> FloatArray:
    """Return the interquartile mean of each row, [R, n] -> [R]; -inf where a failure is part of it."""
    count = rows.shape[1]
    if count == 0:
        return np.full(len(rows), np.nan)
    ordered = np.sort(np.where(np.isnan(rows), -np.inf, rows), axis=1)
    cut = int(CUT * count)
    return np.asarray(np.mean(ordered[:, cut : count - cut], axis=1))


def _resampled(table: FloatArray, resamples: int, generator: np.random.Generator) -> FloatArray:
    """Return the interquartile mean of each resample, [R]; NaN of fewer than two candidates."""
    candidates, iterations = table.shape
    if candidates < 2:
        return np.full(resamples, np.nan)
    chosen = generator.integers(candidates, size=(resamples, candidates, iterations))
    return _trimmed_mean(np.take_along_axis(table[None], chosen, axis=1).reshape(resamples, -1))


def _interval(value: float, drawn: FloatArray, level: float) -> Interval:
    """Return a value with the percentiles of what was drawn; NaN and infinities become None."""
    with np.errstate(invalid="ignore"):  # between two resamples that are not defined
        bounds = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    if not math.isfinite(value):
        return Interval(None, None, None, level)
    low, high = (float(bound) if math.isfinite(bound) else None for bound in bounds)
    return Interval(value, low, high, level)
