"""The files of an evaluation. They are written beside what lies there and take its place when all of them are whole."""

import errno
import json
import math
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from eval_bridge.describe import LEDGER_ROW
from eval_bridge.evaluation import Evaluation
from eval_bridge.metrics import FIGURES, calendar
from eval_bridge.stochastic import summary
from jaxtrade.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA = 1
FORMATS = ("csv", "parquet")
TABLES = ("equity", "baselines", "trades", "orders", "positions", "rewards", "stress", "stochastic")
TIME = "%Y-%m-%dT%H:%M:%S"


def write_evaluation(folder: Path, evaluation: Evaluation, format: str = "csv") -> Path:
    """Write metrics.json, provenance.json, the tables, report.html and plots/; return the report's path.

    Other files of the folder stay; those of an earlier evaluation are replaced, or removed where this one has none.

    Raises:
        InputError: The format is unknown, or the folder cannot be written; then all is as it was.
    """
    from eval_bridge.report import render_report, write_plots

    if format not in FORMATS:
        raise InputError("format", f"unknown table format '{format}'", did_you_mean(format, FORMATS))

    def write(place: Path) -> None:
        write_json(place / "metrics.json", metrics_of(evaluation))
        write_json(place / "provenance.json", evaluation.provenance)
        for name, table in tables_of(evaluation).items():
            write_table(place / f"{name}.{format}", table)
        (place / "report.html").write_text(render_report(evaluation), encoding="utf-8")
        (place / "plots").mkdir()
        write_plots(evaluation, place / "plots")

    stale = {f"{name}.{suffix}" for name in TABLES for suffix in FORMATS}
    replace_files(folder, write, stale)
    return folder / "report.html"


def metrics_of(evaluation: Evaluation) -> dict[str, Any]:
    """Return what metrics.json holds: nothing in it differs when the same backtest is repeated."""
    result = evaluation.result
    found: dict[str, Any] = {
        "schema_version": SCHEMA,
        "about": {name: text for name, text in evaluation.about.items() if name != LEDGER_ROW},
        "calendar": calendar(result.time),
        "initial_cash": result.capital,
        "policy": in_order(evaluation.figures),
        "undefined": dict(evaluation.undefined),
        "baselines": {name: in_order(each.figures) for name, each in evaluation.baselines.items()},
        "honesty": honesty_of(evaluation.honesty),
        "constraints": evaluation.constraints,
        "rewards": {str(name): float(column.sum()) for name, column in evaluation.rewards.items()},
    }
    if evaluation.stress is not None:
        multiple, bps = evaluation.break_even, evaluation.break_even_bps
        grid = evaluation.stress.to_dict("records")
        found["stress"] = {"break_even": multiple, "break_even_bps": bps, "grid": grid}
    if evaluation.stochastic is not None:
        found["stochastic"] = {"samples": len(evaluation.stochastic), "figures": summary(evaluation.stochastic)}
    return found


def honesty_of(honesty: dict[str, Any]) -> dict[str, Any]:
    """Return the judgement without the shifted Sharpe ratios one by one, which only the report draws."""
    null = honesty.get("shift_null")
    return honesty | ({"shift_null": {k: v for k, v in null.items() if k != "values"}} if null else {})


def in_order(figures: "Mapping[str, float]") -> dict[str, float]:
    """Return figures in the order of the catalog; those that it lacks follow."""
    return {name: figures[name] for name in (*FIGURES, *figures) if name in figures}


def tables_of(evaluation: Evaluation) -> dict[str, pd.DataFrame]:
    """Return the tables by the name of their file; a warning stands in every row of each."""
    tables, time = evaluation.tables, evaluation.result.time
    found = {
        "equity": tables.equity,
        "baselines": pd.DataFrame({"time": time, **{name: each.equity for name, each in evaluation.baselines.items()}}),
        "trades": tables.trades,
        "orders": tables.orders,
        "positions": tables.positions,
        "rewards": evaluation.rewards.reset_index(),  # by time
    }
    found |= {name: table for name in ("stress", "stochastic") if (table := getattr(evaluation, name)) is not None}
    if evaluation.warnings:
        found = {name: table.assign(warning="; ".join(evaluation.warnings)) for name, table in found.items()}
    return found


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table as its suffix says; CSV with ISO times, the shortest text of each number, and nothing for NaN."""
    if path.suffix == ".parquet":
        table.to_parquet(path, index=False)
    else:
        table.to_csv(path, index=False, date_format=TIME, lineterminator="\n", encoding="utf-8")


def read_table(folder: Path, name: str) -> pd.DataFrame:
    """Read a table of an evaluation, in whichever format it was written.

    Raises:
        InputError: It is missing or damaged.
    """
    parquet = folder / f"{name}.parquet"
    try:
        table = pd.read_parquet(parquet) if parquet.exists() else pd.read_csv(folder / f"{name}.csv")
        table["time"] = pd.to_datetime(table["time"])
    except (OSError, ValueError, KeyError) as error:
        what = f"table '{name}' cannot be read ({' '.join(str(error).split())})"
        raise InputError(folder, what, "Run the backtest again") from None
    return table


def write_json(path: Path, data: "Mapping[str, Any]") -> None:
    """Write JSON; what is not a finite number becomes null."""
    path.write_text(json.dumps(clean(data), indent=2, allow_nan=False) + "\n", encoding="utf-8")


def clean(value: Any) -> Any:
    """Return a value as JSON has it: NumPy numbers as plain ones, what is not finite as null."""
    if isinstance(value, dict):
        return {str(key): clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [clean(item) for item in value]
    if hasattr(value, "tolist"):  # of NumPy
        return clean(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def replace_files(folder: Path, write: Callable[[Path], None], stale: set[str]) -> None:
    """Let `write` fill a folder of its own, then put what it wrote into `folder` in place of what lay there.

    Args:
        folder: Where the files go; made if it is missing.
        write: Writes files and folders into the folder it is given.
        stale: Names of files to remove from `folder` unless `write` made them.

    Raises:
        InputError: Something cannot be written; then nothing has changed.
    """
    try:
        with _made(folder), tempfile.TemporaryDirectory(dir=folder, prefix=".writing-") as place:
            write(Path(place))
            made = sorted(Path(place).iterdir())
            for path in made:
                if path.is_dir() and (folder / path.name).is_file():
                    raise OSError(errno.ENOTDIR, f"'{path.name}' is a file there")
            for path in made:
                _move(path, folder / path.name)
            for name in stale - {path.name for path in made}:
                (folder / name).unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror
        raise InputError(folder, f"cannot be written ({reason})", "Free space, or choose another --out") from None


def require_writable(folder: Path) -> None:
    """Refuse a folder that cannot be written, before anything is done for it; nothing is left behind.

    Raises:
        InputError: It cannot be written.
    """
    replace_files(folder, lambda place: None, set())


@contextmanager
def _made(folder: Path) -> Iterator[None]:
    """Make a folder and those above it; if nothing comes into them they go again."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    finally:
        for each in missing:
            try:
                each.rmdir()
            except OSError:
                break  # something is in it, or it was never made


def _move(source: Path, target: Path) -> None:
    """Put a file or a folder in the place of what lies there."""
    if source.is_dir():
        shutil.rmtree(target, ignore_errors=True)
    source.replace(target)
