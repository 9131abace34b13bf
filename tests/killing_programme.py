"""Kill a programme at random moments, resume it each time, and compare it with one that was left in peace.

`python -m tests.killing --programme [--moments 20] [--terms 4]` prints a table of the moments; it exits with 1 if a
process said anything wrong, if SIGTERM did not end it with exit code 130 and one line that says how to go on, or if in
the end anything differs that no clock decides: the summary, a policy, the relay, the stitched backtest, the ledger.
"""

import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from jaxtrade.errors import STOPPED
from tests.helpers.programme_runs import ITERATIONS, NAME, differences, start_programme

SECONDS = 5.0  # in which SIGTERM must have ended a process
EACH = 5  # moments of one victim
STAGES = {  # of an iteration: the file that begins it, and the seconds over which moments are spread
    "chunks": ("config.yaml", 1.5),
    "checkpoints": ("checkpoints", 0.5),
    "export": ("spent.json", 2.5),
    "result": ("policy.npz", 0.3),
}
ENDING = {"relay": (f"iteration-{ITERATIONS:02d}/result.json", 0.1), "out-of-sample": ("relay.json", 1.5)}
ENDING |= {"page": ("out-of-sample/metrics.json", 0.6)}
START_SECONDS = 4.0


class Moment(NamedTuple):
    """When a process is to be ended."""

    place: int  # moments of a victim go forward
    stage: str
    file: str | None  # whose appearance begins the stage; None: the process's own beginning
    within: float  # seconds over which moments are spread


def all_moments() -> list[Moment]:
    """Return the stages of a programme in their order."""
    found = [Moment(0, "start-up", None, START_SECONDS)]
    for number in range(1, ITERATIONS + 1):
        folder = f"iteration-{number:02d}"
        found += [
            Moment(len(found) + i, f"{folder} {name}", f"{folder}/{file}", within)
            for i, (name, (file, within)) in enumerate(STAGES.items())
        ]
    return found + [Moment(len(found) + i, name, *each) for i, (name, each) in enumerate(ENDING.items())]


def torture(folder: Path, signals: list[str], rng: random.Random) -> list[str]:
    """Send one signal after another to programmes, each resumed until it is finished; return what went wrong."""
    whole = folder / "whole"
    finish(whole)
    stages = all_moments()
    rng.shuffle(signals)
    asked = [(stages[i % len(stages)], each) for i, each in enumerate(signals, rng.randrange(len(stages)))]
    rng.shuffle(asked)
    where, faults, victims = Counter[str](), list[str](), 0
    while asked:
        victims += 1
        now, asked = sorted(asked[:EACH], key=lambda each: each[0].place), asked[EACH:]
        place = folder / f"victim-{victims}"
        for stage, name in now:
            missed, found = one_moment(place, stage, name, rng)
            if missed:
                asked.append((stage, name))
            else:
                where[f"{name} {stage.stage.rpartition(' ')[2]}"] += 1
            faults += [f"victim-{victims}: {fault}" for fault in found]
        finish(place)
        found = differences(whole, place)
        say(f"victim-{victims}: {'; '.join(found) or 'equal'}")
        faults += [f"victim-{victims}: {fault}" for fault in found]
        shutil.rmtree(place)
    say("; ".join(f"{key}: {count}" for key, count in sorted(where.items())) + f"; {victims} programmes")
    return faults


def one_moment(place: Path, stage: Moment, name: str, rng: random.Random) -> tuple[bool, list[str]]:
    """Start or resume a programme and end it in a stage. Return whether it was over before, and what went wrong."""
    began = time.time()
    process = start_programme(place)
    late = rng.uniform(0, stage.within)
    while stage.file is not None and not is_fresh(place / NAME / stage.file, began):
        if ended(process, 0.002):
            break
    if ended(process, late):
        say(f"{stage.stage}: over before its moment came")
        return True, [] if process.returncode == 0 else [f"ended with {process.returncode}: {tail(place)}"]
    sent = time.monotonic()
    process.send_signal(getattr(signal, name))
    code, seconds = process.wait(), time.monotonic() - sent
    faults = complaints(place) + (ended_badly(place, code, seconds) if name == "SIGTERM" else [])
    say(f"{name} {stage.stage:22} + {late:.2f} s, ended in {seconds:.1f} s  {'; '.join(faults)}")
    return False, faults


def ended_badly(place: Path, code: int, seconds: float) -> list[str]:
    """Return what is wrong with the end of a process that got SIGTERM, before which it had begun and not finished."""
    said = log_of(place)
    if said in ("", "interrupted\n") or "\nreport: " in said:
        return []
    faults = [] if code == STOPPED else [f"SIGTERM ended with {code}"]
    faults += [] if seconds <= SECONDS else [f"SIGTERM took {seconds:.1f} s"]
    faults += [] if said.count(f"--resume {NAME}\n") == 1 else [f"it does not say how to go on: {tail(place)}"]
    return faults


def is_fresh(path: Path, began: float) -> bool:
    """Tell whether a file was written since a moment."""
    try:
        return path.stat().st_mtime >= began
    except FileNotFoundError:
        return False


def ended(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Wait; return whether the process has ended."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def finish(place: Path) -> None:
    """Let a programme come to its end."""
    began = time.monotonic()
    code = start_programme(place).wait()
    if code:
        raise SystemExit(f"{place.name} ended with {code}:\n{tail(place)}")
    say(f"{place.name}: finished in {time.monotonic() - began:.0f} s")


def log_of(place: Path) -> str:
    """Return what the newest process of a programme said."""
    return (place / "log").read_text(errors="replace")


def tail(place: Path) -> str:
    return repr(log_of(place)[-500:])


def complaints(place: Path) -> list[str]:
    """Return what a process should not have said."""
    said = log_of(place)
    return [f"it said {tail(place)}" for word in ("Traceback", "error: ", "warning: ") if word in said][:1]


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
