"""What `train.compare` reads of a run or a programme: its files, never its checkpoints."""

import csv
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from jaxtrade.errors import InputError
from train.programme.read import SUMMARY, read_summary

Span = tuple[str, str]  # times of the first and last bar
DAMAGED = "Name another run, or train it anew"


class Run(NamedTuple):
    """A run of train.ppo, or a programme, as its files tell it."""

    name: str
    kind: str  # run, programme
    finished: bool
    data: str
    data_sha256: str
    network: str
    seeds: list[int]
    iterations: int
    candidates: int
    steps: int  # done, all candidates together
    saved: int | None  # of the plain schedule
    seconds: float | None  # wall clock
    speedup: float | None  # over the plain schedule, as the programme estimates it
    best: float | None  # validation log growth of the best update; of a programme the mean of its winners
    iqm: float | None
    low: float | None
    high: float | None
    validated: tuple[Span, ...]
    total_return: float | None  # out of sample
    log_growth: float | None
    sharpe: float | None
    max_drawdown: float | None
    traded: Span | None
    verdict: str | None


def read_runs(paths: Sequence[Path]) -> list[Run]:
    """Return the runs of folders, on the same data.

    Raises:
        InputError: One is no run, damaged, given twice, or on other data than the first.
    """
    runs = [read_run(path, name) for path, name in zip(paths, names_of(paths), strict=True)]
    for run in runs[1:]:
        if run.data_sha256 != runs[0].data_sha256:
            what = f"is on other data than {runs[0].name}: {run.data} and {runs[0].data}, whose bars differ"
            raise InputError(run.name, what, "Compare runs on the same data")
    return runs


def names_of(paths: Sequence[Path]) -> list[str]:
    """Return short names; the paths as they were given where these are alike.

    Raises:
        InputError: A run is given twice.
    """
    places = [path.resolve() for path in paths]
    for number, place in enumerate(places):
        if place in places[:number]:
            raise InputError(paths[number], "is given twice", "Name each run once")
    short = [place.name for place in places]
    return short if len(set(short)) == len(short) else [str(path) for path in paths]


def read_run(path: Path, name: str) -> Run:
    """Return what the files of a folder tell.

    Raises:
        InputError: It is no run, has not begun, or is damaged.
    """
    if not (path / "config.yaml").is_file():
        raise InputError(path, "no run here: config.yaml is missing", "Name a folder under runs/")
    try:
        config = yaml.safe_load((path / "config.yaml").read_text(encoding="utf-8"))
        if isinstance(config["env"], str):
            raise InputError(path, f"is a run on {config['env']}, which has no market", "Name runs on price bars")
        programme = "iterations" in config or (path / SUMMARY).exists()
        marks = _json(path / "fingerprint.json")
        return _programme(path, name, marks) if programme else _single(path, name, config, marks)
    except (OSError, LookupError, AttributeError, TypeError, ValueError, yaml.YAMLError) as error:
        if isinstance(error, InputError):
            raise
        why = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(path, f"its files cannot be read ({why})", DAMAGED) from None


def _programme(path: Path, name: str, marks: dict[str, Any]) -> Run:
    found = read_summary(path)
    rows, totals, made = found.iterations, found.totals, found.honesty and found.honesty.out_of_sample
    winners = [row.winner.log_growth for row in rows if row.winner.log_growth is not None]
    return Run(
        name=name,
        kind="programme",
        finished=found.finished,
        data=found.data,
        data_sha256=marks["data_sha256"],
        network=found.network,
        seeds=sorted(set(found.seeds)),
        iterations=len(rows),
        candidates=found.candidates,
        steps=totals.steps.done,
        saved=totals.steps.saved,
        seconds=totals.timing.seconds,
        speedup=totals.timing.speedup,
        best=sum(winners) / len(winners) if winners else None,
        **totals.validation.model_dump(include={"iqm", "low", "high"}),
        validated=tuple(row.ranges.validation for row in rows),
        total_return=made and made.total_return,
        log_growth=made and made.log_growth,
        sharpe=made and made.sharpe,
        max_drawdown=made and made.max_drawdown,
        traded=(made.begin, made.until) if made else None,
        verdict=found.honesty and found.honesty.verdict,
    )


def _single(path: Path, name: str, config: dict[str, Any], marks: dict[str, Any]) -> Run:
    rows = _table(path / "metrics.csv")
    if not rows:
        raise InputError(path, "its metrics.csv holds no update", "Let the first chunk of updates end")
    grown = [_number(row.get("validation_log_growth")) for row in rows]
    validation = marks["ranges"].get("validation")
    made = _backtest(path / "backtest" / "test" / "metrics.json")
    figures = made["policy"] if made else {}
    total = figures.get("total_return")
    return Run(
        name=name,
        kind="run",
        finished=(path / "policy.npz").is_file(),
        data=config["data"],
        data_sha256=marks["data_sha256"],
        network=config["network"]["kind"],
        seeds=[config["seed"]],
        iterations=1,
        candidates=1,
        steps=int(float(rows[-1]["timesteps"])),
        saved=None,
        seconds=_seconds(path),
        speedup=None,
        best=max((each for each in grown if each is not None), default=None),
        iqm=None,
        low=None,
        high=None,
        validated=(tuple(validation),) if validation else (),
        total_return=total,
        log_growth=math.log1p(total) if total is not None and total > -1 else None,
        sharpe=figures.get("sharpe"),
        max_drawdown=figures.get("max_drawdown"),
        traded=(made["calendar"]["first"], made["calendar"]["last"]) if made else None,
        verdict=made["honesty"]["verdict"] if made else None,
    )


def _backtest(path: Path) -> Any:
    """Return metrics.json of the test range, None where it was never opened."""
    from eval_bridge.files import SCHEMA

    if not path.is_file():
        return None
    found = _json(path)
    if found.get("schema_version") != SCHEMA:
        raise InputError(path, "is of another version", "Run the backtest again")
    return found


def _seconds(path: Path) -> float | None:
    """Return the wall clock of a run: all of it where it ran in one go, else that of its updates."""
    performance = path / "performance.json"
    if performance.is_file():
        found = _json(performance)
        if found["updates"]["from"] == 0:
            return float(found["seconds"]["total"])
    taken = [_number(row["seconds"]) or 0.0 for row in _table(path / "timing.csv")]
    return sum(taken) if taken else None


def _table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _number(text: str | None) -> float | None:
    value = float(text) if text else math.nan
    return value if math.isfinite(value) else None


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def speedup(run: Run, reference: Run) -> float | None:
    """Return how much faster a run was than another over the same windows; None while one of them is unfinished."""
    same = run.validated == reference.validated and run.finished and reference.finished
    return reference.seconds / run.seconds if same and reference.seconds and run.seconds else None


def against(run: Run, reference: Run) -> str:
    """Return how the validation interval of a run stands to that of another, on the same windows, in a word."""
    if run.validated != reference.validated:
        return "other bars"
    if run.low is None or run.high is None or reference.low is None or reference.high is None:
        return "-"
    if run.low > reference.high:
        return "better"
    return "worse" if run.high < reference.low else "overlaps"


def record_of(runs: Sequence[Run]) -> dict[str, Any]:
    """Return the comparison as JSON has it."""
    first = runs[0]
    beside = [{"against_first": against(run, first), "speedup_on_first": speedup(run, first)} for run in runs]
    return {"schema": 1, "runs": [run._asdict() | more for run, more in zip(runs, beside, strict=True)]}
