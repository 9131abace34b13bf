"""How much of the account was at work, and how often it was traded."""

from typing import TYPE_CHECKING

import numpy as np

from eval_bridge.metrics.returns import years_of
from eval_bridge.metrics.values import FloatArray, TimeArray, Undefined

if TYPE_CHECKING:
    from eval_bridge.backtester import Backtest

NO_BAR = "there is no bar"


def exposure(gross: FloatArray, equity: FloatArray) -> float:
    """Return the mean over the bars of gross exposure / equity, both at the close of the bar.

    Args:
        gross: Sum of absolute positions, [K].
        equity: Equity, [K], > 0.
    """
    return float(np.mean(gross / equity)) if len(gross) else Undefined(NO_BAR)


def time_in_market(gross: FloatArray) -> float:
    """Return the share of bars that close with a position."""
    return float(np.mean(gross > 0)) if len(gross) else Undefined(NO_BAR)


def turnover_per_year(turnover: FloatArray, time: TimeArray) -> float:
    """Return the sum of value traded / equity, buys and sells both counted, / years elapsed.

    Args:
        turnover: Value traded / equity before, [K].
        time: Times of the marks, [K + 1].
    """
    return float(np.sum(turnover)) / years_of(time) if len(turnover) else Undefined(NO_BAR)


def activity_figures(result: "Backtest") -> dict[str, float]:
    """Return exposure, turnover and the counts of fills, refusals and ruin."""
    gross = np.sum(np.abs(result.accounts.position), axis=-1)
    return {
        "exposure": exposure(gross, result.equity[1:] / result.capital),
        "time_in_market": time_in_market(gross),
        "turnover_per_year": turnover_per_year(result.series("turnover"), result.time),
        "fills": len(result.ledger.orders),
        "blocked_orders": int(np.sum(result.series("blocked"))),
        "rejected_orders": int(np.sum(result.series("rejected"))),
        "ruined": int(np.any(result.series("ruined"))),
    }
