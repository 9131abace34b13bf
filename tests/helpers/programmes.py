"""A small programme for the tests: the smallest sizes that still trade, learn and stop.

Programmes of the same sizes share their compiled programs here, whatever their switches.
"""

import json
import time
from pathlib import Path
from typing import Any

from jaxtrade.envs.synthetic import random_bars
from tests.helpers.learning import MLP
from tests.helpers.price_files import csv_lines, write_lines
from train.compilation import Compilations
from train.lock import hold
from train.programme.config import ProgrammeConfig
from train.programme.fleet import Fleet, Ground, compile_fleet, open_ground
from train.programme.loop import Programme
from train.programme.open import resolve, start_folder
from train.programme.phases import most_epochs
from train.run import Outcome

BARS = 700
SAMPLES = 128  # steps of an update of one candidate
SMALL: dict[str, Any] = {
    "num_envs": 8,
    "total_timesteps": SAMPLES * 6,
    "eval_every": 1,
    "env": {"window": 10, "action": "discrete9"},
    "market": {"features": ["lagged_returns=1,2", "rsi=5"]},
    "network": MLP,
    "ppo": {"rollout_length": 16, "lanes": 4, "episode_bars": 32, "epochs": 2, "minibatches": 2},
    "iterations": 3,
    "candidates": 2,
    "patience": 2,
}
STATIC = ("data", "market", "env", "network", "ppo", "num_envs", "seed", "candidates", "vary", "windows", "iterations")
_FLEETS: dict[str, Fleet] = {}


def price_file(runs: Path) -> Path:
    """Return a file of random bars in a folder, written once."""
    path = runs / "prices.csv"
    return path if path.exists() else write_lines(path, csv_lines(random_bars(BARS, seed=21)))


def small_programme(runs: Path, name: str, **changes: Any) -> ProgrammeConfig:
    """Return the configuration of a small programme in a folder of runs.

    Args:
        runs: The folder; the prices lie there too.
        name: Of the programme.
        changes: Top-level keys; those of a section are merged into what the small programme has there.
    """
    data = SMALL | {"data": str(price_file(runs)), "runs_dir": str(runs), "name": name}
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(data.get(key), dict)
        data[key] = data[key] | value if both else value
    return ProgrammeConfig.model_validate(data)


def run_programme(config: ProgrammeConfig, resume: Path | None = None) -> Path:
    """Run a programme to its end, or go on with one, and return its folder."""
    began, ground = time.perf_counter(), open_ground(config)
    config = resolve(config, ground)
    run = start_folder(config, ground, resume)
    with hold(run), Compilations() as compilations:
        programme = Programme(config, run, compilations, began)
        if config.caching:
            programme._fleet = fleet_of(config, ground)
        outcome: Outcome = programme.run_all(ground)
    assert outcome.finished, outcome
    return run


def fleet_of(config: ProgrammeConfig, ground: Ground) -> Fleet:
    """Return the compiled programs of a programme, compiled once for all of the same sizes."""
    data = config.model_dump(mode="json", include=set(STATIC))
    key = json.dumps([data, most_epochs(ground.phases, config.ppo.epochs)], sort_keys=True)
    if key not in _FLEETS:
        _FLEETS[key] = compile_fleet(config, ground)
    return _FLEETS[key]


def summary_of(run: Path) -> dict[str, Any]:
    """Return programme_summary.json without what the clock says."""
    found: dict[str, Any] = without_timing(json.loads((run / "programme_summary.json").read_text(encoding="utf-8")))
    return found


def without_timing(part: Any) -> Any:
    """Return a part of a JSON record without its keys named `timing`."""
    if isinstance(part, dict):
        return {key: without_timing(value) for key, value in part.items() if key != "timing"}
    return [without_timing(each) for each in part] if isinstance(part, list) else part
