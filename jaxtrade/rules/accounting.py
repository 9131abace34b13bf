"""How positions, cash and basis change: revaluation, fills, ruin."""

from typing import NamedTuple

from jaxtrade.rules.costs import commission
from jaxtrade.rules.types import DUST, Account, Array, Namespace, Orders, RuleParams, equity_of, gross_of


class Fill(NamedTuple):
    """One round of trades at one price."""

    account: Account
    value: Array  # [..., S] signed value traded
    fees: Array  # [...]
    realized: Array  # [...] profit over basis of what was reduced, before fees


class Liquidation(NamedTuple):
    """The outcome of a ruin check."""

    account: Account
    value: Array  # [..., S] signed value liquidated
    fees: Array  # [...]
    realized: Array  # [...]
    shortfall: Array  # [...] what was lost beyond the floor
    ruined: Array  # [...] bool


def revalue(xp: Namespace, account: Account, change: Array) -> tuple[Account, Array]:
    """Mark the positions by a return, [..., S]. Return the account and the profit, [...]."""
    gain = account.position * change
    return account._replace(position=account.position + gain), xp.sum(gain, axis=-1)


def split_at_zero(xp: Namespace, orders: Orders, position: Array, dust: Array) -> tuple[Array, Array]:
    """Split signed orders into a reducing part (towards zero, at most to zero) and an increasing part, [..., S].

    An order that would leave no more than `dust`, [..., 1], of a position closes it.
    """
    zero = xp.zeros_like(position)
    opposite = orders.value * position < 0
    closes = orders.close_out | (opposite & (xp.abs(orders.value) >= xp.abs(position) - dust))
    reducing = xp.where(closes, -position, xp.where(opposite, orders.value, zero))
    return reducing, xp.where(orders.close_out, zero, orders.value - reducing)


def affordable(xp: Namespace, account: Account, increasing: Array, params: RuleParams) -> Array:
    """Return the largest share k in [0, 1] of the increasing orders that the leverage limit allows, [...].

    k solves gross + k * sum|increasing| = max_leverage * (equity - k * fees). At leverage 1 and below this keeps the
    cash of a long-only account non-negative: cash = equity - gross.
    """
    room = params.max_leverage * equity_of(xp, account) - gross_of(xp, account)
    need = xp.sum(xp.abs(increasing), axis=-1) + params.max_leverage * commission(xp, increasing, params)
    zero, one = xp.zeros_like(room), xp.ones_like(room)
    share = xp.where(need > 0, room / xp.where(need > 0, need, one), one)
    return xp.maximum(zero, xp.minimum(one, share))


def reduce_positions(xp: Namespace, account: Account, reducing: Array) -> tuple[Account, Array]:
    """Fill the reducing parts, fees aside. Return the account and the realised profit, [...]."""
    position, basis = account.position, account.basis
    zero, one = xp.zeros_like(position), xp.ones_like(position)
    closes = reducing == -position
    left = xp.where(closes, zero, position + reducing)
    kept = basis * (left / xp.where(position != 0, position, one))  # a small rest keeps its unrealised return exactly
    account = account._replace(cash=account.cash - xp.sum(reducing, axis=-1), position=left, basis=kept)
    return account, xp.sum(kept - basis - reducing, axis=-1)


def fill(xp: Namespace, account: Account, orders: Orders, can_fill: Array, params: RuleParams) -> Fill:
    """Fill orders at the open of t+1: reducing parts in full, then increasing parts by one common share."""
    zero = xp.zeros_like(account.position)
    orders = orders._replace(value=xp.where(can_fill, orders.value, zero), close_out=orders.close_out & can_fill)
    dust = DUST * equity_of(xp, account)[..., None]
    reducing, increasing = split_at_zero(xp, orders, account.position, dust)
    fees_reducing = commission(xp, reducing, params)
    account, realized = reduce_positions(xp, account, reducing)
    account = account._replace(cash=account.cash - fees_reducing)
    increasing = increasing * affordable(xp, account, increasing, params)[..., None]
    increasing = xp.where(xp.abs(increasing) > dust, increasing, zero)
    fees_increasing = commission(xp, increasing, params)
    traded = reducing + increasing
    account = account._replace(
        cash=account.cash - xp.sum(increasing, axis=-1) - fees_increasing,
        position=account.position + increasing,
        basis=account.basis + increasing,
        idle=xp.where(traded != 0, zero, account.idle + 1),
    )
    return Fill(account, traded, fees_reducing + fees_increasing, realized)


def liquidate_if_ruined(xp: Namespace, account: Account, params: RuleParams) -> Liquidation:
    """Sell everything at the mark, at cost, if equity is at the floor or below the maintenance margin.

    The equity left is never below the floor (> 0), so that log returns stay finite; the loss beyond it is `shortfall`.
    """
    equity, gross = equity_of(xp, account), gross_of(xp, account)
    ruined = (equity <= params.ruin_floor) | (equity < params.maintenance_margin * gross)
    zero = xp.zeros_like(account.position)
    value = xp.where(ruined[..., None], -account.position, zero)
    fees = commission(xp, value, params)
    left = equity - fees
    cash = xp.where(ruined, xp.maximum(left, params.ruin_floor), account.cash)
    realized = xp.sum(xp.where(ruined[..., None], account.position - account.basis, zero), axis=-1)
    sold = account._replace(
        cash=cash,
        position=xp.where(ruined[..., None], zero, account.position),
        basis=xp.where(ruined[..., None], zero, account.basis),
    )
    shortfall = xp.where(ruined, cash - left, xp.zeros_like(left))
    return Liquidation(sold, value, fees, realized, shortfall, ruined)
