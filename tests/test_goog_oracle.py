"""Our rules and backtester against backtesting.py: a crossover of moving averages on GOOG, trade by trade.

The numbers are those of that library (0.6.6, `finalize_trades=True`): the strategy of its own test suite on its own
GOOG.csv, daily 2004-2013, with `cash=10_000, commission=0`; the arithmetic Sharpe ratio is recomputed from its equity
curve (it prints a geometric one). Its README shows other figures, of an older commission rule.

How its rules are said in ours:

- It closes and reopens by two orders at one open; here one all-in order of the action `orders` does both, netted.
- It buys `floor(cash after the close / open)` shares: all-in, `lot_size: 1`, `max_leverage: 1`, no costs.
- It has no margin call before the equity is gone. Here the worst is a short at the open of bar 1803: its equity is
  63.62 % of the position, so any maintenance margin below that leaves the run alone.
- It closes what is open on the last bar at that bar's open, without an order; here the last decision orders it.

The prices are not part of this repository. They are looked for in `$JAXTRADE_DATA_DIR`, in the folder `shared/data`
beside the repository, and in the installed package backtesting, which ships them.
"""

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from eval_bridge.backtester import Backtest, replay_actor, run_backtest
from eval_bridge.metrics import hit_rate, max_drawdown, returns_of, sharpe, sqn
from jaxtrade.config import CostConfig, EnvConfig, MarketConfig
from jaxtrade.market.bars import load_bars
from jaxtrade.market.splits import Range
from jaxtrade.market.table import MarketTable, build_table

FAST, SLOW = 10, 30
TRADES = {  # number: size, entry bar, exit bar, entry price, exit price, profit
    0: (-55, 70, 86, 180.36, 186.31, -327.25),
    1: (51, 86, 113, 186.31, 193.69, 376.38),
    2: (-51, 113, 119, 193.69, 196.96, -166.77),
    65: (64, 2088, 2147, 695.0, 797.8, 6579.2),
}
RULES = EnvConfig(
    action="orders",
    lot_size=1,
    allow_short=True,
    max_leverage=1.0,
    maintenance_margin_percent=63.0,
    costs=CostConfig(buy_percent=0, sell_percent=0),
    initial_cash=10_000,
)


class Figures(NamedTuple):
    """What the library reports; money in dollars, the rest as it prints it."""

    trades: int
    final_equity: float
    peak: float
    max_drawdown: float  # percent
    win_rate: float  # percent
    sqn: float
    buy_and_hold: float  # percent
    sharpe: float  # arithmetic, of all 2147 daily returns, x sqrt(252)


EXPECTED = Figures(66, 51_422.99, 75_787.44, -47.98012705, 46.96969697, 1.0766187357, 522.0601852, 0.7983515642)
DIGITS = Figures(0, 1e-6, 1e-6, 5e-9, 5e-9, 5e-11, 5e-8, 5e-11)  # money is exact; else half a unit of the last digit


def price_file() -> Path:
    """Return the file of prices; skip where there is none."""
    folders = [Path(__file__).parents[2] / "shared" / "data" / "stocks"]
    if chosen := os.environ.get("JAXTRADE_DATA_DIR"):
        folders = [Path(chosen), Path(chosen) / "stocks", *folders]
    package = importlib.util.find_spec("backtesting")  # found, not imported: it starts a plotting server's client
    if package is not None and package.origin is not None:
        folders.append(Path(package.origin).parent / "test")
    for folder in folders:
        for name in ("GOOG.csv.gz", "GOOG.csv"):
            if (folder / name).is_file():
                return folder / name
    pytest.skip("no GOOG.csv(.gz): set JAXTRADE_DATA_DIR, or pip install backtesting, which ships it")


@pytest.fixture(scope="module")
def table() -> MarketTable:
    """GOOG, daily."""
    bars = load_bars(str(price_file()))
    assert len(bars.time) == 2148, "not the file that backtesting.py ships"
    return build_table(bars, MarketConfig(features={"lagged_returns": 1}), window=1)


