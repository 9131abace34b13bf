"""The charts of a programme's page."""

from typing import TYPE_CHECKING, Any

import numpy as np

from eval_bridge.metrics import drawdowns
from eval_bridge.report.markup import label
from eval_bridge.report.plots import POLICY_FIRST, Charts, Spec, axis
from eval_bridge.report.thinning import short
from train.programme.page_words import count, duration
from train.programme.schema import Iteration, Summary

if TYPE_CHECKING:
    import pandas as pd

MONEY, PERCENT = "%{y:,.6~r}", "%{y:.2%}"
NUMBERED = 14  # windows up to which each has its number above the equity curve, and its tick
STRIP = 0.44  # width of the strip of an iteration's candidates, in iterations
SIDE = 0.32  # how far beside it the interval and the result stand


def draw(summary: Summary, equity: "pd.DataFrame | None") -> Charts:
    """Return all charts that the programme has data for.

    Args:
        summary: The programme.
        equity: The stitched account, or None: time, equity, buy_and_hold, leg (1, 2, ...).
    """
    charts = Charts()
    if equity is not None and len(equity):
        _equity(charts, equity)
    if summary.iterations:
        _validation(charts, summary)
        _steps(charts, summary.iterations)
        _time(charts, summary.iterations)
    return charts


def _equity(charts: Charts, equity: "pd.DataFrame") -> None:
    """Add the stitched account with the borders of its windows, and its drawdown."""
    time = equity["time"].to_numpy()
    shapes, numbers = borders(time, equity["leg"].to_numpy())
    hold: Spec = {"color": "--hold", "width": 1.2}
    mine: Spec = {"color": "--policy", "width": 2.2, "hovertemplate": MONEY}
    columns = {
        "Buy and hold": (equity["buy_and_hold"], hold | {"hovertemplate": MONEY}),
        "Programme": (equity["equity"], mine),
    }
    layout: Spec = {"yaxis": axis("Equity", ",~s"), "legend": POLICY_FIRST, "shapes": shapes}
    charts.curves("equity", time, columns, layout | {"annotations": numbers})
    soft: Spec = {"color": "--policy", "fill": "tozeroy", "fillcolor": "--policy-soft", "hovertemplate": PERCENT}
    columns = {
        "Buy and hold": (drawdowns(equity["buy_and_hold"].to_numpy()), hold | {"hovertemplate": PERCENT}),
        "Programme": (drawdowns(equity["equity"].to_numpy()), soft),
    }
    layout = {"yaxis": axis("Below the peak", ".0%"), "legend": POLICY_FIRST, "shapes": shapes}
    charts.curves("drawdown", time, columns, layout, digits=4)


