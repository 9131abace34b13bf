"""Random trading through the rule book and the Decimal ledger, side by side."""

from collections import Counter
from dataclasses import fields
from math import prod
from typing import Any

import jax
import numpy as np

from jaxtrade.rules import (
    Account,
    Known,
    Outcome,
    Record,
    RewardParams,
    RuleBook,
    RuleParams,
    advance,
    make_rule_book,
    open_account,
)
from jaxtrade.rules.rewards import REWARDS
from tests.helpers.decimal_ledger import DecimalLedger, LedgerBar, LedgerParams, LedgerRecord
from tests.helpers.decimal_market import ONE_NUMBER, Bar, Case, random_action, random_bars

__all__ = ["TOLERANCE", "Bar", "Case", "pulse", "random_action", "random_bars", "restart", "rule_book", "rule_params"]
__all__ += ["Tally", "compare", "run_case"]

TOLERANCE = 1e-12  # of the money in play
NEAR = 1e-11  # a decision this close to its boundary, relative to what is compared, is left to rounding
# Amounts that rounding leaves: a float64 account and a Decimal account do not agree whether one is there at all.
DUST = 1e-13
FLAGS = ("blocked", "rejected", "ruined", "called")
COSTS = ("commission", "duty", "spread", "slippage")
AMOUNTS = ("equity_before", "equity", "pnl", *COSTS, "borrow", "interest", "income", "exit_loss", "shortfall")
AMOUNTS += ("realized", "closing_fees", "turnover", "fill_value", "mark_value", "exit_value")
EXACT = ("filled_lots",)
PER_ACCOUNT = ("interest_rate", "max_leverage", "maintenance_margin", "ruin_floor", "capital")
REWARD = {"gain_weight": 1.0, "loss_weight": 2.0, "idle_decay": 0.001, "trade_penalty": 0.001, "adaptation": 0.02}


class Tally(Counter[str]):
    """How often each thing happened, and the worst difference, relative to the money in play."""

    worst: float = 0.0


# The rule book --------------------------------------------------------------------------------------------------------


def rule_params(params: LedgerParams, rewards: int = 1) -> RuleParams:
    """Return the parameters in the form the rule book takes: [1] or [S] what meets symbols, 0-d what meets accounts."""
    reward = RewardParams(weights=np.ones(rewards), **{name: np.float64(value) for name, value in REWARD.items()})
    values = {name: getattr(params, name) for name in RuleParams._fields if name != "reward"}
    arrays = {name: np.float64(value) if name in PER_ACCOUNT else _listed(value) for name, value in values.items()}
    return RuleParams(**arrays, reward=reward)


def _listed(value: float | tuple[float, ...]) -> np.ndarray:
    return np.atleast_1d(np.array(value, dtype=float))


def rule_book(params: LedgerParams, rewards: tuple[str, ...] = ("log_return",)) -> RuleBook:
    """Return the rules that the parameters name."""
    return make_rule_book(
        params.action_kind,
        tuple(REWARDS[name] for name in rewards),
        allow_short=params.allow_short,
        lots=bool(np.any(_listed(params.lot_size) > 0)),
        exposures=params.exposures,
    )


def pulse(case: Case, bar: Bar) -> tuple[np.ndarray, Known, Outcome]:
    """Return the action, what is known and the outcome in the rule book's form, leaves [*batch, S] or [*batch]."""
    shape = (*case.batch, case.symbols)
    leaf = {field.name: getattr(bar, field.name) for field in fields(bar)}
    leaf = {name: value.reshape(shape if value.ndim == 2 else case.batch) for name, value in leaf.items()}
    action = leaf["action"][..., 0] if case.params.action_kind in ONE_NUMBER else leaf["action"]
    outcome = Outcome(**{name: leaf[name] for name in Outcome._fields})
    return action, Known(leaf["tradable"], leaf["close"]), outcome


def restart(account: Account, fresh: Account, ruined: np.ndarray) -> Account:
    """Put a fresh account in the place of each ruined one."""

    def chosen(old: np.ndarray, new: np.ndarray) -> np.ndarray:
        return np.where(np.reshape(ruined, np.shape(ruined) + (1,) * (np.ndim(new) - np.ndim(ruined))), new, old)

    return jax.tree.map(chosen, account, fresh)


# Side by side ---------------------------------------------------------------------------------------------------------


def run_case(case: Case) -> Tally:
    """Trade a case through both, compare every step, and count what occurred; a ruined account starts afresh.

    A difference is counted as explained, and both accounts start afresh, where the ledger took a decision within
    rounding of its boundary.

    Raises:
        AssertionError: The two disagree.
    """
    book, params, tally = rule_book(case.params), rule_params(case.params), Tally()
    fresh = account = open_account(np, book, np.zeros((*case.batch, case.symbols)))
    ledgers = [DecimalLedger(case.symbols, case.params) for _ in range(prod(case.batch))]
    for bar in random_bars(case, np.random.default_rng(case.seed)):
        account, record = advance(np, book, params, account, *pulse(case, bar))
        seen, again = what_shows(account, record), np.array(record.ruined)
        for index, ledger in enumerate(ledgers):
            place = np.unravel_index(index, case.batch)
            held = list(ledger.position)
            expected = ledger.step(bar.action[index].tolist(), ledger_bar(bar, index))
            try:
                worst = compare(ledger, expected, {name: value[place] for name, value in seen.items()})
                tally.worst = max(tally.worst, worst)
            except AssertionError:
                if not any(margin.distance < NEAR for margin in expected.margins):
                    raise
                tally["explained"] += 1
                again[place] = True
            count(tally, ledger, expected, held)
            if again[place]:
                ledgers[index] = DecimalLedger(case.symbols, case.params)
        account = restart(account, fresh, again)
    return tally


