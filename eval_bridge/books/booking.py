"""Booking: what the rules did at every bar is entered in a ledger of its own, and the two are compared."""

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

import numpy as np

from eval_bridge.books.ledger import DELISTING, LIQUIDATION, Ledger, LotMethod
from eval_bridge.straight_line.rows import Rules
from jaxtrade.market.splits import Range
from jaxtrade.market.table import MarketTable
from jaxtrade.rules import RuleParams

Leaves = tuple[Any, ...]


class Books:
    """Books what the rules did at every bar in a ledger of its own, and compares the two."""

    def __init__(self, table: MarketTable, span: Range, params: RuleParams, rules: Rules, lots: LotMethod) -> None:
        self.table, self.money, self.symbols = table, float(params.capital), len(table.symbols)
        self.all = range(self.symbols)
        self.first, self.fill_bar, last = span.first, table.fill_bar, span.last
        self.mark: list[list[float]] = table.mark[span.first : last + 1].tolist()
        price = table.fill_price[span.first : last]
        price = np.where(np.isfinite(price), price, table.mark[span.first : last])
        spread, slippage = (np.broadcast_to(each, self.symbols) for each in (params.half_spread, params.slippage))
        impact = spread + slippage
        self.ledger = Ledger(table.symbols, self.money, lots, (spread / np.where(impact > 0, impact, 1.0)).tolist())
        self.share = [(1 - share, 1 + share) for share in impact.tolist()]  # of the price: a seller's and a buyer's
        self.units = np.where(np.isfinite(price), self.money / price, 0.0)  # that a multiple of the capital buys
        self.bid, self.asked = price * (1 - impact), price * (1 + impact)
        self.price: list[list[float]] = price.tolist()
        self.nothing: dict[str, Any] = {}  # by kind, what was found to close nothing
        self.recovery = np.broadcast_to(params.recovery, self.symbols).tolist()
        self.lot_size = np.broadcast_to(params.lot_size, self.symbols).tolist()
        self.has_lots, self.vector = any(self.lot_size), not rules.floats
        traded = ("exit_value", "fill_value", "fill_fees", "mark_value", "mark_fees")
        costs = rules.place("costs")  # commission, duty, spread, slippage
        charges = ("exit_loss", "borrow", "interest", "income", "shortfall")
        self.state_of = itemgetter(*map(rules.place, ("position", "lots", "cash", "equity", "called")))
        self.trades_of = itemgetter(*map(rules.place, traded))
        self.charges_of = itemgetter(*range(costs, costs + 4), *map(rules.place, charges))

    def book(self, bar: int, row: Leaves) -> None:
        """Book the bar between the close of `bar` and the next.

        Raises:
            Mismatch: The books differ.
        """
        position, lots, cash, equity, called = self.state_of(row)
        exits, fills, fees, sold, last_fees = self.trades_of(row)
        ledger, money, at = self.ledger, self.money, bar - self.first
        self._close(exits, None, self.mark[at], bar + 1, DELISTING)
        if called:
            self._close(fills, fees, self.price[at], bar + self.fill_bar, LIQUIDATION)
        elif self.vector:
            paid = np.where(fills > 0, self.asked[at], self.bid[at])
            columns = (fills * self.units[at], paid, fees * money, position + sold)
            quantities, prices, charged, left = (column.tolist() for column in columns)
            rows = zip(self.all, quantities, prices, self.price[at], charged, left, strict=True)
            ledger.fill([row for row in rows if row[1]], bar + self.fill_bar)
        elif fills:
            (price,) = self.price[at]
            paid = price * self.share[0][fills > 0]
            ledger.fill([(0, fills * money / price, paid, price, fees * money, position + sold)], bar + self.fill_bar)
        self._close(sold, last_fees, self.mark[at + 1], bar + 1, LIQUIDATION)
        *paid, income, shortfall = [amount * money for amount in self.charges_of(row)]
        ledger.charge((*paid, -income, -shortfall))
        ledger.reconcile(self.table.time[bar + 1], self.mark[at + 1], cash * money, equity * money)
        if self.has_lots:
            ledger.reconcile_lots(self.table.time[bar + 1], self.lot_size, np.atleast_1d(lots).tolist())

    def _close(self, values: Any, fees: Any, price: Sequence[float], bar: int, kind: str) -> None:
        """Book what closes altogether; the delisted are paid their recovery, everyone else pays spread and fees."""
        if self.vector:
            if values is self.nothing.get(kind) or not values.any():
                self.nothing[kind] = values
                return
        elif not values:
            return
        values = np.atleast_1d(values).tolist()
        charged = np.broadcast_to(0.0 if fees is None else fees * self.money, self.symbols).tolist()
        for n, value in enumerate(values):
            if value:
                share = self.recovery[n] if kind == DELISTING else self.share[n][value > 0]
                self.ledger.close(bar, n, price[n] * share, price[n], charged[n], kind)
