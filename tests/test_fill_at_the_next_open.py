"""Orders fill at the open that follows, to the bit. White noise around a fixed price pays only who fills at the close
just seen, so a rule that buys low closes must earn nothing here, and much under a table with that fault planted.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from eval_bridge.backtester import Backtest, run_backtest
from jaxtrade.config import CostConfig, EnvConfig, MarketConfig
from jaxtrade.envs.synthetic import random_bars
from jaxtrade.market.bars import Bars
from jaxtrade.market.table import MarketTable, build_table
from jaxtrade.rules import AccountView

NOISE = 0.01
FREE = EnvConfig(window=30, trade_limit_percent=100.0, costs=CostConfig(buy_percent=0.0, sell_percent=0.0))
SEEDS = range(4)


def bouncing_bars(seed: int, bars: int = 1500) -> Bars:
    """Return bars whose opens and closes are 100 with independent noise."""
    random = np.random.default_rng(seed)
    opens, closes = 100 * np.exp(random.normal(0.0, NOISE, (2, bars, 1)))
    return random_bars(bars)._replace(open=opens, close=closes)


def table_of(bars: Bars) -> MarketTable:
    return build_table(bars, MarketConfig(), FREE.window)


def same_close(table: MarketTable) -> MarketTable:
    """The planted fault: orders fill at the close that has just been seen."""
    gap = np.where(np.isnan(table.outcome.gap), np.nan, 0.0)
    growth = np.concatenate([table.mark[1:] / table.mark[:-1] - 1, table.outcome.move[-1:]])
    return replace(table, outcome=table.outcome._replace(gap=gap, move=growth, fill_price=table.mark))


def buy_low(table: MarketTable) -> Backtest:
    """Hold everything after a close below 100, nothing after one above."""

    def act(bar: int, view: AccountView) -> tuple[Any, float]:
        return np.where(table.mark[bar] < 100, 1.0, -1.0), 0.0

    return run_backtest(table, table.ranges["all"], FREE, act)


def gain(table: MarketTable) -> tuple[float, float]:
    """Return the mean log return of a bar and how many standard errors it is away from zero."""
    returns = np.diff(np.log(buy_low(table).equity))
    return returns.mean(), returns.mean() / (returns.std(ddof=1) / np.sqrt(len(returns)))


def assert_no_gain_from_the_bounce(plant: Any = lambda table: table) -> None:
    """Raise if the rule that needs a fill at the observed close makes money without one."""
    found = [gain(plant(table_of(bouncing_bars(seed)))) for seed in SEEDS]
    assert max(abs(mean) for mean, _ in found) < 0.1 * NOISE
    assert max(abs(score) for _, score in found) < 3


def test_the_bounce_pays_nothing() -> None:
    assert_no_gain_from_the_bounce()


def test_planted_fill_at_the_observed_close_is_caught() -> None:
    with pytest.raises(AssertionError):
        assert_no_gain_from_the_bounce(same_close)
    for seed in SEEDS:
        mean, score = gain(same_close(table_of(bouncing_bars(seed))))
        assert mean > 0.3 * NOISE
        assert score > 10


def assert_filled_at_the_open(bars: Bars, table: MarketTable) -> None:
    orders = buy_low(table).ledger.orders
    assert len(orders) > 300
    assert all(order.price == bars.open[order.bar, 0] for order in orders)


def test_fills_are_at_the_open_to_the_bit() -> None:
    bars = bouncing_bars(9)
    assert_filled_at_the_open(bars, table_of(bars))
    with pytest.raises(AssertionError):
        assert_filled_at_the_open(bars, same_close(table_of(bars)))


def test_the_first_fill_by_hand() -> None:
    bars = bouncing_bars(9)
    first = next(step for step in buy_low(table_of(bars)).steps if step.record.fill_value[0] > 0)
    close, opening, after = bars.close[first.bar, 0], bars.open[first.bar + 1, 0], bars.close[first.bar + 1, 0]
    value = min(opening / close, 1.0)  # the quantity is fixed at the close; the cash must suffice at the open
    assert float(first.record.fill_value[0]) == pytest.approx(value, rel=1e-12)
    assert float(first.record.equity) == pytest.approx(1 - value + value * after / opening, rel=1e-12)
