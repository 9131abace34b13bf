"""Figures of a whole backtest, and of its trades, reckoned by hand."""

import numpy as np
import pandas as pd
import pytest

from eval_bridge import metrics
from eval_bridge.backtester import Backtest, buy_and_hold, replay_actor, run_backtest
from eval_bridge.books.trades import trades_table
from eval_bridge.metrics import FIGURES, compute_metrics
from eval_bridge.metrics.relative import NO_MARKET, SAME
from eval_bridge.metrics.trades import NO_LOSER, NO_SPREAD, NO_TRADE, ONE_TRADE, trade_figures
from jaxtrade.config import CostConfig, EnvConfig, MarketConfig
from jaxtrade.market.bars import Bars
from jaxtrade.market.splits import Range
from jaxtrade.market.table import MarketTable, build_table
from tests.helpers.curves import business_days

OPEN = [100, 100, 105, 120, 90, 95, np.nan]  # at which the orders of the bar before fill
CLOSE = [100, 100, 110, 120, 90, 95, 99]
ORDERS = [10, 0, -4, -6, np.nan, 5]  # the fifth is rejected, the sixth meets no open
COSTS = CostConfig(buy_percent=0.1, sell_percent=0.2, stamp_duty_percent=0.5, half_spread_bps=10, slippage_bps=20)
RULES = EnvConfig(action="orders", costs=COSTS, initial_cash=10_000)
EQUITY = [10_000, 9991, 10_091, 10_188.6, 10_005.9, 10_005.9, 10_005.9]
LOTS = pd.DataFrame(
    {
        "quantity": [4.0, 6.0],
        "entry_price": [100.3, 100.3],
        "profit": [4 * (119.64 - 100.3) - 0.4 * 6 - 0.96, 6 * (89.73 - 100.3) - 0.6 * 6 - 1.08],
        "return": [74 / 401.2, -68.1 / 601.8],
        "bars_held": [2, 3],
        "status": ["closed", "closed"],
    }
)


def table_of(opens: list[float], closes: list[float]) -> MarketTable:
    """Return the market; one bar more comes before, since the first bar of a table has no features yet."""
    open_, close = (np.array([prices[0], *prices], float)[:, None] for prices in (opens, closes))
    high, low = np.fmax(open_, close), np.fmin(open_, close)
    bars = Bars(business_days(len(open_), "2023-12-29"), ("A",), open_, high, low, close, np.full(close.shape, np.nan))
    return build_table(bars, MarketConfig(features={"lagged_returns": 1}), window=1)


def span_of(table: MarketTable) -> Range:
    return Range(1, len(table.time) - 1)


def play(table: MarketTable, orders: list[float], rules: EnvConfig = RULES) -> Backtest:
    return run_backtest(table, span_of(table), rules, replay_actor(np.array(orders, float)[:, None], 1))


def frame(profits: list[float], **changes: object) -> pd.DataFrame:
    """Return closed trades of ten units entered at 100."""
    columns = {"quantity": 10.0, "entry_price": 100.0, "profit": profits, "bars_held": 1, "status": "closed"}
    return pd.DataFrame(columns | {"return": np.divide(profits, 1000.0)} | changes, index=range(len(profits)))


@pytest.fixture(scope="module")
def result() -> Backtest:
    return play(table_of(OPEN, CLOSE), ORDERS)


def test_a_week_by_hand(result: Backtest) -> None:
    np.testing.assert_allclose(result.equity, EQUITY, rtol=1e-13)
    values, undefined = compute_metrics(result, LOTS, None)
    assert list(values) == list(FIGURES)
    assert undefined["beta"] == NO_MARKET
    years = 8 / 365.2425
    by_hand = {
        "final_equity": 10_005.9,
        "fees": 1 + 0.96 + 1.08 + 5,
        "commission": 1 + 0.96 + 1.08,
        "stamp_duty": 5,
        "spread": 1 + 0.48 + 0.54,
        "slippage": 2 + 0.96 + 1.08,
        "borrow": 0,
        "interest": 0,
        "dividends": 0,
        "delisting_loss": 0,
        "shortfall": 0,
        "exposure": (1000 / 9991 + 1100 / 10_091 + 720 / 10_188.6) / 6,
        "time_in_market": 3 / 6,
        "turnover_per_year": (1000 / 10_000 + 480 / 10_091 + 540 / 10_188.6) / years,
        "fills": 3,
        "blocked_orders": 1,
        "rejected_orders": 1,
        "ruined": 0,
        "trades": 2,
        "open_trades": 0,
        "hit_rate": 1 / 2,
        "profit_factor": 74 / 68.1,
        "expectancy": 5.9 / 2,
        "sqn": 5.9 / 142.1,
        "best_trade": 74 / 401.2,
        "worst_trade": -68.1 / 601.8,
        "average_bars_held": 2.5,
    }
    assert {name: values[name] for name in by_hand} == pytest.approx(by_hand, rel=1e-11)
    account = {name for name, figure in FIGURES.items() if figure.group not in metrics.catalog.CURVE_GROUPS}
    assert by_hand.keys() == account | {"final_equity"}


