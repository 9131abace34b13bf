"""The backtester's own books: quantities, prices and FIFO lots, kept beside the rule book and reconciled with it.

The rule book moves values by returns; this ledger holds quantities at prices. They can only agree if both are right.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
TOLERANCE = 1e-9


@dataclass
class Lot:
    """An open quantity, bought (or sold short, if negative) at one price."""

    quantity: float
    price: float
    bar: int


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


@dataclass
class Ledger:
    """Double-entry books in money: every fill moves cash against quantity, every cost moves cash against an account."""

    symbols: tuple[str, ...]
    cash: float
    charges: dict[str, float] = field(default_factory=dict)
    lots: list[deque[Lot]] = field(default_factory=list)
    trades: list[Trade] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.lots = [deque() for _ in self.symbols]

    def quantity(self, n: int) -> float:
        """Return the signed quantity held of symbol n."""
        return sum(lot.quantity for lot in self.lots[n])

    def fill(self, n: int, quantity: float, price: float, bar: int, kind: str) -> None:
        """Book a fill of a signed quantity at a price, FIFO."""
        self.cash -= quantity * price
        self.orders.append(Order(bar, self.symbols[n], quantity, price, quantity * price, kind))
        lots, rounding = self.lots[n], 1e-12 * abs(quantity)
        while lots and quantity * lots[0].quantity < 0:
            lot = lots[0]
            size = min(abs(quantity), abs(lot.quantity))
            part = size if lot.quantity > 0 else -size
            self.trades.append(Trade(self.symbols[n], part, lot.bar, bar, lot.price, price))
            quantity += part
            lot.quantity -= part
            if abs(lot.quantity) < 1e-15 * size:
                lots.popleft()
        if abs(quantity) > rounding:
            lots.append(Lot(quantity, price, bar))

    def close(self, n: int, price: float, bar: int, kind: str) -> None:
        """Close all of symbol n, leaving exactly nothing."""
        if self.lots[n]:
            self.fill(n, -self.quantity(n), price, bar, kind)
            self.lots[n].clear()

    def charge(self, **amounts: float) -> None:
        """Book costs by kind: they leave the cash. A negative one enters it."""
        for kind, amount in amounts.items():
            self.cash -= amount
            self.charges[kind] = self.charges.get(kind, 0.0) + amount

    def equity(self, prices: FloatArray) -> float:
        """Return cash plus the value of all lots at the given prices, [N]."""
        held = [self.quantity(n) * prices[n] for n in range(len(self.symbols)) if self.lots[n]]
        return self.cash + float(sum(held))

    def reconcile(self, bar: Any, prices: FloatArray, cash: float, equity: float) -> None:
        """Compare with the rule book's cash and equity.

        Raises:
            AssertionError: They differ by more than 1e-9 of the equity: one of the two books is wrong.
        """
        for name, mine, theirs in (("cash", self.cash, cash), ("equity", self.equity(prices), equity)):
            if not abs(mine - theirs) <= TOLERANCE * max(abs(equity), 1.0):
                raise AssertionError(f"{bar}: the ledger's {name} is {mine!r}, the rule book's {theirs!r}")

    def reconcile_lots(self, bar: Any, sizes: FloatArray, lots: FloatArray) -> None:
        """Compare the quantities with the rule book's whole lots, [N]; sizes are units a lot, 0 for none.

        Raises:
            AssertionError: They differ by a millionth of a lot.
        """
        for n in np.flatnonzero(sizes):
            mine = self.quantity(int(n)) / float(sizes[n])
            if not abs(mine - lots[n]) <= 1e-6 * max(1.0, abs(lots[n])):
                symbol = self.symbols[n]
                raise AssertionError(f"{bar}: the ledger holds {mine!r} lots of {symbol}, the rule book {lots[n]!r}")
