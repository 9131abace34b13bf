"""A programme that was cut off anywhere goes on as if nothing had happened; `python -m tests.killing --programme`."""

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.programme_runs import ITERATIONS, NAME, differences, ledger_of
from tests.helpers.programmes import price_file, run_programme, small_programme, summary_of
from tests.killing_programme import torture
from train.cli import load_file
from train.programme.config import ProgrammeConfig

pytestmark = pytest.mark.nightly

ITERATION, LOOP = "train.programme.iteration", "train.programme.loop"
SAVE = "train.checkpoint.Checkpoints.save"
CUTS = (  # what is cut off, at which call since the resume, and whether it is done by then
    (f"{ITERATION}.record_starts", 1, True),
    (f"{ITERATION}.create_run", 1, True),
    (SAVE, 1, False),
    (SAVE, 2, True),
    (f"{ITERATION}.train", 1, True),
    (f"{ITERATION}.write_bundle", 1, False),
    (f"{ITERATION}.write_bundle", 1, True),
    (f"{ITERATION}.record_stops", 1, False),
    (f"{ITERATION}.record_stops", 1, True),
    (f"{ITERATION}.write_json", 1, True),  # the result of the first iteration
    (f"{ITERATION}.create_run", 1, True),
    (f"{ITERATION}.write_bundle", 1, True),
    (f"{LOOP}.write_json", 2, False),  # the summary of two
    (SAVE, 1, True),
    (f"{ITERATION}.write_json", 1, False),
    (f"{LOOP}.write_relay", 1, False),
    (f"{LOOP}.write_relay", 1, True),
    (f"{LOOP}.stitched_evaluation", 1, True),
    ("eval_bridge.evaluation.Evaluation.write", 1, True),
    (f"{LOOP}.write_json", 1, True),  # the summary of all
    (f"{LOOP}.write_page", 1, False),
)


class CutOffError(BaseException):
    """What a kill is to the code after it."""


def cut(patch: pytest.MonkeyPatch, target: str, number: int, done: bool) -> None:
    """Let the n-th call of a function be the last that happens."""
    owner, _, name = target.rpartition(".")
    module, _, kind = owner.rpartition(".")
    home = __import__(owner, fromlist=[name]) if kind.islower() else getattr(__import__(module, fromlist=[kind]), kind)
    real, calls = getattr(home, name), 0

    def call(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        answer = real(*arguments, **named) if calls < number or done else None
        if calls == number:
            raise CutOffError
        return answer

    patch.setattr(home, name, call)


def programme_in(folder: Path, patch: pytest.MonkeyPatch) -> ProgrammeConfig:
    """Make a folder of runs the current one, and return the configuration of a programme there."""
    folder.mkdir()
    patch.chdir(folder)
    return small_programme(Path(), NAME, data=str(price_file(folder.parent)), iterations=ITERATIONS)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of runs of a programme that was left in peace."""
    folder = tmp_path_factory.mktemp("resume") / "whole"
    with pytest.MonkeyPatch.context() as patch:
        run_programme(programme_in(folder, patch))
    return folder


def test_cut_off_everywhere(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = whole.parent / "cut"
    config, run = programme_in(place, monkeypatch), None
    for target, number, done in CUTS:
        with monkeypatch.context() as patch, pytest.raises(CutOffError):
            cut(patch, target, number, done)
            run_programme(config, run)
        run = Path(NAME)
        config = ProgrammeConfig.model_validate(load_file(str(run / "config.yaml"))[0])
    for left in (run / ".iteration-02-17", run / "out-of-sample" / ".writing-x"):
        left.mkdir()  # as a kill leaves them
    for left in (run / ".programme.html-17", run / "iteration-01" / "tmpx.npz.tmp"):
        left.touch()
    run_programme(config, run)
    assert differences(whole, place) == []
    totals = json.loads((run / "programme_summary.json").read_text())["totals"]
    assert totals["timing"]["resumed"] >= 1


def test_one_that_is_finished_is_left_as_it_is(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = shutil.copytree(whole, whole.parent / "again")
    monkeypatch.chdir(place)
    run_programme(ProgrammeConfig.model_validate(load_file(f"{NAME}/config.yaml")[0]), Path(NAME))
    assert differences(whole, place) == []


def test_the_programme_says_enough_to_differ(whole: Path) -> None:
    """It stopped early, traded, and recorded its trials: two that agree do not agree on nothing."""
    summary = summary_of(whole / NAME)
    assert summary["finished"]
    assert summary["totals"]["early_stops"] > 0
    assert summary["honesty"]["trials"] == summary["totals"]["starts"] + summary["totals"]["early_stops"]
    assert sum(each["out_of_sample"]["trades"] for each in summary["iterations"]) > 0
    assert summary["honesty"]["out_of_sample"]["log_growth"] != 0
    events = [entry["event"] for entry in ledger_of(whole)]
    assert events.count("train") == summary["totals"]["starts"] == 2 * ITERATIONS
    assert events.count("early-stop") == summary["totals"]["early_stops"]
    assert (events.count("open-test"), events.count("result")) == (1, 1)


DAMAGES = {
    "p/programme_summary.json": ('"update": ', '"update": 1'),
    "p/relay.json": ("iteration-01", "iteration-02"),
    "p/out-of-sample/metrics.json": ("sharpe", "shrap"),
    "p/out-of-sample/equity.csv": (",1", ",2"),
    "p/iteration-02/metrics.csv": (",", ";"),
    "p/config.yaml": ("patience: 2", "patience: 3"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_difference_is_noticed(whole: Path, tmp_path: Path, name: str) -> None:
    place = shutil.copytree(whole, tmp_path / "other")
    assert differences(whole, place) == []
    path, (old, new) = place / name, DAMAGES[name]
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    (place / NAME / ".iteration-02-17").mkdir()
    found = differences(whole, place)
    assert len(found) == 2, found
    assert name.removeprefix("p/") in found[0]
    assert ".iteration-02-17" in found[1]


def test_signals_at_random_moments(tmp_path: Path) -> None:
    """Few of them; many are for `python -m tests.killing --programme`."""
    assert torture(tmp_path, ["SIGKILL", "SIGKILL", "SIGTERM", "SIGTERM"], random.Random(5)) == []
