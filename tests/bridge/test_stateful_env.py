"""StatefulTradingEnv: Gymnasium's checks, the backtester's figures, the policy's window."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env

from eval_bridge import StatefulTradingEnv
from eval_bridge.backtester import Backtest, policy_actor, run_backtest
from eval_bridge.rewards import reward_view
from jaxtrade import trials
from jaxtrade.config import EnvConfig, MarketConfig
from jaxtrade.envs.synthetic import random_bars
from jaxtrade.errors import InputError
from jaxtrade.market.splits import Range
from jaxtrade.market.table import MarketTable, build_table
from tests.helpers.bundles import SMALL_MLP, random_policy, write_random_bundle

WINDOW, STEPS = 6, 40
ADVICE = "recommend using a symmetric and normalized space"
FEATURES = MarketConfig(features={"lagged_returns": (1, 2), "realized_vol": (5,)})
SHORT: dict[str, Any] = {"allow_short": True, "max_leverage": 2.0}
KINDS: dict[str, tuple[dict[str, Any], int]] = {
    "continuous": ({"dead_band": 0.0, **SHORT}, 3),
    "proportional": ({}, 1),
    "discrete9": ({}, 1),
    "target_weight": ({}, 3),
    "positions": ({"positions": (-1.0, 0.0, 1.0), **SHORT}, 1),
    "orders": (SHORT, 3),
}


def market(symbols: int, volatility: float = 0.02) -> MarketTable:
    return build_table(random_bars(160, symbols, seed=5, volatility=volatility), FEATURES, WINDOW)


def make(action: str, reward: str | None = None) -> StatefulTradingEnv:
    changes, symbols = KINDS[action]
    config = EnvConfig(action=action, window=WINDOW, reward={"log_return": 0.5, "calmar": 0.5}, **changes)
    table = market(symbols)
    first = table.ranges["all"].first
    return StatefulTradingEnv(table, config, Range(first, first + STEPS), reward)


@pytest.mark.parametrize("action", KINDS)
def test_gymnasium_accepts_every_kind_of_action(action: str) -> None:
    """Without a warning; for numbers of units, which no range of [-1, 1] holds, with its advice to use one."""
    env = make(action)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        check_env(env)
    told = [each for each in told if action != "orders" or ADVICE not in str(each.message)]
    assert [str(each.message) for each in told] == []
    symbols = KINDS[action][1]
    shapes = {name: space.shape for name, space in env.observation_space.spaces.items()}
    assert shapes == {"market": (WINDOW, symbols, 3), "assets": (symbols, 4), "account": (6,)}


def play(env: StatefulTradingEnv, policy: Any) -> tuple[list[float], list[dict[str, Any]], tuple[bool, bool]]:
    """Step an environment by a policy to its end, from what it observes alone; return rewards, infos and the end."""
    seen, _ = env.reset(seed=1)
    rewards, infos, ended = [], [], (False, False)
    while not any(ended):
        rows = policy.market(seen["market"], np.array([WINDOW - 1]))[0]
        view = env.view()
        np.testing.assert_array_equal(seen["assets"], np.asarray(view.assets, np.float32))
        action = policy.act(policy.head(rows, view))
        seen, reward, *ended, info = env.step(action)
        assert env.observation_space.contains(seen)
        rewards, infos = [*rewards, reward], [*infos, info]
    return rewards, infos, (ended[0], ended[1])


@pytest.mark.parametrize("action", [kind for kind in KINDS if kind != "orders"])
def test_stepping_by_the_policy_is_the_backtest(action: str) -> None:
    """Bitwise: the equity, the actions, the rewards, the accounts."""
    env = make(action)
    symbols = KINDS[action][1]
    policy = random_policy(SMALL_MLP, env.config, symbols, 3)
    rewards, infos, ended = play(env, policy)
    whole, mine = run_backtest(env.table, env.span, env.config, policy_actor(policy, env.table, env.span)), env.result()
    assert ended == (False, True)
    assert isinstance(mine, Backtest)
    for name in ("equity", "reward", "turnover", "fill_value"):
        np.testing.assert_array_equal(mine.series(name), whole.series(name))
    assert rewards == whole.series("reward").tolist()
    assert [info["equity"] for info in infos] == whole.equity[1:].tolist()
    np.testing.assert_array_equal(infos[-1]["position"], whole.steps[-1].account.position * whole.capital)
    assert infos[-1]["buys"] + infos[-1]["sells"] == len(whole.ledger.orders) > 0
    assert sum(info["fees"] for info in infos) == pytest.approx(sum(whole.ledger.charges[k] for k in ("commission",)))


@pytest.mark.parametrize("reward", ["sharpe", "sortino", "calmar", "profit", "log_return"])
def test_a_reward_by_name_is_the_reward_view(reward: str) -> None:
    env = make("continuous", reward)
    policy = random_policy(SMALL_MLP, env.config, 3, 3)
    rewards, _, _ = play(env, policy)
    view = reward_view(env.result(), [reward])
    assert rewards == view[reward].tolist()
    assert np.std(rewards) > 0


def test_ruin_terminates() -> None:
    table = market(1, volatility=0.4)
    config = EnvConfig(action="target_weight", window=WINDOW, allow_short=True, max_leverage=3.0)
    env = StatefulTradingEnv(table, config)
    env.reset()
    ended = False
    while not ended:
        seen, _, ended, truncated, info = env.step(np.array([-3.0], np.float32))
        assert not truncated, "the range ended before the account was ruined"
    assert env.observation_space.contains(seen)
    assert info["equity"] < 10_000
    with pytest.raises(InputError, match="is over"):
        env.step(np.array([0.0], np.float32))


def test_an_episode_may_begin_at_any_decision() -> None:
    env = make("continuous")
    seen, info = env.reset(options={"bar": env.span.first + 7})
    assert info["bar"] == env.span.first + 7
    bar = info["bar"]
    np.testing.assert_array_equal(seen["market"], env.table.features[bar - WINDOW + 1 : bar + 1])
    assert (info["equity"], info["time"]) == (10_000.0, env.table.time[bar])
    with pytest.raises(InputError, match=r"reset options: no decision at bar 2\. Take \d+ to"):
        env.reset(options={"bar": 2})
    with pytest.raises(InputError, match="reset options: day: no such option"):
        env.reset(options={"day": 2})
    with pytest.raises(InputError, match=r"no such reward\. Did you mean 'calmar'"):
        make("continuous", "calmer")


def test_it_must_be_reset_first() -> None:
    with pytest.raises(ResetNeeded):
        make("continuous").step(np.zeros(3, np.float32))


def test_from_a_bundle(tmp_path: Path) -> None:
    """The range of the bundle's data by name; opening the test range is recorded."""
    from jaxtrade.market.loading import load_table

    table = load_table("sample:nasdaq", MarketConfig(), 30)
    path = write_random_bundle(tmp_path / "policy.npz", table, EnvConfig(dead_band=0.0))
    env = StatefulTradingEnv.from_bundle(path, reward="sharpe")
    assert env.span == table.ranges["test"]
    seen, _ = env.reset()
    assert env.observation_space.contains(seen)
    assert [each.event for each in trials.read(tmp_path / trials.NAME)] == ["open-test"]
