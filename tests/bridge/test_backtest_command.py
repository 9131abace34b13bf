"""python -m eval_bridge.backtest: what it says, what it refuses, and that it says the same again."""

import hashlib
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from eval_bridge import backtest, console
from eval_bridge.backtest import progress
from eval_bridge.books.ledger import Ledger, Mismatch
from eval_bridge.delay import delayed
from eval_bridge.ensemble import load_policy
from eval_bridge.evaluation import Options
from eval_bridge.files import read_table
from eval_bridge.market import load_market
from eval_bridge.metrics.schema import check_schema
from jaxtrade import trials
from jaxtrade.config import MarketConfig
from tests.helpers.backtests import ENV, no_pictures, read_metrics, write_case
from tests.helpers.commands import Runner, assert_refused, contents, make_runner
from tests.helpers.planting import ROOT

TABLES = {"equity", "baselines", "trades", "orders", "positions", "rewards"}
OUT = "backtest/test"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Runner:
    monkeypatch.chdir(tmp_path)
    write_case(tmp_path)
    no_pictures(monkeypatch)
    monkeypatch.setenv("COLUMNS", str(console.WIDTH))
    return make_runner(monkeypatch, capsys)


def traded(run: Runner, *arguments: str, out: str = OUT) -> tuple[dict[str, Any], str]:
    """Run the command; return metrics.json and what it printed."""
    ran = run("backtest", "policy.npz", *arguments)
    assert (ran.code, ran.err) == (0, ""), ran
    return read_metrics(Path(out)), ran.out


def test_a_backtest(run: Runner) -> None:
    metrics, said = traded(run)
    made = {path.name for path in Path(OUT).iterdir()}
    assert made == {"metrics.json", "provenance.json", "report.html", "plots", *(f"{name}.csv" for name in TABLES)}
    equity = pd.read_csv(f"{OUT}/equity.csv")
    assert len(equity) == metrics["calendar"]["bars"] + 1
    assert equity["equity"].iloc[-1] == metrics["policy"]["final_equity"]
    assert metrics["initial_cash"] == equity["equity"][0] == 10_000
    baselines = pd.read_csv(f"{OUT}/baselines.csv")
    for name, figures in metrics["baselines"].items():
        assert baselines[name].iloc[-1] == pytest.approx(figures["final_equity"], rel=1e-12)
    assert sum(pd.read_csv(f"{OUT}/rewards.csv")["log_return"]) == pytest.approx(metrics["rewards"]["log_return"])
    assert metrics["rewards"]["log_return"] == pytest.approx(np.log(metrics["policy"]["final_equity"] / 10_000))
    assert metrics["honesty"]["verdict"] in said.replace("\n  ", " ")
    assert said.rstrip().endswith(f"report: {Path(OUT) / 'report.html'}")
    assert not list(equity.filter(like="warning"))


def test_the_console_shows_the_interval_and_fits(run: Runner) -> None:
    _, said = traded(run)
    lines = said.splitlines()
    row = next(number for number, line in enumerate(lines) if line.startswith("Sharpe ratio"))
    assert lines[row + 1].split()[:2] == ["95%", "interval"]
    assert " to " in lines[row + 1]
    assert lines[1].split() == ["policy", "buy", "and", "hold", "random"]
    assert max(map(len, lines)) <= console.WIDTH


def test_every_run_says_its_verdict(run: Runner) -> None:
    for arguments in (("--split", "validation", "--out", "o"), ("--lots", "lifo", "--out", "o")):
        metrics, said = traded(run, *arguments, out="o")
        assert "evidence of skill: p = " in metrics["honesty"]["verdict"]
        assert metrics["honesty"]["verdict"] in said.replace("\n  ", " ")


def test_options_are_stated(run: Runner) -> None:
    plain, _ = traded(run)
    found, said = traded(run, "--costs", "buy_percent=0.5", "slippage_bps=3", "--delay", "2", "--lots", "average")
    assert found["about"]["costs"] == (
        "buy_percent 0.5, sell_percent 0.1, slippage_bps 3.0; buy_percent was 0.1 in training; "
        "slippage_bps was 0.0 in training"
    )
    assert (found["about"]["delay"], found["about"]["lots"]) == ("2 bars, training had none", "average")
    assert "not as in training: buy_percent 0.5, slippage_bps 3.0, delay 2 bars" in said
    page = Path(OUT, "report.html").read_text("utf-8")
    assert "buy_percent was 0.1 in training" in page
    assert json.loads(Path(OUT, "provenance.json").read_text())["options"]["costs"]["buy_percent"] == 0.5
    assert found["policy"]["slippage"] > 0 == plain["policy"]["slippage"]
    assert plain["about"]["costs"] == "buy_percent 0.1, sell_percent 0.1"


