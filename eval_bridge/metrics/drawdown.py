"""Drawdowns: how far and how long equity lay below its peak, at the marks."""

import numpy as np

from eval_bridge.metrics.values import ROUNDING, FloatArray, TimeArray

DAY = np.timedelta64(1, "D")


def drawdowns(equity: FloatArray) -> FloatArray:
    """Return equity / peak so far - 1, in [-1, 0], [K + 1]. The first mark, before any trade, is a peak too."""
    return np.maximum(equity, 0) / np.maximum.accumulate(equity) - 1


def max_drawdown(equity: FloatArray) -> float:
    """Return the deepest drawdown as a positive share of the peak."""
    return float(-np.min(drawdowns(equity)) + 0.0)  # no negative zero


def max_drawdown_days(time: TimeArray, equity: FloatArray) -> float:
    """Return the longest time under water in days: from a peak until equity has its height again, or until the end.

    It need not be the deepest drawdown. Less than 1e-12 below the peak is rounding.
    """
    under = drawdowns(equity) < -ROUNDING
    if not under.any():
        return 0.0
    marks = np.arange(len(equity))
    peak = np.maximum.accumulate(np.where(under, 0, marks))  # the last mark at the peak
    recovered = np.minimum.accumulate(np.where(under, len(equity) - 1, marks)[::-1])[::-1]  # the next one, or the end
    return float(np.max((time[recovered] - time[peak])[under]) / DAY)
