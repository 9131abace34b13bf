"""Kill a training run at random moments, resume it each time, and compare it with one that was left in peace.

`python -m tests.killing [--moments 50] [--terms 5] [--seed 0]` prints a table of the moments; it exits with 1 if
anything was unreadable, if more than one save interval was lost, if SIGTERM did not end it in 5 seconds with exit code
130, or if a bit of the last and the best checkpoint, of `metrics.csv` or of the policy differs in the end.
`--programme` does so with a programme: see tests/killing_programme.py.
"""

import argparse
import csv
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tests import killing_programme
from tests.helpers.checkpoint_runs import arguments, start
from train.checkpoint import saved_updates
from train.manifest import Damaged, verify
from train.saved import best_of, read_meta, read_state

EVERY = 5  # updates between checkpoints
SECONDS = 5.0  # in which SIGTERM must have ended a run
MORE = ("--network.kind", "mlp", "--no-tensorboard", "--eval-every", "20", "--checkpoints.every", str(EVERY))
STARTS = 0.2  # share of the moments that lie before the first chunk is done
WINDOW = 1.5  # seconds after it over which the others are spread


class Moment(NamedTuple):
    """A process that was ended, and what it left."""

    signal: str
    where: str  # what it was doing
    rows: int  # updates in metrics.csv
    saved: int  # update of the newest checkpoint, 0 if there is none
    seconds: float  # until it had ended
    faults: list[str]


class Place(NamedTuple):
    """Where the runs lie; compiled programs and tables are kept between the processes."""

    folder: Path
    updates: int

    def start(self, name: str) -> subprocess.Popen[bytes]:
        """Start a run, or go on with it."""
        run = self.folder / name
        new = arguments(self.folder, name, self.updates, "--seed", "3", *MORE)
        return start(self.folder, self.log(name), *(["--resume", str(run)] if run.exists() else new))

    def log(self, name: str) -> Path:
        """Return the file that holds what the last process of a run said."""
        return self.folder / f"{name}.log"


