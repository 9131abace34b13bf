"""Limits on orders, applied at the close of t. A limit never blocks a reduction."""

from jaxtrade.rules.types import DUST, Account, Array, Namespace, Orders, equity_of


def forbid_shorts(xp: Namespace, orders: Orders, position: Array) -> Orders:
    """Cut sells to the holding; a sell of all of it becomes a full close, which leaves exactly zero."""
    zero = xp.zeros_like(position)
    held = xp.maximum(position, zero)
    sells_all = (orders.value < 0) & (-orders.value >= held)
    value = xp.where(sells_all, -held, orders.value)
    return orders._replace(value=value, close_out=orders.close_out | (sells_all & (held > 0)))


def drop_dust(xp: Namespace, orders: Orders, equity: Array) -> Orders:
    """Drop orders of at most DUST of the equity, [...]; a full close is never dropped."""
    counts = orders.close_out | (xp.abs(orders.value) > DUST * equity[..., None])
    return orders._replace(value=xp.where(counts, orders.value, xp.zeros_like(orders.value)))


def limit(xp: Namespace, orders: Orders, account: Account, allow_short: bool) -> Orders:
    """Apply the order limits; the leverage limit binds at the fill, where prices are known."""
    if not allow_short:
        orders = forbid_shorts(xp, orders, account.position)
    return drop_dust(xp, orders, equity_of(xp, account))
