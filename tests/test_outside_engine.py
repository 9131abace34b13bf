"""Lists of random orders through our backtester and through backtrader 1.9.78, which others wrote: the same money.

backtrader works with sizes and prices in money, order by order, in an event loop; our rules work with values and
returns, all symbols at once. Both decide at a close and fill market orders at the next open.

Where its rules differ from ours, and what is done about it:

- Its commission is a share of the slipped price, ours of the price at the open. Its hook for commissions divides the
  slip out.
- Its slippage stops at the bar's high or low unless `slip_out` is set; it is set.
- Its borrow fee is taken of the price that the short was opened at, ours of the value at the open. Its hook takes the
  open. Both count calendar days over 365, before the fills.
- It refuses an order that leaves its cash below 0, judged at the close and again at the fill, one order after the
  other; ours cuts all orders to the leverage limit by one share. It knows no leverage limit on shorts, no maintenance
  margin, no ruin, no interest on negative cash. So orders keep to half of the capital, and neither side may cut one.
- It has no lots: sizes are any number. Orders here are whole numbers of units, `lot_size: 1` on our side.
- It has no notion of a bar that a symbol lacks, of a minimum commission, of stamp duty, of dividends or of delisting.
  The bars here are whole and these rules are off; half the spread and slippage are one number to it.
"""

from dataclasses import replace
from types import ModuleType
from typing import NamedTuple

import numpy as np
import pytest

from eval_bridge.backtester import Backtest, replay_actor, run_backtest
from jaxtrade.config import CostConfig, EnvConfig, MarketConfig
from jaxtrade.envs.synthetic import random_bars
from jaxtrade.market.bars import Bars
from jaxtrade.market.splits import Range
from jaxtrade.market.table import build_table
from tests.helpers.outside_engine import CAPITAL, Costs, Run, outside_library, random_orders, run_backtrader

pytestmark = pytest.mark.nightly  # and only with the extra `bench`
LISTS, BARS, TOLERANCE = 100, 150, 1e-9
FEATURES = {"lagged_returns": (1,)}  # play no part


class Case(NamedTuple):
    """A market, orders decided at its closes [T - 1, N], and what trading costs."""

    bars: Bars
    orders: np.ndarray
    costs: Costs
    allow_short: bool


def make_case(seed: int) -> Case:
    """Return a case of one to three symbols, long only or not, with costs of every kind or without some."""
    random = np.random.default_rng([seed, 1])
    bars = random_bars(BARS, 1 + seed % 3, seed, volatility=float(random.uniform(0.005, 0.03)))
    allow_short = bool(seed % 4)
    buy, sell, slippage = random.uniform(0.0, 0.005, 3) * (random.random(3) < 0.8)
    costs = Costs(buy=buy, sell=sell, slippage=slippage, borrow=float(random.choice([0.0, 0.08])))
    return Case(bars, random_orders(bars, seed, allow_short=allow_short), costs, allow_short)


def run_ours(case: Case) -> Backtest:
    """Trade the orders under our rules."""
    costs = CostConfig(
        buy_percent=100 * case.costs.buy,
        sell_percent=100 * case.costs.sell,
        half_spread_bps=0.4e4 * case.costs.slippage,
        slippage_bps=0.6e4 * case.costs.slippage,
        borrow_percent=100 * case.costs.borrow,
    )
    config = EnvConfig(
        action="orders", lot_size=1, allow_short=case.allow_short, costs=costs, initial_cash=CAPITAL, window=1
    )
    table = build_table(case.bars, MarketConfig(features=FEATURES), config.window)
    span = Range(0, len(case.orders))
    return run_backtest(table, span, config, replay_actor(case.orders, span.first))


def held_in_units(result: Backtest) -> np.ndarray:
    """Return the units held at every close, [T, N]."""
    lots = [step.account.lots for step in result.steps]
    return np.stack([np.zeros_like(lots[0]), *lots])


def apart(mine: Backtest, theirs: Run) -> float:
    """Return the largest relative difference of the equity curves."""
    return float(np.abs(mine.equity / theirs.equity - 1).max())


@pytest.fixture(scope="module")
def library() -> ModuleType:
    """Return backtrader, or skip."""
    return outside_library()


@pytest.mark.parametrize("seed", range(LISTS))
def test_the_money_is_the_same(library: ModuleType, seed: int) -> None:
    case = make_case(seed)
    mine, theirs = run_ours(case), run_backtrader(library, case.bars, case.orders, case.costs)
    asked = np.count_nonzero(case.orders)
    assert theirs.fills == len(np.flatnonzero(mine.series("fill_value"))) == asked > 20
    assert theirs.refused == 0
    wanted = np.cumsum(np.vstack([np.zeros_like(case.orders[:1]), case.orders]), axis=0)
    assert np.array_equal(held_in_units(mine), wanted)
    assert np.array_equal(theirs.held, wanted)
    assert mine.equity[-1] == pytest.approx(theirs.equity[-1], rel=TOLERANCE)
    assert apart(mine, theirs) < TOLERANCE
    cash = [CAPITAL, *(float(step.account.cash) * CAPITAL for step in mine.steps)]
    assert np.array(cash) == pytest.approx(theirs.cash, abs=TOLERANCE * CAPITAL)
    assert mine.ledger.charges["commission"] == pytest.approx(theirs.commission, rel=TOLERANCE)


def test_the_cases_hold_what_they_are_for() -> None:
    cases = [make_case(seed) for seed in range(LISTS)]
    held = [np.cumsum(case.orders, axis=0) for case in cases]
    turned = sum(int(np.sum(before[:-1] * before[1:] < 0)) for before in held)
    assert turned > 500  # through zero by one order
    assert sum(int((position < 0).any()) for position in held) > 60
    for kind in ("buy", "sell", "slippage", "borrow"):
        assert 30 < sum(getattr(case.costs, kind) > 0 for case in cases) < LISTS


def fills_one_bar_late(case: Case) -> Case:
    return case._replace(orders=np.roll(case.orders, 1, axis=0))


def commission_off_by_a_millionth(case: Case) -> Case:
    return case._replace(costs=replace(case.costs, buy=case.costs.buy + 1e-6))


def slippage_off_by_a_millionth(case: Case) -> Case:
    return case._replace(costs=replace(case.costs, slippage=case.costs.slippage + 1e-6))


def fills_at_the_close(case: Case) -> Case:
    return case._replace(bars=case.bars._replace(open=case.bars.close))


def one_unit_more(case: Case) -> Case:
    orders = case.orders.copy()
    orders.flat[np.flatnonzero(orders)[0]] += 1
    return case._replace(orders=orders)


FAULTS = (
    fills_one_bar_late,
    commission_off_by_a_millionth,
    slippage_off_by_a_millionth,
    fills_at_the_close,
    one_unit_more,
)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_fault_is_seen(library: ModuleType, fault, seed: int) -> None:
    case = make_case(seed)
    theirs = run_backtrader(library, case.bars, case.orders, case.costs)
    assert apart(run_ours(case), theirs) < TOLERANCE
    mine = run_ours(fault(case))
    assert mine.equity[-1] != pytest.approx(theirs.equity[-1], rel=TOLERANCE)
