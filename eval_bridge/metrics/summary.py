"""All figures of a backtest, or of a bare equity curve, with the reasons of those that are not defined."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from eval_bridge.metrics import drawdown, ratios, relative, returns, tails
from eval_bridge.metrics.activity import activity_figures
from eval_bridge.metrics.catalog import CURVE_GROUPS, FIGURES
from eval_bridge.metrics.costs import cost_figures
from eval_bridge.metrics.trades import trade_figures
from eval_bridge.metrics.values import Figures, FloatArray, TimeArray, Undefined, gather

if TYPE_CHECKING:
    import pandas as pd

    from eval_bridge.backtester import Backtest


def compute_metrics(result: "Backtest", trades: "pd.DataFrame", market: FloatArray | None) -> Figures:
    """Return all figures of a backtest, in the order of the catalog.

    Args:
        result: The backtest, K decisions.
        trades: Its trades, as from `eval_bridge.books.trades_table`.
        market: Equity of buy and hold over the same bars, [K + 1] (see `relative.at_the_marks`), or None.
    """
    figures = {
        **_curve(result.time, result.equity, market),
        **activity_figures(result),
        **cost_figures(result),
        **trade_figures(trades),
    }
    return gather({name: figures[name] for name in FIGURES})


def curve_metrics(time: TimeArray, equity: FloatArray, market: FloatArray | None = None) -> Figures:
    """Return the figures that an equity curve gives, in the order of the catalog.

    Nothing is raised and nothing warns: what is not defined is NaN with a reason.

    Args:
        time: Times of the marks, [K + 1].
        equity: Equity at the marks, in money, [K + 1]; the first is the starting capital.
        market: Equity of buy and hold over the same bars, [K + 1] (see `relative.at_the_marks`), or None.
    """
    return gather(_curve(time, equity, market))


def calendar(time: TimeArray) -> dict[str, Any]:
    """Return the part `calendar` of metrics.json: first and last mark, bars, years, bars a year."""
    return {
        "first": str(time[0]),
        "last": str(time[-1]),
        "bars": len(time) - 1,
        "years": returns.years_of(time),
        "periods_per_year": float(returns.periods_per_year(time)),
    }


def _curve(time: TimeArray, equity: FloatArray, market: FloatArray | None) -> dict[str, float]:
    names = [name for name, figure in FIGURES.items() if figure.group in CURVE_GROUPS]
    if problem := _problem(time, equity):
        known = len(equity) and np.isfinite(equity[-1])
        return _nothing(names, problem) | ({"final_equity": float(equity[-1])} if known else {})
    bars, periods = returns.returns_of(equity), returns.periods_per_year(time)
    total, depth = returns.total_return(equity), drawdown.max_drawdown(equity)
    annual = returns.annual_return(total, returns.years_of(time))
    figures = {
        "final_equity": float(equity[-1]),
        "total_return": total,
        "annual_return": annual,
        "annual_volatility": returns.annual_volatility(bars, periods),
        "sharpe": ratios.sharpe(bars, periods),
        "sortino": ratios.sortino(bars, periods),
        "calmar": ratios.calmar(annual, depth),
        "omega": ratios.omega(bars),
        "max_drawdown": depth,
        "max_drawdown_days": drawdown.max_drawdown_days(time, equity),
        "value_at_risk": tails.value_at_risk(bars),
        "expected_shortfall": tails.expected_shortfall(bars),
        "skew": tails.skew(bars),
        "kurtosis": tails.kurtosis(bars),
        "best_bar": float(np.max(bars)),
        "worst_bar": float(np.min(bars)),
        **_beside(bars, market, periods),
    }
    return {name: figures[name] for name in names}


def _problem(time: TimeArray, equity: FloatArray) -> str | None:
    """Return why a curve has no figures at all, if so."""
    if len(equity) < 2:
        return "there is no bar after the first mark"
    if not np.all(np.isfinite(equity)):
        return "equity is not a number at some mark"
    if not equity[0] > 0:
        return "the starting capital is not above 0"
    if not np.all(time[1:] > time[:-1]):
        return "the times of the marks do not increase"
    return None


def _beside(bars: FloatArray, market: FloatArray | None, periods: float) -> dict[str, float]:
    """Return the figures relative to the market."""
    names = [name for name, figure in FIGURES.items() if figure.group == "market"]
    if market is None or not len(market):
        return _nothing(names, relative.NO_MARKET)
    other = relative.at_the_marks(market, len(bars) + 1)
    if not (np.all(np.isfinite(other)) and other[0] > 0):
        return _nothing(names, "the equity of the market is not a number above 0")
    other = returns.returns_of(other)
    return {
        "alpha": relative.alpha(bars, other, periods),
        "beta": relative.beta(bars, other),
        "information_ratio": relative.information_ratio(bars, other, periods),
        "correlation": relative.correlation(bars, other),
    }


def _nothing(names: Iterable[str], reason: str) -> dict[str, float]:
    return {name: Undefined(reason) for name in names}
