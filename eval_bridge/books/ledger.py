"""The backtester's own books: quantities, prices, fees and lots, kept beside the rule book and reconciled with it.

The rule book moves values by returns; this ledger holds quantities at prices. They can only agree if both are right.
What is booked at every bar is kept in plain lists; orders and trades become records when they are asked for.
"""

from collections import deque
from collections.abc import Sequence
from operator import add
from typing import Any, Literal, NamedTuple

TOLERANCE = 1e-9
ROUNDING = 1e-10  # share of a fill that is no lot
BY_FILL = ("commission", "stamp_duty", "spread", "slippage", "exit_loss")  # what the fills have paid already
BY_TIME = ("borrow", "interest", "income", "shortfall")
CHARGES = BY_FILL + BY_TIME
COMPARED = ("cash", "equity", "fees", "spread", "slippage", "exit_loss")  # at every bar
ORDER, DELISTING, LIQUIDATION = "order", "delisting", "liquidation"  # why something is traded
LotMethod = Literal["fifo", "lifo", "average"]
Lot = tuple[float, int]  # signed quantity, and the number of its terms
Fill = tuple[int, float, float, float, float, float]  # symbol, quantity, price paid and quoted, fees, what is left


class Mismatch(AssertionError):  # noqa: N818 - it names what was found
    """The ledger and the rule book differ: one of the two is wrong, and nothing after it may be believed."""


class Trade(NamedTuple):
    """A lot, or a part of one, from its entry to its exit. Prices are those paid: spread and slippage are inside."""

    symbol: str
    quantity: float  # signed
    entry_bar: int
    exit_bar: int  # of an open one, that of the last mark
    entry_price: float
    exit_price: float  # of an open one, the last mark
    fees: float  # its share of those of the entry, and of the exit
    slippage: float  # spread and slippage of both sides, in money
    closed_by: str  # order, delisting, liquidation; empty: it is open

    @property
    def profit(self) -> float:
        """Money gained, net of fees."""
        return self.quantity * (self.exit_price - self.entry_price) - self.fees


class Order(NamedTuple):
    """A fill as it was carried out."""

    bar: int
    symbol: str
    quantity: float  # signed
    price: float  # paid
    reference: float  # quoted: without spread and slippage; of a delisting the last mark
    fees: float
    kind: str

    @property
    def value(self) -> float:
        """Money paid for what was bought, negative for what was sold; without fees."""
        return self.quantity * self.price

    @property
    def slippage(self) -> float:
        """What spread and slippage cost; a delisting has none."""
        return 0.0 if self.kind == DELISTING else abs(self.quantity * (self.price - self.reference))


