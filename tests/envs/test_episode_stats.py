"""The running statistics of an episode against the same figures from the recorded steps, in NumPy."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrade.config import EnvConfig
from jaxtrade.envs import stats as stats_room
from jaxtrade.envs.stats import EpisodeStats, empty_stats, summarize, update_stats
from jaxtrade.envs.trading import make_env
from jaxtrade.rules import Costs, Record
from tests.helpers.worlds import env_params, make_table, random_actions, walk

LONG = EnvConfig(window=30)
SHORT = EnvConfig(window=30, allow_short=True, max_leverage=3.0, trade_limit_percent=100.0)
DISCRETE = EnvConfig(window=30, action="discrete9", reward="fast_profit")
CASES = {"long": (LONG, 3, 0.01), "short": (SHORT, 2, 0.05), "discrete": (DISCRETE, 1, 0.02)}


def figures_of(record: Record, reward: np.ndarray) -> dict[str, float]:
    """Return the figures from the record of every step, leaves [K, ...]."""
    equity = np.concatenate([record.equity_before[:1], record.equity])
    log_returns = np.diff(np.log(equity))
    return {
        "return": reward.sum(),
        "length": len(reward),
        "equity": equity[-1],
        "sharpe_per_bar": log_returns.mean() / log_returns.std(ddof=1),
        "max_drawdown": np.max(1 - equity / np.maximum.accumulate(equity)),
        "turnover": record.turnover.sum(),
        "fees": record.fees.sum(),
        "trades": np.sum(record.fill_value != 0),
        "ruined": record.ruined.max(),
    }


def compare(name: str, steps: int) -> None:
    """Walk a case and compare every figure."""
    config, symbols, volatility = CASES[name]
    table = make_table(30, 600, symbols, volatility=volatility, missing=0.02)
    env, params = make_env(config), env_params(table, config)
    state, seen = jax.jit(partial(walk, env, params))(random_actions(config, steps, symbols))
    double = lambda leaf: np.asarray(leaf, np.float64)  # noqa: E731
    wanted = figures_of(jax.tree.map(double, seen["record"]), double(seen["reward"]))
    found = summarize(state.stats)
    assert set(found) == set(wanted)
    for key, value in wanted.items():
        np.testing.assert_allclose(found[key], value, rtol=2e-5, atol=2e-6, err_msg=key)


@pytest.mark.parametrize("name", CASES)
def test_figures_equal_those_of_the_recorded_steps(name: str) -> None:
    compare(name, steps=200)


def test_a_forgotten_drawdown_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A peak that starts at the first mark instead of at the capital."""
    real = stats_room.update_stats

    def update(stats: EpisodeStats, record: Record) -> EpisodeStats:
        new = real(stats, record)
        return new._replace(peak=jnp.where(stats.length == 0, new.log_growth, new.peak), trades=stats.trades + 1)

    monkeypatch.setattr("jaxtrade.envs.trading.update_stats", update)
    with pytest.raises(AssertionError, match=r"trades|max_drawdown"):
        compare("long", steps=50)


def record_of(pnl: float, equity: float) -> Record:
    """Return the record of a bar without trades."""
    zeros = {name: jnp.float32(0) for name in Record._fields}
    nothing = {"fill_value": jnp.zeros(1), "ruined": jnp.asarray(False), "costs": Costs(*(jnp.zeros((4, 1))))}
    change = {"pnl": jnp.float32(pnl), "equity_before": jnp.float32(equity), "equity": jnp.float32(equity + pnl)}
    return Record(**zeros | nothing | change)


def test_figures_by_hand() -> None:
    """1 -> 1.1 -> 0.99 -> 1.089: growth log 1.089; the drawdown is 10 %."""
    stats, equity = empty_stats(jnp.float32), 1.0
    figures = summarize(stats)
    assert all(np.isfinite(value) for value in figures.values())
    for rate in (0.1, -0.1, 0.1):
        stats = update_stats(stats, record_of(equity * rate, equity))
        equity *= 1 + rate
        if stats.length == 1:
            assert summarize(stats)["sharpe_per_bar"] == 0
    figures = summarize(stats)
    np.testing.assert_allclose(figures["equity"], 1.089, rtol=1e-6)
    np.testing.assert_allclose(figures["max_drawdown"], 0.1, rtol=1e-5)
    logs = np.log([1.1, 0.9, 1.1])
    np.testing.assert_allclose(figures["sharpe_per_bar"], logs.mean() / logs.std(ddof=1), rtol=1e-5)


def test_no_variation_has_no_sharpe() -> None:
    stats = empty_stats(jnp.float32)
    for _ in range(5):
        stats = update_stats(stats, record_of(0.0, 1.0))
    assert summarize(stats)["sharpe_per_bar"] == 0
