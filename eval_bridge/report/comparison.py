"""The page of several runs over the same bars."""

from typing import Any

import numpy as np

from eval_bridge.evaluation import Comparison
from eval_bridge.metrics import drawdowns, returns_of
from eval_bridge.metrics.catalog import FIGURES
from eval_bridge.report.curves import MONEY, PERCENT
from eval_bridge.report.figures import HEADLINE, UNDEFINED, format_figure, format_interval
from eval_bridge.report.markup import Cell, chart, facts, label, note, section, table, text
from eval_bridge.report.page import document
from eval_bridge.report.panels import HONESTY, plain
from eval_bridge.report.plots import SEQUENCE, Charts, Spec, axis

HOLD = "buy_and_hold"
JUDGED = ("p_value", "shift_p_value", "probabilistic_sharpe", "deflated_sharpe", "trials", "minimum_track_record_years")

SUPERIOR = {  # of the test: what its parts are called
    "p_value": "p-value",
    "lower": "lower p-value (Hansen)",
    "consistent": "consistent p-value (Hansen)",
    "upper": "upper p-value (Hansen)",
    "reality_check": "reality check (White)",
    "block_length": "block length, bars",
    "resamples": "resamples",
    "best": "best run",
    "tested": "runs tested",
    "undefined": "why there is none",
}


def render_comparison(comparison: Comparison) -> str:
    """Return the page that sets several runs beside each other.

    Args:
        comparison: The runs, over the same bars.
    """
    charts = _charts(comparison)
    time = np.datetime_as_string(comparison.time, unit="D")
    lead = f"{time[0]} to {time[-1]}, {len(time) - 1:,} decisions, all costs included."
    places = chart("equity", "Equity"), chart("drawdown", "Drawdown", "Equity below its highest value so far.")
    body = [
        _verdict(comparison),
        section("figures", "Figures", _figures(comparison)),
        section("equity", "Equity", *places),
        section("correlation", "Correlation of returns", _correlation(comparison)),
        section("superior", "Superior predictive ability", _superior(comparison.superior)),
        section("about", "What was run", facts("What was run", comparison.about) if comparison.about else ""),
    ]
    return document(f"{len(comparison.names)} runs compared", lead, body, charts)


def _verdict(comparison: Comparison) -> str:
    """Return the verdict of every run, which no option removes."""
    found = any(each.get("significant") for each in comparison.honesty.values())
    lines = "".join(
        f'<p class="line run">{text(name)}: {text(comparison.honesty[name]["verdict"])}</p>'
        for name in comparison.names
    )
    why = "Each verdict is of one run alone. The best of several looks good by luck: see superior predictive ability."
    kind = "found" if found else "none"
    return (
        f'<section id="verdict" class="verdict {kind}" aria-label="Verdicts">{lines}<p class="why">{why}</p></section>'
    )


def _charts(comparison: Comparison) -> Charts:
    charts = Charts()
    values: dict[str, tuple[Any, Spec]] = {}
    depths: dict[str, tuple[Any, Spec]] = {}
    for n, (name, equity) in enumerate(comparison.equity.items()):
        hold = name == HOLD
        style: Spec = {"color": "--muted" if hold else SEQUENCE[n % len(SEQUENCE)], "width": 1.2 if hold else 1.8}
        style |= {"dash": "dot"} if hold else {}
        title = "Buy and hold" if hold else label(name)
        values[title] = (equity, style | {"hovertemplate": MONEY})
        depths[title] = (drawdowns(equity), style | {"hovertemplate": PERCENT, "width": 1.2})
    charts.curves("equity", comparison.time, values, {"yaxis": axis("Equity", ",~s")})
    charts.curves("drawdown", comparison.time, depths, {"yaxis": axis("Below the peak", ".0%")}, digits=4)
    return charts


def _figures(comparison: Comparison) -> str:
    """Return figures and evidence, one column a run."""
    head = ["", *comparison.names]
    if HOLD in comparison.figures and HOLD not in comparison.names:
        head.append(HOLD)
    rows: list[list[Cell | str]] = [[Cell("Evidence of skill")]]
    for name in JUDGED:
        title, kind, words = HONESTY[name]
        rows.append([Cell(title, words), *(plain(_judged(comparison, run, name), kind) for run in head[1:])])
    rows.append([Cell("Figures")])
    for name in HEADLINE:
        figure = FIGURES[name]
        rows.append([Cell(figure.title, figure.convention), *(_cell(comparison, run, name) for run in head[1:])])
    titles = ["Buy and hold" if name == HOLD else name for name in head]
    return table("Figures of the runs", titles, rows, "runs numbers", len(head))


def _judged(comparison: Comparison, run: str, name: str) -> Any:
    found = comparison.honesty.get(run, {})
    return (found.get("shift_null") or {}).get("p_value") if name == "shift_p_value" else found.get(name)


def _cell(comparison: Comparison, run: str, name: str) -> Cell:
    kind = FIGURES[name].kind
    value = comparison.figures.get(run, {}).get(name)
    interval = format_interval((comparison.honesty.get(run, {}).get("intervals") or {}).get(name), kind)
    return Cell(format_figure(value, kind), f"Interval: {interval}" if interval else "")


def _correlation(comparison: Comparison) -> str:
    """Return the correlation of the returns of every two curves, coloured by size."""
    names = list(comparison.equity)
    returns = [returns_of(np.asarray(comparison.equity[name], float)) for name in names]
    titles = ["Buy and hold" if name == HOLD else name for name in names]
    rows = [[title, *(_pair(one, other) for other in returns)] for title, one in zip(titles, returns, strict=True)]
    return table("Correlation of the returns of a bar", ["", *titles], rows, "heat numbers")


def _pair(one: Any, other: Any) -> Cell:
    both = np.isfinite(one) & np.isfinite(other)
    if np.sum(both) < 2 or np.std(one[both]) < 1e-15 or np.std(other[both]) < 1e-15:
        return Cell(UNDEFINED, "The returns of one of them do not vary")
    value = float(np.corrcoef(one[both], other[both])[0, 1])
    return Cell(format_figure(value, "ratio"), "", value)


def _superior(found: dict[str, Any]) -> str:
    """Return the result of the test, whatever it is made of."""
    if not found:
        return note("The test was not made.")
    rows = {SUPERIOR.get(name, name): _result(value) for name, value in found.items() if value not in ("", None)}
    words = "Is the best run better than buy and hold, given that it is the best of several? A small p-value says so."
    return facts("Superior predictive ability", rows) + note(words)


def _result(value: Any) -> str:
    if isinstance(value, bool | str):
        return str(value)
    if isinstance(value, dict):
        return ", ".join(f"{name} {_result(each)}" for name, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_result(each) for each in value) or "none"
    return UNDEFINED if value is None or not np.isfinite(value) else f"{value:,.4g}"
