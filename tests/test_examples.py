"""The rewards under examples/ work by name: in training, in the certificate and in the backtest."""

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest

import eval_bridge.backtest
import train.ppo
from eval_bridge.bundle import load_bundle
from tests.helpers.planting import ROOT

SMALL = (
    "--data sample:nasdaq --num-envs 32 --total-timesteps 1024 --ppo.rollout-length 16 --ppo.lanes 4 --no-tensorboard "
    "--network.kind mlp --network.hidden 8 --network.head 8 --env.action positions --env.positions 0.5 1"
)


@pytest.mark.parametrize(
    "reward",
    [
        pytest.param(["examples.my_reward:steady_growth"], marks=pytest.mark.nightly),
        pytest.param(["examples.my_reward:shallow_drawdown=2", "log_return=0.5"], marks=pytest.mark.nightly),
    ],
)
def test_a_reward_of_ones_own(
    reward: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    arguments = [*SMALL.split(), "--env.reward", *reward, "--runs-dir", str(tmp_path), "--name", "own"]
    monkeypatch.setattr(sys, "argv", ["ppo", *arguments])
    assert train.ppo.main() == 0
    monkeypatch.setattr(sys, "argv", ["backtest", str(tmp_path / "own")])
    assert eval_bridge.backtest.main() == 0
    capsys.readouterr()
    manifest = load_bundle(tmp_path / "own" / "policy.npz").manifest
    assert manifest.certificate is not None
    assert not manifest.certificate.failures
    folder = tmp_path / "own" / "backtest" / "test"
    with (folder / "equity.csv").open() as file:
        rows = list(csv.DictReader(file))
    equity, rewards = np.array([float(r["equity"]) for r in rows]), np.array([float(r["reward"]) for r in rows[1:]])
    growth = np.diff(np.log(equity))
    assert np.ptp(growth) > 0
    np.testing.assert_allclose(rewards, by_hand(reward[0], growth), atol=1e-12)
    assert reward[0].split("=")[0] in json.loads((folder / "metrics.json").read_text())["about"]["reward"]


def by_hand(name: str, growth: np.ndarray) -> np.ndarray:
    """Return the rewards of a path of log returns, as a plain loop."""
    if "steady" in name:
        return growth - 10 * growth**2
    rewards, depth = [], 0.0
    for step in growth:
        depth = max(depth - step, 0.0)
        rewards.append(2 * (step - 0.1 * depth) + 0.5 * step)
    return np.array(rewards)