def test_the_result_is_that_of_the_engine(run: Runner) -> None:
    """Costs and delay reach the engine: the same as run by hand."""
    from eval_bridge.backtester import policy_actor, run_backtest

    found, _ = traded(run, "--costs", "buy_percent=0.3", "--delay", "1")
    loaded = load_policy(Path("policy.npz"))
    table = load_market(loaded.bundles[0].manifest)
    span = table.span("test")
    config = Options(costs={"buy_percent": 0.3}).applied(loaded.bundles[0].manifest.env)
    assert (config.costs.buy_percent, config.costs.sell_percent) == (0.3, 0.1)
    actor = delayed(policy_actor(loaded.policy, table, span), 1, config, 1)
    assert run_backtest(table, span, config, actor).equity[-1] == found["policy"]["final_equity"]


def test_parquet_is_csv(run: Runner) -> None:
    traded(run)
    csv = {name: pd.read_csv(f"{OUT}/{name}.csv") for name in TABLES}
    traded(run, "--format", "parquet")
    made = {path.name for path in Path(OUT).iterdir()}
    assert made >= {f"{name}.parquet" for name in TABLES}
    assert not made & {f"{name}.csv" for name in TABLES}, "those of the other format are gone"
    for name, table in csv.items():
        other = pd.read_parquet(f"{OUT}/{name}.parquet")
        assert list(other.columns) == list(table.columns)
        numbers = table.select_dtypes("number").columns
        np.testing.assert_array_equal(other[numbers].astype(float), table[numbers].astype(float))
    assert read_table(Path(OUT), "equity")["time"].dtype.kind == "M"


def test_stress_and_samples(run: Runner) -> None:
    found, said = traded(run, "--stress", "--stochastic", "3")
    stress = pd.read_csv(f"{OUT}/stress.csv")
    here = stress[(stress["fees"] == 1) & (stress["delay"] == 0)]
    assert here["final_equity"].item() == pytest.approx(found["policy"]["final_equity"], rel=1e-12)
    assert len(found["stress"]["grid"]) == len(stress) == 24
    assert check_schema(found) == []
    assert "break-even cost: " in said
    assert (found["stochastic"]["samples"], len(pd.read_csv(f"{OUT}/stochastic.csv"))) == (3, 3)
    assert "total return of 3 sampled runs: median " in said
    again, _ = traded(run)
    assert "stress" not in again
    assert not Path(OUT, "stress.csv").exists(), "a file of an earlier result is none of this one"
    assert again["policy"] == found["policy"], "samples and stress leave the headline as it is"


