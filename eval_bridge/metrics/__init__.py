"""Figures of a backtest: plain NumPy functions, each with its formula and convention (docs/metrics.md)."""

from eval_bridge.metrics.catalog import FIGURES, GROUPS, Figure
from eval_bridge.metrics.drawdown import drawdowns, max_drawdown, max_drawdown_days
from eval_bridge.metrics.ratios import calmar, omega, sharpe, sortino
from eval_bridge.metrics.relative import alpha, beta, correlation, information_ratio
from eval_bridge.metrics.returns import annual_return, annual_volatility, periods_per_year, returns_of, total_return
from eval_bridge.metrics.summary import calendar, compute_metrics, curve_metrics
from eval_bridge.metrics.tables import monthly_returns, rolling_sharpe, yearly_returns
from eval_bridge.metrics.tails import expected_shortfall, kurtosis, skew, value_at_risk
from eval_bridge.metrics.trades import expectancy, hit_rate, profit_factor, sqn
from eval_bridge.metrics.values import Figures

__all__ = [
    "FIGURES",
    "GROUPS",
    "Figure",
    "Figures",
    "alpha",
    "annual_return",
    "annual_volatility",
    "beta",
    "calendar",
    "calmar",
    "compute_metrics",
    "correlation",
    "curve_metrics",
    "drawdowns",
    "expectancy",
    "expected_shortfall",
    "hit_rate",
    "information_ratio",
    "kurtosis",
    "max_drawdown",
    "max_drawdown_days",
    "monthly_returns",
    "omega",
    "periods_per_year",
    "profit_factor",
    "returns_of",
    "rolling_sharpe",
    "sharpe",
    "skew",
    "sortino",
    "sqn",
    "total_return",
    "value_at_risk",
    "yearly_returns",
]