class Ledger:
    """Double-entry books in money: what leaves the cash enters an account, a symbol's quantity or a cost."""

    def __init__(
        self,
        symbols: tuple[str, ...],
        cash: float,
        method: LotMethod = "fifo",
        spread_share: Sequence[float] | None = None,
    ) -> None:
        """Open the books.

        Args:
            symbols: Names, [N].
            cash: The capital.
            method: Which lots a trade closes: the oldest, the newest, or all of them at their average cost.
            spread_share: The part that the spread has in what is paid beside the quoted price, [N]; all by default.
        """
        self.symbols, self.capital, self.cash, self.method = symbols, cash, cash, method
        self._charged = [0.0] * len(CHARGES)
        self.held, self.fees, self.impact = ([0.0] * len(symbols) for _ in range(3))  # [N]; spread and slippage paid
        self.spread = self.slippage = self.exit_loss = 0.0  # of all symbols
        self.lots: list[deque[Lot]] = [deque() for _ in symbols]  # open ones, the oldest first
        self._next = -1 if method == "lifo" else 0  # place of the lot that is closed first
        self._share = [1.0] * len(symbols) if spread_share is None else list(spread_share)
        self._orders: list[Any] = []  # bar, symbol, quantity, price, quoted, fees, kind, one after the other:
        self._trades: list[Any] = []  # symbol, quantity, terms of entry and of exit, kind; objects of their own
        self._terms: list[Any] = []  # price, bar, fees of a unit, impact on a unit; would keep the collector busy

    @property
    def charges(self) -> dict[str, float]:
        """What the rule book charged so far, by kind; a negative charge is a gain."""
        return dict(zip(CHARGES, self._charged, strict=True))

    @property
    def orders(self) -> list[Order]:
        """The fills, in their order."""
        return [Order(bar, self.symbols[n], *rest) for bar, n, *rest in zip(*self.order_columns(), strict=True)]

    @property
    def trades(self) -> list[Trade]:
        """The lots closed, in their order."""
        prices, bars, fees, impacts = self.terms()
        names, trades = self.symbols, []
        for n, quantity, entry, leave, kind in zip(*self.trade_columns(), strict=True):
            size, times, paid = abs(quantity), (bars[entry], bars[leave]), (prices[entry], prices[leave])
            costs = size * (fees[entry] + fees[leave]), size * (impacts[entry] + impacts[leave])
            trades.append(Trade(names[n], quantity, *times, *paid, *costs, kind))
        return trades

    def open_trades(self, marks: Sequence[float], bar: int) -> list[Trade]:
        """Return the lots that are open, as if each were closed at a mark, [N], without costs."""
        prices, bars, fees, impacts = self.terms()

        def trade(n: int, quantity: float, entry: int) -> Trade:
            costs = abs(quantity) * fees[entry], abs(quantity) * impacts[entry]
            return Trade(self.symbols[n], quantity, bars[entry], bar, prices[entry], marks[n], *costs, "")

        return [trade(n, *lot) for n, lots in enumerate(self.lots) for lot in lots]

    def order_columns(self) -> list[list[Any]]:
        """Return bars, symbols (their numbers), signed quantities, prices paid, prices quoted, fees, kinds of fills."""
        return [self._orders[at::7] for at in range(7)]

    def trade_columns(self) -> list[list[Any]]:
        """Return symbols (their numbers), signed quantities, terms of entry and exit, and kinds of the lots closed."""
        return [self._trades[at::5] for at in range(5)]

    def terms(self) -> list[list[Any]]:
        """Return by number: prices paid, bars; fees, and spread with slippage, of one unit."""
        return [self._terms[at::4] for at in range(4)]

    def close(self, bar: int, n: int, price: float, quoted: float, fees: float, kind: str) -> None:
        """Close all of symbol n, leaving exactly nothing."""
        if self.lots[n]:
            self.fill([(n, 0.0, price, quoted, fees, 0.0)], bar, kind)

    def fill(self, rows: Sequence[Fill], bar: int, kind: str = ORDER) -> None:
        """Book the fills of a bar; where nothing is left (0), the open lots are the quantity."""
        held, charged, all_lots, orders, terms = self.held, self.fees, self.lots, self._orders, self._terms
        number, cash, averages = len(terms) // 4, self.cash, self.method == "average"
        for n, quantity, price, quoted, fees, left in rows:
            lots = all_lots[n]
            if not left:
                quantity = -sum([lot[0] for lot in lots])
                if not quantity:
                    continue
            gap = price - quoted
            if gap:
                gap = self._pay(n, quantity, gap, kind)
            cash -= quantity * price + fees
            held[n] += quantity
            charged[n] += fees
            orders += (bar, n, quantity, price, quoted, fees, kind)
            terms += (price, bar, fees / abs(quantity), gap)
            if lots and quantity * lots[0][0] < 0:
                self._match(n, quantity, number, kind)
            elif lots and averages:
                self._mix(n, quantity, number)
                number += 1
            else:
                lots.append((quantity, number))
            if not left:
                held[n] = 0.0
            number += 1
        self.cash = cash

    def _pay(self, n: int, quantity: float, gap: float, kind: str) -> float:
        """Book what was paid beside the quoted price; return what of it is spread and slippage, on one unit."""
        if kind == DELISTING:  # a part of the last price
            self.exit_loss += quantity * gap
            return 0.0
        paid = abs(quantity * gap)
        self.impact[n] += paid
        self.spread += paid * self._share[n]
        self.slippage += paid * (1 - self._share[n])
        return abs(gap)

    def _mix(self, n: int, quantity: float, terms: int) -> None:
        """Make one lot of the open one and another: at their average price and costs, since the bar of the first."""
        ((have, entry),) = self.lots[n]
        share = quantity / (have + quantity)
        old, new = self._terms[4 * entry : 4 * entry + 4], self._terms[4 * terms : 4 * terms + 4]
        price, _, fees, impact = (mine + share * (theirs - mine) for mine, theirs in zip(old, new, strict=True))
        self._terms += (price, old[1], fees, impact)
        self.lots[n][0] = (have + quantity, terms + 1)

    def _match(self, n: int, quantity: float, terms: int, kind: str) -> None:
        """Close lots of the other side, one after the other; what is left of the quantity is a new lot."""
        lots, end, rounding = self.lots[n], self._next, ROUNDING * abs(quantity)
        while abs(quantity) > rounding and lots and quantity * lots[end][0] < 0:
            have, entry = lots[end]
            part = have if abs(have) <= abs(quantity) + rounding else -quantity
            self._trades += (n, part, entry, terms, kind)
            quantity += part
            if part == have:
                del lots[end]
            else:
                lots[end] = (have - part, entry)
        if abs(quantity) > rounding:
            lots.append((quantity, terms))

    def charge(self, amounts: Sequence[float]) -> None:
        """Enter the rule book's costs of a bar, in the order of `CHARGES`; a negative one is a gain.

        Those `BY_TIME` leave the cash. Those `BY_FILL` have left it with the fills, and are compared with them.
        """
        self._charged = list(map(add, self._charged, amounts))
        self.cash -= sum(amounts[len(BY_FILL) :])

    def equity(self, prices: Sequence[float]) -> float:
        """Return cash plus the value of all that is held at the given prices, [N]."""
        return self.cash + sum([held * price for held, price in zip(self.held, prices, strict=True) if held])

    def reconcile(self, time: Any, prices: Sequence[float], cash: float, equity: float) -> None:
        """Compare with the rule book at a mark: its cash, its equity, and all that it charged by then.

        Raises:
            Mismatch: They are more than 1e-9 of the equity apart.
        """
        here, charged, limit = self.equity(prices), self._charged, TOLERANCE * max(1.0, abs(equity))
        fees = sum(self.fees)
        off = abs(self.cash - cash) + abs(here - equity) + abs(fees - charged[0] - charged[1])
        off += abs(self.spread - charged[2]) + abs(self.slippage - charged[3]) + abs(self.exit_loss - charged[4])
        if not off <= limit:
            mine = (self.cash, here, fees, self.spread, self.slippage, self.exit_loss)
            theirs = (cash, equity, charged[0] + charged[1], *charged[2:5])
            for what, one, other in zip(COMPARED, mine, theirs, strict=True):
                if not abs(one - other) <= limit / len(COMPARED):
                    raise Mismatch(f"{time}: {what} is {one:.17g} in the ledger and {other:.17g} in the rule book")

    def reconcile_lots(self, time: Any, sizes: Sequence[float], lots: Sequence[float]) -> None:
        """Compare the quantities with the rule book's whole lots, [N]; sizes are units a lot, 0 for none.

        Raises:
            Mismatch: They differ by a millionth of a lot.
        """
        for symbol, held, size, theirs in zip(self.symbols, self.held, sizes, lots, strict=True):
            if size and not abs(held / size - theirs) <= 1e-6 * max(1.0, abs(theirs)):
                mine = f"{held / size:.17g} in the ledger and {theirs:.17g} in the rule book"
                raise Mismatch(f"{time}: whole lots of {symbol} are {mine}")
