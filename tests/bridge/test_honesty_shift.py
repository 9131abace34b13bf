"""The shifted null: shift 0 is the backtest, the others are its weights at other times, and ties count against it."""

from typing import Any

import numpy as np
import pytest

from eval_bridge.backtester import Backtest, buy_and_hold, run_backtest
from eval_bridge.honesty import shift
from eval_bridge.honesty.path import path_of
from eval_bridge.honesty.shift import choose_shifts, p_value, sharpes_per_bar, shift_null, shifted_lanes
from jaxtrade.config import CostConfig, EnvConfig
from jaxtrade.market.splits import Range
from tests.helpers.noise_policies import FREE, follow, holdings, planted_market
from tests.helpers.worlds import make_table, random_actions

BARS = 100
COSTS = CostConfig(buy_percent=0.1, sell_percent=0.2, slippage_bps=3.0, borrow_percent=2.0, min_commission=1.0)
WILD: dict[str, Any] = {
    "allow_short": True,
    "max_leverage": 3.0,
    "trade_limit_percent": 60.0,
    "max_trade_percent": 40.0,
}
KINDS: dict[str, tuple[int, EnvConfig]] = {
    "continuous": (1, EnvConfig(window=10, costs=COSTS)),
    "proportional": (1, EnvConfig(window=10, costs=COSTS, action="proportional")),
    "discrete": (1, EnvConfig(window=10, costs=COSTS, action="discrete9")),
    "exposures": (1, EnvConfig(window=10, costs=COSTS, action="positions", positions=(-1, 0, 1), allow_short=True)),
    "five symbols, shorts": (5, EnvConfig(window=10, costs=COSTS, **WILD)),
    "three symbols, lots": (3, EnvConfig(window=10, costs=COSTS, lot_size=1.0, min_notional=50.0, **WILD)),
    "weights": (3, EnvConfig(window=10, costs=COSTS, action="target_weight", max_position_percent=30.0)),
    "a user's reward": (2, EnvConfig(window=10, costs=COSTS, reward={"differential_sharpe": 1.0})),
}


def traded(name: str, volatility: float = 0.012) -> Backtest:
    symbols, config = KINDS[name]
    table = make_table(10, 250, symbols, missing=0.03, volatility=volatility)
    first = table.ranges["all"].first
    actions = random_actions(config, BARS, symbols, seed=1)
    if name == "exposures":
        actions = np.random.default_rng(1).integers(0, 3, BARS)
    return run_backtest(table, Range(first, first + BARS), config, lambda bar, view: (actions[bar - first], 0.0))


@pytest.mark.parametrize("name", KINDS)
def test_shift_0_is_the_backtest(name: str) -> None:
    """With missing bars, limits, costs, lots, flips: what was filled is what is ordered again."""
    result = traded(name)
    path = path_of(result)
    assert len(result.history) == BARS and path.traded.sum() > 20
    lanes = shifted_lanes(result, path, np.array([0, 3]))
    np.testing.assert_allclose(lanes.equity[:, 0], result.equity, rtol=1e-6)
    assert np.max(np.abs(lanes.equity[:, 1] / result.equity - 1)) > 1e-3  # another shift is another path


def test_shift_0_is_the_backtest_that_ends_in_ruin() -> None:
    table = make_table(10, 600, volatility=0.08)
    config = EnvConfig(window=10, costs=COSTS, **WILD)
    first = table.ranges["all"].first
    result = run_backtest(table, Range(first, first + BARS), config, lambda bar, view: (np.array([1.0]), 0.0))
    path = path_of(result)
    assert path.ruined and len(path.returns) < BARS
    lanes = shifted_lanes(result, path, np.array([0]))
    np.testing.assert_allclose(lanes.equity[:, 0], result.equity, rtol=1e-6)


def test_a_shifted_path_holds_the_weights_of_another_time() -> None:
    """Without costs and at plain weights the shifted returns can be written down: weight k bars ago times return."""
    random = np.random.default_rng(0)
    returns = random.normal(0, 0.01, (80, 2))
    weights = np.stack([random.choice([-0.5, 0.0, 0.5], 80), random.choice([-0.3, 0.4], 80)], axis=1)
    changing = weights + random.uniform(0.01, 0.05, (80, 2))  # every row differs: every bar is traded
    result = follow(planted_market(returns), changing)
    path = path_of(result)
    np.testing.assert_allclose(path.intended, changing, atol=1e-7)
    shifts = np.array([0, 1, 5, 79])
    equity = shifted_lanes(result, path, shifts).equity
    for lane, by in enumerate(shifts):
        held = np.roll(changing, by, axis=0)
        if by:  # the first order and that where the circle closes buy what was held after the bar, moved by its return
            for bar, source in ((0, bars_back(0, by)), (by, 0)):
                grown = changing[source] * (1 + returns[source])
                held[bar] = grown / (1 + np.sum(changing[source] * returns[source]))
        np.testing.assert_allclose(equity[1:, lane] / equity[:-1, lane] - 1, np.sum(held * returns, axis=1), atol=1e-7)


