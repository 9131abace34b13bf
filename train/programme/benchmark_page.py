"""A benchmark of the optimisations, as a page and as a table on the console, from what benchmark.json holds."""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from eval_bridge.files import clean
from eval_bridge.report.figures import UNDEFINED, format_figure
from eval_bridge.report.markup import Cell, chart, facts, label, note, section, table, text
from eval_bridge.report.page import document
from eval_bridge.report.plots import Charts, Spec, axis
from eval_bridge.report.thinning import short
from jaxtrade.errors import InputError
from train.programme.page import write_text
from train.programme.page_words import bounds, count, duration, growth, share, tiles_of, times

PAGE = "programme_benchmark.html"
OPTIMISED, PLAIN = "optimised", "plain"
NAME, COLUMNS = 23, (12, 8, 9, 7, 9, 20, 10, 15)  # characters of the console's columns
HEADS = ("time", "faster", "steps", "saved", "IQM", "interval", "against", "out of sample")
WHY = (
    "Every variant begins from the same seeds and data. Same quality: the interval of the validations overlaps that of "
    "plain, or is better."
)


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Steps(_Part):
    plain: int
    done: int
    saved: int


class _Interval(_Part):
    iqm: float | None
    low: float | None
    high: float | None
    level: float = 0.95


class _Against(_Part):
    overlaps: bool
    better: bool
    difference: _Interval


class _Result(_Part):
    log_growth: float | None
    total_return: float | None


class _Timing(_Part):
    seconds: float | None
    speedup_against_plain: float | None
    seconds_per_iteration: float | None
    compilations: int | None


class Variant(_Part):
    """A programme with one choice of switches."""

    variant: str
    folder: str
    steps: _Steps
    updates: int
    validation: _Interval
    against_plain: _Against | None
    out_of_sample: _Result | None
    early_stops: int
    warm_starts: int
    timing: _Timing


class Benchmark(_Part):
    """What benchmark.json holds."""

    version: Literal[1] = Field(alias="schema")
    name: str
    data: str
    network: str
    seeds: list[int]
    iterations: int
    candidates: int
    variants: list[Variant]
    verdict: str


def write_benchmark(folder: Path, record: dict[str, Any]) -> Path:
    """Write programme_benchmark.html in place of what lies there; return its path.

    Args:
        folder: Where it goes.
        record: What benchmark.json holds.

    Raises:
        InputError: The record is not what it should be, or the file cannot be written.
    """
    return write_text(folder / PAGE, _render(_parse(record)))


def benchmark_text(record: dict[str, Any]) -> str:
    """Return the table of the variants for the console, and the verdict.

    Raises:
        InputError: The record is not what it should be.
    """
    found = _parse(record)
    lines = ["".join([" " * NAME, *(f"{head:>{width}}" for head, width in zip(HEADS, COLUMNS, strict=True))])]
    for each in found.variants:
        clock, steps = each.timing, each.steps
        cells = [
            *(duration(clock.seconds), times(clock.speedup_against_plain), count(steps.done)),
            *(share(steps.saved, steps.plain), growth(each.validation.iqm)),
            *(bounds(each.validation.low, each.validation.high) or UNDEFINED, quality(each), _return(each)),
        ]
        row = "".join(f"{cell:>{width}}" for cell, width in zip(cells, COLUMNS, strict=True))
        lines.append(f"{each.variant[: NAME - 1]:{NAME}}{row}")
    return "\n".join([*lines, "", found.verdict])


def quality(variant: Variant) -> str:
    """Return how the validations of a variant stand to those of plain, in a word."""
    if variant.variant == PLAIN:
        return UNDEFINED
    against = variant.against_plain
    if against is None:
        return "unknown"
    return "better" if against.better else "overlaps" if against.overlaps else "worse"


def _parse(record: dict[str, Any]) -> Benchmark:
    try:
        return Benchmark.model_validate(clean(record))
    except ValidationError as error:
        first = error.errors()[0]
        what = f"{'.'.join(map(str, first['loc']))}: {first['msg'].lower()}"
        raise InputError("benchmark.json", what, "Run the benchmark again") from None


def _return(variant: Variant) -> str:
    made = variant.out_of_sample
    return UNDEFINED if made is None else format_figure(made.total_return, "percent")


def _render(found: Benchmark) -> str:
    """Return the page. It refers to nothing outside itself."""
    charts = _charts(found.variants)
    lead = (
        f"{found.network} on {found.data}: {found.iterations} iterations, {found.candidates} candidates each, "
        f"seeds {', '.join(map(str, found.seeds))}."
    )
    words = "Interquartile mean of the candidates' best validation log growths, with its interval; shaded: plain's."
    body = [
        _verdict(found),
        section("figures", "At a glance", _tiles(found.variants)),
        section("variants", "Variants", _table(found.variants), note(WHY)),
        section(
            "charts",
            "Quality and time",
            chart("quality", "Validation", words) if "quality" in charts.specs else "",
            chart("time", "Time", "Wall clock of the whole programme, in seconds.") if found.variants else "",
        ),
        section("about", "What was run", _folders(found)),
    ]
    return document(f"Benchmark of {found.name}", lead, body, charts)


def _verdict(found: Benchmark) -> str:
    """Return the verdict: good only where the optimised programme is as good as the plain one."""
    good = any(each.variant == OPTIMISED and quality(each) in ("better", "overlaps") for each in found.variants)
    return (
        f'<section id="verdict" class="verdict {"found" if good else "none"}" aria-label="Verdict">'
        f'<p class="line">{text(found.verdict)}</p><p class="why">{text(WHY)}</p></section>'
    )


