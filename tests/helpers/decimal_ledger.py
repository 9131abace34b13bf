"""A trading account in exact-enough arithmetic, written from `docs/accounting.md` and from nothing else.

It shares no code with `jaxtrade/rules/`: plain lists of `Decimal` at 50 digits, one loop per symbol. Only the float32
rounding of the action and the dead band uses NumPy, because the specification names that type.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Context, Decimal, localcontext
from typing import Literal

import numpy as np

PRECISION = 50
ZERO = Decimal(0)
ONE = Decimal(1)
DUST = Decimal("1e-6")
HOLD, LAST_BUY, FULL_CLOSE = 0, 4, 8


@dataclass(frozen=True)
class LedgerParams:
    """The rules of one account; numbers are taken at their exact binary value."""

    buy_rate: float = 0.0
    sell_rate: float = 0.0
    max_leverage: float = 1.0
    maintenance_margin: float = 0.0
    ruin_floor: float = 0.0
    dead_band: float = 0.0
    trade_limit: float = 1.0
    allow_short: bool = False
    action_kind: Literal["continuous", "discrete9"] = "continuous"


@dataclass
class LedgerRecord:
    """What one bar did to the account; lists are by symbol, traded values are signed (buys are positive)."""

    equity_before: Decimal
    fill_value: list[Decimal]
    mark_value: list[Decimal]
    blocked: list[bool]
    rejected: list[bool]
    equity: Decimal = ZERO
    pnl: Decimal = ZERO
    fees: Decimal = ZERO
    shortfall: Decimal = ZERO
    realized: Decimal = ZERO
    turnover: Decimal = ZERO
    ruined: bool = False


@dataclass
class _Order:
    """One order: a signed value, whether it closes the position exactly, and whether the action asked to trade."""

    value: Decimal = ZERO
    closes: bool = False
    asked: bool = True


def _size(values: list[Decimal]) -> Decimal:
    return sum(map(abs, values), ZERO)


class DecimalLedger:
    """One account over some symbols.

    Attributes:
        cash: Money not invested, in multiples of the starting capital.
        position: Signed value held of each symbol, at the last mark.
        basis: Signed cost of what is held of each symbol.
        peak: The highest equity recorded.
        idle: Bars since the last fill of each symbol.
        ruined: Whether the account has terminated.
        fill_factor: The factor `k` of the last bar's increasing fills.
    """

    def __init__(self, symbols: int, params: LedgerParams) -> None:
        self.params = params
        self.buy_rate = Decimal(params.buy_rate)
        self.sell_rate = Decimal(params.sell_rate)
        self.max_leverage = Decimal(params.max_leverage)
        self.cash = ONE
        self.position = [ZERO] * symbols
        self.basis = [ZERO] * symbols
        self.peak = ONE
        self.idle = [0] * symbols
        self.ruined = False
        self.fill_factor = ONE

    def equity(self) -> Decimal:
        """Cash plus all positions."""
        return self.cash + sum(self.position)

    def step(
        self,
        action: Sequence[float],
        tradable: Sequence[bool],
        gap: Sequence[float],
        move: Sequence[float],
        can_fill: Sequence[bool],
    ) -> LedgerRecord:
        """Take the account from the close of one bar to the close of the next.

        Args:
            action: One number per symbol, or one for `discrete9`.
            tradable: Whether the bar decided on has a valid close, by symbol.
            gap: Return from the mark to the next open, by symbol.
            move: Return from that open to the next mark, by symbol.
            can_fill: Whether the next open is valid, by symbol.

        Returns:
            The record of the bar.
        """
        if self.ruined:
            raise RuntimeError("the account was ruined: it has terminated")
        symbols = len(self.position)
        with localcontext(Context(prec=PRECISION)):
            record = LedgerRecord(self.equity(), [ZERO] * symbols, [ZERO] * symbols, [False] * symbols, [])
            orders = self._limited(self._orders(action, tradable, record))
            for order, change in zip(orders, gap, strict=True):
                order.value *= 1 + Decimal(change)
            gain = self._revalue(gap)
            record.fill_value = self._liquidate_if_ruined(record)
            if record.ruined:
                orders = [_Order() for _ in orders]
            self._fill(orders, can_fill, record)
            gain += self._revalue(move)
            record.mark_value = self._liquidate_if_ruined(record)
            record.equity = self.equity()
            record.pnl = gain - record.fees + record.shortfall
            record.turnover = _size(record.fill_value + record.mark_value) / record.equity_before
            self.peak = max(self.peak, record.equity)
            self.ruined = record.ruined
            return record

    # Orders -----------------------------------------------------------------------------------------------------------

    def _orders(self, action: Sequence[float], tradable: Sequence[bool], record: LedgerRecord) -> list[_Order]:
        sized = self._continuous if self.params.action_kind == "continuous" else self._discrete9
        orders = []
        for symbol, number in enumerate(action):
            order = sized(float(np.float32(number)), symbol)
            rejected = order is None or (order.asked and not tradable[symbol])
            record.rejected.append(rejected)
            orders.append(_Order() if rejected else order)
        return orders

    def _continuous(self, number: float, symbol: int) -> _Order | None:
        """The order of a continuous action, or None where the action is no number to act on."""
        del symbol
        if not np.isfinite(number):
            return None
        if not abs(number) > float(np.float32(self.params.dead_band)):
            return _Order(asked=False)
        fraction = min(max(Decimal(number), -ONE), ONE)
        return _Order(fraction * Decimal(self.params.trade_limit) * self.equity())

    def _discrete9(self, number: float, symbol: int) -> _Order | None:
        """The order of a discrete action, or None where the action is no known number."""
        if number not in range(HOLD, FULL_CLOSE + 1):
            return None
        choice = int(number)
        if choice == HOLD:
            return _Order(asked=False)
        if choice <= LAST_BUY:
            return _Order(Decimal(choice) / 4 * max(self.cash, ZERO) / (1 + self.buy_rate))
        return _Order(-Decimal(choice - LAST_BUY) / 4 * self.position[symbol], choice == FULL_CLOSE)

    def _limited(self, orders: list[_Order]) -> list[_Order]:
        if self.params.allow_short:
            return [self._without_dust(order) for order in orders]
        limited = []
        for order, held in zip(orders, self.position, strict=True):
            holding = max(held, ZERO)
            if order.value < 0 and -order.value >= holding:
                limited.append(_Order(-holding, holding > 0))
            else:
                limited.append(order)
        return [self._without_dust(order) for order in limited]

    def _without_dust(self, order: _Order) -> _Order:
        return order if order.closes or abs(order.value) > DUST * self.equity() else _Order()

    # Prices and ruin --------------------------------------------------------------------------------------------------

    def _revalue(self, returns: Sequence[float]) -> Decimal:
        """Apply a return to every position and give the gain."""
        gains = [held * Decimal(change) for held, change in zip(self.position, returns, strict=True)]
        self.position = [held * (1 + Decimal(change)) for held, change in zip(self.position, returns, strict=True)]
        return sum(gains, ZERO)

    def _liquidate_if_ruined(self, record: LedgerRecord) -> list[Decimal]:
        """Sell everything at the mark if the account is ruined, and give the signed values traded."""
        equity, floor = self.equity(), Decimal(self.params.ruin_floor)
        if equity > floor and equity >= Decimal(self.params.maintenance_margin) * _size(self.position):
            return [ZERO for _ in self.position]
        traded = [-held for held in self.position]
        left = equity - sum(map(self._fee, traded))
        self.cash = max(left, floor)
        record.fees += equity - left
        record.shortfall += self.cash - left
        record.realized += sum(self.position) - sum(self.basis)
        record.ruined = True
        self.position = [ZERO for _ in traded]
        self.basis = [ZERO for _ in traded]
        return traded

    def _fee(self, value: Decimal) -> Decimal:
        """The fee of one signed trade."""
        return value * self.buy_rate if value > 0 else -value * self.sell_rate

    # Fills ------------------------------------------------------------------------------------------------------------

    def _fill(self, orders: list[_Order], can_fill: Sequence[bool], record: LedgerRecord) -> None:
        """Fill the orders at the open: the reducing parts in full, then the increasing parts by one factor."""
        fills, increases, dust = [], [], DUST * self.equity()
        for symbol, order in enumerate(orders):
            record.blocked[symbol] = order.value != 0 and not can_fill[symbol]
            kept = order if can_fill[symbol] else _Order()
            fills.append(self._reduce(symbol, kept, dust, record))
            increases.append(ZERO if kept.closes else kept.value - fills[symbol])
        self.fill_factor = self._increase_factor(increases)
        for symbol, asked in enumerate(increases):
            filled = self.fill_factor * asked
            if abs(filled) <= dust:
                continue
            fee = self._fee(filled)
            self.cash -= filled + fee
            self.position[symbol] += filled
            self.basis[symbol] += filled
            record.fees += fee
            fills[symbol] += filled
        self.idle = [0 if filled else bars + 1 for filled, bars in zip(fills, self.idle, strict=True)]
        record.fill_value = [sold + filled for sold, filled in zip(record.fill_value, fills, strict=True)]

    def _reduce(self, symbol: int, order: _Order, dust: Decimal, record: LedgerRecord) -> Decimal:
        """Fill the part of an order that reduces a position, and give its signed value."""
        held = self.position[symbol]
        if order.closes:
            reduced = -held
        elif order.value * held < 0:
            reduced = order.value if abs(order.value) < abs(held) - dust else -held
        else:
            return ZERO
        if not held:
            return ZERO
        released = self.basis[symbol] * (abs(reduced) / abs(held))
        fee = self._fee(reduced)
        self.cash -= reduced + fee
        self.position[symbol] = held + reduced
        self.basis[symbol] -= released
        record.realized += -reduced - released
        record.fees += fee
        return reduced

    def _increase_factor(self, increases: list[Decimal]) -> Decimal:
        """The one factor that keeps all increasing fills within the leverage limit."""
        asked = _size(increases)
        if not asked:
            return ONE
        fees = sum((self._fee(value) for value in increases), ZERO)
        room = self.max_leverage * self.equity() - _size(self.position)
        return min(max(room / (asked + self.max_leverage * fees), ZERO), ONE)
