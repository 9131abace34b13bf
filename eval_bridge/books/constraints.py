"""Which limits bound the orders of a backtest.

Nothing is decided here. The rules are called once more on the accounts and the market of the backtest, all decisions
at once, as they are and with a limit lifted; a limit has bound where the rules trade more without it.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from eval_bridge.backtester import market_row
from eval_bridge.history import Backtest
from jaxtrade.assemble import rule_book, rule_params
from jaxtrade.rules import Account, Known, Orders, Outcome, RuleBook, RuleParams, open_account
from jaxtrade.rules.accounting import fill, is_ruined
from jaxtrade.rules.advance import overnight
from jaxtrade.rules.limits import limit, nominal
from jaxtrade.rules.types import DUST, equity_of

FloatArray = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Trades = tuple[FloatArray, FloatArray]  # signed values, [K, N]: allowed at the close, filled at the open after it
LIMITS = ("no_short", "max_trade", "max_position", "lot_size", "min_notional", "funds")  # can be lifted
CONSTRAINTS = (*LIMITS, "no_open", "not_tradable", "not_a_number")
NUMBERS = {"max_trade": np.inf, "max_position": np.inf, "lot_size": 0.0, "min_notional": 0.0}  # where there is no limit
ANY_LEVERAGE = np.array(1e12)


class Moments(NamedTuple):
    """All decisions of a backtest: what the rules were given, and the orders that they read; leaves [K], [K, N]."""

    book: RuleBook
    params: RuleParams
    account: Account
    action: npt.NDArray[Any]
    known: Known
    outcome: Outcome
    orders: Orders

    @property
    def dust(self) -> FloatArray:
        """What is too small to be a trade, [K, 1]."""
        return np.asarray(DUST * equity_of(np, self.account)[..., None])


class Bound(NamedTuple):
    """Orders and what became of them, [K, N]; values are multiples of the capital."""

    asked: FloatArray  # at the close; NaN for what is not a number
    allowed: FloatArray  # at the close
    filled: FloatArray  # at the open
    flags: dict[str, Flags]  # by constraint: did it bind


def moments_of(result: Backtest) -> Moments:
    """Return what the rules were given at every decision."""
    table, action = result.table, result.history.actions
    book, params = rule_book(result.config), rule_params(result.config, table.symbols)
    fresh = open_account(np, book, np.zeros((1, len(table.symbols))))
    account = _map(lambda start, after: np.concatenate([start, after[:-1]]), fresh, result.accounts)
    known, outcome = market_row(table, result.span.first + np.arange(len(result.history)))
    orders = book.decode(np, action, account, known, params)
    return Moments(book, params, account, action, known, outcome, orders)


def _map(function: Any, *trees: Any) -> Any:
    """Apply a function to the leaves of (named) tuples."""
    if not isinstance(trees[0], tuple):
        return function(*trees)
    parts = [_map(function, *each) for each in zip(*trees, strict=True)]
    return type(trees[0])(*parts) if hasattr(trees[0], "_fields") else tuple(parts)


def trade(moments: Moments, lifted: frozenset[str] = frozenset()) -> Trades:
    """Return what the rules allow and fill with some of the limits lifted."""
    book, account, outcome, orders = moments.book, moments.account, moments.outcome, moments.orders
    numbers: dict[str, Any] = {name: np.array([number]) for name, number in NUMBERS.items() if name in lifted}
    params, lots = moments.params._replace(**numbers), book.lots and "lot_size" not in lifted
    if not lots:
        account = account._replace(lots=np.zeros_like(account.lots))
    short = book.allow_short or "no_short" in lifted
    tickets = limit(np, orders, account, moments.known, params, short=short, lots=lots)
    before, _ = overnight(np, account, outcome, params)
    called = is_ruined(np, before, params)
    if "funds" in lifted:  # an all-in order, which they size, keeps its size at the close
        params, tickets = params._replace(max_leverage=ANY_LEVERAGE), tickets._replace(all_in=None)
    return tickets.reducing + tickets.increasing, fill(np, before, tickets, called, outcome, params, lots).value


def bound(moments: Moments) -> Bound:
    """Return what was asked for, allowed and filled, and which constraints bound.

    Where two limits leave the same, lifting one of them changes nothing. Then both have bound, if each alone cuts the
    order.
    """
    plain, dust = trade(moments), moments.dust

    def more(one: Trades, other: Trades) -> Flags:
        closer = [np.abs(mine) > np.abs(theirs) + dust for mine, theirs in zip(one, other, strict=True)]
        return np.logical_or(*closer)

    flags = {name: more(trade(moments, frozenset([name])), plain) for name in LIMITS}
    free = trade(moments, frozenset(LIMITS))
    unsaid = more(free, plain) & ~np.any(list(flags.values()), axis=0)
    if np.any(unsaid):
        for name in LIMITS:
            flags[name] |= unsaid & more(free, trade(moments, frozenset(LIMITS) - {name}))
    orders, asked = moments.orders, moments.orders.value
    if orders.all_in is not None:
        flags["funds"] &= ~orders.all_in  # they are what was ordered
        asked = nominal(np, orders, moments.account, moments.dust / DUST, moments.params).value
    asked, refused = _refusals(moments, asked)
    return Bound(asked, *plain, flags | refused)


def _refusals(moments: Moments, asked: FloatArray) -> tuple[FloatArray, dict[str, Flags]]:
    """Return what was asked for where the rules read no order, and why they did not or could not fill one."""
    everything = moments.known._replace(tradable=np.ones_like(moments.known.tradable))
    would = moments.book.decode(np, moments.action, moments.account, everything, moments.params)
    rejected, nothing = moments.orders.rejected, would.rejected
    asked = np.where(nothing, np.nan, np.where(rejected, would.value, asked))
    return asked, {"not_tradable": rejected & ~nothing, "not_a_number": nothing}
