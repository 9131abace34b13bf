"""Each switch of a programme changes what it says and nothing else; and one compilation serves all iterations.

The small programme with everything on is compared with one in which a single switch differs, from the same seeds.
"""

import json
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import pandas as pd
import pytest

from jaxtrade.envs.synthetic import random_bars
from tests.helpers.price_files import csv_lines, write_lines
from tests.helpers.programmes import run_programme, small_programme, summary_of
from train.compilation import Compilations
from train.programme.loop import Programme

pytestmark = pytest.mark.nightly

BASE: dict[str, Any] = {"timesteps_factor": 0.6, "patience": 2}
SWITCHED: dict[str, dict[str, Any]] = {
    "all on": {},
    "all on, again": {},
    "no warm start": {"warm_start": False},
    "optimiser kept": {"warm_start_optimizer": True},
    "full length": {"adaptive_timesteps": False},
    "no early stop": {"early_stopping": False},
    "no phases": {"progressive": False},
    "phases of factor 1": {"schedule": "ones"},
    "no caching": {"caching": False},
    "exact validation": {"fast_evaluation": False},
}
ONES = "phases:\n- {name: first, until: 0.5}\n- {name: second, until: 1.0}\n"
CLOSE = 1e-4  # in log growth, between the compiled environment and the stateful backtester


class Ran(NamedTuple):
    """A programme that has run."""

    folder: Path
    summary: dict[str, Any]  # without `timing`

    def row(self, iteration: int) -> dict[str, Any]:
        """Return an iteration (from 1) of the summary, without what later ones decide."""
        row = self.summary["iterations"][iteration - 1]
        return {name: value for name, value in row.items() if name != "out_of_sample"}

    def metrics(self, iteration: int) -> pd.DataFrame:
        """Return metrics.csv of an iteration."""
        return pd.read_csv(self.folder / f"iteration-{iteration:02}" / "metrics.csv")


