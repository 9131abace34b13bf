"""The peers of stable-baselines3 follow the same rules and compute the same network as jaxtrade."""

from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs torch (pip install 'jaxtrade[bench]')")
pytest.importorskip("stable_baselines3", reason="needs stable-baselines3 (pip install 'jaxtrade[bench]')")

import jax
import torch
from gymnasium.spaces import Box
from gymnasium.utils.env_checker import check_env

from benchmarks import sb3_ppo
from benchmarks.numpy_env import market_of, rules_of
from benchmarks.sb3_env import SB3Env
from benchmarks.sb3_ppo import BatchedVecEnv, Trainer, make_trainer
from benchmarks.torch_lstm import MultiScaleExtractor
from eval_bridge.spec import NetworkConfig
from tests.test_benchmark_peer import CONFIGS, Reference, draw_action, market_with_holes
from train.networks import MultiScaleLSTM

WINDOW, BRANCHES, HIDDEN = 9, (1, 4, 9), 6


def near(found: np.ndarray, wanted: np.ndarray, name: str) -> None:
    """The observation of the peer is float32."""
    np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=2e-6, err_msg=name)


def compare(symbols: int, name: str, window: int) -> int:
    """Walk some episodes beside the rule book, comparing every step; return how many were ruined."""
    config = CONFIGS[name][1].model_copy(update={"window": WINDOW})
    table = market_with_holes(symbols)
    span = table.ranges["all"]._replace(first=table.ranges["all"].first + WINDOW)
    env, rng, ruined = SB3Env(market_of(table, span), rules_of(config), window), np.random.default_rng(3), 0
    for _ in range(6):
        reference, ended = Reference(table, config, accounts=1), False
        seen, _ = env.reset()
        while not ended:
            bar = env.inner.t
            rows = table.features[bar - window + 1 : bar].ravel()
            wanted = np.concatenate([rows, reference.observe(np.array([bar]))[0]])
            near(seen, wanted, "observation")
            action = draw_action(rng, (symbols,))
            seen, reward, terminated, truncated, _ = env.step(action)
            record = reference.step(np.array([bar]), action[None])
            assert reward == pytest.approx(record.reward[0], rel=1e-9, abs=1e-12)
            assert terminated == record.ruined[0]
            assert truncated == (bar + 1 >= span.last)
            ended, ruined = terminated or truncated, ruined + terminated
    return ruined


@pytest.mark.parametrize("window", [1, WINDOW])
@pytest.mark.parametrize("name", ["one symbol, default", "one symbol, short", "four symbols, short"])
def test_the_environment_steps_like_the_rule_book(name: str, window: int) -> None:
    ruined = compare(CONFIGS[name][0], name, window)
    assert ruined > 0 or "short" not in name


def late_window(patch: pytest.MonkeyPatch) -> None:
    """The window begins a row too late."""
    see = SB3Env._see

    def shifted(self: SB3Env, seen: np.ndarray) -> np.ndarray:
        rows, width = see(self, seen), self.inner.features.shape[1]
        return np.concatenate([rows[width : (self.window - 1) * width], seen[:width], seen])

    patch.setattr(SB3Env, "_see", shifted)


def free_trades(patch: pytest.MonkeyPatch) -> None:
    """Trades cost nothing."""
    patch.setattr(sb3_ppo.SB3Env, "step", lambda self, action: free_step(self, action))


def free_step(env: SB3Env, action: np.ndarray) -> tuple:
    env.inner.rules = env.inner.rules._replace(buy_rate=0.0, sell_rate=0.0)
    result = env.inner.step(action)
    return env._see(result.observation), result.reward, result.terminated, result.truncated, {}


@pytest.mark.parametrize("plant", [late_window, free_trades])
def test_an_environment_that_differs_is_caught(plant: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        compare(1, "one symbol, default", WINDOW)


@pytest.mark.filterwarnings("ignore:.*Box observation space", "ignore:.*alternative render modes")
def test_gymnasium_accepts_the_environment() -> None:
    table = market_with_holes(2)
    check_env(SB3Env(market_of(table, table.ranges["all"]), rules_of(CONFIGS["one symbol, default"][1])))


def encoders_apart(features: int = 5, swap: bool = False) -> float:
    """Return the largest difference of our encoder and the peer's with the same weights, over all bars."""
    rows = np.random.default_rng(1).normal(size=(40, features)).astype(np.float32)
    bars = np.arange(WINDOW - 1, 40)
    ours = MultiScaleLSTM(NetworkConfig(kind="multiscale_lstm", branches=BRANCHES, hidden=HIDDEN))
    inputs = rows[None, :, None], bars[None].astype(np.int32), np.zeros(1, np.int32)
    params = ours.init(jax.random.key(0), *inputs)["params"]
    table = np.asarray(ours.apply({"params": params}, *inputs))[0, :, 0]
    account = np.random.default_rng(2).normal(size=(len(bars), 7)).astype(np.float32)
    windows = np.stack([rows[bar - WINDOW + 1 : bar + 1].ravel() for bar in bars])
    seen = np.concatenate([windows, account], axis=1)
    peer = MultiScaleExtractor(Box(-9, 9, seen.shape[1:]), WINDOW, features, BRANCHES, HIDDEN)
    peer.take(params)
    if swap:
        for lstm in peer.lstms:
            lstm.weight_ih_l0.data = lstm.weight_ih_l0.data.roll(HIDDEN, 0)
    with torch.no_grad():
        found = peer(torch.from_numpy(seen)).numpy()
    return float(np.max(np.abs(found - np.concatenate([table, account], axis=1))))


def test_the_features_extractor_equals_our_encoder() -> None:
    assert encoders_apart() < 2e-6


def test_gates_in_another_order_are_caught() -> None:
    assert encoders_apart(swap=True) > 1e-2


@pytest.mark.parametrize("batched", [False, True])
def test_the_peer_trains_through_a_whole_update(batched: bool) -> None:
    table = market_with_holes(4)
    market, rules = market_of(table, table.ranges["all"]), rules_of(CONFIGS["four symbols, long"][1])
    settings = Trainer(envs=2, steps=16, batch=8, epochs=2, batched=batched)
    model = make_trainer(market, rules, settings, {"net_arch": {"pi": [8, 8], "vf": [8, 8]}})
    before = [leaf.detach().clone() for leaf in model.policy.parameters()]
    model.learn(settings.samples)
    assert model.num_timesteps == settings.samples
    assert model._n_updates == settings.epochs
    assert all(not torch.equal(old, new) for old, new in zip(before, model.policy.parameters(), strict=True))
    assert str(settings) != str(settings._replace(threads=2))


def test_the_batched_environment_steps_like_the_single_ones() -> None:
    table = market_with_holes(4)
    market, rules = market_of(table, table.ranges["all"]), rules_of(CONFIGS["four symbols, short"][1])
    batched, singles = BatchedVecEnv(market, rules, 3), [SB3Env(market, rules) for _ in range(3)]
    batched.reset()
    for env, bar in zip(singles, batched.inner.t, strict=True):
        env.reset(options={"bar": int(bar)})
    rng = np.random.default_rng(4)
    for _ in range(40):
        action = rng.uniform(-1, 1, (3, 4)).astype(np.float32)
        seen, reward, ended, _ = batched.step(action)
        for n, env in enumerate(singles):
            wanted, gain, terminated, truncated, _ = env.step(action[n])
            assert reward[n] == pytest.approx(gain, rel=1e-5, abs=1e-7)
            assert ended[n] == (terminated or truncated)
            if ended[n]:
                env.reset(options={"bar": int(batched.inner.t[n])})
            else:
                near(seen[n], wanted, "observation")
