"""What charts are made of: report.js resolves colours (`--name`, of the style sheet) and times (`@name`), and draws."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from eval_bridge.report.thinning import POINTS, pack_time, rows_to_keep, short

FloatArray = npt.NDArray[np.float64]
COLORS = {
    "policy": "--policy",
    "buy_and_hold": "--hold",
    "equal_weight": "--equal",
    "momentum": "--momentum",
    "random": "--random",
    "cash": "--cash",
}
SEQUENCE = ("--policy", "--hold", "--equal", "--momentum", "--sky", "--loss", "--random", "--cash")
FEW = 30  # points of a line up to which each is marked
Spec = dict[str, Any]
POLICY_FIRST: Spec = {"traceorder": "reversed"}  # of a legend: the policy is drawn last, above the others


@dataclass
class Charts:
    """The charts of a page, and the times that they share."""

    times: dict[str, dict[str, Any]] = field(default_factory=dict)
    specs: dict[str, Spec] = field(default_factory=dict)

    def time(self, name: str, time: Any) -> str:
        """Keep times under a name; return what a trace says to have them as its x."""
        self.times[name] = pack_time(time)
        return f"@{name}"

    def add(self, name: str, traces: list[Spec], layout: Spec, **more: Any) -> None:
        """Keep a chart.

        Args:
            name: Of the place in the page.
            traces: As Plotly has them.
            layout: What differs from the layout that all charts share.
            more: `over_time` (zooms with the others), `choices` (name and traces, of which one is shown).
        """
        self.specs[name] = {"traces": traces, "layout": layout, **more}

    def curves(self, name: str, time: Any, columns: dict[str, tuple[Any, Spec]], layout: Spec, digits: int = 6) -> None:
        """Keep a chart of series over one time, thinned together.

        Args:
            name: Of the place in the page.
            time: [K].
            columns: By the name in the legend: values [K] and what the trace has beside them.
            layout: As in `add`.
            digits: Significant ones of the values.
        """
        if not columns:
            return
        rows = rows_to_keep([values for values, _ in columns.values()], POINTS)
        x = self.time(name, np.asarray(time)[rows])
        traces = [line(title, x, np.asarray(values)[rows], digits, **more) for title, (values, more) in columns.items()]
        self.add(name, traces, layout, over_time=True)


def line(title: str, x: str, y: Any, digits: int = 6, **more: Any) -> Spec:
    """Return the trace of a line; `color`, `width`, `dash` and `shape` are those of the line."""
    style = {"color": more.pop("color", "--policy"), "width": more.pop("width", 1.5)}
    style |= {name: more.pop(name) for name in ("dash", "shape") if name in more}
    mode = "lines" if len(y) > FEW else "lines+markers"
    return {"type": "scatter", "mode": mode, "name": title, "x": x, "y": short(y, digits), "line": style, **more}


def axis(title: str = "", tickformat: str = "", **more: Any) -> Spec:
    """Return an axis; titles are words, formats are those of d3."""
    named: Spec = {"title": {"text": title}} if title else {}
    return named | ({"tickformat": tickformat} if tickformat else {}) | more


def histogram(values: Any, most: int = 80) -> tuple[FloatArray, FloatArray]:
    """Return edges [B + 1] and counts [B] of bins that hold all finite values."""
    kept = np.asarray(values, float)
    kept = kept[np.isfinite(kept)]
    bins = int(np.clip(2 * np.sqrt(len(kept)), 5, most))
    low, high = (float(kept.min()), float(kept.max())) if len(kept) else (0.0, 1.0)
    if high - low < 1e-12 * max(1.0, abs(low)):
        low, high = low - 0.005, high + 0.005
    counts, edges = np.histogram(kept, bins=bins, range=(low, high))
    return edges, counts.astype(float)


def bars(title: str, edges: FloatArray, counts: FloatArray, **more: Any) -> Spec:
    """Return the trace of a histogram."""
    widths = short(np.diff(edges), 8)
    middle = (edges[:-1] + edges[1:]) / 2
    return {"type": "bar", "name": title, "x": short(middle, 8), "y": short(counts), "width": widths, **more}


def marker_lines(marks: dict[str, tuple[float, str]]) -> tuple[list[Spec], list[Spec]]:
    """Return shapes and annotations of upright lines: by label, where and in which colour."""
    shapes, labels = [], []
    finite = {name: mark for name, mark in marks.items() if np.isfinite(mark[0])}
    for n, (name, (place, color)) in enumerate(finite.items()):
        style = {"color": color, "width": 1.5, "dash": "dash"}
        shapes.append({"type": "line", "x0": place, "x1": place, "y0": 0, "y1": 1, "yref": "paper", "line": style})
        text: Spec = {
            "x": place,
            "y": 1.0 - 0.09 * n,
            "yref": "paper",
            "text": name,
            "showarrow": False,
            "yanchor": "top",
        }
        labels.append(text | {"font": {"color": color, "size": 12}, "xanchor": "left", "xshift": 4})
    return shapes, labels
