"""From launch to the first update: `python -m benchmarks.compile_time [--quick]`.

The default run is started as a user would, twice with the same compilation cache, which is empty the first time. The
clock runs from the start of the process until the run says that its first update is done; then the process is stopped.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.harness import ROOT, AtMost, Rate, Report, parse_options, publish, ratio, summary
from train.config import TrainConfig

SAID = re.compile(r"compiled (\d+) programs(?: and read (\d+) from the cache)? in ([\d.]+) s")
FIRST, SECOND = "first start, empty cache", "second start"


class Start(NamedTuple):
    """What one start took."""

    seconds: float  # from launch to the first update
    compiling: float  # of these, until every program was ready to run
    fresh: int  # programs compiled
    cached: int  # programs read from the cache


def start_once(folder: Path, name: str) -> Start:
    """Start the default run in a process of its own and stop it after its first update."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("JAXTRADE_", "JAX_COMPIL"))}
    environment |= {"JAXTRADE_COMPILATION_CACHE": str(folder / "cache"), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-u", "-m", "train.ppo", "--runs-dir", str(folder), "--name", name]
    began = time.perf_counter()
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if found := SAID.search(line):
                seconds = time.perf_counter() - began
                process.kill()
                fresh, cached, compiling = found.groups()
                return Start(seconds, float(compiling), int(fresh), int(cached or 0))
    raise RuntimeError(f"the run ended with code {process.returncode} before its first update")


def run(quick: bool) -> Report:
    """Measure pairs of starts, each pair with a cache of its own."""
    pairs = []
    for number in range(1 if quick else 5):
        with tempfile.TemporaryDirectory() as folder:
            pairs.append([start_once(Path(folder), f"{number}-{name}") for name in ("first", "second")])
            print(f"  {pairs[-1]}", flush=True)
    firsts, seconds = zip(*pairs, strict=True)
    times = {
        name: summary([start.seconds for start in starts]) for name, starts in ((FIRST, firsts), (SECOND, seconds))
    }
    compiling = summary([start.compiling for start in firsts])
    rates = {f"{name}, to the first update": _milliseconds(value) for name, value in times.items()}
    rates[f"{FIRST}, compiling"] = _milliseconds(compiling)
    rates[f"{SECOND}, compiling and reading"] = _milliseconds(summary([start.compiling for start in seconds]))
    rates[f"{FIRST}, programs compiled"] = summary([start.fresh for start in firsts])
    rates[f"{SECOND}, programs compiled"] = summary([start.fresh for start in seconds])
    ratios = {
        "seconds of the first compilation": compiling,
        "seconds of the second start, to the first update": times[SECOND],
        f"{FIRST} / {SECOND}": ratio(times[FIRST], times[SECOND]),
    }
    targets = dict(zip(ratios, (AtMost(15), AtMost(10)), strict=False))
    config = TrainConfig()
    about = {"num_envs": config.num_envs, "rollout_length": config.ppo.rollout_length, "network": config.network.kind}
    return Report("compile_time", "milliseconds, or programs", about, rates, ratios, targets)


def _milliseconds(value: Rate) -> Rate:
    return summary([1000 * seconds for seconds in value.seen])


def main() -> None:
    """Measure and tell."""
    quick = parse_options("From launch to the first update.").quick
    publish(run(quick), quick)


if __name__ == "__main__":
    main()
