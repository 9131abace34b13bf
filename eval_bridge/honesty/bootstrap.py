"""Confidence intervals by the stationary bootstrap: blocks of bars, of random length, drawn again and again."""

import math
from typing import NamedTuple

import numpy as np

from eval_bridge.metrics import annual_return, annual_volatility, calmar, max_drawdown, sharpe, sortino, total_return
from eval_bridge.metrics.returns import years_of
from eval_bridge.metrics.values import FloatArray, TimeArray, Undefined, deviation

LEVEL = 0.95
RESAMPLES = 1000
FEWEST = 200  # resamples of a very long run
CELLS = 10_000_000  # bars x resamples
SHORTEST = 20  # bars; of fewer no interval is given
SEED = 20_260_802
TOO_FEW = f"there are fewer than {SHORTEST} bars to draw from"
CONSTANT = "the returns do not vary"
OFTEN_UNDEFINED = "the figure is not defined in half of the resamples"


class Intervals(NamedTuple):
    """Intervals of figures."""

    intervals: dict[str, tuple[float, float]]  # NaN where undefined
    undefined: dict[str, str]  # and why
    level: float
    block_length: float  # mean length of a block, bars; NaN where nothing was drawn
    resamples: int


def curve_figures(returns: FloatArray, years: float) -> dict[str, float]:
    """Return the figures that get an interval, from simple returns, [K], over some years."""
    equity = np.concatenate([[1.0], np.cumprod(1 + returns)])
    periods, total, depth = len(returns) / years, total_return(equity), max_drawdown(equity)
    annual = annual_return(total, years)
    return {
        "total_return": total,
        "annual_return": annual,
        "annual_volatility": annual_volatility(returns, periods),
        "sharpe": sharpe(returns, periods),
        "sortino": sortino(returns, periods),
        "calmar": calmar(annual, depth),
        "max_drawdown": depth,
    }


def mean_block(returns: FloatArray) -> int:
    """Return the mean block length for the stationary bootstrap, in whole bars, between 1 and a quarter of them.

    The rule of Politis and White (2004; corrected 2009) by arch; the larger of what the returns ask for and what their
    squares do, so that spells of high volatility stay whole.
    """
    from arch.bootstrap import optimal_block_length

    bars = len(returns)
    wanted = [float(optimal_block_length(series)["stationary"].iloc[0]) for series in (returns, returns**2)]
    longest = max((each for each in wanted if math.isfinite(each)), default=1.0)
    return max(min(math.ceil(longest), bars // 4), 1)


def bootstrap_intervals(time: TimeArray, returns: FloatArray, resamples: int | None = None) -> Intervals:
    """Return 95 % percentile intervals of the figures of an equity curve.

    Stationary bootstrap of Politis and Romano (1994), by arch, with a fixed seed. Percentiles keep a figure within its
    bounds (a drawdown is never negative) and need no standard error; they are not centred on the figure found.

    Args:
        time: Times of the marks, [K + 1].
        returns: Simple returns, [K].
        resamples: How many; by default 1,000, fewer for runs of more than 10,000 bars, 200 at least.
    """
    bars, years = len(returns), years_of(time)
    if bars < SHORTEST or years <= 0:
        return _nothing(TOO_FEW)
    if deviation(returns) == 0:
        return _nothing(CONSTANT)
    from arch.bootstrap import StationaryBootstrap

    count = max(FEWEST, min(RESAMPLES, CELLS // bars)) if resamples is None else resamples
    length = mean_block(returns)

    def figures(sample: FloatArray) -> FloatArray:
        return np.array(list(curve_figures(sample, years).values()))

    drawn = StationaryBootstrap(length, returns, seed=np.random.default_rng(SEED)).apply(figures, count)
    return _percentiles(list(curve_figures(returns, years)), drawn, length)


def _percentiles(names: list[str], drawn: FloatArray, length: float) -> Intervals:
    """Return the percentiles of drawn figures, [resamples, figures]."""
    intervals, undefined = {}, {}
    for name, column in zip(names, drawn.T, strict=True):
        found = column[np.isfinite(column)]
        if 2 * len(found) < len(column):
            intervals[name], undefined[name] = (math.nan, math.nan), OFTEN_UNDEFINED
        else:
            low, high = np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
            intervals[name] = (float(low), float(high))
    return Intervals(intervals, undefined, LEVEL, length, len(drawn))


def _nothing(why: str) -> Intervals:
    names = list(curve_figures(np.zeros(2), 1.0))
    nothing = Undefined(why)
    return Intervals(dict.fromkeys(names, (nothing, nothing)), dict.fromkeys(names, why), LEVEL, nothing, 0)