def test_books_that_differ_are_one_line(tmp_path: Path, run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cash that is off by a cent at every bar: no traceback, no file."""
    charge = Ledger.charge

    def wrong(self: Ledger, amounts: Any) -> None:
        charge(self, amounts)
        self.cash += 0.01

    monkeypatch.setattr(Ledger, "charge", wrong)
    ran = run("backtest", "policy.npz")
    assert (ran.code, ran.out) == (backtest.MISMATCH, "")
    said = r"20\d\d-\d\d-\d\d.*: \w+ is [\d.]+ in the ledger and [\d.]+ in the rule book\. "
    assert re.match("error: the books and the rules disagree: " + said, ran.err), ran.err
    assert ran.err.endswith("This is a bug: report it with policy.npz and the command\n")
    assert len(ran.err.splitlines()) == 1
    assert not (tmp_path / "backtest").exists()
    assert issubclass(Mismatch, AssertionError)


def test_a_warning_stands_in_every_row_of_every_file(tmp_path: Path, run: Runner) -> None:
    write_case(tmp_path, market=MarketConfig(fill="same_close"))
    found, said = traded(run, "--stochastic", "2")
    warning = found["about"]["warning"]
    assert "no one can trade like that" in warning
    assert f"warning: {warning}" in said.replace("\n  ", " ")
    for name in (*TABLES, "stochastic"):
        table = pd.read_csv(f"{OUT}/{name}.csv")
        assert (table["warning"] == warning).all()
        assert len(table) > 0
    assert "no one can trade like that" in Path(OUT, "report.html").read_text("utf-8")


def test_an_uncertified_policy_is_named_everywhere(tmp_path: Path, run: Runner) -> None:
    write_case(tmp_path, certificate=None)
    before = contents(tmp_path)
    assert_refused(run("backtest", "policy.npz"), "policy.npz: not certified: it holds no parity certificate")
    assert contents(tmp_path) == before
    _, said = traded(run, "--allow-uncertified")
    assert "warning: NOT CERTIFIED: it holds no parity certificate" in said
    for name in TABLES:
        table = pd.read_csv(f"{OUT}/{name}.csv")
        assert table["warning"].str.startswith("NOT CERTIFIED").all()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_on_a_terminal_only(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    with progress() as watch:
        assert watch is None, "pytest's stderr is no terminal"
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with progress() as watch:
        assert watch is not None
        watch("trading", 30, 60)
        watch("trading", 60, 60)
        watch("baselines", 0, 0)
    assert "trading" in screen.getvalue()
    assert "50%" in screen.getvalue() or "100%" in screen.getvalue()


def test_seeds_in_a_folder_act_as_one(tmp_path: Path, run: Runner) -> None:
    for seed in (0, 1):
        write_case(tmp_path, f"runs/many/seed-{seed}", seed=seed)
    ran = run("backtest", "runs/many", "--stress", "--stochastic", "2")
    assert (ran.code, ran.err) == (0, ""), ran
    found = read_metrics(Path("runs/many/backtest/test"))
    assert found["policy"]["fills"] > 0
    assert found["about"]["policy"] == "ensemble of 2, deterministic: seed 0, update 1; seed 1, update 1"
    write_case(tmp_path, "runs/many/seed-1", seed=1, certificate=None)
    assert_refused(run("backtest", "runs/many"), "seed-1/policy.npz: not certified")
    ran = run("backtest", "runs/many", "--allow-uncertified")
    assert "warning: NOT CERTIFIED: " in ran.out, "the second of the seeds counts as well"


def test_repeated_it_is_the_same_and_one_trial(run: Runner) -> None:
    """The ledger grows, the figures stay; what is of one run alone stands in provenance.json and on the page.

    A result with a delay is no trial of its own.
    """
    made, pages = [], []
    for count, (arguments, results) in enumerate(((("--delay", "1"), 0), ((), 1), ((), 1)), start=1):
        metrics, _ = traded(run, *arguments)
        entries = trials.read(Path("trials.jsonl"))
        assert [entry.event for entry in entries].count("open-test") == count
        assert json.loads(Path(OUT, "provenance.json").read_text())["test_openings"] == count
        recorded = [entry.detail["sharpe"] for entry in entries if entry.event == "result"]
        assert len(recorded) == results
        made.append(hashes(Path(OUT)))
        pages.append(Path(OUT, "report.html").read_text("utf-8"))
    per_year = metrics["calendar"]["periods_per_year"]
    assert recorded[0] == pytest.approx(metrics["policy"]["sharpe"] / np.sqrt(per_year))
    assert made[0] != made[1] == made[2]
    assert pages[1] != pages[2]


def hashes(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of what must not change: figures and tables."""
    files = [path for path in folder.rglob("*") if path.suffix in (".csv", ".parquet") or path.name == "metrics.json"]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("count", [2, pytest.param(20, marks=pytest.mark.nightly)])
def test_processes_of_their_own_say_the_same(tmp_path: Path, count: int) -> None:
    """Another hash seed, another time zone, another number of threads: the same bytes."""
    write_case(tmp_path, env=ENV.model_copy(update={"action": "target_weight"}))
    found = []
    for number in range(count):
        environment = os.environ | {"PYTHONHASHSEED": str(number), "TZ": ("UTC", "Asia/Tokyo")[number % 2]}
        environment |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": str(1 + number % 2)}
        line = [sys.executable, "-m", "eval_bridge.backtest", "policy.npz", "--stochastic", "3"]
        line += ["--stress"] if count > 2 else []
        line += ["--format", "csv" if count == 2 else ("csv", "parquet")[number // 2 % 2], "--out", f"out{number}"]
        ran = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        assert "\x1b" not in ran.stdout + ran.stderr
        assert ran.stderr == "", "no progress bar in a pipe"
        found.append(hashes(tmp_path / f"out{number}"))
    assert len(found[0]) == len(TABLES) + (3 if count > 2 else 2)
    for number, other in enumerate(found):
        like = found[0] if set(other) == set(found[0]) else found[2]
        assert other == like, f"run {number} differs"
