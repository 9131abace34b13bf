"""Set the backtests of several runs over the same bars beside each other: figures, evidence, and overlaid curves.

python -m eval_bridge.compare RUN RUN ... [--split test] [--out FOLDER]
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from eval_bridge.turns import OUT_OF_SAMPLE
from jaxtrade.command import CommandParser
from jaxtrade.errors import InputError, run_command
from jaxtrade.market.splits import SPLITS

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from eval_bridge.evaluation import Comparison

PROG = "python -m eval_bridge.compare"
HOLD = "buy_and_hold"
SAME = ("data_sha256", "split", "fill")  # rows of `about` that must not differ
STATED = ("symbols", "data", "data_sha256", "split", "costs", "delay", "lots", "fill")  # rows that the page repeats
COLUMNS = ("total_return", "annual_return", "sharpe", "max_drawdown", "turnover_per_year")
HEADS = ("return", "annual", "Sharpe", "drawdown", "turnover")
NAME, COLUMN = 24, 11  # characters of the first column, and of each of the others


class Run(NamedTuple):
    """A backtest as its files tell it."""

    name: str
    folder: Path
    metrics: dict[str, Any]
    time: "npt.NDArray[np.datetime64]"  # [K + 1]
    equity: "npt.NDArray[np.float64]"  # [K + 1]
    hold: "npt.NDArray[np.float64]"  # [K + 1] equity of buy and hold


def main() -> int:
    """Run the command; the entry point of `jaxtrade-compare`."""
    return run_command(command)


def command(argv: list[str]) -> int:
    """Compare, write the folder, print the table."""
    args = _parser().parse(argv)
    paths = [Path(each) for each in args.runs]
    if len(paths) < 2:
        raise InputError(PROG, "one run", "Name two at least")
    folders = [backtest_folder(path, args.split) for path in paths]

    from eval_bridge.files import replace_files, require_writable, write_json
    from eval_bridge.report import render_comparison

    out = Path(args.out) if args.out else run_folder(folders[0]).parent / "comparison"
    require_writable(out)
    runs = [read_run(name, folder) for name, folder in zip(names_of(paths, folders), folders, strict=True)]
    found = compare(runs)

    def write(place: Path) -> None:
        write_json(place / "comparison.json", record_of(found))
        (place / "comparison.html").write_text(render_comparison(found), encoding="utf-8")

    replace_files(out, write, set())
    print(comparison_text(found))
    print(f"report: {out / 'comparison.html'}")
    return 0


def _parser() -> CommandParser:
    parser = CommandParser(PROG, "Set the backtests of several runs over the same bars beside each other.")
    parser.add_argument("runs", nargs="+", help="runs that were backtested, or folders that a backtest wrote")
    parser.add_argument("--split", choices=SPLITS, default="test", help="range of the runs (default: %(default)s)")
    parser.add_argument("--out", help="folder to write to (default: comparison, beside the first run)")
    return parser


def backtest_folder(path: Path, split: str) -> Path:
    """Return the folder of a backtest: the path itself, or that of a run's range, or of a programme.

    Raises:
        InputError: There is none.
    """
    places = [path, path / "backtest" / split]
    places += [path / OUT_OF_SAMPLE] if split == "test" else []
    for folder in places:
        if (folder / "metrics.json").is_file():
            return folder
    remedy = f"Run python -m eval_bridge.backtest {path} --split {split}"
    raise InputError(path, f"holds no backtest of the {split} range", remedy)


def run_folder(folder: Path) -> Path:
    """Return the run that a backtest's folder lies in, or that folder."""
    folder = folder.resolve()
    if folder.name == OUT_OF_SAMPLE:
        return folder.parent
    return folder.parent.parent if folder.parent.name == "backtest" else folder


def names_of(paths: Sequence[Path], folders: Sequence[Path]) -> list[str]:
    """Return short names of the runs; the paths as they were given where these are alike.

    Raises:
        InputError: A run is given twice.
    """
    places = [folder.resolve() for folder in folders]
    for number, place in enumerate(places):
        if place in places[:number]:
            raise InputError(paths[number], "is given twice", "Name each run once")
    short = [run_folder(folder).name for folder in folders]
    return short if len(set(short)) == len(short) else [str(path) for path in paths]


