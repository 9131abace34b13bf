"""Numbers, times and spans as the pages of programmes and benchmarks write them."""

import math
from collections.abc import Sequence

from eval_bridge.report.figures import UNDEFINED, format_figure
from eval_bridge.report.markup import Cell, text

TITLES = {  # of the switches
    "warm_start": "Warm start",
    "adaptive_timesteps": "Adaptive timesteps",
    "early_stopping": "Early stopping",
    "progressive": "Progressive phases",
    "caching": "Environment caching",
    "fast_evaluation": "Fast evaluation",
}
UNITS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def count(value: float | None) -> str:
    """Return a large number in few characters: 950, 65.5 k, 12.3 M."""
    if value is None or not math.isfinite(value):
        return UNDEFINED
    for size, unit in UNITS:
        if abs(value) >= 0.9995 * size:
            return f"{value / size:#.3g}".rstrip(".") + f" {unit}"
    return f"{value:,.0f}"


def duration(seconds: float | None) -> str:
    """Return seconds as a person says them: 8.2 s, 5 min 20 s, 1 h 05 min."""
    if seconds is None or not math.isfinite(seconds):
        return UNDEFINED
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def growth(value: float | None) -> str:
    """Return a log growth, its sign included; a hyphen where there is none."""
    if value is None or not math.isfinite(value):
        return UNDEFINED
    return f"{value:+.4f}" if round(value, 4) else "0.0000"


def bounds(low: float | None, high: float | None) -> str:
    """Return an interval of log growths, nothing where there is none."""
    return "" if low is None or high is None else f"{low:.4f} to {high:.4f}"


def share(part: float, whole: float) -> str:
    """Return a share as a whole percentage; a hyphen of nothing."""
    return f"{part / whole:.0%}" if whole else UNDEFINED


def times(value: float | None) -> str:
    """Return a factor: 5.3x."""
    return UNDEFINED if value is None or not math.isfinite(value) else f"{value:,.1f}x"


def span(pair: Sequence[str]) -> str:
    """Return the dates of a pair of times."""
    return f"{pair[0][:10]} to {pair[1][:10]}"


def of(part: int, whole: int) -> Cell:
    """Return a cell that says how many of how many, and is sorted by the former."""
    return Cell(f"{part:,} of {whole:,}", sort=part)


def number(value: float | None, kind: str = "ratio") -> Cell:
    """Return a cell of a figure, sorted by its value."""
    shown = format_figure(value, kind)
    return Cell(shown, "" if shown != UNDEFINED else "Not defined", sort="" if value is None else value)


def coloured(value: float | None, most: float) -> Cell:
    """Return a cell of a log growth, coloured for gain or loss by its share of the largest."""
    if value is None:
        return Cell(UNDEFINED, sort="")
    return Cell(growth(value), "", max(-1.0, min(1.0, value / most)) if most else 0.0, value)


def tiles_of(shown: Sequence[tuple[str, str, str, str]]) -> str:
    """Return large figures side by side: title, value, and two lines below."""
    parts = (
        f'<div class="tile"><dt>{text(title)}</dt><dd class="value">{text(value)}</dd>'
        f'<dd class="interval">{text(below) if below else "&nbsp;"}</dd><dd class="beside">{text(beside)}</dd></div>'
        for title, value, below, beside in shown
    )
    return f'<dl class="tiles">{"".join(parts)}</dl>'
