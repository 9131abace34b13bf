"""What a programme says of markets without an edge, with real costs: that there is no evidence; and of an edge that is.

Every seed is another market and another programme, in a ledger of its own; all share the compiled programs.
"""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from eval_bridge.evaluation import Evaluation
from train.compilation import Compilations
from train.lock import hold
from train.programme.config import ProgrammeConfig
from train.programme.fleet import Fleet, compile_fleet, open_ground
from train.programme.loop import Programme
from train.programme.open import resolve, start_folder

pytestmark = pytest.mark.nightly

NOISE = "synthetic:gbm?drift=0&volatility=0.01&bars=2000&seed={seed}"
EDGE = "synthetic:ou?theta=0.6&volatility=0.03&overnight=0.02&bars=2000&seed={seed}"  # it comes back within days
SEEDS = range(20)
FEWER = range(6)
SMALL: dict[str, Any] = {
    "name": "walk",
    "num_envs": 32,
    "total_timesteps": 12_288,
    "eval_every": 3,
    "iterations": 4,
    "candidates": 4,
    "env": {"window": 10, "allow_short": True},
    "market": {"features": ["lagged_returns=1,2,3", "rsi=5"]},
    "network": {"kind": "mlp", "hidden": 16},
    "ppo": {"rollout_length": 32, "epochs": 3, "minibatches": 4, "learning_rate": 3e-3},
}


class Laboratory:
    """Runs programmes of one size on any market."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._fleet: Fleet | None = None

    def honesty(self, source: str, seed: int) -> dict[str, Any]:
        """Run a programme with costs on a market of its own, and return what it says of luck."""
        runs = self._folder / f"{source.split('?')[0].split(':')[1]}-{seed}"
        data = {"data": source.format(seed=seed), "runs_dir": str(runs), "seed": seed}
        config = ProgrammeConfig.model_validate(SMALL | data)
        ground = open_ground(config)
        config = resolve(config, ground)
        run = start_folder(config, ground, None)
        with hold(run), Compilations() as compilations:
            if self._fleet is None:
                self._fleet = compile_fleet(config, ground)
            programme = Programme(config, run, compilations, time.perf_counter())
            programme._fleet = self._fleet._replace(lineup=tuple(config.lineup))
            assert programme.run_all(ground).finished
        found: dict[str, Any] = json.loads((run / "programme_summary.json").read_text(encoding="utf-8"))["honesty"]
        return found


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    with mock.patch.object(Evaluation, "write"):  # no report is looked at
        yield Laboratory(tmp_path_factory.mktemp("noise"))


def tell(name: str, found: list[dict[str, Any]]) -> None:
    """Print the figures, for `pytest -s`."""
    figures = [f"p {each['p_value']:.3f} Sharpe {each['out_of_sample']['sharpe'] or 0:+.2f}" for each in found]
    sys.stdout.write(f"{name}: {'; '.join(figures)}\n")


def test_noise_is_called_no_evidence(laboratory: Laboratory) -> None:
    found = [laboratory.honesty(NOISE, seed) for seed in SEEDS]
    tell("noise", found)
    none = [each["verdict"].startswith("no evidence of skill") and not each["significant"] for each in found]
    assert sum(none) >= len(SEEDS) - 1, found


def test_an_edge_is_found_in_most_markets(laboratory: Laboratory) -> None:
    found = [laboratory.honesty(EDGE, seed) for seed in FEWER]
    tell("edge", found)
    evident = [each["significant"] and each["verdict"].startswith("evidence of skill") for each in found]
    assert sum(evident) > len(FEWER) / 2, found
