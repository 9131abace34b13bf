"""The backtester's ledger: lots by hand for the three methods, and the check of every bar failing once."""

import numpy as np
import pytest

from eval_bridge.backtester import Mismatch, replay_actor, run_backtest
from eval_bridge.books.audit import audit
from eval_bridge.books.ledger import CHARGES, COMPARED, Ledger, LotMethod, Trade
from eval_bridge.straight_line.rows import Rules
from jaxtrade.config import EnvConfig
from tests.helpers.worlds import make_table, random_actions

FILLS = (  # bar, quantity, price, quoted, fees, left
    (1, 10.0, 5.0, 4.9, 1.0, 10.0),
    (2, 4.0, 6.0, 5.8, 0.8, 14.0),
    (3, -12.0, 7.0, 7.1, 2.4, 2.0),  # more than the oldest lot, less than all
    (4, -5.0, 8.0, 8.2, 0.5, -3.0),  # through zero
    (6, -1.0, 9.0, 9.3, 0.4, -4.0),
    (7, 4.0, 6.0, 5.9, 0.2, 0.0),  # all of it
)
NUMBER = r"[-+e\d.]+"
MESSAGE = rf"^20\d\d-\d\d-\d\d.*: \w+ is {NUMBER} in the ledger and {NUMBER} in the rule book$"
CLOSED = {  # quantity, entry, exit, prices of both, fees, slippage
    "fifo": (
        (10, 1, 3, 5, 7, 1.0 + 2.0, 1.0 + 1.0),
        (2, 2, 3, 6, 7, 0.4 + 0.4, 0.4 + 0.2),
        (2, 2, 4, 6, 8, 0.4 + 0.2, 0.4 + 0.4),
        (-3, 4, 7, 8, 6, 0.3 + 0.15, 0.6 + 0.3),
        (-1, 6, 7, 9, 6, 0.4 + 0.05, 0.3 + 0.1),
    ),
    "lifo": (
        (4, 2, 3, 6, 7, 0.8 + 0.8, 0.8 + 0.4),
        (8, 1, 3, 5, 7, 0.8 + 1.6, 0.8 + 0.8),
        (2, 1, 4, 5, 8, 0.2 + 0.2, 0.2 + 0.4),
        (-1, 6, 7, 9, 6, 0.4 + 0.05, 0.3 + 0.1),
        (-3, 4, 7, 8, 6, 0.3 + 0.15, 0.6 + 0.3),
    ),
    "average": (  # 74 / 14 paid for one, 1.8 / 14 of fees, 1.8 / 14 beside the price
        (12, 1, 3, 74 / 14, 7, 12 * 1.8 / 14 + 2.4, 12 * 1.8 / 14 + 1.2),
        (2, 1, 4, 74 / 14, 8, 2 * 1.8 / 14 + 0.2, 2 * 1.8 / 14 + 0.4),
        (-4, 4, 7, 33 / 4, 6, 0.3 + 0.4 + 0.2, 0.6 + 0.3 + 0.4),
    ),
}


def figures(trade: Trade) -> tuple[float, ...]:
    both = trade.entry_bar, trade.exit_bar, trade.entry_price, trade.exit_price
    return (trade.quantity, *both, trade.fees, trade.slippage)


def booked(method: LotMethod, count: int = len(FILLS)) -> Ledger:
    """Return books with the first fills; the first of two symbols is never traded."""
    books = Ledger(("A", "B"), 1000.0, method, (1.0, 0.25))
    for bar, quantity, *rest in FILLS[:count]:
        books.fill([(1, quantity, *rest)], bar)
    return books


@pytest.mark.parametrize("method", CLOSED)
def test_lots_by_hand(method: LotMethod) -> None:
    books = booked(method)
    assert len(books.trades) == len(CLOSED[method])
    for trade, wanted in zip(books.trades, CLOSED[method], strict=True):
        assert (trade.symbol, trade.closed_by) == ("B", "order")
        assert figures(trade) == pytest.approx(wanted, rel=1e-12)
        assert trade.profit == pytest.approx(wanted[0] * (wanted[4] - wanted[3]) - wanted[5], rel=1e-12)
    assert books.held == [0.0, 0.0]
    assert not any(books.lots)
    assert books.cash == pytest.approx(1000 - 50 - 24 + 84 + 40 + 9 - 24 - 5.3, rel=1e-12)
    assert books.fees == pytest.approx([0.0, 5.3])
    assert books.impact == pytest.approx([0.0, 1.0 + 0.8 + 1.2 + 1.0 + 0.3 + 0.4])
    assert sum(trade.profit for trade in books.trades) == pytest.approx(books.cash - 1000)
    books.charge([4.0, 1.3, 4.7 / 4, 4.7 * 3 / 4, *[0.0] * 5])
    books.reconcile("now", (1.0, 1.0), books.cash, books.cash)
    audit(books)


