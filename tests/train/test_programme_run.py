"""What a programme leaves: its windows, its iterations as ordinary runs, one backtest of all winners, and its accounts.

All of it is asked of a programme of random policies, and at night of programmes that trained.
"""

import hashlib
import json
from collections.abc import Callable
from itertools import chain, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import yaml

import eval_bridge.backtest
from eval_bridge.bundle import load_bundle
from eval_bridge.turns import read_turns, spans_of
from jaxtrade import trials
from jaxtrade.market.windows import prepare
from tests.helpers.programmes import run_programme, small_programme
from tests.helpers.untrained import RANGES, run_untrained
from train.config import TrainConfig
from train.programme.config import ProgrammeConfig
from train.programme.read import parse_summary

PURGE, EMBARGO = 3, 4
APART = {"purge": PURGE, "embargo": EMBARGO}
LOOSE = 1e-4  # between the compiled environment in float32 and the stateful backtester in float64
COSTS = {"vary": {"env.costs.buy_percent": [0.05, 0.4]}, "candidates": 4}
CASES: dict[str, tuple[Callable[[ProgrammeConfig], Path], dict[str, Any]]] = {
    "untrained": (run_untrained, {}),
    "rolling": (run_programme, {}),
    "expanding": (run_programme, {"windows": APART | {"kind": "expanding"}}),
    "fixed": (run_programme, {"windows": APART | {"kind": "fixed"}}),
    "several costs": (run_programme, COSTS),
    "one candidate": (run_programme, {"candidates": 1}),
}
NIGHTLY = [pytest.param(name, marks=pytest.mark.nightly) for name in CASES if name != "untrained"]


class Case(NamedTuple):
    """A programme that has run."""

    run: Path
    config: ProgrammeConfig
    summary: dict[str, Any]
    time: np.ndarray  # [T] of all bars

    @property
    def rows(self) -> list[dict[str, Any]]:
        return list(self.summary["iterations"])

    @property
    def fixed(self) -> bool:
        return self.config.windows.kind == "fixed"

    def result(self, number: int) -> dict[str, Any]:
        """Return result.json of an iteration (from 1)."""
        return read_json(self.run / f"iteration-{number:02}" / "result.json")

    def spans(self, name: str) -> list[list[int]]:
        """Return the first and last bar of a range in each iteration."""
        return [self.result(row["iteration"])["spans"][name] for row in self.rows]


