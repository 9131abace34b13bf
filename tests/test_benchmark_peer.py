"""The benchmark's NumPy peers follow the same rules as jaxtrade, so that a ratio of speeds compares like with like."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import pytest

from benchmarks import __main__ as bench
from benchmarks import harness, numpy_env
from benchmarks.harness import AtMost, Rate, Report, best_of, measure, ratio
from benchmarks.numpy_env import NumpyEnv, market_of, rules_of
from benchmarks.numpy_ppo import NumpyPPO
from benchmarks.numpy_single import SingleEnv
from jaxtrade.assemble import rule_book, rule_params
from jaxtrade.config import CostConfig, EnvConfig, MarketConfig
from jaxtrade.envs.synthetic import random_bars
from jaxtrade.market.table import MarketTable, build_table
from jaxtrade.rules import Known, Outcome, Record, advance, observe, open_account
from tests.conftest import small_config
from train.parts import mean_in_parts

ACCOUNTS, STEPS = 48, 250
SHORT = EnvConfig(
    allow_short=True,
    max_leverage=3.0,
    trade_limit_percent=150.0,
    costs=CostConfig(buy_percent=0.3, sell_percent=0.1),
    window=5,
)
CONFIGS = {
    "one symbol, default": (1, EnvConfig(window=5)),
    "one symbol, large trades": (1, EnvConfig(window=5, trade_limit_percent=90.0)),
    "one symbol, short": (1, SHORT),
    "four symbols, long": (4, EnvConfig(window=5, trade_limit_percent=60.0, costs=CostConfig(sell_percent=0.5))),
    "four symbols, short": (4, SHORT),
}


def market_with_holes(symbols: int) -> MarketTable:
    """Wild bars, some without an open, some without a close, some missing altogether."""
    bars = random_bars(400, symbols, seed=11, volatility=0.06)
    rng = np.random.default_rng(5)
    no_open, no_close = rng.random((2, *bars.open.shape)) < 0.04
    bars.open[no_open], bars.close[no_close] = np.nan, np.nan
    return build_table(bars, MarketConfig(), window=5)


class Reference:
    """The same accounts through `jaxtrade.rules`, in float64."""

    def __init__(self, table: MarketTable, config: EnvConfig, accounts: int) -> None:
        self.table, self.book, self.params = table, rule_book(config), rule_params(config, table.symbols)
        self.account = open_account(np, self.book, np.zeros((accounts, len(table.symbols))))

    def step(self, bar: np.ndarray, action: np.ndarray) -> Record:
        known = Known(*(leaf[bar] for leaf in self.table.known))
        outcome = Outcome(*(None if leaf is None else leaf[bar] for leaf in self.table.outcome))
        self.account, record = advance(np, self.book, self.params, self.account, action, known, outcome)
        return record

    def reopen(self, ended: np.ndarray) -> None:
        fresh = open_account(np, self.book, self.account.position)
        self.account = jax.tree.map(
            lambda a, b: np.where(ended.reshape(-1, *[1] * (b.ndim - 1)), a, b), fresh, self.account
        )

    def observe(self, bar: np.ndarray) -> np.ndarray:
        view = observe(np, self.book, self.account, Known(self.table.known.tradable[bar]), self.params)
        features = self.table.features[bar]
        return np.concatenate([leaf.reshape(len(bar), -1) for leaf in (features, *view)], axis=1)


def draw_action(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Actions inside and outside the dead band and the bounds, some of them not numbers."""
    action = rng.normal(0, 0.7, shape)
    return np.where(rng.random(shape) < 0.01, np.nan, action)


def close_to(found: np.ndarray, wanted: np.ndarray, name: str) -> None:
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12, err_msg=name)


