"""The distribution of the returns of a bar: its tail and its shape. Nothing here is annualised."""

import numpy as np

from eval_bridge.metrics.ratios import NO_VARIATION
from eval_bridge.metrics.returns import FEW_BARS
from eval_bridge.metrics.values import FloatArray, Undefined, deviation

TAIL_PERCENT = 5


def worst(returns: FloatArray) -> FloatArray:
    """Return the lowest 5 % of the returns, in order, [floor(0.05 (K - 1)) + 1]: the lower quantile and all below."""
    return np.sort(returns)[: (len(returns) - 1) * TAIL_PERCENT // 100 + 1]


def value_at_risk(returns: FloatArray) -> float:
    """Return the loss of a bar that 5 % of the bars reach, > 0 for a loss: historical, lower quantile.

    The quantile is a return that happened, without interpolation (type "lower" of `numpy.quantile`).
    """
    return float(-worst(returns)[-1] + 0.0)


def expected_shortfall(returns: FloatArray) -> float:
    """Return the mean loss of the bars at or beyond the value at risk, > 0 for a loss."""
    return float(-np.mean(worst(returns)) + 0.0)


def skew(returns: FloatArray) -> float:
    """Return g1 = m3 / m2 ** 1.5 with the moments over K (biased, as in the probabilistic Sharpe ratio)."""
    return _moment(returns, 3)


def kurtosis(returns: FloatArray) -> float:
    """Return the excess kurtosis g2 = m4 / m2 ** 2 - 3 with the moments over K (biased); 0 for the normal one."""
    moment = _moment(returns, 4)
    return moment if np.isnan(moment) else moment - 3


def _moment(returns: FloatArray, order: int) -> float:
    """Return the standardised central moment."""
    if len(returns) < 2:
        return Undefined(FEW_BARS)
    if deviation(returns) == 0:
        return Undefined(NO_VARIATION)
    return float(np.mean(((returns - np.mean(returns)) / np.std(returns)) ** order))
