"""Limits on orders, applied at the close of t. A limit never blocks a reduction."""

from typing import NamedTuple

from jaxtrade.rules.lots import lot_value, whole_lots
from jaxtrade.rules.types import (
    DUST,
    Account,
    Array,
    Known,
    Namespace,
    Orders,
    RuleParams,
    Tickets,
    equity_of,
    money,
)


class Split(NamedTuple):
    """Orders split at zero."""

    closes: Array  # [..., S] bool: the reducing part leaves exactly zero
    reducing: Array  # [..., S] signed value
    lots: Array  # [..., S] signed lots of the reducing part
    asked: Array  # [..., S] signed value asked for beyond zero


def limit(
    xp: Namespace, orders: Orders, account: Account, known: Known, params: RuleParams, *, short: bool, lots: bool
) -> Tickets:
    """Split orders at zero, cut their increasing parts to the limits, round them to lots, drop what is too small.

    The leverage limit binds at the fill, where prices are known.

    Args:
        xp: The array namespace.
        orders: What was decoded.
        account: The account at the close of t.
        known: The market at the close of t.
        params: The rules' numbers.
        short: May positions be negative (static).
        lots: Has any symbol a lot size (static).
    """
    equity = equity_of(xp, account)[..., None]
    dust, zero = DUST * equity, xp.zeros_like(account.position)
    unit = lot_value(xp, known.close, params) if lots else None
    if orders.all_in is not None:
        orders = nominal(xp, orders, account, equity, params)
    parts = _split_at_zero(xp, orders, account, dust, unit, params)
    increasing = _cut(xp, parts.asked, xp.abs(account.position + parts.reducing), equity, params, short)
    uncut, more_lots = xp.abs(increasing) >= xp.abs(parts.asked) - dust, zero
    if unit is not None:
        more_lots = xp.where(params.lot_size > 0, whole_lots(xp, increasing, unit), zero)
        increasing = xp.where(params.lot_size > 0, more_lots * unit, increasing)
    smallest = money(params, params.min_notional)
    keep, more = parts.closes | worth(xp, parts.reducing, dust, smallest), worth(xp, increasing, dust, smallest)
    return Tickets(
        reducing=xp.where(keep, parts.reducing, zero),
        closes=parts.closes,
        increasing=xp.where(more, increasing, zero),
        reducing_lots=xp.where(keep, parts.lots, zero),
        increasing_lots=xp.where(more, more_lots, zero),
        all_in=None if orders.all_in is None else orders.all_in & uncut & more,
    )


def worth(xp: Namespace, value: Array, dust: Array, smallest: Array) -> Array:
    """True where an amount is neither dust nor below the minimum notional, [..., S]."""
    return (xp.abs(value) > dust) & (xp.abs(value) >= smallest)


def asks(tickets: Tickets) -> Array:
    """True where something is to be traded, [..., S]."""
    return tickets.closes | (tickets.reducing != 0) | (tickets.increasing != 0)


def nominal(xp: Namespace, orders: Orders, account: Account, equity: Array, params: RuleParams) -> Orders:
    """Give all-in orders a size at the close: what closes the other side, and the leverage limit beyond it."""
    sign, zero = xp.sign(orders.value), xp.zeros_like(account.position)
    held = xp.maximum(-sign * account.position, zero)
    nominal = sign * (held + params.max_leverage[..., None] * equity)
    return orders._replace(value=xp.where(orders.all_in, nominal, orders.value))


def _split_at_zero(
    xp: Namespace, orders: Orders, account: Account, dust: Array, unit: Array | None, params: RuleParams
) -> Split:
    """Split orders into what takes a position towards zero and what is asked for beyond it.

    Where there are lots the split is in lots: they are exact, and the difference of two large values is not.
    """
    zero, position = xp.zeros_like(account.position), account.position
    in_lots = xp.zeros_like(orders.close_out) if unit is None else xp.broadcast_to(params.lot_size > 0, zero.shape)
    whole = zero if unit is None else xp.where(in_lots, whole_lots(xp, orders.value, unit), zero)
    opposite = orders.value * position < 0
    reaches = xp.where(in_lots, xp.abs(whole) >= xp.abs(account.lots), xp.abs(orders.value) >= xp.abs(position) - dust)
    closes = (orders.close_out | (opposite & reaches)) & (position != 0)
    reducing = xp.where(closes, -position, xp.where(opposite, orders.value, zero))
    lots = xp.where(closes, -account.lots, xp.where(opposite, whole, zero))
    asked = orders.value - reducing
    if unit is not None:
        reducing = xp.where(in_lots & ~closes, lots * unit, reducing)
        asked = xp.where(in_lots, (whole - lots) * unit, asked)
    if orders.all_in is not None:
        most = (params.max_leverage * equity_of(xp, account))[..., None]
        asked = xp.where(orders.all_in, xp.sign(orders.value) * most, asked)
    return Split(closes, reducing, lots, xp.where(orders.close_out, zero, asked))


def _cut(xp: Namespace, asked: Array, left: Array, equity: Array, params: RuleParams, short: bool) -> Array:
    """Cut increasing parts to the short, trade and position limits, [..., S]; `left` is |position| before them."""
    if not short:
        asked = xp.maximum(asked, xp.zeros_like(asked))
    room = xp.maximum(params.max_position * equity - left, xp.zeros_like(left))
    most = xp.minimum(xp.minimum(xp.abs(asked), params.max_trade * equity), room)
    return xp.sign(asked) * most
