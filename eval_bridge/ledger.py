"""The backtester's own books: quantities, prices and FIFO lots, kept beside the rule book and reconciled with it.

The rule book moves values by returns; this ledger holds quantities at prices. They can only agree if both are right.
What is booked at every bar is kept in plain lists; orders and trades become records when they are asked for.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

TOLERANCE = 1e-9
Lot = tuple[float, float, int]  # signed quantity, price, bar
CHARGES = ("commission", "stamp_duty", "borrow", "interest", "income", "shortfall")


@dataclass
class Trade:
    """A lot, or a part of one, closed. Prices include spread and slippage; profit is before fees."""

    symbol: str
    quantity: float
    entry_bar: int
    exit_bar: int
    entry_price: float
    exit_price: float

    @property
    def profit(self) -> float:
        """Money gained, before fees."""
        return self.quantity * (self.exit_price - self.entry_price)


@dataclass
class Order:
    """A fill as it was carried out."""

    bar: int
    symbol: str
    quantity: float
    price: float
    value: float
    kind: str


class Ledger:
    """Double-entry books in money: every fill moves cash against quantity, every cost moves cash against an account."""

    def __init__(self, symbols: tuple[str, ...], cash: float) -> None:
        self.symbols, self.cash = symbols, cash
        self.charges = dict.fromkeys(CHARGES, 0.0)
        self.held = [0.0 for _ in symbols]  # signed quantity of each symbol
        self.lots: list[deque[Lot]] = [deque() for _ in symbols]  # open ones, the oldest first
        self._all = range(len(symbols))
        self._orders: list[Any] = []  # six numbers each, in a row: objects of their own would keep the collector busy
        self._trades: list[Any] = []

    @property
    def orders(self) -> list[Order]:
        """The fills, in their order."""
        return [Order(bar, self.symbols[n], *rest) for bar, n, *rest in _rows(self._orders)]

    @property
    def trades(self) -> list[Trade]:
        """The lots closed, in their order."""
        return [Trade(self.symbols[n], *rest) for n, *rest in _rows(self._trades)]

    def fill_all(self, quantities: Sequence[float], prices: Sequence[float], left: Sequence[float], bar: int) -> None:
        """Book the fills of a bar: signed quantities, 0 for none, prices, and what is then left, 0 for nothing."""
        rows = zip(self._all, quantities, prices, left, strict=True)
        self._fill([row for row in rows if row[1]], bar, "fill")

    def _fill(self, rows: Sequence[tuple[int, float, float, float]], bar: int, kind: str) -> None:
        """Book fills: symbol, signed quantity, price, what is left; if nothing, the open lots are the quantity."""
        cash, held, orders = self.cash, self.held, self._orders
        for n, quantity, price, left in rows:
            lots = self.lots[n]
            if not left:
                quantity = -sum([lot[0] for lot in lots])
            value = quantity * price
            cash -= value
            orders += (bar, n, quantity, price, value, kind)
            held[n] += quantity
            if not left:
                self._match(n, quantity, price, bar)
                lots.clear()
                held[n] = 0.0
            elif not lots or quantity * lots[0][0] > 0:
                lots.append((quantity, price, bar))
            else:
                self._match(n, quantity, price, bar)
        self.cash = cash

    def _match(self, n: int, quantity: float, price: float, bar: int) -> None:
        """Close lots of the other side, the oldest first; what is left of the quantity is a new lot."""
        lots, rounding = self.lots[n], 1e-12 * abs(quantity)
        while lots and quantity * lots[0][0] < 0:
            have, entry_price, entry_bar = lots[0]
            part = have if abs(have) <= abs(quantity) else -quantity
            self._trades += (n, part, entry_bar, bar, entry_price, price)
            quantity += part
            left = have - part
            if abs(left) < 1e-15 * abs(part):
                lots.popleft()
            else:
                lots[0] = (left, entry_price, entry_bar)
        if abs(quantity) > rounding:
            lots.append((quantity, price, bar))

    def close(self, n: int, price: float, bar: int, kind: str) -> None:
        """Close all of symbol n, leaving exactly nothing."""
        if self.lots[n]:
            self._fill([(n, 0.0, price, 0.0)], bar, kind)

    def charge(self, amounts: Sequence[float]) -> None:
        """Book costs in the order of `CHARGES`: they leave the cash. A negative one enters it."""
        for kind, amount in zip(CHARGES, amounts, strict=True):
            if amount:
                self.cash -= amount
                self.charges[kind] += amount

    def equity(self, prices: Sequence[float]) -> float:
        """Return cash plus the value of all that is held at the given prices, [N]."""
        return self.cash + sum([held * price for held, price in zip(self.held, prices, strict=True) if held])

    def reconcile(self, bar: Any, prices: Sequence[float], cash: float, equity: float) -> None:
        """Compare with the rule book's cash and equity.

        Raises:
            AssertionError: They differ by more than 1e-9 of the equity: one of the two books is wrong.
        """
        limit, mine = TOLERANCE * max(abs(equity), 1.0), self.equity(prices)
        if not (abs(self.cash - cash) <= limit and abs(mine - equity) <= limit):
            pair = f"{self.cash!r} and {mine!r}, the rule book's {cash!r} and {equity!r}"
            raise AssertionError(f"{bar}: the ledger's cash and equity are {pair}")

    def reconcile_lots(self, bar: Any, sizes: Sequence[float], lots: Sequence[float]) -> None:
        """Compare the quantities with the rule book's whole lots, [N]; sizes are units a lot, 0 for none.

        Raises:
            AssertionError: They differ by a millionth of a lot.
        """
        for symbol, held, size, theirs in zip(self.symbols, self.held, sizes, lots, strict=True):
            if size and not abs(held / size - theirs) <= 1e-6 * max(1.0, abs(theirs)):
                mine = held / size
                raise AssertionError(f"{bar}: the ledger holds {mine!r} lots of {symbol}, the rule book {theirs!r}")

    def audit(self) -> None:
        """Compare the open lots with the quantities held.

        Raises:
            AssertionError: They differ by more than rounding leaves of the symbol's largest order.
        """
        largest = [0.0 for _ in self.symbols]
        for _, n, quantity, *_ in _rows(self._orders):
            largest[n] = max(largest[n], abs(quantity))
        for n, lots in enumerate(self.lots):
            quantity = sum([lot[0] for lot in lots])
            if not abs(quantity - self.held[n]) <= TOLERANCE * largest[n]:
                what = f"the open lots of {self.symbols[n]} hold {quantity!r}, the ledger {self.held[n]!r}"
                raise AssertionError(what)


def _rows(flat: list[Any]) -> Iterator[tuple[Any, ...]]:
    """Return the rows of six that stand one after the other."""
    return zip(*[iter(flat)] * 6, strict=True)