def compare_batched(symbols: int, config: EnvConfig) -> Counter:
    """Run both and compare after every step. Return how often each kind of thing happened."""
    table = market_with_holes(symbols)
    env = NumpyEnv(market_of(table, table.ranges["all"]), rules_of(config), ACCOUNTS, dtype=np.float64)
    reference = Reference(table, config, ACCOUNTS)
    rng, kinds = np.random.default_rng(7), Counter()
    close_to(env.reset(), reference.observe(env.t), "first observation")
    for _ in range(STEPS):
        bar, action = env.t.copy(), draw_action(rng, (ACCOUNTS, symbols))
        result, record = env.step(action), reference.step(bar, action)
        close_to(result.reward, record.reward, "reward")
        np.testing.assert_array_equal(result.terminated, record.ruined, "terminated")
        np.testing.assert_array_equal(result.truncated, bar + 1 >= table.ranges["all"].last, "truncated")
        reference.reopen(result.terminated | result.truncated)
        account = reference.account
        close_to(env.cash, account.cash, "cash")
        close_to(env.position.T, account.position, "position")
        close_to(env.basis.T, account.basis, "basis")
        close_to(env.observe(), reference.observe(env.t), "observation")
        held = account.position != 0
        kinds += Counter(
            trades=int(np.sum(record.fill_value != 0)),
            ruined=int(record.ruined.sum()),
            truncated=int(result.truncated.sum()),
            blocked=int(record.blocked.sum()),
            rejected=int(record.rejected.sum()),
            closed=int(np.sum((record.fill_value < 0) & ~held)),
            short=int(np.sum(account.position < 0)),
        )
    return kinds


@pytest.mark.parametrize("name", CONFIGS)
def test_the_batched_peer_follows_the_rules(name: str) -> None:
    symbols, config = CONFIGS[name]
    kinds = compare_batched(symbols, config)
    wanted = {"trades": 2000, "truncated": 50, "blocked": 100, "rejected": 50, "closed": 20}
    wanted |= {"short": 2000, "ruined": 20} if config.allow_short else {}
    assert {kind: kinds[kind] for kind, least in wanted.items() if kinds[kind] < least} == {}


@pytest.mark.parametrize("name", CONFIGS)
def test_the_single_peer_follows_the_rules(name: str) -> None:
    symbols, config = CONFIGS[name]
    table = market_with_holes(symbols)
    env = SingleEnv(market_of(table, table.ranges["all"]), rules_of(config), dtype=np.float64)
    rng, episodes = np.random.default_rng(3), 0
    while episodes < 12:
        reference = Reference(table, config, accounts=1)
        close_to(env.reset()[None], reference.observe(np.array([env.t])), "first observation")
        ended = False
        while not ended:
            bar, action = env.t, draw_action(rng, (symbols,))
            result, record = env.step(action), reference.step(np.array([bar]), action[None])
            account = reference.account
            close_to(result.reward, record.reward[0], "reward")
            close_to(env.cash, account.cash[0], "cash")
            close_to(env.position, account.position[0], "position")
            close_to(env.basis, account.basis[0], "basis")
            close_to(env.observe(), reference.observe(np.array([env.t]))[0], "observation")
            assert result.terminated == record.ruined[0]
            ended = result.terminated or result.truncated
        episodes += 1


def free_sales(patch: pytest.MonkeyPatch) -> None:
    """Sales cost nothing."""
    patch.setattr(numpy_env.Rules, "commission", lambda self, total, net: self.buy_rate / 2 * (total + net))


def no_ruin(patch: pytest.MonkeyPatch) -> None:
    """Nobody is ever ruined."""
    patch.setattr(NumpyEnv, "_liquidate_ruined", lambda self: np.zeros(self.accounts, bool))


def idle_stands_still(patch: pytest.MonkeyPatch) -> None:
    """The bars since the last fill are not counted."""
    fill = NumpyEnv._fill

    def counted_badly(self: NumpyEnv, *orders: np.ndarray) -> None:
        fill(self, *orders)
        self.idle *= 0

    patch.setattr(NumpyEnv, "_fill", counted_badly)


def orders_fill_blindly(patch: pytest.MonkeyPatch) -> None:
    """A missing open does not stop a fill."""
    fill = NumpyEnv._fill
    patch.setattr(NumpyEnv, "_fill", lambda self, order, close, can_fill: fill(self, order, close, can_fill | True))


