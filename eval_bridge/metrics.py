"""Figures of a backtest: NumPy functions of equity, each with its convention."""

from typing import Any

import numpy as np
import numpy.typing as npt

from eval_bridge.backtester import Backtest

FloatArray = npt.NDArray[np.float64]
YEAR = np.timedelta64(31_556_952, "s")  # the mean Gregorian year


def periods_per_year(time: npt.NDArray[np.datetime64]) -> float:
    """Return the number of bars a year that the calendar of the data really has."""
    years = (time[-1] - time[0]) / YEAR
    return float((len(time) - 1) / years)


def returns_of(equity: FloatArray) -> FloatArray:
    """Return simple returns, [K]."""
    return equity[1:] / equity[:-1] - 1


def sharpe(returns: FloatArray, periods: float) -> float:
    """Return mean / standard deviation (ddof 1) * sqrt(periods); NaN without variation."""
    if len(returns) < 2 or np.std(returns) < 1e-15:
        return float("nan")
    return float(np.mean(returns) / np.std(returns, ddof=1) * np.sqrt(periods))


def sortino(returns: FloatArray, periods: float) -> float:
    """Return mean / root mean square of the losses over all bars * sqrt(periods); NaN without losses."""
    downside = np.sqrt(np.mean(np.minimum(returns, 0.0) ** 2)) if len(returns) else 0.0
    return float(np.mean(returns) / downside * np.sqrt(periods)) if downside > 1e-15 else float("nan")


def drawdowns(equity: FloatArray) -> FloatArray:
    """Return equity / peak so far - 1, <= 0, [K + 1]."""
    return equity / np.maximum.accumulate(equity) - 1


def equity_metrics(time: npt.NDArray[np.datetime64], equity: FloatArray) -> dict[str, float]:
    """Return the figures that need only the equity curve."""
    returns, periods = returns_of(equity), periods_per_year(time)
    growth = equity[-1] / equity[0]
    annual = growth ** (periods / len(returns)) - 1
    depth = -float(np.min(drawdowns(equity)))
    return {
        "total_return": float(growth - 1),
        "annual_return": float(annual),
        "annual_volatility": float(np.std(returns, ddof=1) * np.sqrt(periods)) if len(returns) > 1 else float("nan"),
        "sharpe": sharpe(returns, periods),
        "sortino": sortino(returns, periods),
        "max_drawdown": depth,
        "calmar": float(annual / depth) if depth > 0 else float("nan"),
    }


def trade_metrics(result: Backtest) -> dict[str, float]:
    """Return the figures of fills and closed lots."""
    trades = result.ledger.trades
    wins = [trade.profit for trade in trades if trade.profit > 0]
    losses = [-trade.profit for trade in trades if trade.profit < 0]
    gross = np.array([np.sum(np.abs(step.account.position)) / step.record.equity for step in result.steps])
    turnover = float(np.sum(result.series("turnover")))
    return {
        "fills": len(result.ledger.orders),
        "closed_lots": len(trades),
        "win_rate": len(wins) / len(trades) if trades else float("nan"),
        "profit_factor": sum(wins) / sum(losses) if losses else float("nan"),
        "exposure": float(np.mean(gross)),
        "turnover_per_year": turnover * periods_per_year(result.time) / len(result.steps),
        **cost_metrics(result),
        "blocked_orders": int(np.sum(result.series("blocked"))),
        "rejected_orders": int(np.sum(result.series("rejected"))),
        "ruined": int(result.steps[-1].record.ruined),
    }


def cost_metrics(result: Backtest) -> dict[str, float]:
    """Return what was paid, in money, by kind; `fees` is commission and stamp duty."""
    records = [step.record for step in result.steps]
    paid = {
        "commission": sum(float(record.costs.commission) for record in records),
        "stamp_duty": sum(float(record.costs.duty) for record in records),
        "spread": sum(float(record.costs.spread) for record in records),
        "slippage": sum(float(record.costs.slippage) for record in records),
        "borrow": sum(float(record.borrow) for record in records),
        "interest": sum(float(record.interest) for record in records),
        "dividends": sum(float(record.income) for record in records),
        "delisting_loss": sum(float(record.exit_loss) for record in records),
        "shortfall": sum(float(record.shortfall) for record in records),
    }
    in_money = {name: amount * result.capital for name, amount in paid.items()}
    return {"fees": in_money["commission"] + in_money["stamp_duty"], **in_money}


def compute_metrics(result: Backtest, benchmark: Backtest) -> dict[str, Any]:
    """Return all figures; money in the currency of the prices, ratios as fractions."""
    return {
        "first": str(result.time[0]),
        "last": str(result.time[-1]),
        "bars": len(result.steps),
        "periods_per_year": periods_per_year(result.time),
        "initial_cash": result.capital,
        "final_equity": float(result.equity[-1]),
        **equity_metrics(result.time, result.equity),
        **trade_metrics(result),
        "buy_and_hold": {
            "final_equity": float(benchmark.equity[-1]),
            **equity_metrics(benchmark.time, benchmark.equity),
            **trade_metrics(benchmark),
        },
    }
