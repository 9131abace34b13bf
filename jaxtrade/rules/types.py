"""The records that pass between the rules: NamedTuples of arrays, so that they are pytrees without JAX."""

from typing import Any, NamedTuple

Array = Any  # an array of whichever namespace the caller works in
Namespace = Any

DUST = 1e-6  # share of equity below which an amount is rounding, not a trade


class Account(NamedTuple):
    """What a trader owns, in multiples of the starting capital."""

    cash: Array  # [...]
    position: Array  # [..., S] signed value at the last mark
    lots: Array  # [..., S] signed whole lots; 0 where the symbol has no lot size
    basis: Array  # [..., S] signed cost value of the position, fees left out
    peak_equity: Array  # [...] highest equity at a mark
    idle: Array  # [..., S] bars since the last fill
    memory: tuple[Array, ...]  # M accumulators of the reward, [...] each


class Known(NamedTuple):
    """What is known of the market at the close of bar t."""

    tradable: Array  # [..., S] bool: bar t has a valid close
    close: Array | None = None  # [..., S] price of the mark at t; needed by lots and explicit orders only


class Outcome(NamedTuple):
    """What the market does next; only fills and marks may look at it."""

    gap: Array  # [..., S] open[t+1] / mark[t] - 1
    move: Array  # [..., S] mark[t+1] / open[t+1] - 1
    can_fill: Array  # [..., S] bool: open[t+1] is valid
    years: Array  # [...] calendar time from mark to mark, in years of 365 days
    fill_price: Array | None = None  # [..., S] open[t+1]; needed by lots only
    mark: Array | None = None  # [..., S] price of the mark at t+1; needed by lots only
    income: Array | None = None  # [..., S] dividends as a share of the mark at t; None: the market has none
    exit: Array | None = None  # [..., S] bool: delisted after t; None: the market has no delisting


class RewardParams(NamedTuple):
    """Numbers of the rewards."""

    weights: Array  # [..., R] of the combined rewards
    gain_weight: Array  # [...] realized_profit: weight of realised gains
    loss_weight: Array  # [...] realized_profit: weight of realised losses
    idle_decay: Array  # [...] realized_profit: cost of idling
    trade_penalty: Array  # [...] realized_profit: cost of a bar with a trade
    adaptation: Array  # [...] differential ratios: rate of the moving averages


class RuleParams(NamedTuple):
    """Numbers of the rules; arrays, so that a sweep over them compiles once. `[..., 1]` may also be `[..., S]`."""

    buy_rate: Array  # [..., 1] commission per value bought
    sell_rate: Array  # [..., 1] commission per value sold
    min_commission: Array  # [..., 1] money, per order
    duty_buy: Array  # [..., 1] stamp duty per value bought
    duty_sell: Array  # [..., 1] stamp duty per value sold
    half_spread: Array  # [..., 1] half the quoted spread, as a share of the price
    slippage: Array  # [..., 1] as a share of the price
    borrow_rate: Array  # [..., 1] per year, on the value of short positions
    interest_rate: Array  # [...] per year, on negative cash
    lot_size: Array  # [..., 1] units of one lot; 0: any fraction
    min_notional: Array  # [..., 1] money, smallest order
    max_trade: Array  # [..., 1] share of equity by which an order may increase a position
    max_position: Array  # [..., 1] share of equity that an increased position may reach
    max_leverage: Array  # [...] sum|position| / equity that a fill may reach
    maintenance_margin: Array  # [...] equity / sum|position| below which the account is liquidated
    ruin_floor: Array  # [...] equity at or below which the account is ruined, > 0
    dead_band: Array  # [..., 1] smallest action (or change of weight) that trades
    trade_limit: Array  # [..., 1] continuous: share of equity traded by action 1
    recovery: Array  # [..., 1] share of the last mark that a delisted position pays
    capital: Array  # [...] starting capital in money
    reward: RewardParams


