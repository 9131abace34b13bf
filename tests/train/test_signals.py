"""SIGTERM and Ctrl-C while a compiled program runs: saved and out in time, and resumed as if nothing had been."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import pytest

from tests.helpers.fake_job import fake_config
from tests.helpers.fake_runs import compiled, go, rows, without_times
from tests.helpers.planting import ROOT
from train import signals
from train.callbacks.make import make_callbacks
from train.checkpoint import saved_updates
from train.compilation import Compilations
from train.run import Outcome, train
from train.signals import Abandoned, Stop, call_aside, stop_signals

SLOW = """
import sys
from pathlib import Path
from tests.helpers import fake_runs
from tests.helpers.fake_job import fake_job, fake_config
from train import ppo
from train.run import leave

real, run = fake_runs.compiled(), Path(sys.argv[1])
slow = fake_job(fake_config(), work=2 * 10**9)
late = []

class Late:
    def chunk(self, state, market, count):
        if len(late) == 5:
            print("slow", flush=True)
            return slow.programs.training.chunk(state, market, count)
        late.append(1)
        return real.programs.training.chunk(state, market, count)

training = real.programs.training._replace(chunk=Late().chunk)
fake_runs.compiled = lambda: real._replace(programs=real.programs._replace(training=training))
ppo.command = lambda argv: leave(fake_runs.go(run), run)
sys.exit(ppo.main())
"""


def start_slow(run: Path) -> subprocess.Popen[str]:
    """Start a run whose sixth update takes minutes, and wait until it is under way."""
    quick = str(int(jax.config.read("jax_disable_most_optimizations")))  # its figures are compared with ours
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "JAX_PLATFORMS": "cpu",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": quick,
    }
    command = [sys.executable, "-c", SLOW, str(run)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    assert any(line == "slow\n" for line in process.stdout)
    return process


def test_a_long_update_is_abandoned_and_what_was_done_saved(tmp_path: Path) -> None:
    """Five updates are done, the last checkpoint is the fourth, the sixth takes minutes: out in five seconds."""
    run = tmp_path / "run"
    with start_slow(run) as process:
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
        seconds = time.monotonic() - began
    assert process.returncode == 130, (out, err)
    assert seconds < 5
    assert "Traceback" not in err
    assert err.count("SIGTERM: saving, then stopping; once more to stop at once") == 1
    said = "stopped: SIGTERM in an update; everything before, up to update 5, is saved. Go on: python -m train.ppo"
    assert f"{said} --resume {run}\n" in out
    assert saved_updates(run)[-1] == 5
    assert go(run, resume=True).finished
    assert go(tmp_path / "whole").finished
    assert without_times(run) == without_times(tmp_path / "whole")


@pytest.mark.nightly
def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with start_slow(run) as process:
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert any("once more" in line for line in process.stderr)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert time.monotonic() - began < signals.GRACE_SECONDS
    assert process.returncode == 130, (out, err)
    assert "stopped: interrupted twice; the newest checkpoint stands" in out
    assert "Traceback" not in err
    assert saved_updates(run) == [4]
    assert len(rows(run)) == 5


@pytest.fixture
def stop() -> Iterator[Stop]:
    with stop_signals() as stop:
        yield stop


def send(*after: float) -> None:
    for seconds in after:
        threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGTERM)).start()


def test_what_ends_in_time_is_finished(stop: Stop) -> None:
    send(0.1)
    assert call_aside(lambda: time.sleep(0.5) or "answer", stop) == "answer"
    assert stop.name == "SIGTERM"


def test_what_does_not_is_left(stop: Stop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "GRACE_SECONDS", 0.2)
    send(0.1)
    began = time.monotonic()
    with pytest.raises(Abandoned):
        call_aside(lambda: time.sleep(3), stop)
    assert 0.3 < time.monotonic() - began < 1


def test_twice_is_an_interrupt(stop: Stop) -> None:
    send(0.1, 0.2)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        call_aside(lambda: time.sleep(3), stop)
    assert time.monotonic() - began < 1


def test_an_error_in_the_thread_is_raised_here(stop: Stop) -> None:
    def fail() -> None:
        raise LookupError("from inside")

    with pytest.raises(LookupError, match="from inside"):
        call_aside(fail, stop)


def test_the_handlers_are_put_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with stop_signals() as stop:
        assert signal.getsignal(signal.SIGTERM) is stop
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def leave_the_sixth(run: Path, signals_sent: int = 1, **training: Any) -> tuple[Outcome, int]:
    """Train until the sixth update is abandoned, which has consumed its state; return what was compiled after it."""
    job, counts = compiled(), []

    def chunk(state: Any, market: Any, count: Any) -> Any:
        answer = job.programs.training.chunk(state, market, count)
        counts.append(compilations.total)
        if len(counts) == 6:
            for _ in range(signals_sent):
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(0.08)
            time.sleep(1)
        return answer

    config = fake_config()
    programs = job.programs._replace(training=job.programs.training._replace(chunk=chunk, **training))
    with Compilations() as compilations, pytest.MonkeyPatch.context() as patch:
        patch.setattr(signals, "GRACE_SECONDS", 0.1)
        patch.setattr("train.chunks.CHUNK_SECONDS", 1e-9)
        outcome = train(
            job._replace(config=config, programs=programs), run, False, compilations, make_callbacks(config)
        )
        return outcome, compilations.total - counts[-1]


def test_nothing_is_compiled_to_save_an_abandoned_run(tmp_path: Path) -> None:
    """The copy of the state was compiled at the start: a compilation may take longer than there is time."""
    outcome, compilations = leave_the_sixth(tmp_path)
    wanted = "SIGTERM in an update; everything before, up to update 5, is saved"
    assert outcome == Outcome(False, wanted, abandoned=True, signal="SIGTERM")
    assert compilations == 0
    assert saved_updates(tmp_path)[-1] == 5


def test_after_two_signals_nothing_is_saved(tmp_path: Path) -> None:
    outcome, _ = leave_the_sixth(tmp_path, signals_sent=2)
    assert outcome == Outcome(False, "interrupted twice; the newest checkpoint stands", True, "SIGTERM")
    assert saved_updates(tmp_path) == [4]


def test_a_state_that_is_not_copied_is_gone(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="deleted"):
        leave_the_sixth(tmp_path, copy=lambda state: state)
