"""The records that pass between the rules: NamedTuples of arrays, so that they are pytrees without JAX."""

from typing import Any, NamedTuple

Array = Any  # an array of whichever namespace the caller works in
Namespace = Any

DUST = 1e-6  # share of equity below which an amount is rounding, not a trade


class Account(NamedTuple):
    """What a trader owns, in multiples of the starting capital."""

    cash: Array  # [...]
    position: Array  # [..., S] signed value at the last mark
    basis: Array  # [..., S] signed cost value of the position, fees left out
    peak_equity: Array  # [...] highest equity at a mark
    idle: Array  # [..., S] bars since the last fill


class Known(NamedTuple):
    """What is known of the market at the close of bar t."""

    tradable: Array  # [..., S] bool: bar t has a valid close


class Outcome(NamedTuple):
    """What the market does next; only fills and marks may look at it."""

    gap: Array  # [..., S] open[t+1] / mark[t] - 1
    move: Array  # [..., S] mark[t+1] / open[t+1] - 1
    can_fill: Array  # [..., S] bool: open[t+1] is valid


class RuleParams(NamedTuple):
    """Numbers of the rules; arrays, so that a sweep over them compiles once."""

    buy_rate: Array  # [..., 1] or [..., S] commission per value bought
    sell_rate: Array  # [..., 1] or [..., S] commission per value sold
    max_leverage: Array  # [...] sum|position| / equity that a fill may reach
    maintenance_margin: Array  # [...] equity / sum|position| below which the account is liquidated
    ruin_floor: Array  # [...] equity at or below which the account is ruined, > 0
    dead_band: Array  # [..., 1] continuous: |action| at or below it holds
    trade_limit: Array  # [..., 1] continuous: share of equity traded by action 1


class Orders(NamedTuple):
    """Orders fixed at the close of bar t."""

    value: Array  # [..., S] signed value at the close of t
    close_out: Array  # [..., S] bool: sell or cover everything, leaving exactly zero
    rejected: Array  # [..., S] bool: not a number, or a symbol that cannot be traded


class Record(NamedTuple):
    """What happened between the close of t and the close of t+1."""

    equity_before: Array  # [...]
    equity: Array  # [...] at the close of t+1
    pnl: Array  # [...] change of equity, summed from returns and costs
    fees: Array  # [...] commission
    shortfall: Array  # [...] loss beyond the ruin floor, absorbed (>= 0)
    realized: Array  # [...] profit of the reducing fills over their basis, before fees
    turnover: Array  # [...] value traded / equity before
    fill_value: Array  # [..., S] signed value traded at the open of t+1
    mark_value: Array  # [..., S] signed value liquidated at the close of t+1
    blocked: Array  # [..., S] bool: ordered, but the open of t+1 was not valid
    rejected: Array  # [..., S] bool: as in Orders
    ruined: Array  # [...] bool: terminated by ruin or margin


class AccountView(NamedTuple):
    """The account as a policy sees it; every field is scale-free and bounded by [-1, 1]."""

    assets: Array  # [..., S, 4] weight, unrealised return, idle, tradable
    account: Array  # [..., 3] cash share, drawdown, margin distance


def open_account(xp: Namespace, like: Array) -> Account:
    """Return a fresh account of capital 1.

    Args:
        xp: The array namespace.
        like: [..., S] array whose shape and dtype the positions take.
    """
    zero = xp.zeros_like(like)
    one = xp.ones_like(zero[..., 0])
    return Account(cash=one, position=zero, basis=zero, peak_equity=one, idle=zero)


def equity_of(xp: Namespace, account: Account) -> Array:
    """Return cash plus the value of all positions, [...]."""
    return account.cash + xp.sum(account.position, axis=-1)


def gross_of(xp: Namespace, account: Account) -> Array:
    """Return the sum of absolute positions, [...]."""
    return xp.sum(xp.abs(account.position), axis=-1)