def borders(time: Any, leg: Any) -> tuple[list[Spec], list[Spec]]:
    """Return an upright line wherever the next policy takes over, and the number of each window above its middle.

    Args:
        time: [K].
        leg: [K], rising.
    """
    starts = np.concatenate([[0], np.flatnonzero(np.diff(leg)) + 1])
    ends = np.concatenate([starts[1:], [len(leg) - 1]])
    style = {"color": "--muted", "width": 1, "dash": "dot"}
    place: Spec = {"type": "line", "y0": 0, "y1": 1, "yref": "paper", "layer": "below", "line": style}
    lines = [place | {"x0": _text(time[start]), "x1": _text(time[start])} for start in starts[1:]]
    every = -(-len(starts) // NUMBERED)
    words: Spec = {
        "y": 1,
        "yref": "paper",
        "yanchor": "top",
        "showarrow": False,
        "font": {"color": "--muted", "size": 11},
    }
    numbers = [
        words | {"x": _text(time[(start + end) // 2]), "text": str(leg[start])}
        for start, end in list(zip(starts, ends, strict=True))[::every]
    ]
    return lines, numbers if len(starts) > 1 else []


def _text(moment: Any) -> str:
    return str(np.datetime64(moment, "s")).replace("T", " ")


def _iterations(rows: list[Iteration]) -> Spec:
    """Return the axis of iterations."""
    every = -(-len(rows) // NUMBERED)
    ends = [rows[0].iteration - 0.6, rows[-1].iteration + 0.6]
    return axis("Iteration", "d", dtick=every, tick0=rows[0].iteration, range=ends)


def _validation(charts: Charts, summary: Summary) -> None:
    """Add every candidate's best validation, their interquartile mean, the winner, and what it did out of sample."""
    rows = summary.iterations
    right, words = [row.iteration + SIDE for row in rows], [f"iteration {row.iteration}" for row in rows]
    wins = [_strip(row)[row.winner.candidate] for row in rows]
    best = [row.winner.log_growth for row in rows]
    out = [None if row.out_of_sample is None else row.out_of_sample.log_growth for row in rows]
    traces = [
        _candidates(rows),
        _marks("Winner", wins, best, words, {"symbol": "circle", "size": 9, "color": "--policy"}),
    ]
    if summary.candidates > 1:
        traces.insert(0, _intervals(rows))
    if any(value is not None for value in out):
        traces.append(_marks("Out of sample", right, out, words, {"symbol": "diamond", "size": 9, "color": "--hold"}))
    layout: Spec = {"xaxis": _iterations(rows), "yaxis": axis("Log growth", ".3~f", zeroline=True)}
    charts.add("validation", traces, layout | {"hovermode": "closest", "showlegend": True})


def _intervals(rows: list[Iteration]) -> Spec:
    """Return the interquartile means with their intervals, beside the strips."""
    found = [(row.iteration, row.validation) for row in rows if row.validation.iqm is not None]
    error: Spec = {"type": "data", "symmetric": False, "color": "--ink", "thickness": 1.4, "width": 5}
    error["array"] = [_apart(each.high, each.iqm) for _, each in found]
    error["arrayminus"] = [_apart(each.iqm, each.low) for _, each in found]
    x, words = [number - SIDE for number, _ in found], [f"iteration {number}" for number, _ in found]
    title = f"IQM, {rows[0].validation.level:.0%} interval"
    marker = {"symbol": "circle", "size": 7, "color": "--ink"}
    return _marks(title, x, [each.iqm for _, each in found], words, marker) | {"error_y": error}


def _apart(high: float | None, low: float | None) -> float | None:
    return None if high is None or low is None else high - low


def _strip(row: Iteration) -> dict[int, float]:
    """Return where each candidate of an iteration stands."""
    count = len(row.candidates)
    places = (round(row.iteration + STRIP * ((place + 0.5) / count - 0.5), 3) for place in range(count))
    return dict(zip((each.candidate for each in row.candidates), places, strict=True))


def _marks(title: str, x: list[float], y: list[Any], words: list[str], marker: Spec) -> Spec:
    """Return the trace of points, each with words of its own."""
    known = [n for n, value in enumerate(y) if value is not None]  # a gap would have no place in the hover
    shown: Spec = {"type": "scatter", "mode": "markers", "name": title, "marker": marker}
    shown |= {"x": [x[n] for n in known], "y": short([y[n] for n in known], 6), "text": [words[n] for n in known]}
    return shown | {"hovertemplate": f"%{{text}}: %{{y:+.4f}}<extra>{title}</extra>"}


def _candidates(rows: list[Iteration]) -> Spec:
    """Return the strip of every candidate of every iteration."""
    x, y, words = [], [], []
    for row in rows:
        places = _strip(row)
        for each in row.candidates:
            x.append(places[each.candidate])
            y.append(each.validation.log_growth)
            settings = "".join(f", {key} {value}" for key, value in each.settings.items())
            words.append(label(f"candidate {each.candidate}, seed {each.seed}{settings}"))
    return _marks("Candidate", x, y, words, {"size": 6, "color": "--random", "opacity": 0.8})


def _stack(
    charts: Charts, name: str, rows: list[Iteration], parts: dict[str, tuple[list[float], str]], y: Spec
) -> None:
    """Add bars of an iteration each, in parts upon one another; each says in words what it is."""
    say = duration if name == "time" else count
    traces = [
        {
            **{"type": "bar", "name": title, "x": [row.iteration for row in rows], "y": short(values, 6)},
            **{"marker": {"color": color}, "text": [say(value) for value in values], "textposition": "none"},
            "hovertemplate": "%{text}",
        }
        for title, (values, color) in parts.items()
    ]
    layout: Spec = {"xaxis": _iterations(rows), "yaxis": y, "barmode": "stack", "bargap": 0.35, "showlegend": True}
    charts.add(name, traces, layout)


def _steps(charts: Charts, rows: list[Iteration]) -> None:
    """Add the steps that were done, and those that were not needed, by reason."""
    steps = [row.steps for row in rows]
    parts = {
        "Done": ([float(each.done) for each in steps], "--policy"),
        "Saved by early stopping": ([float(each.planned - each.done) for each in steps], "--equal"),
        "Saved by adaptive timesteps": ([float(each.plain - each.planned) for each in steps], "--sky"),
    }
    _stack(charts, "steps", rows, parts, axis("Steps", ",~s"))


def _time(charts: Charts, rows: list[Iteration]) -> None:
    """Add where the time of every iteration went."""
    taken = [row.timing for row in rows]
    parts = {
        "Training": [each.training_seconds or 0.0 for each in taken],
        "Validation": [each.validation_seconds or 0.0 for each in taken],
        "Setup, compilation, export": [each.setup_seconds or 0.0 for each in taken],
    }
    known = [sum(values) for values in zip(*parts.values(), strict=True)]
    parts["Other"] = [max(0.0, (each.seconds or 0.0) - sum_) for each, sum_ in zip(taken, known, strict=True)]
    colors = ("--policy", "--hold", "--momentum", "--random")
    _stack(
        charts,
        "time",
        rows,
        dict(zip(parts, zip(parts.values(), colors, strict=True), strict=True)),
        axis("Seconds", ",~s"),
    )
