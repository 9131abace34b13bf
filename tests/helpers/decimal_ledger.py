"""A trading account in exact-enough arithmetic, from `docs/accounting.md` and `docs/actions.md` and nothing else.

It shares no code with `jaxtrade/rules/`: plain lists of `Decimal` at 50 digits, one loop per symbol. Every comparison
that decides something is noted in the record with its distance from the boundary (`record.margins`), so that a test can
tell a rounding at the boundary from an error.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Context, Decimal, localcontext

from tests.helpers.decimal_orders import Parts, decode, limit, too_small
from tests.helpers.decimal_types import (
    DUST,
    ONE,
    ZERO,
    LedgerBar,
    LedgerParams,
    LedgerRecord,
    Rules,
    sign,
    size,
)

__all__ = ["DecimalLedger", "LedgerBar", "LedgerParams", "LedgerRecord"]

PRECISION = 50


@dataclass
class _Cost:
    """The costs of one trade, or of several."""

    spread: Decimal = ZERO
    slippage: Decimal = ZERO
    duty: Decimal = ZERO
    commission: Decimal = ZERO
    kind: str = ""

    def in_price(self) -> Decimal:
        return self.spread + self.slippage

    def fees(self) -> Decimal:
        return self.duty + self.commission

    def total(self) -> Decimal:
        return self.in_price() + self.fees()


class DecimalLedger:
    """One account over some symbols.

    Attributes:
        cash: Money not invested, in multiples of the starting capital.
        position: Signed value held of each symbol, at the last mark.
        basis: Signed cost of what is held of each symbol.
        lots: Signed whole lots held of each symbol that has a lot size, otherwise 0.
        peak: The highest equity recorded.
        idle: Bars since the last fill of each symbol.
        ruined: Whether the account has terminated.
        fill_factor: The factor `k` of the last bar's increasing fills.
    """

    def __init__(self, symbols: int, params: LedgerParams) -> None:
        with localcontext(Context(prec=PRECISION)):
            self.rules = Rules(params, symbols)
        self.symbols = range(symbols)
        self.cash = ONE
        self.position = [ZERO] * symbols
        self.basis = [ZERO] * symbols
        self.lots = [ZERO] * symbols
        self.peak = ONE
        self.idle = [0] * symbols
        self.ruined = False
        self.fill_factor = ONE

    def equity(self) -> Decimal:
        """Cash plus all positions."""
        return self.cash + sum(self.position)

    def step(self, action: Sequence[float], bar: LedgerBar) -> LedgerRecord:
        """Take the account from the close of one bar to the close of the next.

        Args:
            action: One number per symbol.
            bar: What is known at the close, and the outcome.

        Returns:
            The record of the bar.
        """
        if self.ruined:
            raise RuntimeError("the account was ruined: it has terminated")
        with localcontext(Context(prec=PRECISION)):
            record = LedgerRecord.blank(self.equity(), len(self.symbols))
            parts = limit(self, decode(self, action, bar, record), bar, record)
            gain = self._open(parts, bar, record)
            self._delist(bar, record)
            self._finance(bar, record)
            if self._is_ruined(record):
                record.called = record.ruined = True
                self.fill_factor = ONE
                record.fill_value = self._liquidate(record, at_open=True)
                blind = (value and not can for value, can in zip(record.fill_value, bar.can_fill, strict=True))
                record.events["liquidated without an open"] += any(blind)
            else:
                self._fill(parts, bar, record)
            self.idle = [0 if value else bars + 1 for value, bars in zip(record.fill_value, self.idle, strict=True)]
            gain += self._move(bar)
            if not record.ruined and self._is_ruined(record):
                record.ruined = True
                record.mark_value = self._liquidate(record, at_open=False)
            self._close_record(gain, record)
            return record

    # Prices, delisting, financing -------------------------------------------------------------------------------------

    def _open(self, parts: list[Parts], bar: LedgerBar, record: LedgerRecord) -> Decimal:
        """Pay income, take positions and orders to the open, and give the gain of the gap."""
        record.income = sum((self.position[s] * Decimal(bar.income[s]) for s in self.symbols), ZERO)
        self.cash += record.income
        gain = ZERO
        for s, part in enumerate(parts):
            change = Decimal(bar.gap[s])
            gain += self.position[s] * change
            self.position[s] *= 1 + change
            if self.rules.lot_size[s] > 0 and bar.can_fill[s]:
                lot = self.rules.lot_value(s, bar.fill_price[s])
                part.reduce, part.increase = part.reduce_lots * lot, part.increase_lots * lot
            else:
                part.reduce, part.increase = part.reduce * (1 + change), part.increase * (1 + change)
        return gain

    def _delist(self, bar: LedgerBar, record: LedgerRecord) -> None:
        for s in self.symbols:
            if not bar.exit[s]:
                continue
            held, recovered = self.position[s], self.position[s] * self.rules.recovery[s]
            self.cash += recovered
            record.realized += recovered - self.basis[s]
            record.exit_loss += held - recovered
            record.exit_value[s] = -held
            self._clear(s)

    def _finance(self, bar: LedgerBar, record: LedgerRecord) -> None:
        years = Decimal(bar.years)
        for s in self.symbols:
            record.borrow += years * self.rules.borrow_rate[s] * max(-self.position[s], ZERO)
        record.interest = years * self.rules.interest_rate * max(-self.cash, ZERO)
        self.cash -= record.borrow + record.interest

    def _move(self, bar: LedgerBar) -> Decimal:
        """Take the positions to the mark, and give the gain."""
        gain = ZERO
        for s in self.symbols:
            if not self.position[s]:
                continue
            gain += self.position[s] * Decimal(bar.move[s])
            if self.rules.lot_size[s] > 0:
                self.position[s] = self.lots[s] * self.rules.lot_value(s, bar.mark[s])
            else:
                self.position[s] *= 1 + Decimal(bar.move[s])
        return gain

    def _clear(self, symbol: int) -> None:
        self.position[symbol] = self.basis[symbol] = self.lots[symbol] = ZERO

    # Ruin -------------------------------------------------------------------------------------------------------------

    def _is_ruined(self, record: LedgerRecord) -> bool:
        equity, required = self.equity(), self.rules.maintenance_margin * size(self.position)
        poor = record.compare("ruin floor", equity, self.rules.ruin_floor) <= 0
        return (required > 0 and record.compare("maintenance", equity, required) < 0) or poor

    def _liquidate(self, record: LedgerRecord, *, at_open: bool) -> list[Decimal]:
        """Close every position, lift the cash to the floor, and give the signed values traded."""
        traded = [-held for held in self.position]
        for s in self.symbols:
            lots = -self.lots[s]
            self._fill_reduction(Parts(-self.position[s], closes=True), s, record)
            if at_open:
                record.filled_lots[s] = lots
        lifted = max(self.cash, self.rules.ruin_floor)
        record.shortfall += lifted - self.cash
        self.cash = lifted
        return traded

    # Fills ------------------------------------------------------------------------------------------------------------

    def _cost(self, value: Decimal, symbol: int) -> _Cost:
        """The costs of one signed trade."""
        if not value:
            return _Cost()
        rules, amount, buys = self.rules, abs(value), value > 0
        spread, slippage = rules.half_spread[symbol] * amount, rules.slippage[symbol] * amount
        duty = (rules.duty_buy if buys else rules.duty_sell)[symbol] * amount
        rate = (rules.buy_rate if buys else rules.sell_rate)[symbol]
        by_rate = rate * amount
        commission, kind = max(by_rate, rules.min_commission[symbol]), ""
        if commission > by_rate:
            kind = "minimum commission"
        left = amount - spread - slippage - duty
        if not buys and left < commission:
            commission, kind = left, "capped commission"
        return _Cost(spread, slippage, duty, commission, kind)

    def _charge(self, value: Decimal, symbol: int, record: LedgerRecord) -> _Cost:
        """Pay for one trade and its costs, and note them."""
        cost = self._cost(value, symbol)
        self.cash -= value + cost.total()
        if cost.kind:
            record.events[cost.kind] += 1
        record.spread += cost.spread
        record.slippage += cost.slippage
        record.duty += cost.duty
        record.commission += cost.commission
        return cost

    def _fill(self, parts: list[Parts], bar: LedgerBar, record: LedgerRecord) -> None:
        """Fill the orders at the open: the reducing parts in full, then the increasing parts by one factor."""
        dust = DUST * self.equity()
        for s, part in enumerate(parts):
            if not bar.can_fill[s]:
                record.blocked[s] = part.ordered()
                parts[s] = Parts()
            elif part.closes:
                part.reduce = -self.position[s]
            record.fill_value[s] = parts[s].reduce
            record.filled_lots[s] = parts[s].reduce_lots
            self._fill_reduction(parts[s], s, record)
        equity = self.equity()
        asked = [part.all_in * self.rules.max_leverage * equity if part.all_in else part.increase for part in parts]
        self.fill_factor = self._increase_factor(asked)
        for s, value in enumerate(asked):
            if value:
                record.events["all in"] += bool(parts[s].all_in)
                self._fill_increase(self.fill_factor * value, s, bar, dust, record)

    def _fill_reduction(self, part: Parts, symbol: int, record: LedgerRecord) -> None:
        held = self.position[symbol]
        if not part.reduce:
            return
        cost = self._charge(part.reduce, symbol, record)
        released = self.basis[symbol] * abs(part.reduce) / abs(held)
        record.realized += -part.reduce - cost.in_price() - released
        record.closing_fees += cost.fees()
        self.position[symbol] += part.reduce
        self.basis[symbol] -= released
        self.lots[symbol] += part.reduce_lots
        if part.closes:
            self._clear(symbol)

    def _increase_factor(self, asked: list[Decimal]) -> Decimal:
        """The one factor that keeps all increasing fills within the leverage limit."""
        if not any(asked):
            return ONE
        leverage = self.rules.max_leverage
        each = [self._cost(value, s) for s, value in enumerate(asked)]
        minimum = sum((min(cost.commission, self.rules.min_commission[s]) for s, cost in enumerate(each)), ZERO)
        costs = sum((cost.total() for cost in each), ZERO)
        room = leverage * (self.equity() - minimum) - size(self.position)
        needed = size(asked) + leverage * (costs - minimum)
        return min(max(room / needed, ZERO), ONE)

    def _fill_increase(self, value: Decimal, symbol: int, bar: LedgerBar, dust: Decimal, record: LedgerRecord) -> None:
        lots = ZERO
        if self.rules.lot_size[symbol] > 0:
            lot = self.rules.lot_value(symbol, bar.fill_price[symbol])
            lots = sign(value) * record.whole("filled lots", abs(value) / lot)
            record.events["fill cut to lots"] += lots * lot < abs(value) * (1 - DUST)
            value = lots * lot
        if not value or too_small(self, value, dust, symbol, record):
            return
        cost = self._charge(value, symbol, record)
        self.position[symbol] += value
        self.basis[symbol] += value + cost.in_price()
        self.lots[symbol] += lots
        record.fill_value[symbol] += value
        record.filled_lots[symbol] += lots

    # Record -----------------------------------------------------------------------------------------------------------

    def _close_record(self, gain: Decimal, record: LedgerRecord) -> None:
        costs = record.spread + record.slippage + record.duty + record.commission + record.borrow + record.interest
        record.equity = self.equity()
        record.pnl = gain + record.income - record.exit_loss - costs + record.shortfall
        record.turnover = size(record.fill_value + record.mark_value) / record.equity_before
        self.peak = max(self.peak, record.equity)
        self.ruined = record.ruined