def crossings(table: MarketTable) -> np.ndarray:
    """Return the order of every bar, [T]: all-in long where the fast average has crossed up, short where down."""
    close = table.mark[:, 0]

    def average(bars: int) -> np.ndarray:
        means = np.lib.stride_tricks.sliding_window_view(close, bars).mean(axis=1)
        return np.concatenate([np.full(bars - 1, np.nan), means])

    above, below = average(FAST) > average(SLOW), average(FAST) < average(SLOW)
    orders = np.zeros(len(close))
    orders[1:][below[:-1] & above[1:]] = np.inf
    orders[1:][above[:-1] & below[1:]] = -np.inf
    return orders


def play(table: MarketTable, config: EnvConfig = RULES, late: int = 0) -> Backtest:
    """Trade the crossings (the first can be at bar 30), `late` bars too late; close what is left at the last open."""
    span = Range(0, len(table.time) - 1)
    orders = np.roll(crossings(table), late)[span.first : span.last, None]
    held = run_backtest(table, span, config, replay_actor(orders, span.first)).steps[-2].account.lots
    orders[-1] = -held
    return run_backtest(table, span, config, replay_actor(orders, span.first))


def figures(result: Backtest) -> Figures:
    """Return what the library reports, of our backtest."""
    profits = np.array([trade.profit for trade in result.ledger.trades])
    close, returns = result.table.mark[:, 0], returns_of(result.equity)
    return Figures(
        trades=len(profits),
        final_equity=float(result.equity[-1]),
        peak=float(result.equity.max()),
        max_drawdown=-100 * max_drawdown(result.equity),
        win_rate=100 * hit_rate(profits),
        sqn=sqn(profits),
        buy_and_hold=100 * float(close[-1] / close[SLOW - 1] - 1),
        sharpe=sharpe(returns, 252),
    )


def differing(result: Backtest) -> set[str]:
    """Return the names of the figures that are not those of the library, to its last digit."""
    mine = figures(result)
    return {
        name
        for name, value, wanted, digit in zip(Figures._fields, mine, EXPECTED, DIGITS, strict=True)
        if not abs(value - wanted) <= digit
    }


@pytest.fixture(scope="module")
def result(table: MarketTable) -> Backtest:
    """The strategy under our rules."""
    return play(table)


def test_the_figures_are_those_of_the_library(result: Backtest) -> None:
    assert differing(result) == set(), figures(result)


@pytest.mark.parametrize("number", TRADES)
def test_the_trades_are_those_of_the_library(result: Backtest, number: int) -> None:
    trade = result.ledger.trades[number]
    mine = (trade.quantity, trade.entry_bar, trade.exit_bar, trade.entry_price, trade.exit_price, trade.profit)
    assert mine == pytest.approx(TRADES[number], rel=1e-12)


def test_all_trades_are_whole_and_end_flat(result: Backtest) -> None:
    sizes = np.array([trade.quantity for trade in result.ledger.trades])
    assert np.abs(sizes - np.round(sizes)).max() < 1e-9
    assert not result.steps[-1].account.position.any()
    assert sum(trade.profit for trade in result.ledger.trades) == pytest.approx(result.equity[-1] - 10_000, rel=1e-12)


FAULTS: dict[str, Callable[[MarketTable], Backtest]] = {
    "fills one bar late": lambda table: play(table, late=1),
    "fills at the close just observed": lambda table: play(
        build_table(load_bars(str(price_file())), MarketConfig(fill="same_close"), window=1)
    ),
    "a commission of a millionth": lambda table: play(
        table, RULES.model_copy(update={"costs": CostConfig(buy_percent=1e-4, sell_percent=1e-4)})
    ),
    "fractions of a share": lambda table: play(table, RULES.model_copy(update={"lot_size": 0.0})),
    "long only": lambda table: play(table, RULES.model_copy(update={"allow_short": False})),
    "a margin call": lambda table: play(table, RULES.model_copy(update={"maintenance_margin_percent": 64.0})),
}


@pytest.mark.nightly
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_seen(table: MarketTable, fault: str) -> None:
    assert "final_equity" in differing(FAULTS[fault](table))
