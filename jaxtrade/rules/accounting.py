"""How positions, cash and basis change: revaluation, delisting, fills, ruin."""

from typing import NamedTuple

from jaxtrade.rules.costs import total, trade_costs
from jaxtrade.rules.limits import worth
from jaxtrade.rules.lots import lot_value, whole_lots
from jaxtrade.rules.types import (
    DUST,
    Account,
    Array,
    Costs,
    Namespace,
    Outcome,
    RuleParams,
    Tickets,
    equity_of,
    gross_of,
    money,
)


class Trade(NamedTuple):
    """One round of trades at one price."""

    account: Account
    value: Array  # [..., S] signed value traded, at the market price
    lots: Array  # [..., S] signed lots traded
    costs: Costs  # [...]
    fees: Array  # [..., S] commission and duty, by symbol
    closing_fees: Array  # [...] fees of what reduced a position
    realized: Array  # [...] profit over basis of what was reduced, before fees


def revalue(xp: Namespace, account: Account, change: Array) -> tuple[Account, Array]:
    """Mark the positions by a return, [..., S]. Return the account and the profit, [...]."""
    gain = account.position * change
    return account._replace(position=account.position + gain), xp.sum(gain, axis=-1)


def receive(xp: Namespace, account: Account, income: Array) -> tuple[Account, Array]:
    """Pay dividends, [..., S] shares of the mark, into cash; shorts pay them. Return the account and the sum, [...]."""
    paid = xp.sum(account.position * income, axis=-1)
    return account._replace(cash=account.cash + paid), paid


def delist(xp: Namespace, account: Account, leaves: Array, params: RuleParams) -> tuple[Account, Array, Array, Array]:
    """Close delisted positions at a share of their mark.

    Returns:
        The account, the signed values closed [..., S], the realised profit and the loss, [...].
    """
    zero = xp.zeros_like(account.position)
    gone = xp.where(leaves, account.position, zero)
    loss = xp.sum(gone * (1 - params.recovery), axis=-1)
    realized = xp.sum(gone * params.recovery - xp.where(leaves, account.basis, zero), axis=-1)
    account = account._replace(
        cash=account.cash + xp.sum(gone * params.recovery, axis=-1),
        position=xp.where(leaves, zero, account.position),
        lots=xp.where(leaves, zero, account.lots),
        basis=xp.where(leaves, zero, account.basis),
    )
    return account, -gone, realized, loss


def reduce_positions(
    xp: Namespace, account: Account, reducing: Array, closes: Array, lots: Array, params: RuleParams
) -> Trade:
    """Trade towards zero, in full.

    Args:
        xp: The array namespace.
        account: The account at the price of the trade.
        reducing: [..., S] signed values, at most the position.
        closes: [..., S] bool: leaves exactly zero.
        lots: [..., S] signed lots of the trade.
        params: The rules' numbers.
    """
    position, basis = account.position, account.basis
    zero, one = xp.zeros_like(position), xp.ones_like(position)
    costs = trade_costs(xp, reducing, params)
    share = (account.lots + lots) / xp.where(account.lots != 0, account.lots, one)  # exact, as the difference is not
    left = xp.where(closes, zero, xp.where(account.lots != 0, position * share, position + reducing))
    kept = xp.where(closes, zero, basis * (left / xp.where(position != 0, position, one)))
    proceeds = xp.sum(-reducing - costs.impact, axis=-1)
    realized = proceeds - xp.sum(basis - kept, axis=-1)
    fees, costs = costs.fees, total(xp, costs)
    after = account._replace(
        cash=account.cash + (proceeds - costs.fees),
        position=left,
        lots=xp.where(closes, zero, account.lots + lots),
        basis=kept,
    )
    return Trade(after, reducing, lots, costs, fees, costs.fees, realized)


def affordable(xp: Namespace, account: Account, increasing: Array, params: RuleParams) -> Array:
    """Return the largest share k in [0, 1] of the increasing orders that the leverage limit allows, [...].

    k solves gross + k * sum|increasing| = max_leverage * (equity - costs(k)). Minimum commissions are reserved in full
    before scaling; other costs grow with k. At leverage 1 and below this keeps the cash of a long-only account
    non-negative: cash = equity - gross.
    """
    costs = trade_costs(xp, increasing, params)
    reserved = xp.sum(xp.minimum(costs.commission, money(params, params.min_commission)), axis=-1)
    costs, size = total(xp, costs), xp.sum(xp.abs(increasing), axis=-1)
    room = params.max_leverage * (equity_of(xp, account) - reserved) - gross_of(xp, account)
    need = size + params.max_leverage * (costs.fees + costs.impact - reserved)
    zero, one = xp.zeros_like(room), xp.ones_like(room)
    share = xp.where(size > 0, room / xp.where(need > 0, need, one), one)
    return xp.clip(share, zero, one)