def _tiles(variants: list[Variant]) -> str:
    """Return the optimised programme beside the plain one."""
    by_name = {each.variant: each for each in variants}
    if not {OPTIMISED, PLAIN} <= set(by_name):
        return ""
    mine, plain = by_name[OPTIMISED], by_name[PLAIN]
    found, base = mine.validation, plain.validation
    interval = f"Plain {growth(base.iqm)}, {bounds(base.low, base.high) or 'no interval'}"
    each, other = mine.timing.seconds_per_iteration, plain.timing.seconds_per_iteration
    took, saved = f"{duration(mine.timing.seconds)} in all", share(mine.steps.saved, mine.steps.plain)
    shown = [
        ("Speed-up", times(mine.timing.speedup_against_plain), took, f"Plain {duration(plain.timing.seconds)}"),
        ("Time per iteration", duration(each), "", f"Plain {duration(other)}"),
        ("Steps saved", saved, count(mine.steps.saved), f"Of {count(mine.steps.plain)}"),
        ("Validation, IQM", growth(found.iqm), bounds(found.low, found.high), interval),
        ("Out-of-sample return", _return(mine), "", f"Plain {_return(plain)}"),
    ]
    return tiles_of(shown)


def _table(variants: list[Variant]) -> str:
    """Return one row a variant; report.js sorts it."""
    head = [
        "Variant",
        "Time",
        Cell("Faster", "Than plain"),
        "An iteration",
        Cell("Compiled", "Programs"),
        Cell("Steps", "Done, all candidates together"),
        Cell("Saved", "Share of the plain schedule's steps"),
        Cell("Early stops", "Candidate trainings"),
        Cell("Warm starts", "Candidate trainings"),
        Cell("IQM", "Interquartile mean of the candidates' best validation log growths"),
        "Interval",
        Cell("Against plain", "Whether its interval of validations overlaps plain's"),
        Cell("Out of sample", "Return of the stitched account"),
    ]
    return table("Variants", head, [_row(each) for each in variants], "numbers dense sortable")


def _row(each: Variant) -> list[Cell | str]:
    clock, steps, found, against = each.timing, each.steps, each.validation, each.against_plain
    apart = ""
    if against is not None:
        away = against.difference
        apart = f"Difference {growth(away.iqm)}, {bounds(away.low, away.high) or 'no interval'}"
    return [
        each.variant,
        _sorted(duration(clock.seconds), clock.seconds),
        _sorted(times(clock.speedup_against_plain), clock.speedup_against_plain),
        _sorted(duration(clock.seconds_per_iteration), clock.seconds_per_iteration),
        _sorted(count(clock.compilations), clock.compilations),
        _sorted(count(steps.done), steps.done),
        share(steps.saved, steps.plain),
        f"{each.early_stops:,}",
        f"{each.warm_starts:,}",
        _sorted(growth(found.iqm), found.iqm),
        _sorted(bounds(found.low, found.high) or UNDEFINED, found.low),
        Cell(quality(each), apart),
        _return(each),
    ]


def _sorted(shown: str, value: float | None) -> Cell:
    return Cell(shown, sort="" if value is None else value)


def _charts(variants: list[Variant]) -> Charts:
    """Return the intervals of the validations, and the times: a line of the page for each variant."""
    charts = Charts()
    rows = [each for each in variants if each.validation.iqm is not None]
    names: Spec = axis(type="category", autorange="reversed")
    if rows:
        shapes = [_band(each.validation) for each in rows if each.variant == PLAIN]
        layout: Spec = {"xaxis": axis("Log growth", ".3~f"), "yaxis": names, "height": _height(rows)}
        layout |= {"hovermode": "closest", "shapes": [each for each in shapes if each]}
        charts.add("quality", [_points(rows)], layout)
    if variants:
        seconds = [each.timing.seconds or 0.0 for each in variants]
        bar: Spec = {"type": "bar", "orientation": "h", "name": "Seconds", "y": _names(variants)}
        bar |= {"x": short(seconds, 6), "marker": {"color": "--policy"}, "text": [duration(each) for each in seconds]}
        bar |= {"textposition": "auto", "hovertemplate": "%{y}: %{text}<extra></extra>"}
        layout = {"xaxis": axis("Seconds", ",~s"), "yaxis": names, "height": _height(variants), "bargap": 0.35}
        charts.add("time", [bar], layout | {"hovermode": "closest"})
    return charts


def _height(rows: list[Variant]) -> int:
    return 90 + 32 * len(rows)


def _names(variants: list[Variant]) -> list[str]:
    return [label(each.variant.replace("-", " ")) for each in variants]


def _points(rows: list[Variant]) -> Spec:
    found = [(each.validation.iqm or 0.0, each.validation.low, each.validation.high) for each in rows]
    error: Spec = {"type": "data", "symmetric": False, "color": "--policy", "thickness": 1.8, "width": 6}
    error["array"] = [None if high is None else high - middle for middle, _, high in found]
    error["arrayminus"] = [None if low is None else middle - low for middle, low, _ in found]
    point: Spec = {"type": "scatter", "mode": "markers", "name": "IQM", "y": _names(rows), "error_x": error}
    point |= {"x": short([middle for middle, _, _ in found], 6), "marker": {"size": 10, "color": "--policy"}}
    return point | {"hovertemplate": "%{y}: %{x:+.4f}<extra></extra>"}


def _band(found: _Interval) -> Spec:
    """Return the shaded interval of plain, nothing where it has none."""
    if found.low is None or found.high is None:
        return {}
    place: Spec = {"type": "rect", "yref": "paper", "y0": 0, "y1": 1, "x0": found.low, "x1": found.high}
    return place | {"layer": "below", "line": {"width": 0}, "fillcolor": "--policy-soft"}


def _folders(found: Benchmark) -> str:
    return facts("What was run", {"data": found.data} | {each.variant: each.folder for each in found.variants})
