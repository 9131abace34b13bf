"""Faults planted in the ledger, one at a time: the check of every bar, the audit, or a plain loop notices each."""

import inspect
import textwrap
from typing import NamedTuple

import numpy as np
import pytest

from eval_bridge.backtester import Backtest
from eval_bridge.books.booking import Books
from eval_bridge.books.ledger import CHARGES, Ledger, LotMethod
from eval_bridge.books.trades import trades_table
from tests.helpers.books import eventful, plain_lots, profit_gap


class Fault(NamedTuple):
    """A text of a method, found once, and what stands there instead."""

    owner: type
    method: str
    old: str
    new: str
    lots: LotMethod = "fifo"


BOOK_CASH = "cash -= quantity * price + fees"
EXCHANGED = "(*amounts[:5], amounts[6], amounts[5], *amounts[7:]))"  # borrow and interest
AS_SPREAD = "(0.0, amounts[1], amounts[0] + amounts[2], *amounts[3:]))"
FAULTS = {
    "cash with the wrong sign": Fault(Ledger, "fill", BOOK_CASH, "cash += quantity * price - fees"),
    "fee dropped": Fault(Ledger, "fill", BOOK_CASH, "cash -= quantity * price"),
    "fee paid twice": Fault(Ledger, "fill", BOOK_CASH, "cash -= quantity * price + 2 * fees"),
    "fee of a sale a gain": Fault(Ledger, "fill", "+ fees\n", "+ (fees if quantity > 0 else -fees)\n"),
    "fee in the account of another symbol": Fault(Ledger, "fill", "charged[n] += fees", "charged[0] += fees"),
    "fee in no account": Fault(Ledger, "fill", "charged[n] += fees", "pass"),
    "slippage in no account": Fault(Ledger, "_pay", "self.impact[n] += paid", "pass"),
    "exit loss a gain": Fault(Ledger, "_pay", "self.exit_loss += quantity", "self.exit_loss -= quantity"),
    "slippage booked as spread": Fault(Ledger, "_pay", "paid * self._share[n]", "paid"),
    "fees of the entry forgotten in the lot": Fault(Ledger, "fill", "fees / abs(quantity), gap)", "0.0, gap)"),
    "a sale booked as nothing held": Fault(Ledger, "fill", "held[n] += quantity", "held[n] += max(quantity, 0.0)"),
    "quantity of another symbol": Fault(Ledger, "fill", "held[n] += quantity", "held[0] += quantity"),
    "quantity not closed": Fault(Ledger, "fill", "held[n] = 0.0", "held[n] = -quantity / 2"),
    "oldest lot for the newest": Fault(Ledger, "__init__", '"lifo" else 0', '"fifo" else 0'),
    "newest lot for the oldest": Fault(Ledger, "__init__", '"lifo" else 0', '"fifo" else 0', "lifo"),
    "lot not made smaller": Fault(Ledger, "_match", "(have - part, entry)", "(have, entry)"),
    "trade lost": Fault(Ledger, "_match", "self._trades += (n,", "self._trades += () if terms % 50 == 3 else (n,"),
    "trade booked twice": Fault(Ledger, "_match", "terms, kind)", "terms, kind) * (1 + (terms % 50 == 3))"),
    "trade at the terms of another": Fault(Ledger, "_match", "part, entry, terms", "part, entry, terms - 1"),
    "average with equal weights": Fault(Ledger, "_mix", "quantity / (have + quantity)", "0.5", "average"),
    "charge in another account": Fault(Ledger, "charge", "amounts)", EXCHANGED),
    "commission in the account of the spread": Fault(Ledger, "charge", "amounts)", AS_SPREAD),
    "interest not paid": Fault(Ledger, "charge", "BY_FILL) :])", "BY_FILL) :]) - amounts[6]"),
    "stale mark": Fault(Books, "book", "self.mark[at + 1], cash", "self.mark[at], cash"),
    "spread on the wrong side": Fault(Books, "book", "fills > 0, self.asked", "fills < 0, self.asked"),
    "fill booked twice": Fault(Books, "book", "if row[1]], bar", "if row[1]] * (1 + (bar % 97 == 0)), bar"),
    "fill forgotten": Fault(Books, "book", "if row[1]], bar", "if row[1] and bar % 97], bar"),
    "dividend paid instead of received": Fault(Books, "book", "-income", "income"),
    "shortfall forgotten": Fault(Books, "book", "-shortfall", "0.0"),
    "liquidation at the open": Fault(Books, "book", "last_fees, self.mark[at + 1]", "last_fees, self.price[at]"),
    "liquidation without fees": Fault(Books, "book", "(sold, last_fees", "(sold, None"),
    "called at the mark": Fault(Books, "book", "fees, self.price[at], bar", "fees, self.mark[at], bar"),
    "delisting at the last price": Fault(Books, "_close", "self.recovery[n] if", "1.0 if"),
    "liquidation on the wrong side": Fault(Books, "_close", "[value > 0]", "[value < 0]"),
    "slippage left out of the price": Fault(Books, "__init__", "impact = spread + slippage", "impact = spread"),
    "fill at the mark before": Fault(Books, "__init__", "price = table.fill_price[span", "price = table.mark[span"),
    "spread and slippage exchanged": Fault(Books, "__init__", "(spread / np", "(slippage / np"),
}  # fmt: skip


def check(result: Backtest) -> None:
    """What neither the check of every bar nor the audit can know: which lot was closed, and what a charge was for."""
    if result.lots != "average":
        mine = [(each.symbol, each.entry_bar, each.exit_bar) for each in result.ledger.trades]
        wanted = plain_lots(result, result.lots)
        assert mine == [(result.table.symbols[each.symbol], each.entry_bar, each.exit_bar) for each in wanted]
        np.testing.assert_allclose(
            [each.profit + each.fees for each in result.ledger.trades], [each.profit for each in wanted], atol=1e-7
        )
    record, capital = result.records, result.capital
    names = ("borrow", "interest", "income", "shortfall", "exit_loss")
    paid = dict(zip(("commission", "stamp_duty", "spread", "slippage"), record.costs, strict=True))
    paid |= {name: getattr(record, name) for name in names}
    signs = {"income": -1, "shortfall": -1}
    wanted_charges = [np.sum(paid[name]) * signs.get(name, 1) * capital for name in CHARGES]
    np.testing.assert_allclose(list(result.ledger.charges.values()), wanted_charges, rtol=1e-9, atol=1e-9)
    assert abs(profit_gap(result, trades_table(result))) < 1e-9 * capital


@pytest.mark.parametrize("lots", ["fifo", "lifo", "average"])
def test_sound_books_pass(lots: LotMethod) -> None:
    results = eventful(lots)
    for result in results:
        check(result)
    charged = {name for result in results for name, amount in result.ledger.charges.items() if amount}
    assert charged == set(CHARGES), "a kind of cost that never occurs cannot be wrong"
    kinds = [{order.kind for order in result.ledger.orders} for result in results]
    assert set.union(*kinds) == {"order", "delisting", "liquidation"}
    assert [bool(result.records.called[-1]) for result in results[1:]] == [True, False]


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fault = FAULTS[name]
    method = getattr(fault.owner, fault.method)
    text = textwrap.dedent(inspect.getsource(method))
    assert text.count(fault.old) == 1, f"{fault.old} is not found once"
    room: dict[str, object] = {}
    exec(compile(text.replace(fault.old, fault.new), name, "exec"), method.__globals__, room)
    monkeypatch.setattr(fault.owner, fault.method, room[fault.method])
    with pytest.raises(AssertionError):  # a Mismatch is one
        for result in eventful(fault.lots):
            check(result)