def test_the_books_say_the_same(result: Backtest) -> None:
    pd.testing.assert_frame_equal(trades_table(result)[list(LOTS)], LOTS, check_dtype=False, rtol=1e-11)


def test_a_short_position_is_exposure_too() -> None:
    """Ten short at 100, covered at 120: half of the bars, gross 1000 and 1100 of an equity of 10,000 and 9,900."""
    rules = RULES.model_copy(update={"allow_short": True, "costs": CostConfig(buy_percent=0, sell_percent=0)})
    values = compute_metrics(play(table_of(OPEN[:5], CLOSE[:5]), [-10, 0, 10, 0], rules), LOTS, None).values
    assert (values["exposure"], values["time_in_market"]) == (pytest.approx((0.1 + 1 / 9) / 4), 0.5)


def test_counts_are_whole_numbers(result: Backtest) -> None:
    values = compute_metrics(result, LOTS, None).values
    assert all(isinstance(values[name], int) == (figure.kind == "count") for name, figure in FIGURES.items())


def test_all_cash() -> None:
    idle = play(table_of(OPEN, CLOSE), [0.0] * 6)
    figures = compute_metrics(idle, trades_table(idle), None)
    zero = ("exposure", "time_in_market", "turnover_per_year", "fills", "fees", "trades", "total_return")
    assert {figures.values[name] for name in zero} == {0}
    of_trades = ("hit_rate", "profit_factor", "expectancy", "sqn", "best_trade", "worst_trade", "average_bars_held")
    assert {figures.undefined[name] for name in of_trades} == {NO_TRADE}
    assert {name for name, value in figures.values.items() if np.isnan(value)} == figures.undefined.keys()


def test_ruin_ends_the_backtest_and_the_market_goes_on() -> None:
    table = table_of([100, 100, 100, 30, 30], [100, 100, 100, 30, 33])
    rules = RULES.model_copy(update={"max_leverage": 2.0})
    result, market = play(table, [np.inf, 0, 0, 0], rules), buy_and_hold(table, span_of(table), rules)
    figures = compute_metrics(result, LOTS[:0], market.equity)
    assert (len(result.equity), len(market.equity), figures.values["ruined"]) == (4, 5, 1)
    assert figures.values["final_equity"] == pytest.approx(100)  # the ruin floor, one percent
    assert figures.values["shortfall"] > 0
    assert figures.values["beta"] == pytest.approx(2, rel=0.5)


def test_buy_and_hold_beside_itself() -> None:
    table = table_of(OPEN, CLOSE)
    hold = buy_and_hold(table, span_of(table), RULES)
    figures = compute_metrics(hold, LOTS[:0], hold.equity)
    assert (figures.values["beta"], figures.values["correlation"]) == (pytest.approx(1), pytest.approx(1))
    assert figures.values["alpha"] == pytest.approx(0, abs=1e-12)
    assert figures.undefined["information_ratio"] == SAME


def test_a_trade_that_its_fees_ate_is_no_hit() -> None:
    """Profits are net: 3 gained on the price is a loss after 5 of fees."""
    values = trade_figures(frame([3.0 - 5.0, 7.0 - 5.0, 0.0, 1e-13]))
    assert (values["hit_rate"], values["profit_factor"], values["expectancy"]) == (0.25, 1.0, 0.0)


def test_open_trades_are_counted_and_nothing_else() -> None:
    values = trade_figures(frame([10.0, -5.0, 100.0], status=["closed", "closed", "open"]))
    assert (values["trades"], values["open_trades"], values["hit_rate"]) == (2, 1, 0.5)
    assert (values["profit_factor"], values["best_trade"]) == (2.0, 0.01)


@pytest.mark.parametrize(
    ("profits", "undefined"),
    [
        ([], dict.fromkeys(("hit_rate", "profit_factor", "expectancy", "sqn", "best_trade"), NO_TRADE)),
        ([1.0], {"profit_factor": NO_LOSER, "sqn": ONE_TRADE}),
        ([-1.0], {"sqn": ONE_TRADE}),
        ([5.0, 5.0], {"profit_factor": NO_LOSER, "sqn": NO_SPREAD}),
        ([-5.0, -5.0 + 1e-11], {"sqn": NO_SPREAD}),  # fees alone: the price was the same but for rounding
        ([0.0, 0.0], {"profit_factor": NO_LOSER, "sqn": NO_SPREAD}),
        ([3.0, 5.0, -1e-11], {"profit_factor": NO_LOSER}),  # a loss of 1e-14 of the entry is none
    ],
)
def test_few_and_equal_trades(profits: list[float], undefined: dict[str, str]) -> None:
    values = trade_figures(frame(profits))
    reasons = {name: value.reason for name, value in values.items() if np.isnan(value)}
    assert undefined.items() <= reasons.items()
    assert (len(reasons) == len(undefined)) == bool(profits)
    assert not any(np.isinf(value) for value in values.values())


def test_sqn_has_ddof_1() -> None:
    assert metrics.sqn(np.array([1.0, 3.0])) == pytest.approx(2.0)  # sqrt(2) * 2 / sqrt(2)
