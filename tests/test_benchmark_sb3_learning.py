"""What is compared in learning beside stable-baselines3: the peer's network is ours, and the figures are told right."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs torch (pip install 'jaxtrade[bench]')")
pytest.importorskip("stable_baselines3", reason="needs stable-baselines3 (pip install 'jaxtrade[bench]')")

import jax
import torch
from gymnasium.spaces import Box
from stable_baselines3.common.policies import ActorCriticPolicy

from benchmarks.harness import AtMost
from benchmarks.sb3_learning import OURS, SAME, WIDTH, Curve, compare, config_of, our_params, planted_market
from jaxtrade.rules import AccountView
from train.forward import flax_answers
from train.networks import init_params
from train.state import make_setup

BARS = np.arange(200, 220)


def networks_apart(rolled: int = 0) -> float:
    """Return the largest difference of the peer's answers and of our network's with the same weights."""
    table = planted_market()
    features, rng = table.features.shape[-1], np.random.default_rng(0)
    view = AccountView(*(rng.uniform(-1, 1, (len(BARS), *shape)).astype(np.float32) for shape in ((1, 4), (3,))))
    torch.manual_seed(0)
    peer = ActorCriticPolicy(
        Box(-9, 9, (features + 7,)), Box(-1, 1, (1,)), lambda _: 1e-3, {"pi": [WIDTH] * 2, "vf": [WIDTH] * 2}
    )
    with torch.no_grad():
        peer.action_net.weight *= 100
        seen = np.concatenate([table.features[BARS, 0], view.assets[:, 0], view.account], axis=1)
        seen = torch.from_numpy(np.roll(seen, rolled, axis=1))
        wanted, value = peer.get_distribution(seen).mode().numpy(), peer.predict_values(seen).numpy()[:, 0]
    setup, params = make_setup(config_of(1), table.ranges["train"], 1), our_params(peer)
    shapes = jax.tree.map(np.shape, params)
    assert shapes == jax.tree.map(np.shape, init_params(setup.policy, jax.random.key(0), 1, features))
    output, ours, _ = flax_answers(setup, params, table.features, BARS, view)
    assert np.std(output) > 0.05
    return float(max(np.max(np.abs(output - wanted)), np.max(np.abs(ours - value))))


def test_the_peers_network_is_ours() -> None:
    assert networks_apart() < 2e-6


def test_inputs_in_another_order_are_noticed() -> None:
    assert networks_apart(rolled=1) > 1e-2


def curves(*ends: float, slow: float) -> list[Curve]:
    """Return seeds that rise evenly to their ends in ten updates of `slow` seconds."""
    steps = np.arange(1, 11)
    return [Curve(slow * steps, end * np.minimum(steps / 5, 1.0)) for end in ends]


def test_times_and_returns_are_told() -> None:
    found = {OURS: (curves(1.0, 1.1, slow=0.1), 5.0), SAME: (curves(1.0, 1.0, slow=10.0), 1.0)}
    report = compare(found, updates=10)
    assert report.config[f"level, {SAME}"] == pytest.approx(0.9)
    assert report.ratios[f"time to the same return, {SAME} / ours"] == pytest.approx(100)
    assert report.ratios[f"the same, compile time included, {SAME} / ours"] == pytest.approx(51 / 5.5)
    assert report.ratios[f"return, upper end of {SAME} - upper end of ours"] == pytest.approx(1.0 - 1.1)
    assert report.targets[f"return, upper end of {SAME} - upper end of ours"] == AtMost(0.0)
    apart = report.ratios[f"mean return of ours - {SAME}"]
    assert apart.low < apart.median < apart.high
    assert apart.median == pytest.approx(0.05)
    worse = compare(found | {OURS: (curves(0.5, 0.6, slow=0.1), 5.0)}, updates=10)
    assert worse.ratios[f"return, upper end of {SAME} - upper end of ours"] > 0