def bars_back(bar: int, by: int) -> int:
    return (bar - by) % 80


def test_ties_count_and_p_is_never_zero() -> None:
    assert p_value(1.0, np.array([0.0, 0.5, 0.9])) == 1 / 4
    assert p_value(1.0, np.array([0.0, 1.0, 2.0])) == 3 / 4
    assert p_value(1.0, np.array([1.0 - 1e-10, 0.0])) == 2 / 3
    assert p_value(1.0, np.array([1.0 - 1e-8, 0.0])) == 1 / 3
    assert p_value(1.0, np.empty(0)) == 1


@pytest.mark.parametrize("costs", [FREE, CostConfig(buy_percent=0.2, sell_percent=0.2)])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_buy_and_hold_has_no_skill(seed: int, costs: CostConfig) -> None:
    """It holds at any other time what it holds: whatever it earned, p is near 1."""
    table = make_table(10, 350, seed=seed)
    found = shift_null(buy_and_hold(table, table.ranges["all"], EnvConfig(window=10, costs=costs)), 199)
    assert found.p_value > 0.9
    assert len(found.shifted) == 199


def test_an_account_that_never_trades_has_no_skill() -> None:
    result = follow(planted_market(np.random.default_rng(0).normal(0, 0.01, (60, 1))), np.zeros((60, 1)))
    found = shift_null(result)
    assert (found.p_value, found.observed, len(found.shifted)) == (1.0, 0.0, 59)


def test_one_bar_cannot_be_shifted() -> None:
    found = shift_null(follow(planted_market(np.full((30, 1), 0.01)), np.ones((1, 1))))
    assert (found.p_value, len(found.shifted)) == (1.0, 0)


def test_a_policy_that_knows_when_is_found_and_luck_in_a_rising_market_is_not() -> None:
    random = np.random.default_rng(7)
    weights = holdings(350, (0.0, 1.0), 5, random)
    noise = random.normal(0.003, 0.01, (350, 1))  # rises by 0.3 % a day whatever the policy does
    known = random.normal(0.0, 0.01, (350, 1)) + 0.005 * (weights - 0.5)
    rising = shift_null(follow(planted_market(noise), weights), 199)
    assert rising.observed > 2 / np.sqrt(350) and rising.p_value > 0.1
    assert shift_null(follow(planted_market(known), weights), 199).p_value <= 0.02


def test_the_shifts_are_drawn_once_and_fewer_on_long_runs() -> None:
    np.testing.assert_array_equal(choose_shifts(100, 1, 999), np.arange(1, 100))
    chosen = choose_shifts(5000, 1, 999)
    assert len(set(chosen.tolist())) == 999 and chosen.min() >= 1 and chosen.max() < 5000
    np.testing.assert_array_equal(chosen, choose_shifts(5000, 1, 999))
    assert len(choose_shifts(2500, 30, 999)) == shift.WORK // (2500 * 30)
    assert len(choose_shifts(100_000, 1, 999)) == 100
    assert len(choose_shifts(10_000_000, 1, 999)) == shift.FEWEST
    assert len(choose_shifts(0, 1, 999)) == len(choose_shifts(1, 1, 999)) == 0


@pytest.mark.nightly
def test_the_same_run_gives_the_same_numbers() -> None:
    first, second = (shift_null(traded("weights"), 50) for _ in range(2))
    np.testing.assert_array_equal(first.shifted, second.shifted)


def test_sharpe_without_variation_is_zero() -> None:
    returns = np.stack([np.full(10, 0.01), np.arange(10.0)], axis=1)
    found = sharpes_per_bar(returns)
    assert found[0] == 0 and found[1] == pytest.approx(4.5 / np.std(np.arange(10.0), ddof=1))
    assert sharpes_per_bar(np.ones((1, 3))).tolist() == [0, 0, 0]
