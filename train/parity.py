"""Parity of the two engines, one bar at a time, from the same inputs: float32 in JAX against float64 in NumPy.

Two precisions may disagree about a lot, a trade or a liquidation only where the rules in float64 themselves change
their answer within EPSILON of the inputs. Everything here has a leading axis of accounts or bars, [B].
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxtrade.rules import Account, Known, Outcome, Record, RuleBook, RuleParams, advance
from jaxtrade.rules.limits import limit
from jaxtrade.rules.types import Namespace, gross_of
from train.batched import Batched

EPSILON = 2e-6  # relative
DRAWS = 300
Choices = dict[str, np.ndarray]


class Bars(NamedTuple):
    """What `advance` is given at K bars, leaves [K, ...]."""

    account: Account
    action: Any
    known: Known
    outcome: Outcome


def choices(
    xp: Namespace,
    book: RuleBook,
    given: tuple[RuleParams, Account, Any, Known],
    after: Account,
    record: Record,
) -> Choices:
    """Return all that is discrete about a bar, [B, S] or [B]; `given` is what the orders were made from."""
    params, account, action, known = given
    orders = book.decode(xp, action, account, known, params)
    tickets = limit(xp, orders, account, known, params, short=book.allow_short, lots=book.lots)
    return {
        "reducing": xp.sign(tickets.reducing),
        "increasing": xp.sign(tickets.increasing),
        "reducing_lots": tickets.reducing_lots,
        "increasing_lots": tickets.increasing_lots,
        "closes": tickets.closes,
        **({} if tickets.all_in is None else {"all_in": tickets.all_in}),
        "lots": after.lots,
        "flat": after.position == 0,
        "filled": xp.sign(record.fill_value),
        "filled_lots": record.filled_lots,
        **{name: getattr(record, name) for name in ("blocked", "rejected", "called", "ruined")},
    }


def step(
    xp: Namespace,
    book: RuleBook,
    params: RuleParams,
    account: Account,
    action: Any,
    known: Known,
    outcome: Outcome,
) -> tuple[Account, Record, Choices]:
    """Advance by one bar and return the choices too."""
    after, record = advance(xp, book, params, account, action, known, outcome)
    return after, record, choices(xp, book, (params, account, action, known), after, record)


def apart(one: Choices, other: Choices) -> Choices:
    """Return where two sets of choices differ."""
    return {name: np.asarray(one[name]) != np.asarray(other[name]) for name in one}


def any_apart(differs: Choices) -> np.ndarray:
    """Return the accounts, [B], that differ in anything."""
    rows = [np.any(each, axis=tuple(range(1, each.ndim))) for each in differs.values()]
    return np.any(rows, axis=0) if rows else np.array(False)


def moved(random: np.random.Generator, number: Any, epsilon: float) -> Any:
    """Return numbers moved by up to epsilon, relatively: all to one side, each to a side, or each to anywhere."""
    kind, shape = random.integers(3), np.shape(number)
    sides = random.choice([-1.0, 1.0], () if kind == 0 else shape)
    share = random.uniform(-1, 1, shape) if kind == 2 else sides
    return number * (1 + epsilon * share)


def reachable(
    book: RuleBook, params: RuleParams, bars: Bars, *, epsilon: float = EPSILON, draws: int = DRAWS
) -> Iterator[Choices]:
    """Yield choices of the float64 rules with cash, positions, prices and ordered quantities moved.

    Cash moves by a share of all that the account holds, |cash| + sum|position|: that is where sums are rounded. Rates,
    flags and lots stay. So do actions that are shares, weights or numbers, which both precisions round alike.

    Args:
        book: The rules.
        params: Their numbers, float64.
        bars: Accounts, actions and markets, float64.
        epsilon: How far each input moves, relatively.
        draws: How many choices to yield.
    """
    account, action, known, outcome = bars
    for draw in range(draws):
        random = np.random.default_rng(draw)

        def move(number: Any, random: np.random.Generator = random) -> Any:
            return None if number is None else moved(random, number, epsilon)

        held = np.abs(account.cash) + gross_of(np, account)
        close_by = account._replace(cash=account.cash + move(held) - held, position=move(account.position))
        now = known._replace(close=move(known.close))
        then = outcome._replace(
            gap=move(1 + outcome.gap) - 1,
            move=move(1 + outcome.move) - 1,
            fill_price=move(outcome.fill_price),
            mark=move(outcome.mark),
        )
        ordered = move(action) if book.decode.__name__ == "decode_orders" else action
        yield step(np, book, params, close_by, ordered, now, then)[2]


def not_reached(found: Choices, wanted: Choices, reached: Iterator[Choices]) -> Choices:
    """Return where choices differ from the wanted ones and lie outside of all that can be reached.

    A number of lots between two that are reached is reached too: among millions no draw may hit it exactly.
    """
    low = high = wanted
    left = apart(found, wanted)
    for reach in reached:
        if not any(each.any() for each in left.values()):
            break
        low = {name: np.minimum(each, reach[name]) for name, each in low.items()}
        high = {name: np.maximum(each, reach[name]) for name, each in high.items()}
        left = {name: ~((found[name] >= low[name]) & (found[name] <= high[name])) for name in left}
    return left


def unexplained(found: Choices, wanted: Choices, reached: Iterator[Choices]) -> dict[str, int]:
    """Return how many choices, by name, differ from the wanted ones and from all that can be reached."""
    left = not_reached(found, wanted, reached)
    return {name: int(each.sum()) for name, each in left.items() if each.any()}


class Steps(NamedTuple):
    """How far single bars agree."""

    error: float  # largest relative difference of equity where all choices agree
    explained: int  # bars with a choice that differs, on a boundary
    unexplained: int  # bars with one that differs anywhere else


def compile_steps(book: RuleBook, size: int) -> Batched:
    """Return the float32 rules as `(params, bars) -> (record, choices)`, in parts of `size` bars."""
    return Batched(jax.jit(jax.vmap(lambda params, bar: step(jnp, book, params, *bar)[1:], (None, 0))), size)


def compare_steps(book: RuleBook, params: RuleParams, bars: Bars, rules: Batched | None = None) -> Steps:
    """Advance K accounts by one bar each in both engines, from the same inputs.

    Args:
        book: Which rules apply.
        params: The rules' numbers, float64.
        bars: Inputs, float64.
        rules: The compiled rules; made for this call when None.
    """
    rules = rules or compile_steps(book, len(bars.action))
    fast, found = rules(*jax.tree.map(_single, (params, bars)))
    with np.errstate(all="ignore"):
        _, exact, wanted = step(np, book, params, *bars)
        differs = any_apart(apart(found, wanted))
        error = np.abs(fast.equity / exact.equity - 1)[~differs]
        there = jax.tree.map(lambda leaf: leaf[differs], (bars, found, wanted))
        left = not_reached(*there[1:], reachable(book, params, there[0]))
    unexplained = int(np.sum(any_apart(left)))
    return Steps(float(np.max(error, initial=0.0)), int(np.sum(differs)) - unexplained, unexplained)


def _single(leaf: Any) -> Any:
    leaf = np.asarray(leaf)
    return leaf.astype(np.float32) if leaf.dtype == np.float64 else leaf
