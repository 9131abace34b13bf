"""The table of trades: sums that must come out, lots against a plain loop, and how far prices went."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest

from eval_bridge.backtester import Backtest
from eval_bridge.books.ledger import LotMethod
from eval_bridge.books.trades import COLUMNS, trades_table
from jaxtrade.market.events import adjust
from tests.helpers.books import METHODS, flat, market, ordered, plain_lots, played, profit_gap
from tests.helpers.parity_cases import CASES

BY_DEFAULT = {"continuous, short, financed, delisted", "orders, short, lots", "positions", "continuous, all costs"}
CELLS = [
    pytest.param(name, method, marks=() if name in BY_DEFAULT else pytest.mark.nightly)
    for name in CASES
    for method in METHODS
]


@pytest.mark.parametrize(("name", "method"), CELLS)
def test_profits_are_the_change_of_equity(name: str, method: LotMethod) -> None:
    """Profits of all trades - financing + income + shortfall = equity - capital, with every cost there is."""
    result = played(name, method)
    trades = trades_table(result)
    assert tuple(trades.columns) == COLUMNS
    assert abs(profit_gap(result, trades)) < 1e-9 * result.capital
    paid = result.ledger.charges
    assert trades["fees"].sum() == pytest.approx(paid["commission"] + paid["stamp_duty"], rel=1e-9)
    assert trades["slippage"].sum() == pytest.approx(paid["spread"] + paid["slippage"], rel=1e-9, abs=1e-9)
    value = trades["quantity"] * trades["entry_price"]
    np.testing.assert_allclose(trades["return"], trades["profit"] / value, rtol=1e-12)


def test_a_forgotten_fee_of_a_trade_would_show() -> None:
    result = played("continuous, all costs")
    trades = trades_table(result)
    trades.loc[3, "profit"] += trades.loc[3, "fees"]
    assert abs(profit_gap(result, trades)) > 1e-9 * result.capital


@pytest.mark.parametrize("method", ["fifo", "lifo"])
@pytest.mark.parametrize("name", ["orders, short, lots", "continuous, short, financed, delisted"])
def test_lots_are_those_of_a_plain_loop(name: str, method: LotMethod) -> None:
    result = played(name, method)
    mine = [(each.symbol, each.quantity, each.entry_bar, each.exit_bar) for each in result.ledger.trades]
    wanted = plain_lots(result, method)
    symbols = result.table.symbols
    assert [(symbol, entry, leave) for symbol, _, entry, leave in mine] == [
        (symbols[each.symbol], each.entry_bar, each.exit_bar) for each in wanted
    ]
    np.testing.assert_allclose([each[1] for each in mine], [each.quantity for each in wanted], rtol=1e-8, atol=1e-9)
    profits = [each.profit + each.fees for each in result.ledger.trades]
    np.testing.assert_allclose(profits, [each.profit for each in wanted], rtol=1e-7, atol=1e-7)


def test_methods_differ_and_sums_do_not() -> None:
    tables = {method: trades_table(played("orders", method)) for method in METHODS}
    closed = {method: table.loc[table["status"] == "closed", "profit"].sum() for method, table in tables.items()}
    assert len({round(profit, 6) for profit in closed.values()}) == 3
    totals = [table["profit"].sum() for table in tables.values()]
    np.testing.assert_allclose(totals, totals[0], rtol=1e-9)


def by_hand(result: Backtest, trade: pd.Series) -> tuple[float, float]:
    """Return mae and mfe of a trade from the bars, one by one."""
    table, symbol = result.table, result.table.symbols.index(trade["symbol"])
    bars, at_close = adjust(table.bars), table.fill_bar == 0
    start = int(np.flatnonzero(table.time == trade["entry_time"])[0]) + at_close
    stop = result.span.first + len(result.history) + 1
    if trade["status"] == "closed":
        stop = int(np.flatnonzero(table.time == trade["exit_time"])[0]) + (
            trade["closed_by"] != "delisting" and at_close
        )
        stop += trade["closed_by"] == "liquidation" and not at_close and not result.records.called[-1]
    seen = [trade["exit_price"]]
    for bar in range(start, stop):
        for price in (bars.high[bar, symbol], bars.low[bar, symbol]):
            seen.append(price if np.isfinite(price) else table.mark[bar, symbol])
    moves = np.array(seen) / trade["entry_price"] - 1
    moves = moves if trade["side"] == "long" else -moves
    return min(0.0, moves.min()), max(0.0, moves.max())


@pytest.mark.parametrize(
    "name", ["orders, short, lots", "continuous, short, financed, delisted", "continuous, all costs"]
)
def test_excursions_are_those_of_a_plain_loop(name: str) -> None:
    result = played(name)
    trades = trades_table(result)
    trades = pd.concat([trades.iloc[:: max(1, len(trades) // 150)], trades[trades["closed_by"] != "order"]])
    wanted = np.array([by_hand(result, trade) for _, trade in trades.iterrows()])
    np.testing.assert_allclose(trades[["mae", "mfe"]], wanted, rtol=1e-12, atol=1e-14)
    assert (trades["mae"] <= 0).all() and (trades["mfe"] >= 0).all()
    assert (trades["mfe"] > 0).mean() > 0.5


def test_the_played_markets_hold_every_way_out() -> None:
    ways = Counter()
    for name in BY_DEFAULT:
        trades = trades_table(played(name, decisions=1000))
        ways.update(trades["closed_by"])
        ways.update(trades["side"])
    assert min(ways[way] for way in ("", "order", "delisting", "liquidation", "long", "short")) > 0, ways


PRICES = [[10, 10, 10, 10], [10, 12, 9, 11], [11, 15, 8, 12], [12, 13, 11, 12], [12, 20, 5, 6], [6, 6, 6, 6]]


@pytest.mark.parametrize(
    ("fill", "mae", "mfe", "entry"),
    [("next_open", 8 / 10 - 1, 15 / 10 - 1, 10.0), ("same_close", 8 / 10 - 1, 15 / 10 - 1, 10.0)],
)
def test_excursions_by_hand(fill: str, mae: float, mfe: float, entry: float) -> None:
    """Bought at the first fill after bar 0, sold at the open of bar 3 or at the close of bar 2."""
    table = market(PRICES, fill)
    result = ordered(table, [10, 0, -10, 0, 0])
    (trade,) = trades_table(result).to_dict("records")
    assert (trade["entry_price"], trade["mae"], trade["mfe"]) == pytest.approx((entry, mae, mfe))
    assert trade["exit_price"] == 12.0
    assert trade["bars_held"] == 2
    short = ordered(table, [-10, 0, 10, 0, 0], allow_short=True)
    (trade,) = trades_table(short).to_dict("records")
    assert (trade["side"], trade["mae"], trade["mfe"]) == ("short", pytest.approx(-0.5), pytest.approx(0.2))


def test_the_range_of_the_exit_bar_is_not_seen_at_its_open() -> None:
    """Sold at the open of bar 4, whose high and low come later; at its close they have come."""
    result = ordered(market(PRICES), [0, 0, 10, -10, 0])
    (trade,) = trades_table(result).to_dict("records")
    assert (trade["mae"], trade["mfe"]) == (pytest.approx(11 / 12 - 1), pytest.approx(13 / 12 - 1))
    late = ordered(market(PRICES, "same_close"), [0, 0, 10, 0, -10])
    (trade,) = trades_table(late).to_dict("records")
    assert (trade["mae"], trade["mfe"]) == (pytest.approx(5 / 12 - 1), pytest.approx(20 / 12 - 1))


def test_an_open_lot_is_valued_at_the_last_mark() -> None:
    result = ordered(market(flat(10, 10, 20, 20, 30)), [4, 0, -1, 0], costs={"buy_percent": 1.0})
    closed, still_open = trades_table(result).to_dict("records")
    assert (closed["quantity"], closed["status"], closed["closed_by"]) == (1.0, "closed", "order")
    assert (still_open["quantity"], still_open["status"], still_open["closed_by"]) == (3.0, "open", "")
    assert pd.isna(still_open["exit_time"])
    assert (still_open["exit_price"], still_open["bars_held"]) == (30.0, 3)
    assert still_open["profit"] == pytest.approx(3 * 20 - 0.3)
    assert still_open["return"] == pytest.approx(59.7 / 30)


def test_no_trades_make_an_empty_table_with_all_columns() -> None:
    trades = trades_table(ordered(market(flat(10, 10, 10)), [0, 0]))
    assert tuple(trades.columns) == COLUMNS
    assert len(trades) == 0
    assert trades["entry_time"].dtype.kind == trades["exit_time"].dtype.kind == "M"
    assert trades["profit"].dtype == float
