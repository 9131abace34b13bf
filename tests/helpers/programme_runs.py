"""The real command `train.programme` in processes of its own, and two finished programmes compared."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from jaxtrade import trials
from tests.helpers.planting import ROOT
from tests.helpers.programmes import price_file, summary_of

NAME = "p"
ITERATIONS = 3
ARGUMENTS = (
    *("--runs-dir", ".", "--name", NAME, "--num-envs", "8", "--env.window", "10", "--env.action", "discrete9"),
    *("--market.features", "lagged_returns=1,2", "rsi=5", "--network.kind", "mlp", "--network.hidden", "8"),
    *("--network.head", "8", "--ppo.rollout-length", "16", "--ppo.lanes", "4", "--ppo.episode-bars", "32"),
    *("--ppo.minibatches", "2", "--total-timesteps", str(128 * 20), "--eval-every", "1", "--patience", "4"),
    *("--iterations", str(ITERATIONS), "--candidates", "2", "--seed", "3"),
)
OF_THE_CLOCK = ("time", "hash", "previous")  # what the ledgers of two programmes do not share
WHOLE = ("config.yaml", "relay.json", "out-of-sample/metrics.json", "out-of-sample/equity.csv")
OF_AN_ITERATION = ("config.yaml", "metrics.csv", "policy.npz", "validation.npy")


def start_programme(place: Path) -> subprocess.Popen[bytes]:
    """Start the small programme in a folder of runs, or go on with it; what it says goes into `log` there.

    Prices and compiled programs lie beside the folder, for all programmes there.
    """
    place.mkdir(exist_ok=True)
    caches = place.parent
    environment = {key: value for key, value in os.environ.items() if not key.startswith("JAXTRADE_")}
    environment |= {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    environment |= {"JAXTRADE_COMPILATION_CACHE": str(caches / "xla"), "JAXTRADE_TABLE_CACHE": str(caches / "tables")}
    new = ["--data", str(price_file(caches)), *ARGUMENTS]
    arguments = ["--resume", NAME] if (place / NAME).exists() else new
    command = [sys.executable, "-u", "-m", "train.programme", *arguments]
    with (place / "log").open("wb") as file:
        return subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=environment, cwd=place)


def differences(whole: Path, place: Path) -> list[str]:
    """Return what differs between two finished programmes in folders of their own, apart from what a clock decides."""
    one, two = whole / NAME, place / NAME
    folders = [f"iteration-{number:02d}" for number in range(1, ITERATIONS + 1)]
    names = [*WHOLE, *(f"{folder}/{name}" for folder in folders for name in OF_AN_ITERATION)]
    faults = [f"{name} differs" for name in names if (one / name).read_bytes() != (two / name).read_bytes()]
    if summary_of(one) != summary_of(two):
        faults.append("programme_summary.json differs")
    first, second = ledger_of(whole), ledger_of(place)
    if first != second:
        new, lost = ([each for each in a if each not in b] for a, b in ((second, first), (first, second)))
        faults.append(f"trials.jsonl: {len(second)} entries, not {len(first)}; new {new}, lost {lost}")
    more, less = files(two) - files(one), files(one) - files(two)
    return faults + ([f"files: {sorted(more)} are left over, {sorted(less)} are missing"] if more or less else [])


def ledger_of(runs: Path) -> list[dict[str, Any]]:
    """Return the entries of a trial ledger, apart from times and hashes."""
    entries = [entry._asdict() for entry in trials.read(runs / trials.NAME)]
    return [{key: value for key, value in entry.items() if key not in OF_THE_CLOCK} for entry in entries]


def files(run: Path) -> set[str]:
    """Return the names of all files of a programme."""
    return {str(path.relative_to(run)) for path in run.rglob("*")}
