"""The test range is opened by a backtest only, and every opening is recorded before anything is shown."""

import json
from pathlib import Path
from typing import Any

import pytest

from jaxtrade import trials
from tests.helpers.chain import bundle_bytes, price_lines
from tests.helpers.commands import Runner, assert_refused, contents, make_runner
from tests.helpers.price_files import write_lines


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Runner:
    monkeypatch.chdir(tmp_path)
    write_lines(tmp_path / "prices.csv", price_lines())
    (tmp_path / "policy.npz").write_bytes(bundle_bytes())
    return make_runner(monkeypatch, capsys)


def backtest(run: Runner, *arguments: str) -> dict[str, Any]:
    """Return what the result says of the run that made it."""
    ran = run("backtest", "policy.npz", "--data", "prices.csv", "--out", "out", *arguments)
    assert ran.code == 0, ran
    found: dict[str, Any] = json.loads(Path("out/provenance.json").read_text(encoding="utf-8"))
    return found


def test_openings_are_counted(run: Runner) -> None:
    for count in (1, 2):
        found = backtest(run)
        assert (found["test_openings"], found["ledger"]["entries"]) == (count, count + 1)
    entries = trials.read(Path("trials.jsonl"))
    assert [entry.event for entry in entries] == ["open-test", "result", "open-test"]
    assert entries[-1].hash == found["ledger"]["head"]
    assert backtest(run, "--split", "all")["test_openings"] == 3, "it holds the test bars too"
    assert "opened 3 times" in Path("out/report.html").read_text(encoding="utf-8")


def test_validation_opens_nothing(run: Runner) -> None:
    found = backtest(run, "--split", "validation")
    assert (found["test_openings"], found["trials"], found["ledger"]["entries"]) == (0, 1, 0)
    assert not Path("trials.jsonl").exists()


def test_a_ledger_that_was_changed_stops_the_backtest(tmp_path: Path, run: Runner) -> None:
    backtest(run)
    ledger = tmp_path / "trials.jsonl"
    ledger.write_text(ledger.read_text().replace("open-test", "open-tess"), encoding="utf-8")
    before = contents(tmp_path)
    ran = run("backtest", "policy.npz", "--data", "prices.csv", "--out", "other")
    assert_refused(ran, "trials.jsonl line 1: |Restore the file")
    assert contents(tmp_path) == before


def test_what_cannot_be_recorded_is_not_shown(tmp_path: Path, run: Runner) -> None:
    (tmp_path / "trials.jsonl").mkdir()
    ran = run("backtest", "policy.npz", "--data", "prices.csv", "--out", "other")
    assert_refused(ran, "trials.jsonl: cannot be ")
    assert not (tmp_path / "other").exists()
    assert backtest(run, "--trials", "mine.jsonl")["ledger"]["entries"] == 2