class Runs:
    """The programmes, each run when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._ran = folder, dict[str, Ran]()
        write_lines(folder / "ones.yaml", [ONES])

    def __getitem__(self, name: str) -> Ran:
        if name not in self._ran:
            changes = dict(SWITCHED[name])
            if "schedule" in changes:
                changes["schedule"] = str(self.folder / "ones.yaml")
            config = small_programme(self.folder, name.replace(" ", "-").replace(",", ""), **BASE | changes)
            folder = run_programme(config)
            self._ran[name] = Ran(folder, summary_of(folder))
        return self._ran[name]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(tmp_path_factory.mktemp("runs"))


def differing(one: Any, other: Any, place: str = "") -> set[str]:
    """Return the places in which two records differ; those of a list are one place."""
    if isinstance(one, dict) and isinstance(other, dict):
        return set().union(*(differing(one.get(k), other.get(k), f"{place}.{k}".strip(".")) for k in one | other))
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return set().union(*(differing(a, b, f"{place}[]") for a, b in zip(one, other, strict=True)))
    return set() if one == other else {place}


def told(runs: Runs, name: str) -> set[str]:
    """Print and return where a programme's summary differs from the one with everything on, but for name and luck.

    The trials that a ledger counts are those of all programmes in the folder.
    """
    found = differing(runs["all on"].summary, runs[name].summary)
    found = {place for place in found if not place.startswith("honesty.") or place.startswith("honesty.out_of_sample")}
    sys.stdout.write(f"{name}: {sorted(found - {'name'})}\n")
    return found - {"name"}


def same_rows(one: pd.DataFrame, other: pd.DataFrame, count: int, but: tuple[str, ...] = ()) -> None:
    """Require the first rows of two metrics.csv to be the same to the last bit."""
    for name in one.columns.union(other.columns):
        if name not in but:
            np.testing.assert_array_equal(one[name][:count], other[name][:count], err_msg=name)


def validations(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.filter(like="validation_log_growth")


def test_the_same_programme_again_is_the_same(runs: Runs) -> None:
    assert told(runs, "all on, again") == set()
    for iteration in (1, 2, 3):
        one, other = (runs[name].metrics(iteration) for name in ("all on", "all on, again"))
        same_rows(one, other, len(one))
        assert len(one) == len(other)


def test_everything_that_can_happen_happens(runs: Runs) -> None:
    rows = [runs["all on"].row(iteration) for iteration in (1, 2, 3)]
    assert [row["start"] for row in rows] == ["cold", "warm", "warm"]
    assert rows[0]["updates"]["planned"] > rows[1]["updates"]["planned"] > rows[2]["updates"]["planned"]
    assert sum(row["early_stopped"] for row in rows) > 0
    assert [row["phase"] for row in rows] == ["exploration", "refinement", "exploitation"]


def test_caching_changes_nothing(runs: Runs) -> None:
    assert told(runs, "no caching") == {"switches.caching"}
    for iteration in (1, 2, 3):
        one, other = (runs[name].metrics(iteration) for name in ("all on", "no caching"))
        assert len(one) == len(other)
        same_rows(one, other, len(one))
    timing = [
        [row["timing"]["compilations"] for row in read_summary(runs[name].folder)["iterations"][1:]]
        for name in ("all on", "no caching")
    ]
    assert timing[0] == [0, 0]
    assert min(timing[1]) > 0


def test_fast_evaluation_changes_validations_within_a_tolerance(runs: Runs) -> None:
    told(runs, "exact validation")
    one, other = runs["all on"].metrics(1), runs["exact validation"].metrics(1)
    columns = tuple(validations(one).columns)
    assert len(one) == len(other)
    same_rows(one, other, len(one), but=columns)
    worst = float(np.abs(one[list(columns)] - other[list(columns)]).max().max())
    sys.stdout.write(f"exact validation: at most {worst:.1e} in iteration 1\n")
    assert 0 < worst < CLOSE
    for iteration in (1, 2, 3):
        rows = [runs[name].row(iteration) for name in ("all on", "exact validation")]
        assert rows[0]["winner"]["log_growth"] == pytest.approx(rows[1]["winner"]["log_growth"], abs=CLOSE)
        assert rows[1]["winner"]["exact_log_growth"] == pytest.approx(rows[1]["winner"]["log_growth"], abs=1e-7)


def test_adaptive_timesteps_change_the_length_alone(runs: Runs) -> None:
    told(runs, "full length")
    assert runs["all on"].row(1) == runs["full length"].row(1)
    same_rows(runs["all on"].metrics(1), runs["full length"].metrics(1), 99)
    short, full = runs["all on"].row(2), runs["full length"].row(2)
    assert differing(short["updates"], full["updates"]) <= {"planned", "done"}
    assert full["updates"]["planned"] == full["updates"]["plain"] > short["updates"]["planned"]
    for name in ("ranges", "knobs", "start", "phase"):
        assert short[name] == full[name]
    one, other = runs["all on"].metrics(2), runs["full length"].metrics(2)
    same_rows(one, other, 1)  # the first update has the same learning rate, the next a larger one
    assert one["learning_rate"][1] < other["learning_rate"][1]


def test_early_stopping_changes_nothing_before_the_first_stop(runs: Runs) -> None:
    told(runs, "no early stop")
    one, other = runs["all on"].metrics(1), runs["no early stop"].metrics(1)
    stops = [each["stopped_at"] for each in runs["all on"].row(1)["candidates"] if each["stopped_at"]]
    same_rows(one, other, len(one), but=("running",))  # who has stopped trains on unheeded
    same_rows(one, other, min(stops, default=99) - 1)
    assert len(other) == runs["no early stop"].row(1)["updates"]["planned"] >= len(one)
    rows = [runs["no early stop"].row(iteration) for iteration in (1, 2, 3)]
    assert [row["early_stopped"] for row in rows] == [0, 0, 0]
    assert all(row["updates"]["done"] == row["updates"]["planned"] for row in rows)


def test_progressive_phases_change_the_knobs_alone(runs: Runs) -> None:
    assert "iterations[].knobs.entropy_weight" in told(runs, "no phases")
    for iteration in (1, 2, 3):
        row = runs["no phases"].row(iteration)
        assert row["knobs"] == {"learning_rate": 1.0, "entropy_weight": 1.0, "epochs": 2}
        assert row["phase"] is None
        mine = runs["all on"].row(iteration)
        assert mine["knobs"] != row["knobs"]
        for name in ("ranges", "start"):
            assert mine[name] == row[name]
    one, other = runs["all on"].metrics(1), runs["no phases"].metrics(1)
    assert one["entropy_weight"][0] == pytest.approx(2 * other["entropy_weight"][0])
    first = [name for name in one if name.startswith("episode")]  # of a rollout that no update came before
    same_rows(one[first], other[first], 1)
    found = differing(runs["no phases"].summary, runs["phases of factor 1"].summary)
    found = {place for place in found if not place.startswith("honesty.") or place.startswith("honesty.out_of_sample")}
    assert found == {"name", "schedule", "switches.progressive", "iterations[].phase"}


def test_warm_start_changes_nothing_in_the_first_iteration(runs: Runs) -> None:
    told(runs, "no warm start")
    told(runs, "optimiser kept")
    for name in ("no warm start", "optimiser kept"):
        assert runs["all on"].row(1) == runs[name].row(1)
        same_rows(runs["all on"].metrics(1), runs[name].metrics(1), 99)
    cold, warm, kept = (runs[name] for name in ("no warm start", "all on", "optimiser kept"))
    for iteration in (2, 3):
        assert (cold.row(iteration)["start"], warm.row(iteration)["start"]) == ("cold", "warm")
        for name in ("ranges", "knobs", "phase"):
            assert cold.row(iteration)[name] == warm.row(iteration)[name]
        assert cold.row(iteration)["updates"]["planned"] == warm.row(iteration)["updates"]["planned"]
    one, other = warm.metrics(2), kept.metrics(2)
    first = [name for name in one if name.startswith("episode")]
    same_rows(one[first], other[first], 1)  # the same policy begins
    assert one["loss"][0] != other["loss"][0] or one["grad_norm"][0] != other["grad_norm"][0]
    best = [each["validation"]["log_growth"] for each in warm.row(2)["candidates"]]
    assert min(best) >= max(warm_score(warm, kept))


def warm_score(one: Ran, other: Ran) -> list[float]:
    """Return the validation of what iteration 2 starts from, where a candidate was never better than that."""
    found = [each["validation"] for ran in (one, other) for each in ran.row(2)["candidates"]]
    return [each["log_growth"] for each in found if each["update"] == 0] or [-np.inf]


def read_summary(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "programme_summary.json").read_text(encoding="utf-8"))
    return found


THRICE = timedelta(hours=8)  # bars of a day: ranges of whole days differ in length


def odd_file(folder: Path) -> str:
    """Return a file of three bars a day, but for some days of one: windows of so many bars differ in length."""
    random = np.random.default_rng(4)
    header, *lines = csv_lines(random_bars(700, seed=21))
    hours = np.flatnonzero(random.random(1100) > 0.35)[:700]
    times = [(datetime(2000, 1, 3) + int(hour) * THRICE).isoformat() for hour in hours]
    bars = [f"{time},{line.split(',', 1)[1]}" for time, line in zip(times, lines, strict=True)]
    return str(write_lines(folder / "odd.csv", [header, *bars]))


@pytest.mark.parametrize("kind", ["rolling", "expanding", "fixed"])
def test_one_compilation_for_the_whole_programme(tmp_path: Path, kind: str) -> None:
    data = odd_file(tmp_path)
    market = {"interval": 8 * 3600}
    for name, changes in {"warm": {}, "cold": {"warm_start": False}}.items():
        config = small_programme(tmp_path, name, data=data, market=market, windows={"kind": kind}, **changes)
        counted, report = list[int](), Programme._report

        def count(self: Programme, results: Any, counted: list[int] = counted, report: Any = report) -> None:
            counted.append(self._compilations.total)
            report(self, results)

        with mock.patch.object(Programme, "_report", count), Compilations():
            folder = run_programme(config)
        rows = read_summary(folder)["iterations"]
        spans = [json.loads((folder / row["folder"] / "result.json").read_text())["spans"] for row in rows]
        lengths = {each: [span[each][1] - span[each][0] for span in spans] for each in ("train", "validation", "test")}
        sys.stdout.write(f"{kind}, {name}: {lengths}, compiled {counted}\n")
        assert kind == "fixed" or all(len(set(each)) > 1 for each in lengths.values())
        assert [row["timing"]["compilations"] for row in rows[1:]] == [0, 0]
        assert counted[1:] == [counted[0]] * 2  # nothing at all, in or between the iterations
        assert name == "warm" or counted == [0, 0, 0]  # what a warm start compiled serves a cold one
