"""Which discrete choices the float64 rules can make when their inputs move within rounding.

Two precisions may disagree about a lot, a trade or a liquidation only where the rules in float64 themselves change
their answer within EPSILON of the inputs. Everything here has a leading axis of accounts, [B].
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from jaxtrade.rules import Account, Known, Outcome, Record, RuleBook, RuleParams, advance
from jaxtrade.rules.limits import limit
from jaxtrade.rules.types import Namespace, gross_of

EPSILON = 2e-6  # relative
DRAWS = 300
Choices = dict[str, np.ndarray]


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
    rows = [np.any(each.reshape(len(each), -1), axis=-1) for each in differs.values()]
    return np.any(rows, axis=0) if rows else np.array(False)


def moved(random: np.random.Generator, number: Any, epsilon: float) -> Any:
    """Return numbers moved by up to epsilon, relatively: all to one side, each to a side, or each to anywhere."""
    kind, shape = random.integers(3), np.shape(number)
    sides = random.choice([-1.0, 1.0], () if kind == 0 else shape)
    share = random.uniform(-1, 1, shape) if kind == 2 else sides
    return number * (1 + epsilon * share)


def reachable(
    book: RuleBook,
    params: RuleParams,
    account: Account,
    action: np.ndarray,
    known: Known,
    outcome: Outcome,
    *,
    epsilon: float = EPSILON,
    draws: int = DRAWS,
) -> Iterator[Choices]:
    """Yield choices of the float64 rules with cash, positions, prices and ordered quantities moved.

    Cash moves by a share of all that the account holds, |cash| + sum|position|: that is where sums are rounded. Rates,
    flags and lots stay. So do actions that are shares, weights or numbers, which both precisions round alike.

    Args:
        book: The rules.
        params: Their numbers, float64.
        account: The accounts at the close.
        action: What they order.
        known: The market at the close.
        outcome: The market after it.
        epsilon: How far each input moves, relatively.
        draws: How many choices to yield.
    """
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


def unexplained(found: Choices, wanted: Choices, reached: Iterator[Choices]) -> dict[str, int]:
    """Return how many choices, by name, differ from the wanted ones and from all that can be reached."""
    left = apart(found, wanted)
    for reach in reached:
        if not any(each.any() for each in left.values()):
            break
        left = {name: each & (found[name] != reach[name]) for name, each in left.items()}
    return {name: int(each.sum()) for name, each in left.items() if each.any()}
