"""What an action orders and what the limits leave of it, from `docs/actions.md` and steps 1-2 of `docs/accounting.md`.

Only the rounding to float32 uses NumPy, because the pages name that type.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import isfinite, isnan
from typing import Protocol

import numpy as np

from tests.helpers.decimal_types import DUST, ONE, ZERO, LedgerBar, LedgerRecord, Margin, Rules, sign

LAST_BUY, FULL_CLOSE = 4, 8
MOST_LOTS = Decimal("1e15")
LARGEST = float(np.finfo(np.float32).max)


class Account(Protocol):
    """What the orders are decided on."""

    rules: Rules
    cash: Decimal
    position: list[Decimal]
    lots: list[Decimal]

    def equity(self) -> Decimal: ...


@dataclass
class Order:
    """A signed value, a full close, or all-in (the direction); `asked` if the action asked to trade."""

    value: Decimal = ZERO
    full_close: bool = False
    all_in: int = 0
    asked: bool = True
    rejected: bool = False


@dataclass
class Parts:
    """An order split at zero: signed values at the close, and signed lots where there is a lot size."""

    reduce: Decimal = ZERO
    increase: Decimal = ZERO
    reduce_lots: Decimal = ZERO
    increase_lots: Decimal = ZERO
    closes: bool = False
    all_in: int = 0

    def ordered(self) -> bool:
        """Whether anything was ordered."""
        return bool(self.reduce or self.increase)


HOLD = Order(asked=False)
REJECTED = Order(rejected=True)


def single(number: float | Decimal) -> Decimal:
    """The float32 nearest to a number; what is finite stays finite."""
    return Decimal(float(np.float32(min(max(float(number), -LARGEST), LARGEST))))


def _clip(value: Decimal, low: Decimal, high: Decimal) -> Decimal:
    return min(max(value, low), high)


# Decoding -------------------------------------------------------------------------------------------------------------


def decode(account: Account, numbers: Sequence[float], bar: LedgerBar, record: LedgerRecord) -> list[Order]:
    """The order of every symbol, before limits; what is rejected is noted in the record."""
    kind = account.rules.params.action_kind
    if kind in ("target_weight", "positions"):
        orders = _rebalance(account, numbers, bar, record)
    else:
        decoder = {"continuous": _continuous, "proportional": _proportional, "discrete9": _discrete9, "orders": _lots}
        orders = [decoder[kind](account, float(number), symbol, bar) for symbol, number in enumerate(numbers)]
    for symbol, order in enumerate(orders):
        if order.rejected or (order.asked and not bar.tradable[symbol]):
            record.rejected[symbol] = True
            orders[symbol] = HOLD
    return orders


def _outside_band(account: Account, fraction: Decimal) -> bool:
    return abs(fraction) > single(account.rules.params.dead_band)


def _budget(account: Account, share: Decimal, symbol: int) -> Decimal:
    """What a share of the cash buys, costs included."""
    rules, money = account.rules, share * max(account.cash, ZERO)
    price = 1 + rules.half_spread[symbol] + rules.slippage[symbol] + rules.duty_buy[symbol]
    by_rate = money / (price + rules.buy_rate[symbol])
    by_minimum = (money - rules.min_commission[symbol]) / price
    return max(ZERO, min(by_rate, by_minimum))


def _continuous(account: Account, number: float, symbol: int, bar: LedgerBar) -> Order:
    del symbol, bar
    if not isfinite(number):
        return REJECTED
    fraction = single(_clip(Decimal(number), -ONE, ONE))
    if not _outside_band(account, fraction):
        return HOLD
    return Order(fraction * account.rules.trade_limit * account.equity())


def _proportional(account: Account, number: float, symbol: int, bar: LedgerBar) -> Order:
    del bar
    if not isfinite(number):
        return REJECTED
    fraction = single(_clip(Decimal(number), -ONE, ONE))
    if not _outside_band(account, fraction):
        return HOLD
    if fraction > 0:
        return Order(_budget(account, fraction, symbol))
    return Order(fraction * account.position[symbol], full_close=fraction == -1)


def _discrete9(account: Account, number: float, symbol: int, bar: LedgerBar) -> Order:
    del bar
    choice = single(number) if isfinite(number) else -ONE
    if choice not in range(FULL_CLOSE + 1):
        return REJECTED
    if choice == 0:
        return HOLD
    if choice <= LAST_BUY:
        return Order(_budget(account, choice / 4, symbol))
    return Order(-(choice - LAST_BUY) / 4 * account.position[symbol], full_close=choice == FULL_CLOSE)


def _lots(account: Account, number: float, symbol: int, bar: LedgerBar) -> Order:
    if isnan(number):
        return REJECTED
    if not isfinite(number):
        return Order(all_in=1 if number > 0 else -1)
    lots = single(_clip(Decimal(number), -MOST_LOTS, MOST_LOTS))
    if not lots:
        return HOLD
    return Order(lots * account.rules.lot_value(symbol, bar.close[symbol])) if bar.tradable[symbol] else Order()


def _exposure(account: Account, number: float) -> Decimal | None:
    """The clipped weight that a number stands for, or None where it stands for nothing."""
    params, leverage = account.rules.params, account.rules.max_leverage
    if not isfinite(number):
        return None
    weight = single(number)
    if params.action_kind == "positions":
        if weight not in range(len(params.exposures)):
            return None
        weight = Decimal(params.exposures[int(weight)])
    return _clip(weight, -leverage if params.allow_short else ZERO, leverage)


def _rebalance(account: Account, numbers: Sequence[float], bar: LedgerBar, record: LedgerRecord) -> list[Order]:
    weights = [_exposure(account, float(number)) for number in numbers]
    rejected = [
        weight is None or (not tradable and bool(weight or held))
        for weight, tradable, held in zip(weights, bar.tradable, account.position, strict=True)
    ]
    kept = [ZERO if refused or weight is None else weight for weight, refused in zip(weights, rejected, strict=True)]
    total = sum(map(abs, kept), ZERO)
    scale = account.rules.max_leverage / total if total > account.rules.max_leverage else ONE
    orders = []
    for held, weight, refused in zip(account.position, kept, rejected, strict=True):
        if refused:
            orders.append(REJECTED)
        elif weight == 0:
            orders.append(Order(full_close=True, asked=bool(held)))
        elif _drifted(account, weight * scale, held, record):
            orders.append(Order(weight * scale * account.equity() - held))
        else:
            orders.append(HOLD)
    return orders


def _drifted(account: Account, weight: Decimal, held: Decimal, record: LedgerRecord) -> bool:
    """Whether a weight is outside the dead band, noting when the float32 rounding of `p / E` decides."""
    present = held / account.equity()
    answers = [
        _outside_band(account, single(weight) - single(present * (1 + nudge)))
        for nudge in (ZERO, Decimal("1e-10"), Decimal("-1e-10"))
    ]
    if len(set(answers)) > 1:
        record.margins.append(Margin("dead band", 0.0))
    return answers[0]


# Limits ---------------------------------------------------------------------------------------------------------------


def limit(account: Account, orders: Sequence[Order], bar: LedgerBar, record: LedgerRecord) -> list[Parts]:
    """What the limits, the lots and the smallest trades leave of the orders."""
    parts = []
    for symbol, order in enumerate(orders):
        part = _split(account, order, symbol, bar, record)
        _bound(account, part, symbol, record)
        if account.rules.lot_size[symbol] > 0 and part.ordered():
            _cut_to_lots(account, part, symbol, bar, record)
        _drop_small(account, part, symbol, record)
        parts.append(part)
    return parts


def _split(account: Account, order: Order, symbol: int, bar: LedgerBar, record: LedgerRecord) -> Parts:
    held = account.position[symbol]
    if order.full_close:
        return Parts(reduce=-held, closes=True)
    if order.all_in:
        opposite = order.all_in * held < 0
        increase = order.all_in * account.rules.max_leverage * account.equity()
        return Parts(-held if opposite else ZERO, increase, closes=opposite, all_in=order.all_in)
    if order.value * held >= 0:
        return Parts(increase=order.value)
    beyond = _beyond(account, abs(order.value), symbol, bar, record)
    if beyond is None:
        return Parts(order.value)
    return Parts(-held, sign(order.value) * beyond, closes=True)


def _beyond(account: Account, value: Decimal, symbol: int, bar: LedgerBar, record: LedgerRecord) -> Decimal | None:
    """What an order of this size is worth beyond closing the position, or None where it does not close it."""
    if account.rules.lot_size[symbol] > 0:
        lot = account.rules.lot_value(symbol, bar.close[symbol])
        more = record.whole("close lots", value / lot) - abs(account.lots[symbol])
        record.events["closed by lots"] += more == 0
        return more * lot if more >= 0 else None
    held, dust = abs(account.position[symbol]), DUST * account.equity()
    record.events["closed within dust"] += abs(value - held) <= dust
    return max(value - held, ZERO) if record.compare("close", value, held - dust) >= 0 else None


def _bound(account: Account, part: Parts, symbol: int, record: LedgerRecord) -> None:
    """The limits on the increasing part; an all-in part that they cut by more than dust is an ordinary one."""
    rules, equity, asked = account.rules, account.equity(), abs(part.increase)
    if not asked:
        part.all_in = 0
        return
    if part.increase < 0 and not rules.params.allow_short:
        record.events["short refused"] += 1
        part.increase, part.all_in = ZERO, 0
        return
    after = abs(account.position[symbol] + part.reduce)
    by_trade, by_position = rules.max_trade * equity, max(ZERO, rules.max_position * equity - after)
    room = min(by_trade, by_position)
    if room < asked:
        record.events["trade limit" if by_trade < by_position else "position limit"] += 1
        cut = not part.all_in or record.compare("all-in cut", asked - room, DUST * equity) > 0
        part.increase = sign(part.increase) * room
        record.events["all-in cut"] += bool(part.all_in and cut)
        part.all_in = 0 if cut else part.all_in


def _cut_to_lots(account: Account, part: Parts, symbol: int, bar: LedgerBar, record: LedgerRecord) -> None:
    lot = account.rules.lot_value(symbol, bar.close[symbol])
    asked = part.increase
    if asked:
        part.increase_lots = sign(part.increase) * record.whole("increase lots", abs(part.increase) / lot)
        part.increase = part.increase_lots * lot
        record.events["order cut to lots"] += abs(asked - part.increase) > abs(asked) * DUST
    if part.closes:
        part.reduce_lots = -account.lots[symbol]
    elif part.reduce:
        part.reduce_lots = sign(part.reduce) * record.whole("reduce lots", abs(part.reduce) / lot)
        part.reduce = part.reduce_lots * lot
        record.events["reduced by lots"] += bool(part.reduce)


def too_small(account: Account, value: Decimal, dust: Decimal, symbol: int, record: LedgerRecord) -> bool:
    """Whether a trade is at most dust or below the minimum notional."""
    if not value or record.compare("dust", abs(value), dust) <= 0:
        record.events["dust dropped"] += bool(value)
        return True
    below = record.compare("minimum notional", abs(value), account.rules.min_notional[symbol]) < 0
    record.events["notional dropped"] += below
    return below


def _drop_small(account: Account, part: Parts, symbol: int, record: LedgerRecord) -> None:
    dust = DUST * account.equity()
    if part.reduce and not part.closes and too_small(account, part.reduce, dust, symbol, record):
        part.reduce, part.reduce_lots = ZERO, ZERO
    if part.increase and too_small(account, part.increase, dust, symbol, record):
        part.increase, part.increase_lots = ZERO, ZERO
    if not part.increase:
        part.all_in = 0
