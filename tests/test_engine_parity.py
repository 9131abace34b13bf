"""Two engines, one rule book: what the compiled environment lived through, the backtester lives through again.

Accounts act at random in the JAX environment; their actions are replayed in the stateful NumPy backtester. The measured
differences are logged (`--log-cli-level=INFO`).
"""

import logging
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from eval_bridge.backtester import Backtest, replay_actor, run_backtest
from jaxtrade.config import CostConfig, EnvConfig
from jaxtrade.envs.trading import EnvParams, TradingCore, make_env_params
from jaxtrade.market.table import MarketTable
from jaxtrade.rules import AccountView
from tests.helpers.worlds import decisions, make_table, random_actions, walk

WINDOW, STEPS, ACCOUNTS = 30, 1000, 3
DOUBLE, SINGLE = 1e-12, 2e-5
LOG = logging.getLogger(__name__)
COSTS = CostConfig(buy_percent=0.1, sell_percent=0.15)
LONG = EnvConfig(window=WINDOW, costs=COSTS)
SHORT = EnvConfig(window=WINDOW, costs=COSTS, allow_short=True, max_leverage=3.0, trade_limit_percent=40.0)
DISCRETE = EnvConfig(window=WINDOW, costs=COSTS, action="discrete9")


class Case(NamedTuple):
    """A configuration and a market."""

    config: EnvConfig
    symbols: int
    missing: float = 0.0
    volatility: float = 0.01


CASES = {
    "long, one symbol": Case(LONG, 1),
    "long, five symbols, missing bars": Case(LONG, 5, 0.05),
    "short, one symbol, missing bars": Case(SHORT, 1, 0.05),
    "short, five symbols": Case(SHORT, 5),
    "short, until ruin": Case(SHORT, 2, 0.05, 0.06),
    "fast profit": Case(LONG.model_copy(update={"reward": "fast_profit"}), 2, 0.05),
    "discrete, missing bars": Case(DISCRETE, 1, 0.05),
}


@lru_cache
def table_of(case: Case) -> MarketTable:
    return make_table(WINDOW, 1700, case.symbols, missing=case.missing, volatility=case.volatility)


def actions_of(case: Case) -> np.ndarray:
    """Return actions [accounts, steps, ...]; some are no numbers."""
    actions = np.stack([random_actions(case.config, STEPS, case.symbols, seed) for seed in range(ACCOUNTS)])
    if case.config.action == "continuous":
        actions[:, ::97] = np.nan
    return actions


class Lived(NamedTuple):
    """What one engine showed, leaves [accounts, steps, ...]; the backtester stops at ruin, which leaves NaN."""

    equity: np.ndarray
    reward: np.ndarray
    assets: np.ndarray
    account: np.ndarray
    fees: np.ndarray
    ruined: np.ndarray


Change = Callable[[EnvParams], EnvParams]


@lru_cache
def program_of(config: EnvConfig) -> Callable[[EnvParams, jax.Array], Any]:
    """Return the compiled walk of many accounts, leaves [accounts, steps, ...]; the market is an argument."""
    core = TradingCore(config)
    return jax.jit(lambda params, actions: jax.vmap(partial(walk, core, params))(actions)[1])


def live_in_jax(case: Case, dtype: Any, actions: np.ndarray, change: Change = lambda params: params) -> Lived:
    """Act in the environment, vmapped over accounts and scanned over steps."""
    span = decisions(table_of(case), STEPS)
    params = change(make_env_params(table_of(case), span, case.config, dtype))
    seen = program_of(case.config)(params, jnp.asarray(actions))
    record, obs = seen["record"], seen["obs"]
    assert record.equity.dtype == dtype
    leaves = (record.equity, seen["reward"], obs.assets, obs.account, record.fees, record.ruined)
    return Lived(*(np.asarray(leaf, np.float64) for leaf in leaves))


def backtest(case: Case, actions: np.ndarray) -> tuple[Backtest, list[AccountView]]:
    """Replay the actions of one account; also return what it saw of itself."""
    table, views = table_of(case), []
    span = decisions(table, STEPS)
    replay = replay_actor(actions, span.first)

    def actor(bar: int, view: AccountView) -> tuple[Any, float]:
        views.append(view)
        return replay(bar, view)

    return run_backtest(table, span, case.config, actor), views


@lru_cache
def live_in_numpy(case: Case) -> Lived:
    lived = []
    for actions in actions_of(case):
        result, views = backtest(case, actions)
        reward = np.array([step.reward for step in result.steps])
        view = [np.stack([getattr(each, name) for each in views]) for name in ("assets", "account")]
        leaves = (result.series("equity"), reward, *view, result.series("fees"), result.series("ruined"))
        gap = STEPS - len(reward)
        lived.append([np.pad(leaf.astype(float), [(0, gap)] + [(0, 0)] * (leaf.ndim - 1), constant_values=np.nan)
                      for leaf in leaves])  # fmt: skip
    return Lived(*(np.stack(leaves) for leaves in zip(*lived, strict=True)))


