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
    """A lot, or a part of one, closed. Profit is before fees."""

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
    """Double-entry books in money: every fill moves cash against quantity, every fee moves cash against fees."""

    symbols: tuple[str, ...]
    cash: float
    fees: float = 0.0
    shortfall: float = 0.0
    lots: list[deque[Lot]] = field(default_factory=list)
    trades: list[Trade] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.lots = [deque() for _ in self.symbols]

    def quantity(self, n: int) -> float:
        """Return the signed quantity held of symbol n."""
        return sum(lot.quantity for lot in self.lots[n])

    def fill(self, n: int, value: float, price: float, bar: int, *, closes: bool, kind: str) -> None:
        """Book a fill of a signed money value at a price; `closes` leaves exactly nothing."""
        quantity = -self.quantity(n) if closes else value / price
        self.cash -= quantity * price
        self.orders.append(Order(bar, self.symbols[n], quantity, price, quantity * price, kind))
        lots = self.lots[n]
        while lots and quantity * lots[0].quantity < 0:
            lot = lots[0]
            size = min(abs(quantity), abs(lot.quantity))
            part = size if lot.quantity > 0 else -size
            self.trades.append(Trade(self.symbols[n], part, lot.bar, bar, lot.price, price))
            quantity += part
            lot.quantity -= part
            if lot.quantity == 0 or abs(lot.quantity) < 1e-15 * size:
                lots.popleft()
        if quantity != 0 and not closes:
            lots.append(Lot(quantity, price, bar))
        if closes:
            lots.clear()

    def charge(self, fees: float, shortfall: float) -> None:
        """Book fees, and what was lost beyond the ruin floor and is nobody's."""
        self.cash += shortfall - fees
        self.fees += fees
        self.shortfall += shortfall

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