@pytest.mark.parametrize("plant", [free_sales, no_ruin, idle_stands_still, orders_fill_blindly])
def test_a_peer_with_other_rules_is_caught(plant: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        compare_batched(*CONFIGS["four symbols, short"])


def test_the_peer_learner_learns_from_what_it_did(small_table: MarketTable) -> None:
    config = small_config(network={"kind": "mlp", "hidden": 8, "head": 16})
    peer = NumpyPPO(small_table, config)
    before, seen = jax.device_get(peer.params), peer.collect(jax.random.key(1))
    assert seen.observation.shape[:2] == (config.ppo.rollout_length, config.num_envs)
    dist_params, value = jax.jit(peer.brain.decide)(peer.params, seen.observation[3])
    np.testing.assert_allclose(peer.brain.distribution.log_prob(dist_params, seen.action[3]), seen.log_prob[3], 1e-5)
    np.testing.assert_allclose(value, seen.value[3], 1e-5)
    assert np.isfinite(peer.update())
    moved = jax.tree.map(lambda old, new: float(np.max(np.abs(old - new))), before, jax.device_get(peer.params))
    assert min(jax.tree.leaves(moved)) > 0


def test_the_peer_learner_takes_a_minibatch_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    minibatch = np.arange(24.0).reshape(12, 2)
    monkeypatch.setattr("train.parts.ROWS", 4)
    found = mean_in_parts(lambda scale, part: scale * part.mean(axis=0), 3.0, minibatch)
    np.testing.assert_allclose(found, 3 * minibatch.mean(axis=0), rtol=1e-6)


def test_a_ratio_is_taken_turn_by_turn() -> None:
    ours, peer = Rate(20, 10, 40, (10.0, 20.0, 40.0)), Rate(5, 2, 10, (2.0, 10.0, 5.0))
    assert ratio(ours, peer) == Rate(5.0, 2.0, 8.0, (5.0, 2.0, 8.0))


def test_subjects_take_turns_after_one_call_each() -> None:
    calls: list[str] = []
    subjects = {name: lambda name=name: calls.append(name) or 1 for name in "ab"}
    rates = measure(subjects, repeats=2)
    assert calls == ["a", "b"] + ["a", "b"] * 2
    assert {len(rate.seen) for rate in rates.values()} == {2}
    assert best_of({"a": Rate(1, 1, 1), "b": Rate(2, 2, 2)}, "ab") == "b"


RATIOS = {"fast": Rate(4.0, 3.0, 5.0), "slow": 2.0, "late": 7.0, "said only": 1.0}
TARGETS = {"fast": 3.0, "slow": 3.0, "late": AtMost(3.0)}


def test_results_tell_what_met_its_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(harness, "ROOT", tmp_path)
    monkeypatch.setattr(bench, "RESULTS", tmp_path / "results")
    harness.publish(Report("planted", "things per second", {}, {"it": Rate(1, 1, 1, (1.0,))}, RATIOS, TARGETS), True)
    result = json.loads((tmp_path / "results" / "planted-quick.json").read_text())
    assert result["commit"]
    assert {"python", "jax", "numpy"} <= result["versions"].keys()
    assert [row[3] for row in bench.verdicts(bench.written_since(0))] == ["met", "missed", "missed", ""]
    assert bench.written_since(2**40) == []


def test_a_script_that_fails_is_told_and_the_others_still_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran: list[str] = []

    def run_script(name: str, quick: bool) -> str:
        ran.append(name)
        return "ended with code 3" if name == "memory" else ""

    monkeypatch.setattr(bench, "run_script", run_script)
    monkeypatch.setattr(bench, "written_since", lambda began: [])
    monkeypatch.setattr("sys.argv", ["benchmarks", "memory", "env_steps"])
    assert bench.main() == 1
    assert ran == ["memory", "env_steps"]
    assert "FAILED memory: ended with code 3" in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["benchmarks", "env_steps"])
    assert bench.main() == 0


def test_a_missing_peer_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert not harness.missing("numpy")
    assert harness.missing("numpy", "no_such_peer")
    assert capsys.readouterr().out.count("\n") == 1