def read_json(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module", params=["untrained", *NIGHTLY])
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    program, changes = CASES[request.param]
    runs = tmp_path_factory.mktemp("runs")
    config = small_programme(runs, "walk", **{"windows": APART} | changes)
    run = program(config)
    time = prepare(config.data, config.market, config.env.window).bars.time
    return Case(run, config, read_json(run / "programme_summary.json"), time)


def test_the_summary_is_as_documented_and_adds_up(case: Case) -> None:
    summary = parse_summary(case.summary)
    assert summary.finished
    assert [row["iteration"] for row in case.rows] == list(range(1, case.config.iterations + 1))
    for row in case.rows:
        steps, updates = row["steps"], row["updates"]
        each = case.config.samples * case.config.candidates
        assert [steps[name] for name in updates] == [each * count for count in updates.values()]
        assert steps["saved"] == steps["plain"] - steps["done"]
        assert 0 < updates["done"] <= updates["planned"] <= updates["plain"] == case.config.updates
        best = [candidate["validation"]["log_growth"] for candidate in row["candidates"]]
        assert row["winner"]["candidate"] == int(np.argmax(best))
        assert row["winner"]["log_growth"] == max(best)
        stopped = [candidate["stopped_at"] for candidate in row["candidates"]]
        assert row["early_stopped"] == sum(at is not None for at in stopped)
        policy = (case.run / row["folder"] / "policy.npz").read_bytes()
        assert row["policy_sha256"] == hashlib.sha256(policy).hexdigest()
    totals = case.summary["totals"]
    for name in ("plain", "planned", "done", "saved"):
        assert totals["steps"][name] == sum(row["steps"][name] for row in case.rows)
    assert totals["early_stops"] == sum(row["early_stopped"] for row in case.rows)
    assert totals["starts"] == case.config.iterations * case.config.candidates


def test_windows_are_purged_embargoed_and_their_tests_tile(case: Case) -> None:
    bars = {name: [set(range(first, last + 1)) for first, last in case.spans(name)] for name in RANGES}
    for row, train, validation, test in zip(case.rows, *bars.values(), strict=True):
        assert not train & validation
        assert not train & test
        assert not validation & test
        gap = set(range(min(train), max(test) + 1)) - train - validation - test
        between = [sum(bar < min(validation) for bar in gap), sum(bar > max(validation) for bar in gap)]
        assert between == [PURGE + EMBARGO] * 2
        for name in RANGES:
            first, last = min(bars[name][row["iteration"] - 1]), max(bars[name][row["iteration"] - 1])
            assert row["ranges"][name] == [str(case.time[first]), str(case.time[last])]
    assert max(bars["test"][-1]) == len(case.time) - 1
    if case.fixed:
        assert case.spans("test") == [case.spans("test")[0]] * len(case.rows)
        return
    for before, after in pairwise(bars["test"]):
        assert min(after) == max(before) + 1 + EMBARGO
    starts = [min(train) for train in bars["train"]]
    assert len(set(starts)) == (1 if case.config.windows.kind == "expanding" else len(starts))
    unseen = set().union(*bars["test"])
    assert not unseen & bars["train"][0]
    assert all(max(train) < min(test) for train, test in zip(bars["train"], bars["test"], strict=True))


def test_the_relay_trades_every_bar_from_the_first_test_to_the_last(case: Case) -> None:
    decided = [list(range(span.first, span.last)) for span in spans_of(read_turns(case.run), case.time)]
    tests = case.spans("test")[:1] if case.fixed else case.spans("test")
    assert list(chain.from_iterable(decided)) == list(range(tests[0][0], tests[-1][1]))
    assert [leg[0] for leg in decided] == [first for first, _ in tests]
    honesty, parts = case.summary["honesty"], [row["out_of_sample"] for row in case.rows]
    equity = pd.read_csv(case.run / "out-of-sample" / "equity.csv")["equity"].to_numpy()
    assert honesty["out_of_sample"]["log_growth"] == pytest.approx(np.log(equity[-1] / equity[0]), abs=1e-12)
    assert len(equity) == tests[-1][1] - tests[0][0] + 1
    if case.fixed:
        best = max(case.rows, key=lambda row: row["winner"]["log_growth"])
        assert [turn.bundle for turn in read_turns(case.run)] == [f"{best['folder']}/policy.npz"]
        return
    assert [turn.bundle for turn in read_turns(case.run)] == [f"{row['folder']}/policy.npz" for row in case.rows]
    assert sum(part["log_growth"] for part in parts) == pytest.approx(honesty["out_of_sample"]["log_growth"])
    for part, leg in zip(parts, decided, strict=True):
        marks = equity[leg[0] - tests[0][0] : leg[-1] - tests[0][0] + 2]
        assert part["log_growth"] == pytest.approx(np.log(marks[-1] / marks[0]), abs=1e-12)
        assert part["max_drawdown"] == pytest.approx(np.max(1 - marks / np.maximum.accumulate(marks)), abs=1e-12)


def test_a_backtest_of_the_folder_says_what_the_programme_said(case: Case, tmp_path: Path) -> None:
    own, again = case.run / "out-of-sample", tmp_path / "again"
    assert eval_bridge.backtest.command([str(case.run), "--out", str(again)]) == 0
    assert read_json(again / "metrics.json") == read_json(own / "metrics.json")
    for name in ("equity", "trades", "orders", "positions", "rewards", "baselines"):
        assert (again / f"{name}.csv").read_bytes() == (own / f"{name}.csv").read_bytes(), name
    honesty, metrics = case.summary["honesty"], read_json(own / "metrics.json")
    for name in ("trials", "p_value", "verdict", "deflated_sharpe", "probabilistic_sharpe"):
        assert honesty[name] == metrics["honesty"][name], name
    assert honesty["verdict"] in (case.run / "programme.html").read_text(encoding="utf-8")


def test_an_iteration_is_an_ordinary_run(case: Case, tmp_path: Path) -> None:
    for row in case.rows:
        folder = case.run / row["folder"]
        own = TrainConfig.model_validate(yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8")))
        assert (own.env, own.name) == (case.config.env, row["folder"])
        assert load_bundle(folder / "policy.npz").manifest.env == case.config.env  # whatever was varied in training
        exact = row["winner"]["exact_log_growth"]
        assert exact == pytest.approx(row["winner"]["log_growth"], abs=LOOSE)
    command = [str(folder), "--split", "validation", "--out", str(tmp_path / "out")]
    assert eval_bridge.backtest.command(command) == 0
    equity = pd.read_csv(tmp_path / "out" / "equity.csv")["equity"].to_numpy()
    assert np.log(equity[-1] / equity[0]) == pytest.approx(exact, abs=1e-9)
    assert len(np.load(folder / "validation.npy")) == len(equity) - 1


def test_everything_that_was_tried_is_counted(case: Case) -> None:
    entries = trials.read(case.run.parent / "trials.jsonl")
    started = [entry for entry in entries if entry.event == "train"]
    stopped = [entry for entry in entries if entry.event == "early-stop"]
    assert len(started) == len({entry.config_sha256 for entry in started}) == case.summary["totals"]["starts"]
    assert len(stopped) == case.summary["totals"]["early_stops"]
    assert case.summary["honesty"]["trials"] == len(started) + len(stopped)
    kinds = [entry.detail["start"] for entry in started]
    assert kinds.count("warm") == case.summary["totals"]["warm_starts"]
    assert [entry.event for entry in entries].count("result") == 1
