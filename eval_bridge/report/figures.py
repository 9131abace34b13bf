"""Figures as text, the same on the console, on the page and in the pictures."""

import math

UNDEFINED = "-"
HEADLINE = (  # of the short table
    "final_equity",
    "total_return",
    "annual_return",
    "annual_volatility",
    "sharpe",
    "sortino",
    "max_drawdown",
    "calmar",
    "exposure",
    "turnover_per_year",
    "fees",
    "trades",
    "hit_rate",
    "profit_factor",
)


def format_figure(value: float | None, kind: str) -> str:
    """Return a figure as text; a hyphen where it is not defined.

    Args:
        value: The figure; percentages as shares of one.
        kind: money, percent, ratio, count or days.
    """
    if value is None or not math.isfinite(value):
        return UNDEFINED
    if kind == "money":
        text = f"{value:,.2f}"
    elif kind == "percent":
        text = f"{100 * value:,.2f}%"
    elif kind == "count":
        text = f"{value:,.0f}"
    elif kind == "days":
        text = f"{value:,.1f}"
    else:
        text = f"{value:,.2f}" if abs(value) < 1e6 else f"{value:.3g}"
    return text[1:] if text.startswith("-") and not any(digit in text for digit in "123456789") else text


def format_interval(bounds: object, kind: str) -> str:
    """Return the interval [low, high] as text; nothing where there is none."""
    if not isinstance(bounds, list | tuple) or len(bounds) != 2 or None in bounds:
        return ""
    low, high = (format_figure(float(bound), kind) for bound in bounds)
    return "" if UNDEFINED in (low, high) else f"{low} to {high}"
