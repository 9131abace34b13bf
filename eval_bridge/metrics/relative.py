"""The policy beside the market: buy and hold through the same engine, at the same costs and the same marks."""

import numpy as np

from eval_bridge.metrics.ratios import NO_VARIATION
from eval_bridge.metrics.returns import FEW_BARS
from eval_bridge.metrics.values import FloatArray, Undefined, deviation

NO_MARKET = "there is no market to compare with"
FLAT_MARKET = "the returns of the market do not vary"
SAME = "the returns differ from those of the market by a constant at most"


def at_the_marks(market: FloatArray, marks: int) -> FloatArray:
    """Return the equity of buy and hold at the marks of the policy, [marks].

    Both start at the same mark. A policy that was ruined has fewer marks, so the rest of the market is left out; if
    buy and hold was ruined first, it stays where it ended.
    """
    missing = max(0, marks - len(market))
    return np.concatenate([market[:marks], np.full(missing, market[-1])])


def beta(returns: FloatArray, market: FloatArray) -> float:
    """Return cov(returns, market) / var(market): the slope of the least-squares line.

    Args:
        returns: Simple returns, [K].
        market: Simple returns of buy and hold over the same bars, [K].
    """
    if len(returns) < 2:
        return Undefined(FEW_BARS)
    if deviation(market) == 0:
        return Undefined(FLAT_MARKET)
    # Sums of products, not dot products: those may round as the threads happen to share the work.
    own, other = returns - np.mean(returns), market - np.mean(market)
    return float(np.sum(own * other) / np.sum(other**2))


def alpha(returns: FloatArray, market: FloatArray, periods: float) -> float:
    """Return (mean(returns) - beta * mean(market)) * bars a year: Jensen's alpha, arithmetic (Jensen 1968)."""
    slope = beta(returns, market)
    if np.isnan(slope):
        return slope
    return float((np.mean(returns) - slope * np.mean(market)) * periods)


def information_ratio(returns: FloatArray, market: FloatArray, periods: float) -> float:
    """Return mean / standard deviation (ddof 1) of returns - market, * sqrt(bars a year) (Grinold and Kahn)."""
    if len(returns) < 2:
        return Undefined(FEW_BARS)
    active = returns - market
    spread = deviation(active, scale=float(np.max(np.abs(1 + market))))
    return float(np.mean(active) / spread * np.sqrt(periods)) if spread > 0 else Undefined(SAME)


def correlation(returns: FloatArray, market: FloatArray) -> float:
    """Return Pearson's correlation of the returns, in [-1, 1]."""
    slope = beta(returns, market)
    if np.isnan(slope):
        return slope
    if deviation(returns) == 0:
        return Undefined(NO_VARIATION)
    return float(np.clip(slope * np.std(market) / np.std(returns), -1, 1))
