"""Limits on orders, applied at the close of t. A limit never blocks a reduction."""

from jaxtrade.rules.types import Account, Array, Namespace, Orders


def forbid_shorts(xp: Namespace, orders: Orders, position: Array) -> Orders:
    """Cut sells to the holding; a sell of all of it becomes a full close, which leaves exactly zero."""
    zero = xp.zeros_like(position)
    held = xp.maximum(position, zero)
    sells_all = (orders.value < 0) & (-orders.value >= held)
    value = xp.where(sells_all, -held, orders.value)
    return orders._replace(value=value, close_out=orders.close_out | (sells_all & (held > 0)))


def limit(xp: Namespace, orders: Orders, account: Account, allow_short: bool) -> Orders:
    """Apply the order limits; the leverage limit binds at the fill, where prices are known."""
    return orders if allow_short else forbid_shorts(xp, orders, account.position)
