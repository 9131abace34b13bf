"""Ratios of reward to risk. No risk-free rate is taken off: what cash earns is in the equity."""

import numpy as np

from eval_bridge.metrics.returns import FEW_BARS
from eval_bridge.metrics.values import ROUNDING, FloatArray, Undefined, deviation

NO_VARIATION = "the returns do not vary"
NO_LOSS = "no bar lost"
NO_DRAWDOWN = "equity never fell below its peak"


def sharpe(returns: FloatArray, periods: float) -> float:
    """Return the arithmetic Sharpe ratio, ddof 1: mean / standard deviation * sqrt(bars a year) (Sharpe 1994).

    Args:
        returns: Simple returns, [K].
        periods: Bars a year; 1 for the ratio per bar.
    """
    if len(returns) < 2:
        return Undefined(FEW_BARS)
    spread = deviation(returns)
    return float(np.mean(returns) / spread * np.sqrt(periods)) if spread > 0 else Undefined(NO_VARIATION)


def sortino(returns: FloatArray, periods: float) -> float:
    """Return mean / downside deviation * sqrt(bars a year) (Sortino and Price 1994), target return 0.

    The downside deviation is the root mean square of the losses over all bars, not over the losing ones alone.
    """
    if len(returns) < 1:
        return Undefined(FEW_BARS)
    downside = float(np.sqrt(np.mean(np.minimum(returns, 0.0) ** 2)))
    return float(np.mean(returns) / downside * np.sqrt(periods)) if downside > ROUNDING else Undefined(NO_LOSS)


def calmar(annual: float, depth: float) -> float:
    """Return annual return / maximum drawdown, both of the whole range (Young 1991 took the last 36 months).

    Args:
        annual: Annual return; where it is not defined, neither is the ratio.
        depth: Maximum drawdown, >= 0.
    """
    if np.isnan(annual):
        return annual
    return annual / depth if depth > ROUNDING else Undefined(NO_DRAWDOWN)


def omega(returns: FloatArray) -> float:
    """Return sum of gains / sum of losses of the bars, threshold 0 (Keating and Shadwick 2002)."""
    losses = -float(np.sum(np.minimum(returns, 0.0)))
    gains = float(np.sum(np.maximum(returns, 0.0)))
    return gains / losses if losses > ROUNDING * len(returns) else Undefined(NO_LOSS)