def differences(found: Lived, wanted: Lived) -> dict[str, float]:
    """Return the largest differences; equity relative, the others absolute; steps after ruin are left out."""
    apart = {name: np.abs(getattr(found, name) - getattr(wanted, name)) for name in Lived._fields}
    apart["equity"] = apart["equity"] / wanted.equity
    return {name: float(np.nanmax(value)) for name, value in apart.items()}


def check(found: Lived, wanted: Lived, tolerance: float) -> dict[str, float]:
    """Assert that equity, rewards, fees, ruin, and what a policy sees of its account agree; return all differences."""
    apart = differences(found, wanted)
    assert apart["ruined"] == 0, f"ruin differs: {apart}"
    for name in ("equity", "reward", "fees", "assets", "account"):
        assert apart[name] <= tolerance, f"{name} differs by {apart[name]:.3g}: {apart}"
    return apart


@pytest.mark.parametrize("name", CASES)
def test_float64_environment_is_the_backtester(name: str, x64: None) -> None:
    case = CASES[name]
    wanted = live_in_numpy(case)
    assert np.nanmax(np.abs(wanted.equity - 1)) > 0.05
    assert np.mean(wanted.fees[~np.isnan(wanted.fees)] > 0) > 0.1
    assert (np.nanmax(wanted.ruined) == 1) == (name == "short, until ruin")
    apart = check(live_in_jax(case, jnp.float64, actions_of(case)), wanted, DOUBLE)
    LOG.info("float64, %s: %s", name, apart)


@pytest.mark.parametrize("name", CASES)
def test_float32_environment_stays_close(name: str) -> None:
    case = CASES[name]
    apart = check(live_in_jax(case, jnp.float32, actions_of(case)), live_in_numpy(case), SINGLE)
    LOG.info("float32, %s: %s", name, apart)


# Planted faults ------------------------------------------------------------------------------------------------------


def fee_off(share: float) -> Change:
    return lambda params: params.replace(rules=params.rules._replace(buy_rate=params.rules.buy_rate * (1 + share)))


def fill_at_the_close(params: EnvParams) -> EnvParams:
    """The whole night is traded at the close before it."""
    gap, move = params.outcome.gap, params.outcome.move
    return params.replace(outcome=params.outcome._replace(gap=0 * gap, move=(1 + gap) * (1 + move) - 1))


def missing_opens_fill(params: EnvParams) -> EnvParams:
    return params.replace(outcome=params.outcome._replace(can_fill=params.outcome.can_fill | True))


DOUBLE_FAULTS = {"fee off by a millionth": fee_off(1e-6), "fill at the close": fill_at_the_close}
SINGLE_FAULTS = {"fee off by a hundredth": fee_off(1e-2), "missing opens fill": missing_opens_fill}
FAULTY = CASES["long, five symbols, missing bars"]


@pytest.mark.parametrize("name", DOUBLE_FAULTS)
def test_float64_notices(name: str, x64: None) -> None:
    with pytest.raises(AssertionError, match=r"^(equity|reward|fees) differs"):
        check(live_in_jax(FAULTY, jnp.float64, actions_of(FAULTY), DOUBLE_FAULTS[name]), live_in_numpy(FAULTY), DOUBLE)


@pytest.mark.parametrize("name", SINGLE_FAULTS)
def test_float32_notices(name: str) -> None:
    with pytest.raises(AssertionError, match=r"^(equity|reward|fees) differs"):
        check(live_in_jax(FAULTY, jnp.float32, actions_of(FAULTY), SINGLE_FAULTS[name]), live_in_numpy(FAULTY), SINGLE)


def test_float32_notices_orders_one_bar_late() -> None:
    late = np.roll(actions_of(FAULTY), 1, axis=1)
    late[:, 0] = 0
    with pytest.raises(AssertionError, match=r"^equity differs"):
        check(live_in_jax(FAULTY, jnp.float32, late), live_in_numpy(FAULTY), SINGLE)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", CASES)
def test_float64_on_other_markets(name: str, seed: int, x64: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other prices, more volatile, until ruin."""
    case = CASES[name]
    table = make_table(WINDOW, 1700, case.symbols, seed=100 + seed, missing=0.1, volatility=0.04)
    monkeypatch.setitem(globals(), "table_of", lambda _: table)
    check(live_in_jax(case, jnp.float64, actions_of(case)), live_in_numpy.__wrapped__(case), DOUBLE)