def read_run(name: str, folder: Path) -> Run:
    """Read the files of a backtest.

    Raises:
        InputError: They are missing, damaged, or of another version.
    """
    from eval_bridge.files import SCHEMA, read_table

    try:
        metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        version = metrics["schema_version"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        what = f"cannot be read ({type(error).__name__})"
        raise InputError(folder / "metrics.json", what, "Run the backtest again") from None
    if version != SCHEMA:
        what = f"has schema {version}, this version reads {SCHEMA}"
        raise InputError(folder / "metrics.json", what, "Run the backtest again")
    equity, baselines = read_table(folder, "equity"), read_table(folder, "baselines")
    values = equity["equity"].to_numpy(), baselines[HOLD].to_numpy()
    return Run(name, folder, metrics, equity["time"].to_numpy(), *values)


def compare(runs: Sequence[Run]) -> "Comparison":
    """Return the comparison of runs over the same bars.

    The curve of a ruined account goes on flat to the end of the others'.

    Raises:
        InputError: A run is on other data or other bars than the first.
    """
    from eval_bridge.evaluation import Comparison
    from eval_bridge.honesty.superior import superior
    from eval_bridge.metrics import returns_of

    longest = max(runs, key=lambda run: len(run.time))
    for run in runs:
        _require_same(run, longest)
    equity = {run.name: _padded(run.equity, len(longest.time)) for run in runs}
    returns = {name: returns_of(each) for name, each in equity.items()}
    return Comparison(
        names=tuple(run.name for run in runs),
        time=longest.time,
        equity=equity | {HOLD: longest.hold},
        figures={run.name: run.metrics["policy"] for run in runs} | {HOLD: longest.metrics["baselines"][HOLD]},
        honesty={run.name: run.metrics["honesty"] for run in runs},
        superior=superior(returns, returns_of(longest.hold)),
        about=_about(runs, longest),
    )


def _require_same(run: Run, other: Run) -> None:
    mine, theirs = run.metrics["about"], other.metrics["about"]
    for row in SAME:
        if mine[row] != theirs[row]:
            what = f"differs from {other.name} in {row}: {mine[row]} and {theirs[row]}"
            raise InputError(run.name, what, "Compare runs over the same bars")
    ends = run.metrics["policy"].get("ruined") or len(run.time) == len(other.time)
    if not ends or list(run.time) != list(other.time[: len(run.time)]):
        spans = [_span(each) for each in (run, other)]
        what = f"trades other bars than {other.name}: {spans[0]}, and {spans[1]}"
        raise InputError(run.name, what, "Compare runs over the same bars")


def _span(run: Run) -> str:
    first, last = (str(time)[:10] for time in run.time[[0, -1]])
    return f"{len(run.time) - 1} from {first} to {last}"


def _padded(equity: "npt.NDArray[np.float64]", length: int) -> "npt.NDArray[np.float64]":
    import numpy as np

    return np.concatenate([equity, np.full(length - len(equity), equity[-1])])


def _about(runs: Sequence[Run], longest: Run) -> dict[str, str]:
    """Return what was run: one row where all runs agree, else one for each run."""
    rows = {"bars": _span(longest), "benchmark": f"buy and hold as in {longest.name}"}
    for row in STATED:
        texts = {run.name: str(run.metrics["about"][row]) for run in runs}
        same = len(set(texts.values())) == 1
        rows |= {row: texts[runs[0].name]} if same else {f"{row} of {name}": text for name, text in texts.items()}
    return rows


def record_of(comparison: "Comparison") -> dict[str, Any]:
    """Return what comparison.json holds."""
    runs = {
        name: {"figures": comparison.figures[name], "honesty": comparison.honesty[name]} for name in comparison.names
    }
    hold = comparison.figures[HOLD]
    return {"schema_version": 1, "about": comparison.about, "runs": runs, HOLD: hold, "superior": comparison.superior}


def comparison_text(comparison: "Comparison") -> str:
    """Return the table of the runs, the verdict of each, and whether the best of them beats buy and hold."""
    from eval_bridge.metrics import FIGURES
    from eval_bridge.report.figures import format_figure

    lines = [" " * NAME + "".join(f"{head:>{COLUMN}}" for head in (*HEADS, "p-value", "DSR"))]
    for name in (*comparison.names, HOLD):
        figures, judged = comparison.figures[name], comparison.honesty.get(name, {})
        cells = [format_figure(figures.get(each), FIGURES[each].kind) for each in COLUMNS]
        cells += [_share(judged.get(each)) for each in ("p_value", "deflated_sharpe")]
        title = "buy and hold" if name == HOLD else name
        lines.append(f"{title[: NAME - 1]:{NAME}}" + "".join(f"{cell:>{COLUMN}}" for cell in cells))
    lines += ["", *(f"{name}: {comparison.honesty[name]['verdict']}" for name in comparison.names), ""]
    return "\n".join([*lines, superior_text(comparison.superior)])


def superior_text(superior: dict[str, Any]) -> str:
    """Return the test of all runs together, in a line."""
    what = "superior predictive ability over buy and hold (the best of these runs, chosen with hindsight)"
    if superior["undefined"]:
        return f"{what}: not defined, {superior['undefined']}"
    return f"{what}: p = {superior['p_value']:.3g}, best: {superior['best']}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


if __name__ == "__main__":
    sys.exit(main())
