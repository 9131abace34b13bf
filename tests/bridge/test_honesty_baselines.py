"""Baselines: closed forms, equal turnover, the policy's costs, and nothing of the future."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from eval_bridge.backtester import Backtest, buy_and_hold, run_backtest
from eval_bridge.honesty.baselines import TITLES, momentum_rule, months_begin, run_baselines
from eval_bridge.honesty.path import path_of
from eval_bridge.honesty.random_rule import change_rate, random_lanes
from eval_bridge.metrics import curve_metrics
from jaxtrade.config import CostConfig, EnvConfig
from jaxtrade.market.splits import Range
from jaxtrade.market.table import MarketTable, build_table
from tests.helpers.noise_policies import FREE, follow, holdings, planted_market
from tests.helpers.worlds import make_table, random_actions

COSTS = CostConfig(buy_percent=0.3, sell_percent=0.2, half_spread_bps=4.0, slippage_bps=3.0)
RATE = 0.003 + 0.0007  # of a purchase


def traded(table: MarketTable, config: EnvConfig, bars: int = 120) -> Backtest:
    first = table.ranges["all"].first
    actions = random_actions(config, bars, len(table.symbols), seed=1)
    return run_backtest(table, Range(first, first + bars), config, lambda bar, view: (actions[bar - first], 0.0))


@pytest.mark.parametrize("symbols", [1, 4])
def test_buy_and_hold_is_its_closed_form(symbols: int) -> None:
    """Same bars, same fill, same costs: shares bought at the first open for what the cash allows, and held."""
    table = make_table(10, 400, symbols, volatility=0.02)
    config = EnvConfig(window=10, costs=COSTS)
    span = table.ranges["test"]
    equity = buy_and_hold(table, span, config).equity
    opening, marks = table.fill_price[span.first], table.mark[span.first : span.last + 1]
    wanted = opening / marks[0] / symbols  # an equal share at the close, at the price of the open
    bought = wanted * min(1.0, 1 / np.sum(wanted * (1 + RATE)))
    expected = 1 - np.sum(bought * (1 + RATE)) + np.sum(bought * marks[1:] / opening, axis=1)
    np.testing.assert_allclose(equity, 10_000 * np.concatenate([[1.0], expected]), rtol=1e-7)
    found = run_baselines(traded(table, config))["buy_and_hold"]
    assert found.title == "Buy and hold" and found.note.endswith(".")


def monthly_equity(result: Backtest, weights: Any) -> np.ndarray:
    """Return equity, without costs, of weights [T, S] taken at the first bar and at the first bar of every month."""
    table, equity, held = result.table, [1.0], np.zeros(len(result.table.symbols))
    months = table.time.astype("datetime64[M]")
    for bar in range(result.span.first, result.span.last):
        if bar == result.span.first or months[bar] != months[bar - 1]:
            held = weights[bar] * equity[-1]
        cash = equity[-1] - held.sum()
        held = held * table.mark[bar + 1] / table.mark[bar]
        equity.append(cash + held.sum())
    return 10_000 * np.array(equity)


def test_equal_weight_and_momentum_by_hand() -> None:
    """Without costs, in a market that opens at its last close; shorts are allowed."""
    returns = np.random.default_rng(0).normal(0.0, 0.02, (700, 3))
    result = follow(planted_market(returns), np.zeros((300, 3)))
    found, table = run_baselines(result), result.table
    equal = np.full((len(table.time), 3), 1 / 3)
    np.testing.assert_allclose(found["equal_weight"].equity, monthly_equity(result, equal), rtol=1e-6)
    year = np.array([max(0, int(np.sum(table.time <= time - np.timedelta64(365, "D"))) - 1) for time in table.time])
    signs = np.sign(table.mark / table.mark[year] - 1) / 3
    assert (signs > 0).any() and (signs < 0).any()
    np.testing.assert_allclose(found["momentum"].equity, monthly_equity(result, signs), rtol=1e-6)
    assert "short" in found["momentum"].note
    long_only = np.array([momentum_rule(table, shorts=False)(bar) for bar in range(len(table.time))])
    np.testing.assert_allclose(long_only, np.maximum(signs, 0))


def test_months_begin_where_the_calendar_says() -> None:
    time = np.array(["2020-01-30", "2020-01-31", "2020-02-03", "2020-02-04", "2021-02-04"], "datetime64[s]")
    assert months_begin(time).tolist() == [False, False, True, False, True]


def test_the_future_is_not_known() -> None:
    """Other bars from t on change no baseline before them. (The random one knows what the policy will hold.)"""
    table = make_table(10, 300, 2)
    config = EnvConfig(window=10, costs=COSTS, allow_short=True)
    turn = table.ranges["all"].first + 60
    late = (np.arange(len(table.time)) > turn)[:, None]
    bars = table.bars
    prices = {name: np.where(late, getattr(bars, name) * 1.5, getattr(bars, name)) for name in ("open", "high", "low")}
    other = build_table(bars._replace(**prices, close=np.where(late, bars.close * 1.5, bars.close)), table.config, 10)
    first, second = (run_baselines(traded(each, config)) for each in (table, other))
    for name in ("cash", "buy_and_hold", "equal_weight", "momentum"):
        np.testing.assert_array_equal(first[name].equity[:61], second[name].equity[:61])
    assert np.all(first["buy_and_hold"].equity[62:] != second["buy_and_hold"].equity[62:])


KINDS: dict[str, tuple[int, EnvConfig]] = {
    "discrete9": (1, EnvConfig(window=10, costs=COSTS, action="discrete9")),
    "proportional": (1, EnvConfig(window=10, costs=COSTS, action="proportional", dead_band=0.5)),
    "positions, lots": (1, EnvConfig(window=10, action="positions", lot_size=1.0, initial_cash=1e6)),
    "continuous, limits": (3, EnvConfig(window=10, costs=COSTS, max_trade_percent=2.0, max_position_percent=5.0)),
    "weights, leverage": (2, EnvConfig(window=10, action="target_weight", allow_short=True, max_leverage=2.0)),
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_policy_has_all_baselines(name: str) -> None:
    symbols, config = KINDS[name]
    table = make_table(10, 250, symbols, missing=0.02)
    result = traded(table, config, 80)
    found = run_baselines(result)
    assert list(found) == list(TITLES)
    for baseline in found.values():
        assert len(baseline.equity) == 81 and baseline.equity[0] == result.capital
        figures = curve_metrics(result.time, baseline.equity).values
        assert baseline.figures["total_return"] == figures["total_return"]
        assert {"turnover_per_year", "fees", "sharpe"} <= set(baseline.figures)
    assert np.ptp(found["cash"].equity) == 0
    for fully in ("buy_and_hold", "equal_weight"):  # the limits of the policy are lifted, its costs and lots are not
        assert found[fully].figures["exposure"] > 0.9 and found[fully].figures["fees"] > 0


def test_random_traders_have_the_turnover_of_the_policy() -> None:
    random = np.random.default_rng(3)
    for symbols, choices, holding in ((1, (-1.0, 0.0, 1.0), 10), (1, (0.2, 0.9), 3), (2, (0.0, 0.5), 40)):
        table = planted_market(random.normal(0, 0.01, (300, symbols)))
        weights = np.concatenate([holdings(300, choices, holding, random) for _ in range(symbols)], axis=1)
        result = follow(table, weights, costs=CostConfig(buy_percent=0.05, sell_percent=0.05))
        path = path_of(result)
        paths = random_lanes(result, path)
        assert np.mean(paths.turnover) == pytest.approx(np.sum(path.turnover), rel=0.2)
        assert np.all(paths.fees > 0) and len(np.unique(paths.equity[-1])) > 150
        shown = paths.sharpe[paths.median]
        assert np.sum(paths.sharpe < shown) == 99


def test_the_rate_of_change_by_hand() -> None:
    """Weights 0 and 1 in turn: an opening costs 1/2 in the mean, a change 1/2; nine trades of 1 in 10 bars."""
    table = planted_market(np.zeros((20, 1)))
    result = follow(table, np.tile([[0.0], [1.0]], (5, 1)))
    path = path_of(result)
    assert np.sum(path.turnover) == pytest.approx(9)
    assert change_rate(path) == 1  # (9 - 1/2) / (9 x 1/2) is more than a probability
    slow = path_of(follow(table, np.repeat([[0.0], [1.0]], 5, axis=0)))
    assert change_rate(slow) == pytest.approx((1 - 0.5) / (9 * 0.5))
    assert change_rate(replace(slow, held=np.ones((10, 1)))) == 0


def test_the_percentile_tells_skill() -> None:
    random = np.random.default_rng(9)
    weights = holdings(250, (-1.0, 1.0), 5, random)
    known = planted_market(0.01 * random.normal(size=(250, 1)) + 0.003 * weights)
    result = follow(known, weights)
    figures = run_baselines(result)["random"].figures
    assert figures["percentile"] > 0.98 and figures["paths"] == 200
    assert path_of(result).returns.mean() > 0
    opposite = follow(known, -weights)
    assert run_baselines(opposite)["random"].figures["percentile"] < 0.02
    paths = random_lanes(result, path_of(result))
    assert paths.percentile(float(paths.sharpe.max()) + 1) == 1
    assert paths.percentile(float(paths.sharpe.min()) - 1) == 0


def test_a_policy_that_never_trades_or_is_ruined_has_baselines() -> None:
    table = planted_market(np.random.default_rng(0).normal(0, 0.1, (200, 1)))
    idle = run_baselines(follow(table, np.zeros((100, 1))))
    assert idle["random"].figures["percentile"] == 0.5 and np.ptp(idle["random"].equity) == 0
    ruin = follow(table, np.full((150, 1), 3.0), max_leverage=3.0, costs=FREE)
    found = run_baselines(ruin)
    lived = len(ruin.history)
    assert lived < 150
    assert all(len(each.equity) == lived + 1 for each in found.values())


def test_a_baseline_that_is_ruined_stays_where_it_ended() -> None:
    """Buy and hold at leverage 1 cannot lose more than all; a market that dies takes it below the floor of ruin."""
    falling = np.concatenate([np.zeros(20), np.full(40, -0.15), np.zeros(40)])[:, None]
    result = follow(planted_market(falling), np.full((100, 1), 0.0))
    found = run_baselines(result)["buy_and_hold"].equity
    assert len(found) == 101 and found[-1] < 110
    assert found[-1] == found[-30]


@pytest.mark.nightly
def test_the_same_run_gives_the_same_baselines() -> None:
    result = traded(make_table(10, 400, 2), EnvConfig(window=10), 60)
    first, second = run_baselines(result), run_baselines(result)
    for name in first:
        np.testing.assert_array_equal(first[name].equity, second[name].equity)
