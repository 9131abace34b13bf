"""The charts of distributions, and the tables that are coloured like a map."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from eval_bridge.evaluation import Evaluation
from eval_bridge.metrics import monthly_returns, returns_of
from eval_bridge.report.figures import UNDEFINED, format_figure
from eval_bridge.report.markup import Cell, table
from eval_bridge.report.plots import Charts, Spec, axis, bars, histogram, line, marker_lines

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def returns(charts: Charts, evaluation: Evaluation) -> None:
    """Add the distribution of the returns of a bar, beside the normal one of the same mean and deviation."""
    found = returns_of(evaluation.result.equity)
    found = found[np.isfinite(found)]
    if not len(found):
        return
    edges, counts = histogram(found)
    traces = [bars("Bars", edges, counts, marker={"color": "--policy"}, hovertemplate="%{x:.2%}: %{y:,} bars")]
    deviation = float(np.std(found, ddof=1)) if len(found) > 1 else 0.0
    if deviation > 1e-12:
        x = np.linspace(edges[0], edges[-1], 201)
        height = len(found) * (edges[1] - edges[0]) / (deviation * np.sqrt(2 * np.pi))
        y = height * np.exp(-0.5 * ((x - np.mean(found)) / deviation) ** 2)
        traces.append(
            line("Normal", "", y, 4, color="--hold", hoverinfo="skip") | {"x": [float(f"{v:.5g}") for v in x]}
        )
    figures = evaluation.figures
    marks = {
        "VaR 95%": (-figures.get("value_at_risk", np.nan), "--momentum"),
        "ES 95%": (-figures.get("expected_shortfall", np.nan), "--loss"),
    }
    shapes, labels = marker_lines(marks)
    layout: Spec = {"xaxis": axis("Return of a bar", ".1%"), "yaxis": axis("Bars"), "bargap": 0, "hovermode": "closest"}
    charts.add("returns", traces, layout | {"shapes": shapes, "annotations": labels})


def null(charts: Charts, evaluation: Evaluation) -> None:
    """Add the statistic of the policy's own positions shifted in time, where the shifts were kept."""
    found = evaluation.honesty.get("shift_null") or {}
    values = np.array([value for value in _sequence(found) if value is not None], float)
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return
    edges, counts = histogram(values, 50)
    trace = bars("Shifts", edges, counts, marker={"color": "--random"}, hovertemplate="%{x:.3~g}: %{y:,} shifts")
    observed = found.get("observed")
    marks = {"this backtest": (float("nan") if observed is None else float(observed), "--policy")}
    if found.get("high") is not None:
        marks["95% of the shifts"] = (float(found["high"]), "--hold")
    shapes, labels = marker_lines(marks)
    layout: Spec = {"xaxis": axis("Sharpe ratio a year"), "yaxis": axis("Shifts"), "bargap": 0}
    charts.add("null", [trace], layout | {"hovermode": "closest", "shapes": shapes, "annotations": labels})


def _sequence(found: dict[str, Any]) -> Sequence[Any]:
    """Return the statistics of the shifts, if they are there."""
    for name in ("values", "statistics", "shifts"):
        if isinstance(found.get(name), list | tuple | np.ndarray):
            return list(found[name])
    return ()


def stochastic(charts: Charts, evaluation: Evaluation) -> None:
    """Add the distribution of the sampled runs' returns, with that of the deterministic run."""
    if evaluation.stochastic is None or not len(evaluation.stochastic):
        return
    edges, counts = histogram(evaluation.stochastic["total_return"], 40)
    trace = bars("Samples", edges, counts, marker={"color": "--policy"}, hovertemplate="%{x:.2%}: %{y:,} samples")
    shapes, labels = marker_lines({"deterministic": (evaluation.figures.get("total_return", np.nan), "--hold")})
    layout: Spec = {"xaxis": axis("Total return", ".1%"), "yaxis": axis("Samples"), "bargap": 0, "hovermode": "closest"}
    charts.add("stochastic", [trace], layout | {"shapes": shapes, "annotations": labels})


def monthly(evaluation: Evaluation) -> str:
    """Return the table of monthly and yearly returns, coloured by size."""
    found = monthly_returns(evaluation.result.time, evaluation.result.equity)
    columns = [column for column in found.columns if column != "year"]
    months = found[columns].to_numpy(float)
    finite = np.abs(months[np.isfinite(months)])
    most = max(float(np.quantile(finite, 0.95)) if len(finite) else 0.0, 1e-12)
    rows = []
    for year, row in zip(found.index, found.to_numpy(float), strict=True):
        cells = [_heat(value, most) for value in row[: len(columns)]]
        total = Cell(format_figure(row[-1], "percent")) if "year" in found.columns else Cell("")
        rows.append([str(year), *cells, total])
    return table("Return by month and year", ["Year", *MONTHS, "Total"], rows, "heat monthly numbers")


def _heat(value: float, most: float, words: str = "") -> Cell:
    if not np.isfinite(value):
        return Cell("" if not words else UNDEFINED, words)
    return Cell(format_figure(value, "percent"), words, float(np.clip(value / most, -1, 1)))


def stress(evaluation: Evaluation) -> str:
    """Return the table of the total return by multiple of the costs and by delay, coloured by size."""
    grid = evaluation.stress
    if grid is None or not len(grid):
        return ""
    wide = grid.pivot_table(index="delay", columns="fees", values="total_return", aggfunc="first", dropna=False)
    most = max(float(np.nanmax(np.abs(wide.to_numpy(float)), initial=0.0)), 1e-12)
    rows = [
        [f"{int(delay)} bar{'s' if delay != 1 else ''}", *(_heat(value, most) for value in row)]
        for delay, row in zip(wide.index, wide.to_numpy(float), strict=True)
    ]
    head = ["Delay", *(f"{fees:g} x costs" for fees in wide.columns)]
    return table("Total return by costs and delay", head, rows, "heat numbers")


def break_even(evaluation: Evaluation) -> str:
    """Return at which costs nothing is left, in words; nothing where that was not looked for."""
    return f"Break-even cost: {evaluation.break_even_text}." if evaluation.break_even_text else ""