def ledger_bar(bar: Bar, index: int) -> LedgerBar:
    """Return one account's bar in plain Python."""
    names = [field.name for field in fields(LedgerBar)]
    return LedgerBar(**{name: getattr(bar, name)[index].tolist() for name in names})


def what_shows(account: Account, record: Record) -> dict[str, Any]:
    """Return all that is compared, by name, leaves [*batch, ...]."""
    seen = {name: getattr(record, name) for name in (*FLAGS, *EXACT, *AMOUNTS) if name not in COSTS}
    seen |= {name: getattr(record.costs, name) for name in COSTS}
    seen |= {name: getattr(account, name) for name in ("cash", "position", "basis", "lots", "idle")}
    return seen | {"peak": account.peak_equity, "idle_recorded": record.idle}


def compare(ledger: DecimalLedger, expected: LedgerRecord, seen: dict[str, Any]) -> float:
    """Assert that the rule book's account and record are the ledger's, one account at a time.

    Amounts agree to the tolerance, relative to all the money in play. Flags, lots, what was filled and `idle` agree
    exactly, and a position that the ledger closed is exactly zero.

    Returns:
        The worst difference of an amount, relative to the money in play.
    """
    for name in FLAGS:
        np.testing.assert_array_equal(seen[name], getattr(expected, name), err_msg=name)
    wanted = {name: np.array(getattr(expected, name), dtype=float) for name in AMOUNTS}
    wanted |= {name: np.array(getattr(ledger, name), dtype=float) for name in ("cash", "position", "basis", "peak")}
    in_play = ("cash", "position", "basis", "peak", "fill_value", "mark_value")
    scale, worst = sum(float(np.abs(wanted[name]).sum()) for name in in_play), 0.0
    for name, value in wanted.items():
        assert np.shape(seen[name]) == value.shape, name
        unit = scale / min(1.0, float(expected.equity_before)) ** 2 if name == "turnover" else scale
        error = float(np.max(np.abs(seen[name] - value))) / unit
        assert error <= TOLERANCE, f"{name}: {seen[name]} is not {value}"
        worst = max(worst, error)
    compare_exactly(ledger, expected, seen, np.abs(wanted["fill_value"]))
    return worst


def compare_exactly(ledger: DecimalLedger, expected: LedgerRecord, seen: dict[str, Any], fills: np.ndarray) -> None:
    """Assert what must be the same to the last bit; `fills` are the ledger's sizes."""
    closed = (fills > 0) & np.array([held == 0 for held in ledger.position])
    assert np.all(seen["position"][closed] == 0), f"a closed position left {seen['position'][closed]}"
    assert np.all(seen["basis"][closed] == 0), f"a closed position left the basis {seen['basis'][closed]}"
    np.testing.assert_array_equal(seen["fill_value"] != 0, fills != 0, err_msg="filled")
    for name, value in (("lots", ledger.lots), ("filled_lots", expected.filled_lots)):
        np.testing.assert_array_equal(seen[name], np.array(value, dtype=float), err_msg=name)
    for name in ("idle", "idle_recorded"):
        np.testing.assert_array_equal(seen[name], np.array(ledger.idle), err_msg=name)


def count(tally: Tally, ledger: DecimalLedger, record: LedgerRecord, held: list[Any]) -> None:
    """Count what happened in one step."""
    traded = list(zip(held, ledger.position, record.fill_value, strict=True))
    tally["steps"] += 1
    tally["fills"] += any(abs(value) > DUST for value in record.fill_value)
    tally["blocked"] += any(record.blocked)
    tally["rejected"] += any(record.rejected)
    tally["ruined"] += record.ruined
    tally["ruined at open"] += record.called
    tally["ruined at mark"] += record.ruined and not record.called
    tally["shortfalls"] += record.shortfall > 0
    tally["scaled down"] += DUST < ledger.fill_factor < 1 - DUST
    tally["unaffordable"] += ledger.fill_factor == 0
    tally["flips"] += any(before * after < 0 for before, after, _ in traded)
    tally["closes"] += not record.ruined and any(value and not after for _, after, value in traded)
    tally["short"] += any(value < 0 for value in ledger.position)
    tally["borrowed"] += float(ledger.cash) < -DUST
    tally["idle"] += not any(record.fill_value)
    tally["delisted long"] += any(value < 0 for value in record.exit_value)
    tally["delisted short"] += any(value > 0 for value in record.exit_value)
    tally["income"] += record.income > 0
    tally["income paid by a short"] += record.income < 0
    tally["borrow fee"] += float(record.borrow) > DUST
    tally["interest"] += float(record.interest) > DUST
    for event, times in record.events.items():
        tally[event] += times
