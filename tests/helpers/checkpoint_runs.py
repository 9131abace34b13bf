"""The real command with a small network on a made-up market, in processes of their own."""

import os
import subprocess
import sys
from pathlib import Path

SAMPLES = 256  # of one update
SMALL = (
    *("--data", "synthetic:ou?bars=700&seed=1", "--num-envs", "16", "--env.window", "30"),
    *("--network.hidden", "8", "--network.head", "8", "--ppo.rollout-length", "16", "--ppo.lanes", "4"),
    *("--ppo.episode-bars", "64"),
)


def arguments(runs: Path, name: str, updates: int, *more: str) -> list[str]:
    """Return the arguments of a new run."""
    where = ["--runs-dir", str(runs), "--name", name, "--total-timesteps", str(updates * SAMPLES)]
    return [*SMALL, *where, *more]


def start(runs: Path, log: Path, *arguments: str, **variables: str) -> subprocess.Popen[bytes]:
    """Start `train.ppo`; compiled programs and tables are kept beside the runs."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("JAXTRADE_")}
    environment |= {"JAX_PLATFORMS": "cpu", "JAXTRADE_COMPILATION_CACHE": str(runs / "xla")}
    environment |= {"JAXTRADE_TABLE_CACHE": str(runs / "tables"), **variables}
    command = [sys.executable, "-u", "-m", "train.ppo", *arguments]
    with log.open("wb") as file:
        return subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=environment)


def finish(runs: Path, name: str, *arguments: str, **variables: str) -> Path:
    """Let a run come to its end and return its folder."""
    log = runs / f"{name}.log"
    code = start(runs, log, *arguments, **variables).wait()
    assert code == 0, log.read_text()[-3000:]
    return runs / name