def main(argv: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m tests.killing", description=__doc__.partition("\n")[0])
    parser.add_argument("--programme", action="store_true", help="a programme instead of a run")
    parser.add_argument("--moments", type=int, default=50, help="kill -9 so many times")
    parser.add_argument("--terms", type=int, default=5, help="and SIGTERM so many times")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--updates", type=int, default=2000, help="of a run")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="killing-") as folder:
        signals = ["SIGKILL"] * args.moments + ["SIGTERM"] * args.terms
        if args.programme:
            faults = killing_programme.torture(Path(folder), signals, random.Random(args.seed))
        else:
            place = Place(Path(folder), args.updates)
            finish(place, "whole")
            faults = torture(place, signals, random.Random(args.seed))
    for fault in faults:
        sys.stdout.write(f"FAULT: {fault}\n")
    sys.stdout.write("all equal to the last bit\n" if not faults else f"{len(faults)} faults\n")
    return bool(faults)


def torture(place: Place, signals: list[str], rng: random.Random) -> list[str]:
    """Send one signal after another to runs, each resumed until it is finished; return what went wrong."""
    rng.shuffle(signals)
    victims, where, faults = 0, Counter(), []
    start_seconds = 3.0
    while signals:
        victims += 1
        name, finished = f"victim-{victims}", False
        while signals and not finished:
            began = time.monotonic()
            moment = one_moment(place, name, signals[-1], rng, start_seconds)
            if moment is None:
                finished = True
                continue
            signals.pop()
            where[f"{moment.signal} {moment.where}"] += 1
            if moment.where != "start-up":
                start_seconds = max(1.0, time.monotonic() - began - WINDOW)
            tell(moment, len(signals))
            faults += [f"{name}: {fault}" for fault in moment.faults]
        if not finished:
            finish(place, name)
        faults += compare(place, name)
    sys.stdout.write("; ".join(f"{key}: {count}" for key, count in sorted(where.items())) + f"; {victims} runs\n")
    return faults


def tell(moment: Moment, left: int) -> None:
    """Print a row of the table."""
    lost = moment.rows - moment.saved
    about = f"rows to {moment.rows:5}  saved {moment.saved:5}  lost {lost:2}  {moment.seconds:4.1f} s  {left:3} to go"
    sys.stdout.write(f"{moment.signal:8} {moment.where:22} {about}  {'; '.join(moment.faults)}\n")
    sys.stdout.flush()


def finish(place: Place, name: str) -> None:
    """Let a run come to its end."""
    began = time.monotonic()
    code = place.start(name).wait()
    if code:
        raise SystemExit(f"{name} ended with {code}:\n{place.log(name).read_text()[-3000:]}")
    sys.stdout.write(f"{name}: finished in {time.monotonic() - began:.0f} s\n")
    sys.stdout.flush()


def one_moment(place: Place, name: str, number: str, rng: random.Random, start_seconds: float) -> Moment | None:
    """Start a process and end it at a random moment; None if it had finished before."""
    run = place.folder / name
    before = newest(run)
    process = place.start(name)
    if number == "SIGKILL" and rng.random() < STARTS:
        ended = sleep_or_end(process, rng.uniform(0, start_seconds))
    else:
        while not (ended := sleep_or_end(process, 0.005)) and not trains(place, name):
            pass
        ended = ended or sleep_or_end(process, rng.uniform(0, WINDOW))
    if ended:
        if process.returncode:
            raise SystemExit(f"{name} ended with {process.returncode}:\n{place.log(name).read_text()[-3000:]}")
        return None
    began, started = time.monotonic(), trains(place, name)
    process.send_signal(getattr(signal, number))
    code = process.wait()
    seconds = time.monotonic() - began
    faults = look(run, place.log(name).read_text(), before)
    if number == "SIGTERM" and (code != 130 or seconds > SECONDS):
        faults.append(f"SIGTERM ended with {code} after {seconds:.1f} s")
    rows, saved = rows_of(run), newest(run)
    return Moment(number, doing(run, started, rows, saved), rows, saved, seconds, faults)


def sleep_or_end(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Wait; return whether the process has ended."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def trains(place: Place, name: str) -> bool:
    """Tell whether the process has done its first chunk."""
    return "\ncompiled " in place.log(name).read_text(errors="replace")


def newest(run: Path) -> int:
    """Return the update of the newest checkpoint."""
    return max(saved_updates(run), default=0)


def rows_of(run: Path) -> int:
    """Return the update of the last whole row of metrics.csv."""
    try:
        lines = (run / "metrics.csv").read_bytes().split(b"\n")[1:-1]
    except FileNotFoundError:
        return 0
    return int(float(lines[-1].split(b",")[0])) if lines else 0


def doing(run: Path, started: bool, rows: int, saved: int) -> str:
    """Tell what a process was doing by what it left."""
    if not started:
        return "start-up"
    if any((run / "checkpoints").glob(".partial-*")):
        return "a save or a deletion"
    return "between rows and save" if rows > saved else "a chunk"


def look(run: Path, log: str, before: int) -> list[str]:
    """Return what is wrong with a run's folder, and with what the process made of what it had found."""
    faults = []
    for update in saved_updates(run):
        try:
            verify(run / "checkpoints" / str(update))
        except Damaged as damage:
            faults.append(f"checkpoint {update}: {damage}")
    lost = rows_of(run) - newest(run)
    if lost > EVERY:
        faults.append(f"{lost} updates lost")
    if "warning: " in log or "Traceback" in log or "error: " in log:
        faults.append(f"the process said: {log[-300:]!r}")
    if "going on from" in log and f"going on from update {before}\n" not in log:
        faults.append(f"did not go on from update {before}")
    return faults


def compare(place: Place, name: str) -> list[str]:
    """Return what differs between a finished run and the uninterrupted one."""
    whole, run = place.folder / "whole", place.folder / name
    faults = [] if saved_updates(run) == saved_updates(whole) else [f"{saved_updates(run)}, not {saved_updates(whole)}"]
    for update in {newest(whole), best(whole)}:
        mine, theirs = (folder / "checkpoints" / str(update) for folder in (run, whole))
        faults += [f"{name}: checkpoint {update}: {part} differs" for part in different(mine, theirs)]
    if (run / "metrics.csv").read_bytes() != (whole / "metrics.csv").read_bytes():
        faults.append(f"{name}: metrics.csv differs")
    with np.load(run / "policy.npz") as mine, np.load(whole / "policy.npz") as theirs:
        names = [each for each in theirs.files if not each.startswith("__")]
        if any(mine[each].tobytes() != theirs[each].tobytes() for each in names):
            faults.append(f"{name}: policy.npz differs")
    with (run / "metrics.csv").open(newline="", encoding="utf-8") as file:
        if [int(float(row["update"])) for row in csv.DictReader(file)] != [*range(1, place.updates + 1)]:
            faults.append(f"{name}: metrics.csv lacks rows")
    return faults


def best(run: Path) -> int:
    """Return the update of the best checkpoint."""
    found = best_of({update: read_meta(run / "checkpoints" / str(update))["metric"] for update in saved_updates(run)})
    return 0 if found is None else found[0]


def different(mine: Path, theirs: Path) -> list[str]:
    """Return the leaves whose bytes differ between two checkpoints, and what callbacks remember differently."""
    old, new = (read_meta(folder) for folder in (theirs, mine))
    if old["leaves"] != new["leaves"]:
        return ["the list of arrays"]
    first, second = (leaf_bytes(folder, old["leaves"]) for folder in (theirs, mine))
    host = [] if json.dumps(old["host"]) == json.dumps(new["host"]) else ["what callbacks remember"]
    return [name for name in first if first[name] != second[name]] + host


def leaf_bytes(folder: Path, leaves: dict[str, Any]) -> dict[str, bytes]:
    """Return the bytes of each array of a checkpoint."""
    data, at, found = read_state(folder), 0, {}
    for name, (dtype, shape) in leaves.items():
        size = int(np.prod(shape, dtype=int)) * (8 if dtype.startswith("key<") else np.dtype(dtype).itemsize)
        found[name] = data[at : at + size].tobytes()
        at += size
    if at != len(data):
        raise SystemExit(f"{folder}: {at} bytes in the list, {len(data)} in the file")
    return found


if __name__ == "__main__":
    sys.exit(main())
