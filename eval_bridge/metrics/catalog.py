"""The list of all figures, in the order of display: docs, tooltips and metrics.json are made from it."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["money", "percent", "ratio", "count", "days"]
UNITS: dict[Kind, str] = {
    "money": "currency of the prices",
    "percent": "fraction, 0.1 is 10 %",
    "ratio": "number",
    "count": "whole number",
    "days": "days of 24 hours",
}
GROUPS = {
    "return": "Return",
    "risk": "Risk",
    "ratio": "Return for risk",
    "market": "Against buy and hold",
    "activity": "Activity",
    "cost": "Costs",
    "trade": "Closed trades",
}
CURVE_GROUPS = ("return", "risk", "ratio", "market")  # what an equity curve alone gives


@dataclass(frozen=True)
class Figure:
    """One figure: its key in metrics.json, how it is shown, and what exactly it is."""

    name: str
    title: str
    kind: Kind
    group: str  # a key of GROUPS
    convention: str  # one sentence with the formula

    @property
    def unit(self) -> str:
        """What the number counts."""
        return UNITS[self.kind]


# "Bars a year" is bars / years elapsed by the calendar of the data; E is equity, r the simple return of a bar.
_LIST = (
    Figure("final_equity", "Final equity", "money", "return", "E at the last mark, open positions at their marks."),
    Figure("total_return", "Total return", "percent", "return", "E_last / E_first - 1, after all costs."),
    Figure(
        "annual_return",
        "Annual return",
        "percent",
        "return",
        "Compound annual growth rate, (1 + total return)^(1 / years elapsed) - 1; from a quarter of a year on.",
    ),
    Figure("best_bar", "Best bar", "percent", "return", "max(r)."),
    Figure("worst_bar", "Worst bar", "percent", "return", "min(r)."),
    Figure(
        "annual_volatility",
        "Annual volatility",
        "percent",
        "risk",
        "Standard deviation of r (ddof 1) * sqrt(bars a year).",
    ),
    Figure(
        "max_drawdown",
        "Maximum drawdown",
        "percent",
        "risk",
        "max(1 - E / highest E so far) over the marks, as a positive share of the peak.",
    ),
    Figure(
        "max_drawdown_days",
        "Longest drawdown",
        "days",
        "risk",
        "Longest calendar time from a peak of E until E has that height again, or until the last mark.",
    ),
    Figure(
        "value_at_risk",
        "Value at risk 95 %",
        "percent",
        "risk",
        "Historical, per bar: minus the lower 5 % quantile of r, a return that happened (no interpolation).",
    ),
    Figure(
        "expected_shortfall",
        "Expected shortfall 95 %",
        "percent",
        "risk",
        "Historical, per bar: minus the mean of all r up to the lower 5 % quantile, itself included.",
    ),
    Figure("skew", "Skew", "ratio", "risk", "g1 = m3 / m2^1.5 of r, moments over the number of bars (biased)."),
    Figure(
        "kurtosis",
        "Excess kurtosis",
        "ratio",
        "risk",
        "g2 = m4 / m2^2 - 3 of r, moments over the number of bars (biased); 0 for a normal distribution.",
    ),
    Figure(
        "sharpe",
        "Sharpe ratio",
        "ratio",
        "ratio",
        "Arithmetic Sharpe, ddof 1: mean(r) / standard deviation(r) * sqrt(bars a year); no risk-free rate.",
    ),
    Figure(
        "sortino",
        "Sortino ratio",
        "ratio",
        "ratio",
        "mean(r) / downside deviation * sqrt(bars a year); downside deviation = sqrt(mean(min(r, 0)^2)) over all bars.",
    ),
    Figure("calmar", "Calmar ratio", "ratio", "ratio", "Annual return / maximum drawdown, both of the whole range."),
    Figure("omega", "Omega ratio", "ratio", "ratio", "sum(max(r, 0)) / sum(max(-r, 0)): threshold 0 per bar."),
    Figure(
        "alpha",
        "Alpha, annual",
        "percent",
        "market",
        "Jensen's alpha, arithmetic: (mean(r) - beta * mean(r of buy and hold)) * bars a year; no risk-free rate.",
    ),
    Figure("beta", "Beta", "ratio", "market", "cov(r, r of buy and hold) / var(r of buy and hold)."),
    Figure(
        "information_ratio",
        "Information ratio",
        "ratio",
        "market",
        "mean(d) / standard deviation(d) (ddof 1) * sqrt(bars a year) with d = r - r of buy and hold.",
    ),
    Figure("correlation", "Correlation", "ratio", "market", "Pearson's correlation of r and r of buy and hold."),
    Figure(
        "exposure",
        "Exposure",
        "percent",
        "activity",
        "Mean over the bars of gross exposure / E, sum(|position|) / E at the close.",
    ),
    Figure("time_in_market", "Time in market", "percent", "activity", "Share of bars that close with a position."),
    Figure(
        "turnover_per_year",
        "Turnover a year",
        "ratio",
        "activity",
        "Sum of value traded / E at the mark before, buys and sells both counted, / years elapsed.",
    ),
    Figure(
        "fills",
        "Fills",
        "count",
        "activity",
        "Orders carried out, in whole or in part; liquidations and delistings count.",
    ),
    Figure("blocked_orders", "Blocked orders", "count", "activity", "Orders that met no valid price to fill at."),
    Figure(
        "rejected_orders",
        "Rejected orders",
        "count",
        "activity",
        "Orders for a symbol that could not be traded, or that were not a number.",
    ),
    Figure("ruined", "Ruined", "count", "activity", "1 if ruin or a margin call ended the backtest, else 0."),
    Figure("fees", "Fees", "money", "cost", "Commission + stamp duty."),
    Figure("commission", "Commission", "money", "cost", "Sum over all trades."),
    Figure("stamp_duty", "Stamp duty", "money", "cost", "Sum over all trades."),
    Figure("spread", "Spread", "money", "cost", "Half the quoted spread on every trade, inside the prices paid."),
    Figure("slippage", "Slippage", "money", "cost", "Slippage on every trade, inside the prices paid."),
    Figure("borrow", "Borrow fee", "money", "cost", "Fee on short positions, by calendar time."),
    Figure("interest", "Interest", "money", "cost", "Interest on negative cash, by calendar time."),
    Figure("dividends", "Dividends", "money", "cost", "Received on long positions less paid on short ones: income."),
    Figure("delisting_loss", "Delisting loss", "money", "cost", "Value lost when a symbol was delisted."),
    Figure("shortfall", "Shortfall", "money", "cost", "Loss beyond the ruin floor, which the account did not bear."),
    Figure("trades", "Closed trades", "count", "trade", "Lots, or parts of lots, that were opened and closed."),
    Figure(
        "open_trades", "Open trades", "count", "trade", "Lots still held at the last mark; in no other figure here."
    ),
    Figure("hit_rate", "Hit rate", "percent", "trade", "Share of closed trades with a profit after fees above 0."),
    Figure(
        "profit_factor",
        "Profit factor",
        "ratio",
        "trade",
        "Sum of profits / sum of losses of closed trades, after fees.",
    ),
    Figure("expectancy", "Expectancy", "money", "trade", "Mean profit of a closed trade, after fees."),
    Figure(
        "sqn",
        "System quality number",
        "ratio",
        "trade",
        "sqrt(n) * mean(profit) / standard deviation(profit) (ddof 1) over the n closed trades, after fees.",
    ),
    Figure("best_trade", "Best trade", "percent", "trade", "Highest profit after fees / entry value."),
    Figure("worst_trade", "Worst trade", "percent", "trade", "Lowest profit after fees / entry value."),
    Figure("average_bars_held", "Bars held, mean", "ratio", "trade", "Mean bars from entry to exit of a closed trade."),
)
FIGURES: dict[str, Figure] = {figure.name: figure for figure in _LIST}
