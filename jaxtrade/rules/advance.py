"""One bar of trading: the ordered list of the rules."""

from jaxtrade.rules.accounting import fill, liquidate_if_ruined, revalue
from jaxtrade.rules.book import RuleBook
from jaxtrade.rules.limits import limit
from jaxtrade.rules.types import Account, Array, Known, Namespace, Orders, Outcome, Record, RuleParams, equity_of


def cancel(xp: Namespace, orders: Orders, ruined: Array) -> Orders:
    """Cancel all orders of a ruined account."""
    keep = ~ruined[..., None]
    return orders._replace(
        value=xp.where(keep, orders.value, xp.zeros_like(orders.value)), close_out=orders.close_out & keep
    )


def advance(
    xp: Namespace,
    book: RuleBook,
    params: RuleParams,
    account: Account,
    action: Array,
    known: Known,
    outcome: Outcome,
) -> tuple[Account, Record]:
    """Carry an account from the close of bar t to the close of bar t+1.

    Args:
        xp: The array namespace.
        book: Which rules apply (static).
        params: The rules' numbers.
        account: The account at the close of t.
        action: [...] or [..., S], as the book's decoder reads it.
        known: The market at the close of t; all that orders may be sized on.
        outcome: The market from the close of t to the close of t+1.

    Returns:
        The account at the close of t+1 and the record of what happened.
    """
    before = account
    orders = limit(xp, book.decode(xp, action, account, known, params), account, book.allow_short)
    account, gain_gap = revalue(xp, account, outcome.gap)
    orders = orders._replace(value=orders.value * (1 + outcome.gap))
    at_open = liquidate_if_ruined(xp, account, params)
    orders = cancel(xp, orders, at_open.ruined)
    fills = fill(xp, at_open.account, orders, outcome.can_fill, params)
    account, gain_move = revalue(xp, fills.account, outcome.move)
    at_mark = liquidate_if_ruined(xp, account, params)
    equity_before, equity = equity_of(xp, before), equity_of(xp, at_mark.account)
    fees = at_open.fees + fills.fees + at_mark.fees
    shortfall = at_open.shortfall + at_mark.shortfall
    fill_value = at_open.value + fills.value
    traded = xp.sum(xp.abs(fill_value) + xp.abs(at_mark.value), axis=-1)
    record = Record(
        equity_before=equity_before,
        equity=equity,
        pnl=gain_gap + gain_move - fees + shortfall,
        fees=fees,
        shortfall=shortfall,
        realized=at_open.realized + fills.realized + at_mark.realized,
        turnover=traded / equity_before,
        fill_value=fill_value,
        mark_value=at_mark.value,
        blocked=((orders.value != 0) | orders.close_out) & ~outcome.can_fill,
        rejected=orders.rejected,
        ruined=at_open.ruined | at_mark.ruined,
    )
    return at_mark.account._replace(peak_equity=xp.maximum(before.peak_equity, equity)), record
