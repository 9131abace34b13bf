"""python -m eval_bridge.compare: one table of several runs over the same bars, and no other bars."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from eval_bridge.compare import Run, compare, comparison_text, read_run
from eval_bridge.honesty.superior import superior
from eval_bridge.metrics import returns_of
from jaxtrade.errors import InputError
from tests.helpers.backtests import no_pictures, write_case
from tests.helpers.commands import Runner, assert_refused, contents, make_runner


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three runs that were backtested, one of them written as Parquet, and one that was not."""
    folder: Path = tmp_path_factory.mktemp("compare")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        no_pictures(patch)
        from eval_bridge.backtest import command

        for seed, name in enumerate(("first", "second", "third", "idle")):
            write_case(folder, f"runs/{name}", seed=seed)
            kind = ["--format", "parquet"] if name == "second" else []
            if name != "idle":
                assert command([f"runs/{name}", *kind]) == 0
        assert command(["runs/first", "--split", "validation"]) == 0
        assert command(["runs/first", "--costs", "buy_percent=0.2", "--out", "dear"]) == 0
    return folder


@pytest.fixture
def run(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Runner:
    monkeypatch.chdir(home)
    return make_runner(monkeypatch, capsys)


def test_three_runs(run: Runner, home: Path) -> None:
    ran = run("compare", "runs/first", "runs/second", "runs/third/backtest/test", "--out", "all")
    assert (ran.code, ran.err) == (0, ""), ran
    found = json.loads((home / "all" / "comparison.json").read_text())
    assert list(found["runs"]) == ["first", "second", "third"]
    for name, each in found["runs"].items():
        metrics = json.loads((home / "runs" / name / "backtest" / "test" / "metrics.json").read_text())
        assert (each["figures"], each["honesty"]) == (metrics["policy"], metrics["honesty"])
        assert f"{name}: {metrics['honesty']['verdict']}" in ran.out
        row = next(line for line in ran.out.splitlines() if line.startswith(f"{name} "))
        assert row.split()[1] == f"{metrics['policy']['total_return'] * 100:,.2f}%"
        assert row.split()[-2] == f"{metrics['honesty']['p_value']:.3f}"
    equity = pd.read_csv(home / "runs/first/backtest/test/equity.csv")["equity"].to_numpy()
    hold = pd.read_csv(home / "runs/first/backtest/test/baselines.csv")["buy_and_hold"].to_numpy()
    others = [pd.read_parquet(home / "runs/second/backtest/test/equity.parquet")["equity"].to_numpy()]
    others += [pd.read_csv(home / "runs/third/backtest/test/equity.csv")["equity"].to_numpy()]
    returns = {name: returns_of(each) for name, each in zip(found["runs"], (equity, *others), strict=True)}
    assert found["superior"]["p_value"] == superior(returns, returns_of(hold))["p_value"]
    assert f"p = {found['superior']['p_value']:.3g}, best: {found['superior']['best']}" in ran.out
    page = (home / "all" / "comparison.html").read_text("utf-8")
    assert all(name in page for name in found["runs"])
    again = run("compare", "runs/first", "runs/second", "runs/third", "--out", "again")
    assert again.code == 0
    assert (home / "again" / "comparison.json").read_bytes() == (home / "all" / "comparison.json").read_bytes()


def test_by_default_it_lies_beside_the_first_run(run: Runner, home: Path) -> None:
    ran = run("compare", "runs/first", "runs/second")
    assert ran.out.splitlines()[-1] == f"report: {home.resolve() / 'runs' / 'comparison' / 'comparison.html'}"


def test_costs_that_differ_are_stated(run: Runner, home: Path) -> None:
    assert run("compare", "runs/first", "dear", "--out", "costs").code == 0
    about = json.loads((home / "costs" / "comparison.json").read_text())["about"]
    assert about["costs of first"].startswith("buy_percent 0.1, ")
    assert about["costs of dear"].startswith("buy_percent 0.2, ")
    assert about["delay"] == "none"


REFUSED = {
    "runs/first": "python -m eval_bridge.compare: one run. Name two at least",
    "runs/first runs/idle": "runs/idle: holds no backtest of the test range. Run python -m eval_bridge.backtest runs/i",
    "runs/first runs/none": "runs/none: holds no backtest of the test range",
    "runs/first runs/first/backtest/test": "runs/first/backtest/test: is given twice. Name each run once",
    "runs/second runs/first/backtest/validation": "differs from |in split: |Compare runs over the same bars",
    "runs/first runs/second --splt test": "unknown argument '--splt'. Did you mean '--split'?",
    "runs/first runs/second --out prices.csv": "prices.csv: cannot be written",
}


@pytest.mark.parametrize("line", REFUSED)
def test_refused(run: Runner, home: Path, line: str) -> None:
    before = contents(home)
    assert_refused(run("compare", *line.split()), REFUSED[line])
    assert contents(home) == before


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("{", "cannot be read (JSONDecodeError)"),
        ("[]", "cannot be read"),
        ('{"schema_version": 9}', "has schema 9, th"),
    ],
)
def test_damaged_files(run: Runner, home: Path, text: str, pieces: str) -> None:
    (home / "broken").mkdir(exist_ok=True)
    (home / "broken" / "metrics.json").write_text(text)
    before = contents(home)
    assert_refused(run("compare", "runs/first", "broken"), "metrics.json: |Run the backtest again|" + pieces)
    assert contents(home) == before


@lru_cache
def runs(home: Path) -> tuple[Run, Run]:
    return tuple(read_run(name, home / "runs" / name / "backtest" / "test") for name in ("first", "second"))


def changed(run: Run, row: str, text: str) -> Run:
    return run._replace(metrics=run.metrics | {"about": run.metrics["about"] | {row: text}})


@pytest.mark.parametrize("row", ["data_sha256", "split", "fill"])
def test_other_data_is_refused_by_name(home: Path, row: str) -> None:
    first, second = runs(home)
    with pytest.raises(InputError, match=rf"second: differs from first in {row}: other and "):
        compare([first, changed(second, row, "other")])


@pytest.mark.parametrize("cut", [slice(None, -1), slice(1, None)])
def test_other_bars_are_refused_by_name(home: Path, cut: slice) -> None:
    first, second = runs(home)
    short = second._replace(time=second.time[cut], equity=second.equity[cut], hold=second.hold[cut])
    with pytest.raises(InputError, match="second: trades other bars than first: "):
        compare([first, short])
    with pytest.raises(InputError, match="second: trades other bars than first: "):
        compare([first, second._replace(time=second.time + np.timedelta64(1, "h"))])


def test_a_ruined_account_stays_where_it_ended(home: Path) -> None:
    first, second = runs(home)
    policy: dict[str, Any] = second.metrics["policy"] | {"ruined": 1}
    ruined = second._replace(
        time=second.time[:20],
        equity=second.equity[:20],
        hold=second.hold[:20],
        metrics=second.metrics | {"policy": policy},
    )
    found = compare([ruined, first])
    assert len(found.equity["second"]) == len(found.time) == len(first.time)
    assert np.all(found.equity["second"][19:] == second.equity[19])
    np.testing.assert_array_equal(found.equity["buy_and_hold"], first.hold)


def test_undefined_is_said(home: Path) -> None:
    """A run that is buy and hold itself."""
    first, second = runs(home)
    found = compare([first._replace(equity=first.hold), second._replace(equity=first.hold)])
    assert "not defined, no run differs from the benchmark" in comparison_text(found)
