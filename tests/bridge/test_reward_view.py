"""Rewards along a backtest: those the run was paid, and what others would have paid."""

import numpy as np
import pytest

from eval_bridge.backtester import Backtest, run_backtest
from eval_bridge.rewards import reward_view
from jaxtrade.config import EnvConfig, MarketConfig
from jaxtrade.envs.synthetic import random_bars
from jaxtrade.errors import InputError
from jaxtrade.market.splits import Range
from jaxtrade.market.table import build_table
from jaxtrade.rules.rewards import REWARDS

OWN = "tests.bridge.test_reward_view:own_reward"


def own_reward(xp, record):
    return xp.tanh(record.turnover) - record.fees


def trade(reward: str, symbols: int = 3, params: dict[str, float] | None = None) -> Backtest:
    table = build_table(random_bars(200, symbols, seed=2), MarketConfig(features={"lagged_returns": (1,)}), 2)
    config = EnvConfig(allow_short=True, dead_band=0.0, reward={reward: 1.0}, reward_params=params or {}, window=2)
    random, first = np.random.default_rng(0), table.ranges["all"].first
    actions = random.normal(0, 0.6, (90, symbols))
    return run_backtest(table, Range(first, first + 90), config, lambda bar, _: (actions[bar - first], np.nan))


@pytest.mark.parametrize("symbols", [1, 3])
@pytest.mark.parametrize("name", [*REWARDS, OWN])
def test_the_runs_own_reward_is_reproduced_exactly(name: str, symbols: int) -> None:
    params = {"gain_weight": 2.0, "loss_weight": 3.0, "idle_decay": 0.01, "trade_penalty": 0.002, "adaptation": 0.05}
    result = trade(name, symbols, params)
    view = reward_view(result)
    np.testing.assert_array_equal(view[name], result.series("reward"))
    assert view[name].std() > 0
    assert list(view.columns)[: len(REWARDS)] == list(REWARDS)
    np.testing.assert_array_equal(view.index, result.time[1:])


def test_others_than_those_it_was_trained_for() -> None:
    """Of two runs with the same actions, each shows what the other was paid."""
    one, two = trade("log_return"), trade("calmar")
    np.testing.assert_array_equal(reward_view(one)["calmar"], two.series("reward"))
    np.testing.assert_array_equal(reward_view(two)["log_return"], one.series("reward"))


def test_names_of_older_systems() -> None:
    result = trade("log_return")
    view = reward_view(result, ["sharpe", "sortino", "calmar", "profit", OWN])
    assert list(view.columns) == ["sharpe", "sortino", "calmar", "profit", OWN]
    whole = reward_view(result, ["differential_sharpe", "differential_sortino"])
    np.testing.assert_array_equal(view["sharpe"], whole["differential_sharpe"])
    np.testing.assert_array_equal(view["sortino"], whole["differential_sortino"])
    with pytest.raises(InputError, match=r"no such reward\. Did you mean 'profit'"):
        reward_view(result, ["profits"])
