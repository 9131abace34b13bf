"""Set training runs side by side: `python -m train.compare RUN RUN [RUN ...] [--json FILE]`.

Runs of train.ppo and programmes of train.programme, on the same data: what they cost, what they reached in validation
and what they did out of sample. Backtests of single runs are compared by `python -m eval_bridge.compare`.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from train.compared import Run

PROG = "python -m train.compare"
NAME, COLUMN = 28, 34  # characters of the first column, and the most of each of the others


def main() -> int:
    """Run the command; the entry point of `jaxtrade-train-compare`."""
    from jaxtrade.errors import run_command

    return run_command(command)


def command(argv: list[str]) -> int:
    """Compare, write the JSON file if one is wanted, print the table."""
    from jaxtrade.command import CommandParser
    from jaxtrade.errors import InputError

    parser = CommandParser(PROG, "Set training runs and programmes on the same data side by side.")
    parser.add_argument("runs", nargs="+", help="folders of train.ppo or train.programme; the first is the reference")
    parser.add_argument("--json", metavar="FILE", help="file to write the comparison to as well")
    args = parser.parse(argv)
    paths = [Path(each) for each in args.runs]
    if len(paths) < 2:
        raise InputError(PROG, "one run", "Name two at least")

    from train.compared import read_runs, record_of

    runs = read_runs(paths)
    if args.json:
        _write(Path(args.json), record_of(runs))
    print(comparison_text(runs))
    return 0


def _write(path: Path, record: dict[str, object]) -> None:
    import json

    from eval_bridge.files import clean
    from train.programme.page import write_text

    write_text(path, json.dumps(clean(record), indent=2, allow_nan=False) + "\n")


def comparison_text(runs: "Sequence[Run]") -> str:
    """Return the table, a column a run; below it what cannot be compared, and the verdicts."""
    table = _rows(runs)
    widths = [min(COLUMN, max(len(row[n]) for row in table)) + 2 for n in range(1, len(runs) + 1)]
    lines = []
    for title, *cells in table:
        shown = "".join(f"{_cut(cell):>{width}}" for cell, width in zip(cells, widths, strict=True))
        lines.append(f"{title:{NAME}}{shown}".rstrip())
    notes = []
    if any(run.validated != runs[0].validated for run in runs):
        notes.append(f"* validated on other bars than {runs[0].name}: the figures say nothing about each other")
    traded = [run for run in runs if run.traded]
    if any(run.traded != traded[0].traded for run in traded):
        notes.append(f"+ traded other bars than {traded[0].name}: the figures say nothing about each other")
    verdicts = [f"{run.name}: {run.verdict}" for run in runs if run.verdict]
    return "\n\n".join("\n".join(part) for part in (lines, notes, verdicts) if part)


def _cut(cell: str, most: int = COLUMN) -> str:
    return cell if len(cell) <= most else f"{cell[: most - 3]}..."


def _rows(runs: "Sequence[Run]") -> list[list[str]]:
    """Return the table: the title of each row, and its cell for each run."""
    from train.compared import against, speedup
    from train.programme.page_words import count, duration, share, times

    first = runs[0]
    columns = {
        "": [run.name for run in runs],
        "kind": [f"{run.kind}{'' if run.finished else ', not finished'}" for run in runs],
        "data": [run.data for run in runs],
        "network": [run.network for run in runs],
        "iterations x candidates": [f"{run.iterations} x {run.candidates}" for run in runs],
        "steps": [count(run.steps) for run in runs],
        "steps saved": ["-" if run.saved is None else share(run.saved, run.steps + run.saved) for run in runs],
        "wall-clock": [duration(run.seconds) for run in runs],
        f"  faster than {first.name}": [times(speedup(run, first)) for run in runs],
        "  than its plain, estimated": [times(run.speedup) for run in runs],
        **_validated(runs),
        f"  against {first.name}": ["-", *(against(run, first) for run in runs[1:])],
        **_traded(runs),
    }
    return [[_cut(title, NAME - 1), *cells] for title, cells in columns.items()]


def _validated(runs: "Sequence[Run]") -> dict[str, list[str]]:
    """Return the rows of the validation; a star marks windows that are not those of the first run."""
    from train.programme.page_words import bounds, growth

    def marked(shown: str, run: "Run") -> str:
        return shown if shown == "-" or run.validated == runs[0].validated else f"{shown} *"

    return {
        "validation, best": [marked(growth(run.best), run) for run in runs],
        "validation, IQM": [marked(growth(run.iqm), run) for run in runs],
        "  95% interval": [marked(bounds(run.low, run.high) or "-", run) for run in runs],
    }


def _traded(runs: "Sequence[Run]") -> dict[str, list[str]]:
    """Return the rows of the test ranges; a plus marks bars that are not those of the first run that traded."""
    from eval_bridge.report.figures import format_figure

    bars = next((run.traded for run in runs if run.traded), None)

    def marked(value: float | None, kind: str, run: "Run") -> str:
        return format_figure(value, kind) + ("" if value is None or run.traded == bars else " +")

    return {
        "out of sample, return": [marked(run.total_return, "percent", run) for run in runs],
        "out of sample, Sharpe": [marked(run.sharpe, "ratio", run) for run in runs],
        "out of sample, drawdown": [marked(run.max_drawdown, "percent", run) for run in runs],
    }


if __name__ == "__main__":
    sys.exit(main())
