"""The tables of a programme's iterations and candidates."""

from itertools import groupby
from statistics import median
from typing import Any

from eval_bridge.report.figures import UNDEFINED
from eval_bridge.report.markup import Cell, note, table
from train.programme.page_words import bounds, coloured, count, duration, growth, number, of, share, span
from train.programme.schema import CandidateResult, Iteration, Summary

CANDIDATES = 2000  # rows of the table of candidates
ITERATION_HEAD = (
    "#",
    "Traded out of sample",
    Cell("Out of sample", "Log growth of the stitched account while this window's winner decided"),
    Cell("Sharpe", "Sharpe ratio a year, out of sample"),
    Cell("Draw-down", "Largest, out of sample"),
    Cell("Trades", "Out of sample"),
    Cell("Winner", "Validation log growth of the best candidate, whose policy trades out of sample: stateful backtest"),
    Cell("IQM", "Interquartile mean of the candidates' best validation log growths"),
    Cell("Interval", "Of the interquartile mean"),
    Cell("Start", "warm: with the best policy so far. cold: with fresh parameters"),
    Cell("Phase", "Of the schedule: how fast it learns and explores"),
    Cell("Steps", "Done, all candidates together"),
    Cell("Saved", "Share of the plain schedule's steps that were not needed"),
    Cell("Stopped", "Candidates that were stopped early"),
    Cell("Time", "Wall clock"),
)


def iterations(summary: Summary) -> str:
    """Return the table with one row an iteration; report.js sorts it."""
    rows = summary.iterations
    if not rows:
        return note("No iteration is done yet.")
    grown = [abs(row.out_of_sample.log_growth or 0.0) for row in rows if row.out_of_sample]
    most = max(grown, default=0.0)
    why = "This window's policy traded nothing of the stitched account" if summary.finished else "Not finished"
    body = [_iteration(row, most, why) for row in rows]
    return table("Iterations", ITERATION_HEAD, body, "numbers dense sortable words-2")


def _iteration(row: Iteration, most: float, why: str) -> list[Cell | str]:
    ranges, made, winner = row.ranges, row.out_of_sample, row.winner
    where = f"Trained {span(ranges.train)}, validated {span(ranges.validation)}. Run folder: {row.folder}"
    best = f"Candidate {winner.candidate}, seed {_seed(row, winner.candidate)}, update {winner.update}"
    if made is None:
        traded = [Cell(UNDEFINED, why, sort="")] * 4
    else:
        held = Cell(UNDEFINED, sort="") if made.trades is None else Cell(f"{made.trades:,}")
        traded = [coloured(made.log_growth, most), number(made.sharpe), number(made.max_drawdown, "percent"), held]
    return [
        str(row.iteration),
        Cell(span(ranges.test), where, sort=ranges.test[0]),
        *traded,
        Cell(growth(winner.exact_log_growth), best, sort=_sort(winner.exact_log_growth)),
        Cell(growth(row.validation.iqm), sort=_sort(row.validation.iqm)),
        Cell(bounds(row.validation.low, row.validation.high) or UNDEFINED, sort=_sort(row.validation.low)),
        row.start,
        Cell(row.phase, _knobs(row)) if row.phase else Cell(UNDEFINED, "No schedule of phases", sort=""),
        Cell(count(row.steps.done), f"{row.updates.done} updates of {row.updates.plain}", sort=row.steps.done),
        Cell(share(row.steps.saved, row.steps.plain)),
        of(row.early_stopped, len(row.candidates)),
        Cell(duration(row.timing.seconds), _compiled(row.timing.compilations), sort=_sort(row.timing.seconds)),
    ]


def _compiled(programs: int | None) -> str:
    return f"{programs or 0} program{'' if programs == 1 else 's'} compiled"


def _sort(value: float | None) -> float | str:
    return "" if value is None else value


def _seed(row: Iteration, candidate: int) -> str:
    return next((str(each.seed) for each in row.candidates if each.candidate == candidate), UNDEFINED)


def _knobs(row: Iteration) -> str:
    knobs = row.knobs
    return f"Learning rate x{knobs.learning_rate:g}, entropy weight x{knobs.entropy_weight:g}, epochs {knobs.epochs}"


def phases(summary: Summary) -> str:
    """Return the phases that were gone through, where there are any."""
    rows = []
    for (name, *knobs), group in groupby(summary.iterations, key=lambda row: (row.phase, *row.knobs)):
        numbers = [row.iteration for row in group]
        shown = [f"x{value:g}" for _, value in knobs[:2]] + [str(knobs[2][1])]
        where = str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"
        rows.append([name or UNDEFINED, where, *shown])
    if not any(row.phase for row in summary.iterations):
        return ""
    head = ["Phase", "Iterations", "Learning rate", "Entropy weight", "Epochs"]
    return table("Phases", head, rows, "numbers narrow")


def candidates(summary: Summary) -> str:
    """Return every candidate of every iteration, folded."""
    made = [(row, each) for row in summary.iterations for each in row.candidates]
    if not made:
        return ""
    varied = any(summary.settings)
    head: list[Any] = [
        "Iteration",
        "Candidate",
        "Settings",
        "Seed",
        "Validation",
        "At update",
        "Validations",
        "Stopped at",
    ]
    body = [_candidate(row, each) for row, each in made[:CANDIDATES]]
    if not varied:
        head, body = [each for each in head if each != "Settings"], [[*row[:2], *row[3:]] for row in body]
    found = table("All candidates", head, body, f"numbers dense sortable words-{3 if varied else 2}")
    cut = note(f"{len(made) - CANDIDATES:,} more are in programme_summary.json.") if len(made) > CANDIDATES else ""
    return f"<details><summary>All {len(made):,} candidate trainings</summary>{found}{cut}</details>"


def _candidate(row: Iteration, each: CandidateResult) -> list[Cell | str]:
    won = each.candidate == row.winner.candidate
    name = Cell(f"{each.candidate}, winner", sort=each.candidate) if won else Cell(str(each.candidate))
    found = each.validation
    end = Cell(UNDEFINED, "It trained to the end", sort="") if each.stopped_at is None else Cell(str(each.stopped_at))
    return [
        str(row.iteration),
        name,
        settings_text(each.settings),
        str(each.seed),
        Cell(growth(found.log_growth), sort=_sort(found.log_growth)),
        UNDEFINED if found.update is None else str(found.update),
        str(found.validations),
        end,
    ]


def settings_text(settings: dict[str, Any]) -> str:
    """Return what a candidate differs in."""
    return ", ".join(f"{key} {value}" for key, value in settings.items()) or UNDEFINED


def settings(summary: Summary) -> str:
    """Return the settings that were varied: how often each won, and its median validation."""
    names = list(dict.fromkeys(settings_text(each) for each in summary.settings))
    if len(names) < 2 or not summary.iterations:
        return ""
    rows = []
    for name in names:
        made = [
            (row, each) for row in summary.iterations for each in row.candidates if settings_text(each.settings) == name
        ]
        known = [each.validation.log_growth for _, each in made if each.validation.log_growth is not None]
        won = sum(each.candidate == row.winner.candidate for row, each in made)
        rows.append([name, f"{won} of {len(summary.iterations)}", growth(median(known) if known else None)])
    words = "Median: of the best validation log growth of each candidate training."
    return table("Settings", ["Setting", "Iterations won", "Median"], rows, "numbers narrow verbatim") + note(words)
