"""One writer a run."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from jaxtrade.errors import InputError
from train import lock
from train.lock import hold

HOLDER = """
import sys, time, pathlib
from train.lock import hold
with hold(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_writer_is_told_who_the_first_is(tmp_path: Path) -> None:
    """And a holder that is killed holds no longer."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        who = f"process {process.pid} on {socket.gethostname()} trains here. Wait until it has ended"
        with pytest.raises(InputError, match=who), hold(tmp_path):
            raise AssertionError("two writers")
        process.send_signal(signal.SIGKILL)
        process.wait()
    with hold(tmp_path):
        assert (tmp_path / ".lock-holder").read_text() == f"process {os.getpid()} on {socket.gethostname()}"
    assert not (tmp_path / ".lock-holder").exists()


def test_a_lock_is_released_by_an_error(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(KeyError), hold(tmp_path):
            raise KeyError
    with hold(tmp_path), pytest.raises(InputError, match="trains here"), hold(tmp_path):
        pass


def test_a_holder_that_has_not_said_who_it_is(tmp_path: Path) -> None:
    with hold(tmp_path):
        (tmp_path / ".lock-holder").unlink()
        with pytest.raises(InputError, match="another process trains here"), hold(tmp_path):
            pass


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot be written \("), hold(tmp_path / "file"):
        pass


def test_without_the_lock_there_are_two_writers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: each holder takes a lock of its own."""
    monkeypatch.setattr(lock, "LOCK", ".one")
    with hold(tmp_path):
        monkeypatch.setattr(lock, "LOCK", ".two")
        with hold(tmp_path):
            pass