@pytest.mark.parametrize(("method", "price"), [("fifo", 6.0), ("lifo", 5.0), ("average", 74 / 14)])
def test_open_lots_are_valued_at_the_mark(method: LotMethod, price: float) -> None:
    books = booked(method, 3)
    trades = books.open_trades((1.0, 9.0), 8)
    assert [(each.quantity, each.entry_price) for each in trades] == [pytest.approx((2.0, price))]
    assert [(each.exit_price, each.exit_bar, each.closed_by) for each in trades] == [(9.0, 8, "")]
    everything = sum(each.profit for each in books.trades + trades)
    assert everything == pytest.approx(books.equity((1.0, 9.0)) - 1000, rel=1e-12)
    audit(books)


def test_a_liquidation_pays_and_a_delisting_recovers() -> None:
    books = Ledger(("A",), 1000.0)
    books.fill([(0, 10.0, 5.0, 5.0, 1.0, 10.0)], 1)
    books.close(4, 0, 1.2, 3.0, 0.0, "delisting")
    assert (books.exit_loss, books.impact, books.held) == (pytest.approx(18.0), [0.0], [0.0])
    books.fill([(0, -10.0, 5.0, 5.5, 1.0, -10.0)], 5)
    books.close(6, 0, 6.0, 5.9, 2.0, "liquidation")
    books.close(7, 0, 6.0, 5.9, 2.0, "liquidation")  # there is nothing left
    assert [(each.kind, each.slippage, each.fees) for each in books.orders] == [
        ("order", 0.0, 1.0),
        ("delisting", 0.0, 0.0),
        ("order", 5.0, 1.0),
        ("liquidation", pytest.approx(1.0), 2.0),
    ]
    assert [each.closed_by for each in books.trades] == ["delisting", "liquidation"]
    assert books.cash == pytest.approx(1000 - 50 - 1 + 12 + 50 - 1 - 60 - 2)
    audit(books)


def test_charges_by_time_leave_the_cash_and_those_of_fills_do_not() -> None:
    books = Ledger(("A",), 100.0)
    books.charge(list(range(1, 10)))
    assert books.charges == dict(zip(CHARGES, range(1, 10), strict=True))
    assert books.cash == 100 - 6 - 7 - 8 - 9


@pytest.mark.parametrize("symbols", [1, 3])
@pytest.mark.parametrize("field", ["cash", "commission", "spread", "slippage", "fill_value", "fill_fees", "equity"])
def test_a_hundred_thousandth_too_much_in_the_rules_is_noticed(
    field: str, symbols: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any figure of the rules a bit off stops the backtest, with the time of the bar and the two numbers."""
    costs = {"half_spread_bps": 2.0, "slippage_bps": 1.0}
    table, config = make_table(30, 300, symbols), EnvConfig.model_validate({"window": 30, "costs": costs})
    span = table.ranges["train"]
    actions = replay_actor(random_actions(config, span.decisions, symbols), span.first)
    run_backtest(table, span, config, actions)
    real = Rules.advance

    def wrong(self: Rules, state: object, *given: object) -> tuple:
        row = list(real(self, state, *given))
        costs = {name: self.place("costs") + n for n, name in enumerate(("commission", "duty", "spread", "slippage"))}
        place = costs.get(field, self.place(field))
        row[place] = np.multiply(row[place], 1 + 1e-5) if symbols > 1 else row[place] * (1 + 1e-5)
        return tuple(row)

    monkeypatch.setattr(Rules, "advance", wrong)
    with pytest.raises(Mismatch, match=MESSAGE):
        run_backtest(table, span, config, actions)


@pytest.mark.parametrize("what", COMPARED)
def test_each_number_is_compared(what: str) -> None:
    """One of the six off by a millionth of the equity, the others as they should be."""
    books = booked("fifo")
    cash = equity = books.cash
    amounts = dict.fromkeys(CHARGES, 0.0) | {"commission": 4.0, "stamp_duty": 1.3}
    amounts |= {"spread": 4.7 / 4, "slippage": 4.7 * 3 / 4}
    little = 1e-6 * equity
    if what in ("cash", "equity"):
        cash, equity = cash + little * (what == "cash"), equity + little * (what == "equity")
    else:
        amounts["stamp_duty" if what == "fees" else what] += little
    books.charge(list(amounts.values()))
    with pytest.raises(Mismatch, match=f"^now: {what} is"):
        books.reconcile("now", (1.0, 1.0), cash, equity)


def test_what_is_no_number_is_noticed() -> None:
    books = Ledger(("A",), 100.0)
    books.reconcile("now", (1.0,), 100.0, 100.0)
    for wrong in ((np.nan, 100.0), (100.0, np.nan)):
        with pytest.raises(Mismatch, match="nan in the rule book"):
            books.reconcile("now", (1.0,), *wrong)


def test_lots_of_the_rules_are_compared() -> None:
    books = booked("fifo", 1)
    books.reconcile_lots("now", (0.0, 2.0), (7.0, 5.0))
    with pytest.raises(Mismatch, match="now: whole lots of B are 5 in the ledger and 4 in the rule book"):
        books.reconcile_lots("now", (0.0, 2.0), (7.0, 4.0))
