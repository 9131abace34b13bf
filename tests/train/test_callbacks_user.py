"""Callbacks of the user, found by name; and what is said when one fails, or the disk does."""

import errno
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jaxtrade.errors import InputError
from tests.helpers.fake_job import fake_config
from tests.helpers.fake_runs import Probe, go, interrupt, rows, without_times
from train.callbacks.base import StepInfo
from train.callbacks.make import make_callbacks
from train.checkpoint import saved_updates
from train.loggers import TextLog

MODULE = """
from train.callbacks import Callback

class Mine(Callback):
    moment = "MOMENT"

    def trip(self, moment):
        if moment == self.moment:
            raise RuntimeError("first\\nand second")

    def on_start(self, run):
        self.trip("on_start")

    def on_chunk(self, step):
        if step.update == 5:
            self.trip("on_chunk")

    def on_end(self, run):
        self.trip("on_end")

    def saved(self):
        self.trip("saved")
        return {"set": {1}} if self.moment == "json" else {"n": 1}

    def restore(self, saved):
        self.trip("restore")

class Needy(Callback):
    def __init__(self, argument):
        pass

class EarlyStop(Callback):
    pass

class Other:
    pass

instance = Mine()
"""


@pytest.fixture
def plug(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Write a module whose callback fails at a moment; return the callback's name."""
    monkeypatch.chdir(tmp_path)

    def write(moment: str) -> str:
        name = f"plug_{moment}_{abs(hash(tmp_path))}"
        (tmp_path / f"{name}.py").write_text(MODULE.replace("MOMENT", moment))
        return name

    return write


MOMENTS = {  # moment: what is said, the newest checkpoint, updates logged
    "on_start": ("on_start failed: RuntimeError: first and second", None, 0),
    "on_chunk": ("on_chunk failed: RuntimeError: first and second", 5, 5),
    "saved": ("saved failed: RuntimeError: first and second", 4, 4),
    "json": ("saved failed: TypeError: Object of type set is not JSON serializable", 4, 4),
    "on_end": ("on_end failed: RuntimeError: first and second", 12, 12),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_one_that_fails_is_named_and_what_was_done_is_saved(tmp_path: Path, plug: Any, moment: str) -> None:
    said, newest, logged = MOMENTS[moment]
    name = plug(moment)
    run, other = tmp_path / "run", Probe()
    with pytest.raises(InputError) as raised:
        go(run, callbacks=(f"{name}:Mine",), more=[other])
    message = str(raised.value)
    assert message.startswith(f"callback {name}:Mine: {said} (")
    assert "Mend it, or leave it out of `callbacks`" in message
    assert "\n" not in message
    assert saved_updates(run)[-1:] == ([newest] if newest else [])
    assert len(rows(run)) == logged
    assert other.seen[-1] == ("end", logged)
    assert go(run, resume=True).finished  # without it
    assert go(tmp_path / "whole").finished
    assert without_times(run) == without_times(tmp_path / "whole")


def test_one_that_fails_to_restore(tmp_path: Path, plug: Any) -> None:
    name = plug("restore")
    go(tmp_path / "run", callbacks=(f"{name}:Mine",), total_timesteps=40)
    with pytest.raises(InputError, match=f"callback {name}:Mine: restore failed: RuntimeError"):
        go(tmp_path / "run", resume=True, callbacks=(f"{name}:Mine",))


REFUSED = {
    "nothing": "callbacks 'nothing': is not of the form package.module:Class. Name a subclass of",
    "no_such_module:Mine": "callbacks 'no_such_module:Mine': cannot be imported: ModuleNotFoundError",
    "PLUG:Nope": "has no Nope. Name a subclass",
    "PLUG:Needy": "cannot be made without arguments: TypeError",
    "PLUG:Other": "is no callback: it has no on_start, on_chunk, on_end, saved, restore",
    "PLUG:instance": "cannot be made without arguments: TypeError: 'Mine' object is not callable",
    "PLUG:EarlyStop": "there are two of the name EarlyStop. Rename the class",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_callback_is_refused(plug: Any, name: str) -> None:
    full = name.replace("PLUG", plug("never"))
    with pytest.raises(InputError) as raised:
        make_callbacks(fake_config(callbacks=(full,)))
    assert REFUSED[name] in str(raised.value)
    assert str(raised.value).startswith(f"callbacks '{full}': ")


def test_the_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Fifteen seconds an update by a clock of ours: the budget of a minute is spent with the fourth, in two starts."""
    clock = iter(range(0, 10**6, 15))
    monkeypatch.setattr("examples.my_callback.SECONDS", 60.0)
    monkeypatch.setattr("examples.my_callback.time", SimpleNamespace(monotonic=lambda: float(next(clock))))
    run, name = tmp_path / "run", "examples.my_callback:Diary"
    go(run, callbacks=(name,), more=[Probe(2, interrupt)])
    outcome = go(run, resume=True, callbacks=(name,))
    assert outcome.finished
    assert outcome.reason == "the budget of 60 seconds is spent"
    assert saved_updates(run)[-1] == len(rows(run)) == 4
    diary = (run / "diary.md").read_text().splitlines()
    value = rows(run)["validation_return"].iloc[-1]
    assert diary == [
        "30 seconds of training, 2 updates of 12",
        f"update 4: validation_return {value:+.4f}, 0 discarded",
        "60 seconds of training, 4 updates of 12",
    ]


def full(*arguments: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("what", ["write", "sync"])
def test_a_full_disk_is_one_line_and_the_last_checkpoint_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    run = tmp_path / "run"

    def fill(step: StepInfo) -> None:
        monkeypatch.setattr(TextLog, what, full)

    with pytest.raises(InputError) as raised:
        go(run, more=[Probe(6, fill)])
    assert str(raised.value) == (
        f"{run}: cannot be written (No space left on device). "
        f"Make room or restore access, then go on: python -m train.ppo --resume {run}"
    )
    monkeypatch.undo()
    assert saved_updates(run) == [4]
    assert go(run, resume=True).finished
    assert go(tmp_path / "whole").finished
    assert without_times(run) == without_times(tmp_path / "whole")


def test_a_full_disk_under_tensorboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library's own writer is a thread that would die, and leave the run waiting at a full queue."""
    run = tmp_path / "run"
    with pytest.raises(InputError, match=r"cannot be written \(No space left on device\)"):
        go(run, more=[Probe(1, lambda step: monkeypatch.setattr("train.loggers.Board.add", full))], tensorboard=True)
