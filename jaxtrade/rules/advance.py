"""One bar of trading: the ordered list of the rules."""

from typing import NamedTuple

from jaxtrade.rules.accounting import Trade, absorb, delist, fill, is_ruined, liquidate, receive, revalue
from jaxtrade.rules.book import RuleBook
from jaxtrade.rules.costs import finance
from jaxtrade.rules.limits import asks, limit
from jaxtrade.rules.lots import anchor
from jaxtrade.rules.types import Account, Array, Known, Namespace, Outcome, Record, RuleParams, equity_of


class Night(NamedTuple):
    """What happened between the close of t and the fills at the open of t+1."""

    gain: Array  # [...]
    income: Array  # [...]
    borrow: Array  # [...]
    interest: Array  # [...]
    exit_value: Array  # [..., S]
    exit_realized: Array  # [...]
    exit_loss: Array  # [...]


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
    orders = book.decode(xp, action, account, known, params)
    tickets = limit(xp, orders, account, known, params, short=book.allow_short, lots=book.lots)
    account, night = overnight(xp, account, outcome, params)
    called = is_ruined(xp, account, params)
    opened = fill(xp, account, tickets, called, outcome, params, book.lots)
    account, missing_at_open = absorb(xp, opened.account, called, params)
    account, gain = revalue(xp, account, outcome.move)
    if book.lots:
        account = anchor(xp, account, outcome.mark, params)
    ruined = called | is_ruined(xp, account, params)
    closed = liquidate(xp, account, ruined, params)
    account, missing_at_mark = absorb(xp, closed.account, ruined, params)
    record = _record(xp, before, account, night, opened, closed)
    shortfall = missing_at_open + missing_at_mark
    record = record._replace(
        pnl=record.pnl + gain + shortfall,
        shortfall=shortfall,
        blocked=asks(tickets) & ~outcome.can_fill & ~called[..., None],
        rejected=orders.rejected,
        called=called,
        ruined=ruined,
    )
    memory, reward = book.reward(xp, account.memory, record, params.reward)
    peak = xp.maximum(before.peak_equity, record.equity)
    return account._replace(peak_equity=peak, memory=memory), record._replace(reward=reward)


def overnight(xp: Namespace, account: Account, outcome: Outcome, params: RuleParams) -> tuple[Account, Night]:
    """Carry an account to the open of t+1: dividends, the gap, delisting, financing."""
    income = exit_realized = exit_loss = xp.zeros_like(account.cash)
    exit_value = xp.zeros_like(account.position)
    if outcome.income is not None:
        account, income = receive(xp, account, outcome.income)
    account, gain = revalue(xp, account, outcome.gap)
    if outcome.exit is not None:
        account, exit_value, exit_realized, exit_loss = delist(xp, account, outcome.exit, params)
    account, borrow, interest = finance(xp, account, outcome.years, params)
    return account, Night(gain, income, borrow, interest, exit_value, exit_realized, exit_loss)


def _record(xp: Namespace, before: Account, after: Account, night: Night, opened: Trade, closed: Trade) -> Record:
    """Return the record of a bar; profit of the move, shortfall and flags are left to `advance`."""
    equity_before, costs = equity_of(xp, before), opened.costs.plus(closed.costs)
    traded = xp.sum(xp.abs(opened.value) + xp.abs(closed.value), axis=-1)
    spent = costs.fees + costs.impact + night.borrow + night.interest + night.exit_loss
    nothing = xp.zeros_like(after.cash)
    return Record(
        equity_before=equity_before,
        equity=equity_of(xp, after),
        pnl=night.gain + night.income - spent,
        costs=costs,
        closing_fees=opened.closing_fees + closed.closing_fees,
        borrow=night.borrow,
        interest=night.interest,
        income=night.income,
        exit_loss=night.exit_loss,
        shortfall=nothing,
        realized=night.exit_realized + opened.realized + closed.realized,
        turnover=traded / equity_before,
        fill_value=opened.value,
        mark_value=closed.value,
        exit_value=night.exit_value,
        fill_fees=opened.fees,
        mark_fees=closed.fees,
        filled_lots=opened.lots,
        idle=after.idle,
        blocked=None,
        rejected=None,
        called=None,
        ruined=None,
        reward=nothing,
    )