def increase_positions(
    xp: Namespace, account: Account, increasing: Array, dust: Array, unit: Array | None, params: RuleParams
) -> Trade:
    """Trade away from zero, all symbols by one common share, rounded to lots again.

    Args:
        xp: The array namespace.
        account: The account after the reducing trades.
        increasing: [..., S] signed values asked for.
        dust: [..., 1] what is too small to be a trade.
        unit: [..., S] value of a lot, or None where no symbol has one (static).
        params: The rules' numbers.
    """
    zero = xp.zeros_like(increasing)
    value, lots = increasing * affordable(xp, account, increasing, params)[..., None], zero
    if unit is not None:
        lots = xp.where(params.lot_size > 0, whole_lots(xp, value, unit), zero)
        value = xp.where(params.lot_size > 0, lots * unit, value)
    counts = worth(xp, value, dust, money(params, params.min_notional))
    value, lots = xp.where(counts, value, zero), xp.where(counts, lots, zero)
    costs = trade_costs(xp, value, params)
    basis = account.basis + value + costs.impact
    spent = xp.sum(value + costs.impact, axis=-1)
    fees, costs = costs.fees, total(xp, costs)
    after = account._replace(
        cash=account.cash - (spent + costs.fees),
        position=account.position + value,
        lots=account.lots + lots,
        basis=basis,
    )
    return Trade(after, value, lots, costs, fees, xp.zeros_like(spent), xp.zeros_like(spent))


def fill(
    xp: Namespace, account: Account, tickets: Tickets, ruined: Array, outcome: Outcome, params: RuleParams, lots: bool
) -> Trade:
    """Fill tickets at the open of t+1: reducing parts in full, then increasing parts by one common share.

    A ruined account, [...], closes every position instead, whether or not the symbol can be filled.
    """
    zero, call = xp.zeros_like(account.position), ruined[..., None]
    dust = DUST * equity_of(xp, account)[..., None]
    fills = outcome.can_fill & ~call
    closes = xp.where(call, account.position != 0, tickets.closes & fills)
    part = xp.where(fills, tickets.reducing * (1 + outcome.gap), zero)
    more = xp.where(fills, tickets.increasing * (1 + outcome.gap), zero)
    unit, part_lots = None, zero
    if lots:
        unit = lot_value(xp, xp.where(fills, outcome.fill_price, zero), params)
        part_lots = xp.where(closes, -account.lots, xp.where(fills, tickets.reducing_lots, zero))
        part = xp.where(part_lots != 0, part_lots * unit, part)
        more = xp.where(fills & (params.lot_size > 0), tickets.increasing_lots * unit, more)
    part = xp.where(closes, -account.position, part)
    first = reduce_positions(xp, account, part, closes, part_lots, params)
    if tickets.all_in is not None:
        most = (params.max_leverage * equity_of(xp, first.account))[..., None]
        more = xp.where(tickets.all_in, xp.sign(more) * most, more)
    then = increase_positions(xp, first.account, more, dust, unit, params)
    value = first.value + then.value
    idle = xp.where(value != 0, zero, account.idle + 1)
    return Trade(
        then.account._replace(idle=idle),
        value,
        first.lots + then.lots,
        first.costs.plus(then.costs),
        first.fees + then.fees,
        first.closing_fees,
        first.realized,
    )


def is_ruined(xp: Namespace, account: Account, params: RuleParams) -> Array:
    """True at or below the ruin floor, or below the maintenance margin, [...]."""
    equity = equity_of(xp, account)
    return (equity <= params.ruin_floor) | (equity < params.maintenance_margin * gross_of(xp, account))


def liquidate(xp: Namespace, account: Account, ruined: Array, params: RuleParams) -> Trade:
    """Close every position of a ruined account, [...], at the mark, with all costs."""
    closes = ruined[..., None] & (account.position != 0)
    zero = xp.zeros_like(account.position)
    value, lots = xp.where(closes, -account.position, zero), xp.where(closes, -account.lots, zero)
    return reduce_positions(xp, account, value, closes, lots, params)


def absorb(xp: Namespace, account: Account, ruined: Array, params: RuleParams) -> tuple[Account, Array]:
    """Lift the cash of a ruined account to the floor (> 0), so that log returns stay finite.

    Returns:
        The account and what was added, the loss beyond the floor, [...].
    """
    cash = xp.where(ruined, xp.maximum(account.cash, params.ruin_floor), account.cash)
    return account._replace(cash=cash), cash - account.cash
