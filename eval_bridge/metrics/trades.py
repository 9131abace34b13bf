"""Closed trades: what a lot brought between its entry and its exit, after fees. Financing is no part of a trade."""

from typing import TYPE_CHECKING

import numpy as np

from eval_bridge.metrics.values import ROUNDING, FloatArray, Undefined, deviation

if TYPE_CHECKING:
    import pandas as pd

NO_TRADE = "no trade was closed"
ONE_TRADE = "fewer than two trades were closed"
NO_LOSER = "no trade lost"
NO_SPREAD = "the profits of the trades do not vary"


def hit_rate(profits: FloatArray) -> float:
    """Return the share of closed trades with a profit above 0; a trade that breaks even is no hit.

    Args:
        profits: Money after fees, of each closed trade, [n].
    """
    return float(np.mean(profits > 0)) if len(profits) else Undefined(NO_TRADE)


def profit_factor(profits: FloatArray) -> float:
    """Return sum of profits / sum of losses of the closed trades."""
    if not len(profits):
        return Undefined(NO_TRADE)
    losses = -float(np.sum(np.minimum(profits, 0.0)))
    return float(np.sum(np.maximum(profits, 0.0))) / losses if losses > 0 else Undefined(NO_LOSER)


def expectancy(profits: FloatArray) -> float:
    """Return the mean profit of a closed trade, in money."""
    return float(np.mean(profits)) if len(profits) else Undefined(NO_TRADE)


def sqn(profits: FloatArray, value: float = 0.0) -> float:
    """Return the system quality number, sqrt(n) * mean / standard deviation (ddof 1) of the profits (Tharp 2008).

    Tharp divides profits by the risk taken at entry and caps n at 100; here it is money and all trades.

    Args:
        profits: Money after fees, of each closed trade, [n].
        value: Largest value of an entry: profits that differ by less than 1e-12 of it do not vary.
    """
    if len(profits) < 2:
        return Undefined(ONE_TRADE if len(profits) else NO_TRADE)
    spread = deviation(profits, scale=max(value, float(np.max(np.abs(profits)))))
    return float(np.sqrt(len(profits)) * np.mean(profits) / spread) if spread > 0 else Undefined(NO_SPREAD)


def trade_figures(trades: "pd.DataFrame") -> dict[str, float]:
    """Return the figures of the closed trades, and the number of open ones.

    Args:
        trades: Rows as from `eval_bridge.books.trades_table`; read are quantity, entry_price, profit, return,
            bars_held and status.
    """
    closed = trades[trades["status"] == "closed"]
    value = closed["quantity"].to_numpy(np.float64) * closed["entry_price"].to_numpy(np.float64)
    profits = closed["profit"].to_numpy(np.float64)
    profits = np.where(np.abs(profits) > ROUNDING * value, profits, 0.0)  # bought and sold at one price, free of cost
    any_trade = len(closed) > 0
    return {
        "trades": len(closed),
        "open_trades": len(trades) - len(closed),
        "hit_rate": hit_rate(profits),
        "profit_factor": profit_factor(profits),
        "expectancy": expectancy(profits),
        "sqn": sqn(profits, float(np.max(value)) if any_trade else 0.0),
        "best_trade": float(closed["return"].max()) if any_trade else Undefined(NO_TRADE),
        "worst_trade": float(closed["return"].min()) if any_trade else Undefined(NO_TRADE),
        "average_bars_held": float(closed["bars_held"].mean()) if any_trade else Undefined(NO_TRADE),
    }
