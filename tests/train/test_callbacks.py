"""The host loop on a training of a few lines: callbacks, logs, stops, failures and resumes."""

from pathlib import Path
from typing import Any

import pytest

from jaxtrade.errors import InputError
from tests.helpers.fake_job import Judge
from tests.helpers.fake_runs import Probe, go, interrupt, rows, without_times
from train.callbacks import make
from train.checkpoint import saved_updates
from train.run import Outcome

UPDATES = 12


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nobody stopped, in chunks of more than one update."""
    run = tmp_path_factory.mktemp("runs") / "whole"
    assert go(run, chunk_seconds=2.0) == Outcome(True, "all 12 updates are done", abandoned=False)
    return run


SOME = (1, 4, 7, 11)
OTHERS = [pytest.param(update, marks=pytest.mark.nightly) for update in range(1, UPDATES) if update not in SOME]


@pytest.mark.parametrize("update", [*SOME, *OTHERS])
def test_stopped_anywhere_and_resumed_is_the_whole_run(tmp_path: Path, whole: Path, update: int) -> None:
    run = tmp_path / "run"
    outcome = go(run, more=[Probe(update, interrupt)])
    assert outcome == Outcome(False, f"SIGTERM after update {update}; everything is saved", False, "SIGTERM")
    assert saved_updates(run)[-1] == update
    assert (whole / "metrics.csv").read_text().startswith((run / "metrics.csv").read_text())  # no row is another
    assert len(rows(run)) == update
    assert go(run, resume=True).finished
    assert without_times(run) == without_times(whole)


@pytest.mark.parametrize("update", [1, 4, 6])
def test_a_run_that_died_goes_on_from_its_checkpoint(tmp_path: Path, whole: Path, update: int) -> None:
    """Rows that no checkpoint covers are written again; a half line at the end of each log does no harm."""

    class Killed(BaseException):
        pass

    def die(step: Any) -> None:
        raise Killed

    run = tmp_path / "run"
    with pytest.raises(Killed):
        go(run, more=[Probe(update, die)])
    assert len(rows(run)) == update
    assert saved_updates(run) == ([4] if update > 4 else [])
    for name in ("metrics.csv", "gradients.csv", "timing.csv", "monitor.csv", "metrics.jsonl"):
        with (run / name).open("a") as file:
            file.write("9,0.")
    assert go(run, resume=True).finished
    assert without_times(run) == without_times(whole)
    assert len(rows(run, "timing")) == UPDATES


def test_rows_that_are_not_cut_are_noticed(tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "run"
    go(run, more=[Probe(5, interrupt)])
    (run / "checkpoints" / "5").rename(tmp_path / "5")
    monkeypatch.setattr("train.loggers.cut", lambda *arguments: None)
    go(run, resume=True)
    assert without_times(run) != without_times(whole)


def test_the_order_of_things(tmp_path: Path) -> None:
    first, again = Probe(5, interrupt), Probe()
    go(tmp_path / "run", more=[first])
    go(tmp_path / "run", resume=True, more=[again], total_timesteps=70)
    chunk = [("chunk", update) for update in range(UPDATES)]
    assert first.seen == [("start", 0), *chunk[1:5], ("saved",), chunk[5], ("saved",), ("end", 5)]
    assert again.seen == [("restore", 5), ("start", 5), chunk[6], chunk[7], ("saved",), ("end", 7)]


def test_rows_are_on_disk_before_the_checkpoint_that_covers_them(tmp_path: Path) -> None:
    run, seen = tmp_path / "run", []

    class Watch(Probe):
        def saved(self) -> dict[str, Any]:
            seen.append((len(rows(run)), len(rows(run, "gradients")), rows(run, "monitor")["update"].max()))
            return {}

    go(run, more=[Watch()])
    assert seen == [(4, 4, 4), (8, 8, 8), (12, 12, 12)]


def test_a_finished_run_is_left_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    go(run)
    before = {path: path.stat().st_mtime_ns for path in (run / "checkpoints").rglob("*")}
    content = without_times(run) | {"performance": (run / "performance.json").read_text()}
    assert go(run, resume=True).finished
    assert {path: path.stat().st_mtime_ns for path in (run / "checkpoints").rglob("*")} == before
    assert without_times(run) | {"performance": (run / "performance.json").read_text()} == content
    assert go(run, resume=True, total_timesteps=150).finished
    assert len(rows(run)) == 15


def test_checkpoints_every_so_many_updates(tmp_path: Path) -> None:
    go(tmp_path / "run", checkpoints={"every": 3, "keep_latest": 9})
    assert saved_updates(tmp_path / "run") == [3, 4, 6, 8, 9, 12]


def test_a_callback_may_end_training(tmp_path: Path) -> None:
    outcome = go(tmp_path / "run", more=[Probe(5, lambda step: step.stop("enough"))])
    assert outcome == Outcome(True, "enough", abandoned=False)
    assert saved_updates(tmp_path / "run")[-1] == 5


SCORES = (0.1, 0.5, 0.45, float("nan"), 0.55, float("inf"), 0.2, 0.9)
STOPPED = {  # by hand: validations at 1, 2, ...; when three in a row are not better than the best by min_delta
    "plain": ({"patience": 3}, 8),
    "with a delta": ({"patience": 3, "min_delta": 0.1}, 5),
    "not before": ({"patience": 3, "min_delta": 0.1, "min_updates": 7}, 7),
    "impatient": ({"patience": 1}, 3),
    "never": ({}, 8),
}


@pytest.mark.parametrize("case", STOPPED)
def test_early_stop(tmp_path: Path, case: str) -> None:
    early, last = STOPPED[case]
    changes = {"eval_every": 1, "early_stop": early, "total_timesteps": 80}
    outcome = go(tmp_path / "whole", judge=Judge(SCORES), **changes)
    assert outcome.finished
    assert ("early stop" in outcome.reason) == (last < 8)
    assert len(rows(tmp_path / "whole")) == last
    for update in (last - 1, last):
        run = tmp_path / f"stopped-{update}"
        go(run, judge=Judge(SCORES), more=[Probe(update, interrupt)], **changes)
        assert go(run, resume=True, judge=Judge(SCORES), **changes).finished
        assert without_times(run) == without_times(tmp_path / "whole"), update


@pytest.mark.parametrize("kind", ["EarlyStop", "Evaluation", "GradientMonitor"])
def test_a_callback_that_forgets_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, capsys: Any
) -> None:
    """Each of these goes wrong after a resume if it begins anew."""
    early, scores = {"patience": 3}, (0.9, 0.1, 0.2, 0.3, 0.4, 0.5)
    changes = {"eval_every": 1, "total_timesteps": 60, "judge": Judge(scores), "early_stop": early}

    def end(run: Path) -> str:
        go(run, more=[Probe(2, interrupt)], **changes)
        capsys.readouterr()
        go(run, resume=True, **changes)
        faulty = tmp_path / f"faulty-{run.name}"
        go(faulty, more=[Probe(6, interrupt)], market=101)
        with pytest.raises(InputError) as raised:
            go(faulty, resume=True, market=101)
        best = [line for line in capsys.readouterr().out.splitlines() if line.startswith("best")]
        return f"{len(rows(run))} {best[0]} {raised.value.where}"

    assert end(tmp_path / "good") == "4 best validation: return +0.9000 at update 1 update 8"
    monkeypatch.setattr(make, kind, type(kind, (getattr(make, kind),), {"restore": lambda self, saved: None}))
    assert end(tmp_path / "bad") != "4 best validation: return +0.9000 at update 1 update 8"


def test_a_run_that_stopped_early_stays_so_unless_its_patience_is_raised(tmp_path: Path) -> None:
    run, changes = tmp_path / "run", {"eval_every": 1, "total_timesteps": 80}
    go(run, judge=Judge(SCORES), early_stop={"patience": 1}, **changes)
    before = without_times(run)
    assert "early stop" in go(run, resume=True, judge=Judge(SCORES), early_stop={"patience": 1}, **changes).reason
    assert without_times(run) == before
    go(run, resume=True, judge=Judge(SCORES), early_stop={"patience": 3}, **changes)
    assert len(rows(run)) == 8


def test_the_best_validation_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changes = {"eval_every": 1, "total_timesteps": 80, "judge": Judge(SCORES)}
    go(tmp_path / "run", more=[Probe(6, interrupt)], **changes)
    assert "best validation: return +0.5500 at update 5\n" in capsys.readouterr().out
    go(tmp_path / "run", resume=True, **changes | {"total_timesteps": 70})
    assert "best validation: return +0.5500 at update 5\n" in capsys.readouterr().out


def test_faults_are_told_and_too_many_end_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From the sixth update on every one is discarded, and the third in a row ends training, after a resume as well."""
    wanted = "update 8: gradient of layer/kernel is not finite (first at 2); 3 updates in a row were discarded. Lower"
    for stop in (0, 6, 7):
        run = tmp_path / f"run-{stop}"
        if stop:
            go(run, more=[Probe(stop, interrupt)], market=101)
        with pytest.raises(InputError) as raised:
            go(run, resume=bool(stop), market=101)
        assert str(raised.value).startswith(wanted)
        assert "; checkpoint 8 is the newest" in str(raised.value)
        fault = "gradient of layer/kernel is not finite (first at 2); the update was discarded"
        err = capsys.readouterr().err
        assert [line for line in err.splitlines() if "discarded" in line] == [f"update {u}: {fault}" for u in (6, 7, 8)]
        assert (run / "faults.csv").read_text() == "update,tensor,step\n" + "".join(
            f"{u},gradient of layer/kernel,2\n" for u in (6, 7, 8)
        )
        assert list(rows(run)["discarded"]) == [0] * 5 + [1] * 3
    with pytest.raises(InputError, match="update 9: "):
        go(tmp_path / "patient", market=101, max_discarded=4)
