"""The report: one self-contained HTML page, no scripts and no outside references."""

import html
import io
from typing import Any

import matplotlib.dates as mdates
import numpy as np
from matplotlib.figure import Figure

from eval_bridge.backtester import Backtest
from eval_bridge.metrics import drawdowns

POLICY_COLOR, HOLD_COLOR = "#1b5e8c", "#b0772b"
ROWS = (
    ("Final equity", "final_equity", "money"),
    ("Total return", "total_return", "percent"),
    ("Annual return", "annual_return", "percent"),
    ("Annual volatility", "annual_volatility", "percent"),
    ("Sharpe ratio", "sharpe", "ratio"),
    ("Sortino ratio", "sortino", "ratio"),
    ("Maximum drawdown", "max_drawdown", "percent"),
    ("Calmar ratio", "calmar", "ratio"),
    ("Exposure (mean)", "exposure", "percent"),
    ("Turnover a year", "turnover_per_year", "ratio"),
    ("Commission", "commission", "cost"),
    ("Stamp duty", "stamp_duty", "cost"),
    ("Spread", "spread", "cost"),
    ("Slippage", "slippage", "cost"),
    ("Borrow fee", "borrow", "cost"),
    ("Interest", "interest", "cost"),
    ("Fills", "fills", "count"),
    ("Closed lots", "closed_lots", "count"),
    ("Win rate of closed lots, before fees", "win_rate", "percent"),
    ("Blocked orders", "blocked_orders", "count"),
    ("Rejected orders", "rejected_orders", "count"),
)
STYLE = """
body{font:16px/1.5 system-ui,sans-serif;color:#222;max-width:960px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin-bottom:0}h2{font-size:1.15rem;margin-top:2rem}
table{border-collapse:collapse;width:100%}th,td{padding:.3rem .6rem;border-bottom:1px solid #ddd;text-align:right}
th:first-child,td:first-child{text-align:left}.note{color:#666}.warning{background:#fff3cd;padding:.6rem 1rem}
svg{width:100%;height:auto}code{overflow-wrap:anywhere}.facts td{text-align:left}
"""


def rows_of(metrics: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return the rows of the short table: name, policy, buy and hold; costs that nobody paid are left out."""
    hold = metrics["buy_and_hold"]
    return [
        (name, format_figure(metrics[key], kind), format_figure(hold.get(key), kind))
        for name, key, kind in ROWS
        if kind != "cost" or metrics[key] or hold.get(key)
    ]


def format_figure(value: float | None, kind: str) -> str:
    """Return a figure as text; a hyphen where it is not defined."""
    if value is None or not np.isfinite(value):
        return "-"
    value += 0.0  # no negative zero
    patterns = {
        "money": f"{value:,.2f}",
        "cost": f"{value:,.2f}",
        "percent": f"{value:.2%}",
        "ratio": f"{value:.2f}",
        "count": f"{int(value):,}",
    }
    return patterns[kind]


def render_report(result: Backtest, benchmark: Backtest, metrics: dict[str, Any], about: dict[str, str]) -> str:
    """Return the page.

    Args:
        result: The backtest of the policy.
        benchmark: Buy and hold through the same engine.
        metrics: As from `compute_metrics`.
        about: Rows of the "What was run" table; a row named `warning` is shown above everything.
    """
    warning = about.get("warning")
    rows = "".join(
        f"<tr><td>{name}</td><td>{mine}</td><td>{theirs}</td></tr>" for name, mine, theirs in rows_of(metrics)
    )
    facts = "".join(
        f"<tr><td>{html.escape(k)}</td><td><code>{html.escape(v)}</code></td></tr>" for k, v in about.items()
    )
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>jaxtrade backtest</title><style>{STYLE}</style></head><body>
<h1>Backtest of {html.escape(", ".join(result.table.symbols[:6]))}{" …" if len(result.table.symbols) > 6 else ""}</h1>
<p class="note">{html.escape(about["split"])} range, {metrics["first"][:10]} to {metrics["last"][:10]},
{metrics["bars"]:,} decisions; decided at the close, filled at {html.escape(about["fill"])}, all costs included.</p>
{f'<p class="warning">Warning: {html.escape(warning)}.</p>' if warning else ""}
{f'<p class="warning">{html.escape(about["parity"])}.</p>' if about["parity"].startswith("NOT") else ""}
<h2>Equity against buy and hold</h2>{_svg(_equity_figure(result, benchmark))}
<h2>Drawdown</h2>{_svg(_drawdown_figure(result, benchmark))}
<h2>Figures</h2>
<table><tr><th></th><th>Policy</th><th>Buy and hold</th></tr>{rows}</table>
<p class="note">Annualised by the calendar of the data: {metrics["periods_per_year"]:.1f} bars a year. Sharpe:
arithmetic
returns, no risk-free rate, ddof 1. Money in the currency of the prices. A single path is no evidence of skill.</p>
<h2>What was run</h2><table class="facts">{facts}</table>
</body></html>
"""


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _axes(label: str, height: float) -> tuple[Figure, Any]:
    figure = Figure(figsize=(9, height))
    axes = figure.subplots()
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.01)
    axes.set_ylabel(label)
    locator = mdates.AutoDateLocator(maxticks=9)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(mdates.ConciseDateFormatter(locator))
    return figure, axes


def _equity_figure(result: Backtest, benchmark: Backtest) -> Figure:
    figure, axes = _axes("equity", 3.6)
    axes.plot(benchmark.time, benchmark.equity, color=HOLD_COLOR, linewidth=1.2, label="buy and hold")
    axes.plot(result.time, result.equity, color=POLICY_COLOR, linewidth=1.6, label="policy")
    axes.legend(frameon=False)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    return figure


def _drawdown_figure(result: Backtest, benchmark: Backtest) -> Figure:
    figure, axes = _axes("drawdown", 2.2)
    axes.plot(benchmark.time, drawdowns(benchmark.equity), color=HOLD_COLOR, linewidth=1)
    axes.fill_between(result.time, drawdowns(result.equity), 0, color=POLICY_COLOR, alpha=0.45, linewidth=0)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    return figure
