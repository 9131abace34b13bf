"""Parity of the two engines, one bar at a time, from the same inputs: float32 in JAX against float64 in NumPy.

A discrete difference (filled or not, lots, blocked, ruined, ...) is explained only if float64 itself decides otherwise
when its inputs move by EPSILON: then the decision lay on a boundary that float32 cannot resolve.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxtrade.rules import Account, Known, Outcome, Record, RuleBook, RuleParams, advance

EPSILON = 4e-6  # relative: what float32 inputs and a few float32 operations leave uncertain
DISCRETE = ("fill", "lots", "mark", "exit", "blocked", "rejected", "ruined")


class Bars(NamedTuple):
    """What `advance` is given at K bars, leaves [K, ...]."""

    account: Account
    action: Any
    known: Known
    outcome: Outcome


class Steps(NamedTuple):
    """How far single bars agree."""

    error: float  # largest relative difference of equity where all decisions agree
    explained: int
    unexplained: int


def compare_steps(book: RuleBook, params: RuleParams, bars: Bars) -> Steps:
    """Advance K accounts by one bar each in both engines, from the same inputs.

    Args:
        book: Which rules apply.
        params: The rules' numbers, float64.
        bars: Inputs, float64.
    """
    step = jax.jit(jax.vmap(lambda rules, bar: advance(jnp, book, rules, *bar)[1], (None, 0)))
    fast = jax.device_get(step(*jax.tree.map(_single, (params, bars))))
    with np.errstate(all="ignore"):
        exact = batched(book, params, bars)
        decisions, wanted = discrete(fast), discrete(exact)
        differs = {name: decisions[name] != wanted[name] for name in DISCRETE}
        anywhere = np.any([np.any(each, axis=-1) for each in differs.values()], axis=0)
        explained = anywhere & reachable(book, params, bars, decisions)
    error = np.abs(fast.equity / exact.equity - 1)[~anywhere]
    return Steps(float(np.max(error, initial=0.0)), int(np.sum(explained)), int(np.sum(anywhere & ~explained)))


def _single(leaf: Any) -> jax.Array:
    leaf = np.asarray(leaf)
    return jnp.asarray(leaf, jnp.float32) if leaf.dtype == np.float64 else jnp.asarray(leaf)


def batched(book: RuleBook, params: RuleParams, bars: Bars) -> Record:
    """Advance K accounts in NumPy, float64."""
    return advance(np, book, params, bars.account, bars.action, bars.known, bars.outcome)[1]


def discrete(record: Record) -> dict[str, np.ndarray]:
    """Return what a record decided, [K, S] or [K, 1] each."""
    return {
        "fill": np.sign(record.fill_value),
        "lots": np.asarray(record.filled_lots, np.float64),
        "mark": np.sign(record.mark_value),
        "exit": np.sign(record.exit_value),
        "blocked": np.asarray(record.blocked),
        "rejected": np.asarray(record.rejected),
        "ruined": np.asarray(record.ruined)[:, None],
    }


def reachable(book: RuleBook, params: RuleParams, bars: Bars, found: dict[str, np.ndarray]) -> np.ndarray:
    """True where float64 decides as found, symbol by symbol, for some inputs within EPSILON, [K]."""
    seen = {name: np.zeros(value.shape, bool) for name, value in found.items()}
    for nudged_params, nudged in nudges(params, bars):
        decided = discrete(batched(book, nudged_params, nudged))
        seen = {name: seen[name] | (decided[name] == found[name]) for name in DISCRETE}
    return np.all([np.all(each, axis=-1) for each in seen.values()], axis=0)


def nudges(params: RuleParams, bars: Bars) -> list[tuple[RuleParams, Bars]]:
    """Return the inputs with cash, positions, actions, prices and capital moved by EPSILON, in several directions."""
    moved = [(params, bars)]
    numeric = bars.action.dtype.kind == "f"
    for up in (1 - EPSILON, 1 + EPSILON):
        account, outcome, known = bars.account, bars.outcome, bars.known
        cash, position = account._replace(cash=account.cash * up), account._replace(position=account.position * up)
        moved += [(params, bars._replace(account=cash)), (params, bars._replace(account=position))]
        moved.append((params, bars._replace(account=position._replace(cash=account.cash * (2 - up)))))
        moved.append((params._replace(capital=params.capital * up), bars))
        moved.append((params, bars._replace(outcome=outcome._replace(gap=(1 + outcome.gap) * up - 1))))
        moved.append((params, bars._replace(outcome=outcome._replace(move=(1 + outcome.move) * up - 1))))
        moved.append((params, bars._replace(known=known._replace(close=known.close * up))))
        if numeric:
            moved.append((params, bars._replace(action=bars.action * up)))
    return moved