class Orders(NamedTuple):
    """Orders as a decoder reads them from an action, at the close of bar t."""

    value: Array  # [..., S] signed value at the close of t
    close_out: Array  # [..., S] bool: sell or cover everything, leaving exactly zero
    rejected: Array  # [..., S] bool: not a number, or a symbol that cannot be traded
    all_in: Array | None = (
        None  # [..., S] bool: as much on the side of `value` as the leverage limit allows at the fill
    )


class Tickets(NamedTuple):
    """Orders after the limits, split at zero; quantities, written as values at the close of t."""

    reducing: Array  # [..., S] signed value, towards zero
    closes: Array  # [..., S] bool: the reducing part leaves exactly zero
    increasing: Array  # [..., S] signed value, away from zero
    reducing_lots: Array  # [..., S] signed
    increasing_lots: Array  # [..., S] signed
    all_in: Array | None  # [..., S] bool: the increasing part is sized at the fill


class Costs(NamedTuple):
    """What trades cost, by kind."""

    commission: Array  # [..., S] or summed, [...]
    duty: Array
    spread: Array
    slippage: Array

    @property
    def fees(self) -> Array:
        """What is booked apart from the price."""
        return self.commission + self.duty

    @property
    def impact(self) -> Array:
        """What lives inside the fill price."""
        return self.spread + self.slippage

    def plus(self, other: "Costs") -> "Costs":
        """Return the sum by kind."""
        return Costs(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


class Record(NamedTuple):
    """What happened between the close of t and the close of t+1."""

    equity_before: Array  # [...]
    equity: Array  # [...] at the close of t+1
    pnl: Array  # [...] change of equity, summed from returns and costs
    costs: Costs  # [...] each kind, of all trades
    closing_fees: Array  # [...] commission and duty of the trades that reduced a position
    borrow: Array  # [...] fee on short positions
    interest: Array  # [...] on negative cash
    income: Array  # [...] dividends received; negative for a short
    exit_loss: Array  # [...] lost by delisting
    shortfall: Array  # [...] loss beyond the ruin floor, absorbed (>= 0)
    realized: Array  # [...] profit of what was closed over its basis, before fees
    turnover: Array  # [...] value traded / equity before
    fill_value: Array  # [..., S] signed value traded at the open of t+1
    mark_value: Array  # [..., S] signed value liquidated at the close of t+1
    exit_value: Array  # [..., S] signed value closed by delisting, before recovery
    fill_fees: Array  # [..., S] commission and duty of each symbol's trades at the open of t+1
    mark_fees: Array  # [..., S] commission and duty of each symbol's liquidation at the close of t+1
    filled_lots: Array  # [..., S] signed lots traded at the open of t+1
    idle: Array  # [..., S] bars since the last fill
    blocked: Array  # [..., S] bool: ordered, but the open of t+1 was not valid
    rejected: Array  # [..., S] bool: as in Orders
    called: Array  # [...] bool: ruined at the open
    ruined: Array  # [...] bool: terminated by ruin or margin
    reward: Array  # [...]

    @property
    def fees(self) -> Array:
        """Commission and stamp duty, [...]."""
        return self.costs.fees

    @property
    def financing(self) -> Array:
        """Borrow fee and interest, [...]."""
        return self.borrow + self.interest


class AccountView(NamedTuple):
    """The account as a policy sees it; every field is scale-free and bounded by [-1, 1]."""

    assets: Array  # [..., S, 4] weight, unrealised return, idle, tradable
    account: Array  # [..., 3 + M] cash share, drawdown, margin distance, memory of the reward


def equity_of(xp: Namespace, account: Account) -> Array:
    """Return cash plus the value of all positions, [...]."""
    return account.cash + xp.sum(account.position, axis=-1)


def gross_of(xp: Namespace, account: Account) -> Array:
    """Return the sum of absolute positions, [...]."""
    return xp.sum(xp.abs(account.position), axis=-1)


def money(params: RuleParams, amount: Array) -> Array:
    """Return an amount of money, [..., 1] or [..., S], in multiples of the starting capital."""
    return amount / params.capital[..., None]
