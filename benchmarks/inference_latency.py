"""Time of one decision in NumPy, one account at a time: `python -m benchmarks.inference_latency [--quick]`.

A dense network on 300 inputs (30 symbols: 6 features and 4 figures of the account each), 256 and 256 units and 30
outputs, beside `predict` of Stable-Baselines3 with the same layers; and the multi-scale LSTM on one window of 260 bars,
beside the same branches in PyTorch. Peers run with one thread and with all, and the faster one counts.
"""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import gymnasium
import numpy as np
import torch
from stable_baselines3 import PPO

from benchmarks.harness import AtMost, Report, Work, measure, parse_options, publish
from eval_bridge.live import LiveWindow
from eval_bridge.policy import NumpyPolicy
from eval_bridge.spec import NetworkConfig, parameter_shapes
from jaxtrade.rules import AccountView

SYMBOLS, FEATURES, WIDTH = 30, 6, 256
WINDOW, WINDOW_FEATURES = 260, 16
THREADS = (1, torch.get_num_threads())


def random_policy(network: NetworkConfig, symbols: int, features: int) -> NumpyPolicy:
    """Return a policy of random parameters."""
    rng, shapes = np.random.default_rng(0), parameter_shapes(network, None, symbols, features, 0)
    params = {name: rng.normal(0, 0.1, shape).astype(np.float32) for name, shape in shapes.items()}
    bundle: Any = SimpleNamespace(
        params=params, manifest=SimpleNamespace(network=network, env=SimpleNamespace(choices=None))
    )
    return NumpyPolicy(bundle)


def repeated(decide: Callable[[], Any], times: int, threads: int | None = None) -> Work:
    """Return the work of many decisions."""

    def work() -> int:
        if threads is not None:
            torch.set_num_threads(threads)
        for _ in range(times):
            decide()
        return times

    return work


def ours(network: NetworkConfig, window: np.ndarray) -> Callable[[], Any]:
    """Return one decision of ours; it must be what the whole-table path says."""
    _, symbols, features = window.shape
    policy = random_policy(network, symbols, features)
    rng, live = np.random.default_rng(1), LiveWindow(policy, symbols)
    view = AccountView(rng.uniform(-1, 1, (symbols, 4)), rng.uniform(0, 1, 3))
    wanted = policy.head(policy.market(window, np.array([len(window) - 1]))[0], view).output
    np.testing.assert_allclose(live.decide(window, view), wanted, atol=1e-5)
    return lambda: live.decide(window, view)


class Space(gymnasium.Env[np.ndarray, np.ndarray]):
    """The spaces of the dense network; it is never stepped."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (SYMBOLS * (FEATURES + 4),), np.float32)
    action_space = gymnasium.spaces.Box(-1, 1, (SYMBOLS,), np.float32)


def sb3_predict() -> Callable[[], Any]:
    """Return one decision of Stable-Baselines3."""
    model = PPO("MlpPolicy", Space(), policy_kwargs={"net_arch": [WIDTH, WIDTH]}, device="cpu", n_steps=2, batch_size=2)
    observation = np.random.default_rng(2).normal(size=Space.observation_space.shape).astype(np.float32)
    return lambda: model.predict(observation, deterministic=True)


def torch_branches(network: NetworkConfig, window: np.ndarray) -> Callable[[], Any]:
    """Return the encoding of one window by PyTorch's LSTM."""
    cells = [torch.nn.LSTM(window.shape[-1], network.hidden, batch_first=True) for _ in network.branches]

    def encode() -> Any:
        rows = torch.from_numpy(window).swapaxes(0, 1)
        with torch.inference_mode():
            ends = [cell(rows[:, -length:])[0][:, -1] for cell, length in zip(cells, network.branches, strict=True)]
            return torch.cat(ends, dim=-1)

    return encode


def main() -> None:
    """Measure both networks and their peers."""
    quick = parse_options("Time of one decision in NumPy.").quick
    torch.manual_seed(0)
    rng, multiscale = np.random.default_rng(3), NetworkConfig()
    row = rng.normal(size=(1, SYMBOLS, FEATURES)).astype(np.float32)
    window = rng.normal(size=(WINDOW, 1, WINDOW_FEATURES)).astype(np.float32)
    times, few = (2000, 50) if quick else (10_000, 200)
    dense, lstm = "flat_mlp, NumPy", "multiscale_lstm, NumPy"
    subjects = {
        dense: repeated(ours(NetworkConfig(kind="flat_mlp", head=WIDTH), row), times),
        lstm: repeated(ours(multiscale, window), few),
    }
    predict, encode = sb3_predict(), torch_branches(multiscale, window)
    for threads in THREADS:
        subjects[f"SB3 predict, {threads} threads"] = repeated(predict, times // 10, threads)
        subjects[f"LSTM branches in PyTorch, {threads} threads"] = repeated(encode, few, threads)
    rates = measure(subjects, repeats=3 if quick else 9)
    best = {kind: max(rates[name].median for name in rates if name.startswith(kind)) for kind in ("SB3", "LSTM")}
    ratios = {
        f"{dense} / SB3 predict at its best": rates[dense].median / best["SB3"],
        f"{lstm} / PyTorch at its best": rates[lstm].median / best["LSTM"],
        f"{dense}, microseconds": 1e6 / rates[dense].median,
        f"{lstm}, milliseconds": 1e3 / rates[lstm].median,
    }
    targets = {
        f"{dense} / SB3 predict at its best": 10.0,
        f"{dense}, microseconds": AtMost(12.0),
        f"{lstm}, milliseconds": AtMost(3.0),
    }
    about = {"inputs": SYMBOLS * (FEATURES + 4), "layers": f"{WIDTH}, {WIDTH}, {SYMBOLS}", "window": WINDOW}
    about |= {"branches": multiscale.branches, "hidden": multiscale.hidden, "features": WINDOW_FEATURES}
    about |= {"torch": torch.__version__, "threads tried": THREADS}
    publish(Report("inference_latency", "decisions per second", about, rates, ratios, targets), quick)


if __name__ == "__main__":
    main()
