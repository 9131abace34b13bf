"""Random trading through the rule book and the Decimal ledger, side by side."""

from collections import Counter
from dataclasses import dataclass, fields
from decimal import Decimal
from math import prod

import numpy as np

from jaxtrade.rules import Account, Known, Outcome, Record, RuleParams, advance, make_rule_book, open_account
from tests.helpers.decimal_ledger import DecimalLedger, LedgerParams, LedgerRecord

TOLERANCE = 1e-12
# Amounts that rounding leaves: a float64 account and a Decimal account do not agree whether one is there at all.
DUST = 1e-13
FLAGS = ("blocked", "rejected", "ruined")
AMOUNTS = ("equity_before", "equity", "pnl", "fees", "shortfall", "realized", "turnover", "fill_value", "mark_value")
INVALID_NUMBERS = (9.0, -1.0, 2.5, 1e9, np.nan, np.inf, -np.inf)


@dataclass(frozen=True)
class Case:
    """Accounts of one kind in a random market; `batch` is the leading shape that the rule book works on at once."""

    symbols: int
    params: LedgerParams
    seed: int
    batch: tuple[int, ...] = (8,)
    steps: int = 100
    missing_rate: float = 0.1
    crash_rate: float = 0.02
    invalid_rate: float = 0.03


@dataclass(frozen=True)
class Bar:
    """What one step is given, each [accounts, symbols]."""

    action: np.ndarray
    tradable: np.ndarray
    gap: np.ndarray
    move: np.ndarray
    can_fill: np.ndarray


def rule_params(params: LedgerParams) -> RuleParams:
    """Return the parameters in the form the rule book takes: [1] what meets symbols, 0-d what meets accounts."""
    per_symbol = ("buy_rate", "sell_rate", "dead_band", "trade_limit")
    return RuleParams(
        **{
            name: np.array([value]) if name in per_symbol else np.float64(value)
            for name in RuleParams._fields
            for value in (getattr(params, name),)
        }
    )


# A random market ------------------------------------------------------------------------------------------------------


def random_action(case: Case, random: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Draw actions: ordinary ones, some at the edge of the dead band or beyond [-1, 1], and some that are invalid."""
    if case.params.action_kind == "discrete9":
        action, invalid = random.integers(0, 9, shape).astype(float), INVALID_NUMBERS
    else:
        action, invalid = random.normal(0, 0.6, shape), (np.nan, np.inf, -np.inf)
        edge = case.params.dead_band * random.choice([-1, 1], shape) * (1 + random.choice([0, 1e-10, 1e-5], shape))
        action = np.where(random.random(shape) < 0.1, edge, action)
        action = np.where(random.random(shape) < 0.1, 0.0, action)
    return np.where(random.random(shape) < case.invalid_rate, random.choice(invalid, shape), action)


def random_bars(case: Case, random: np.random.Generator) -> list[Bar]:
    """Draw a market: coherent missing opens and closes, and crashes that hit most symbols of an account at once."""
    accounts = prod(case.batch)
    shape = (accounts, case.symbols)
    tradable, bars = np.ones(shape, bool), []
    for _ in range(case.steps):
        gap, move = random.normal(0, 0.02, shape).clip(-0.5), random.normal(0, 0.04, shape).clip(-0.5)
        crash = (random.random((accounts, 1)) < case.crash_rate) & (random.random(shape) < 0.8)
        size, overnight = random.choice([-0.9, 3.0], (accounts, 1)), random.random((accounts, 1)) < 0.5
        gap, move = np.where(crash & overnight, size, gap), np.where(crash & ~overnight, size, move)
        has_open, has_close = (random.random(shape) >= case.missing_rate for _ in range(2))
        gap, move = np.where(has_open, gap, 0.0), np.where(has_close, move, 0.0)
        bars.append(Bar(random_action(case, random, shape), tradable, gap, move, has_open))
        tradable = has_close
    return bars


# Side by side ---------------------------------------------------------------------------------------------------------


def run_case(case: Case) -> Counter:
    """Trade a case through both, compare every step, and count what occurred; a ruined account starts afresh.

    Raises:
        AssertionError: The two disagree.
    """
    random = np.random.default_rng(case.seed)
    book = make_rule_book(case.params.action_kind, "log_return", case.params.allow_short)
    params, kinds = rule_params(case.params), Counter()
    fresh = open_account(np, np.zeros((*case.batch, case.symbols)))
    ledgers = [DecimalLedger(case.symbols, case.params) for _ in range(prod(case.batch))]
    account = fresh
    for bar in random_bars(case, random):
        shaped = {field.name: getattr(bar, field.name).reshape(fresh.position.shape) for field in fields(bar)}
        action = shaped["action"] if case.params.action_kind == "continuous" else shaped["action"][..., 0]
        outcome = Outcome(gap=shaped["gap"], move=shaped["move"], can_fill=shaped["can_fill"])
        account, record = advance(np, book, params, account, action, Known(shaped["tradable"]), outcome)
        for index, ledger in enumerate(ledgers):
            held = list(ledger.position)
            given = [getattr(bar, field.name)[index].tolist() for field in fields(bar)]
            expected = ledger.step(*given)
            place = np.unravel_index(index, case.batch)
            mine = Account(*(np.array(value[place]) for value in account))
            compare(ledger, expected, mine, Record(*(np.array(value[place]) for value in record)))
            count(kinds, ledger, expected, held)
            if ledger.ruined:
                ledgers[index] = DecimalLedger(case.symbols, case.params)
        account = restart(account, fresh, record.ruined)
    return kinds


def restart(account: Account, fresh: Account, ruined: np.ndarray) -> Account:
    """Put a fresh account in the place of each ruined one."""
    old_new = zip(account, fresh, strict=True)
    return Account(*(np.where(ruined.reshape(ruined.shape + (1,) * (b.ndim - ruined.ndim)), b, a) for a, b in old_new))


def compare(ledger: DecimalLedger, expected: LedgerRecord, account: Account, record: Record) -> None:
    """Assert that the rule book's account and record are the ledger's, one account at a time.

    Amounts agree to the tolerance, relative to all the money in play. Flags, what was filled and `idle` agree exactly,
    and a position that the ledger closed is exactly zero. Nothing reads the `idle` of a ruined account: it is compared
    while the account lives.
    """
    for name in FLAGS:
        np.testing.assert_array_equal(getattr(record, name), getattr(expected, name), err_msg=name)
    amounts = {name: (getattr(record, name), getattr(expected, name)) for name in AMOUNTS}
    amounts |= {name: (getattr(account, name), getattr(ledger, name)) for name in ("cash", "position", "basis")}
    amounts["peak"] = (account.peak_equity, ledger.peak)
    wanted = {name: np.array(theirs, dtype=float) for name, (_, theirs) in amounts.items()}
    in_play = ("cash", "position", "basis", "peak", "fill_value", "mark_value")
    scale = TOLERANCE * sum(float(np.abs(wanted[name]).sum()) for name in in_play)
    for name, (found, _) in amounts.items():
        limit = scale / min(1.0, float(expected.equity_before)) ** 2 if name == "turnover" else scale
        assert found.shape == wanted[name].shape, name
        assert np.all(np.abs(found - wanted[name]) <= limit), f"{name}: {found} is not {wanted[name]}"
    fills = np.abs(wanted["fill_value"])
    closed = (fills > 0) & np.array([held == 0 for held in ledger.position])
    assert np.all(account.position[closed] == 0), f"a closed position left {account.position[closed]}"
    assert np.all(account.basis[closed] == 0), f"a closed position left the basis {account.basis[closed]}"
    np.testing.assert_array_equal(record.fill_value != 0, fills != 0, err_msg="filled")
    if not ledger.ruined:
        np.testing.assert_array_equal(account.idle, np.array(ledger.idle), err_msg="idle")


def count(kinds: Counter, ledger: DecimalLedger, record: LedgerRecord, held: list[Decimal]) -> None:
    """Count what happened in one step."""
    traded = list(zip(held, ledger.position, record.fill_value, strict=True))
    kinds["steps"] += 1
    kinds["fills"] += any(abs(value) > DUST for value in record.fill_value)
    kinds["blocked"] += any(record.blocked)
    kinds["rejected"] += any(record.rejected)
    kinds["ruined"] += record.ruined
    kinds["ruined_at_open"] += record.ruined and not any(record.mark_value)
    kinds["ruined_at_mark"] += any(record.mark_value)
    kinds["shortfalls"] += record.shortfall > 0
    kinds["scaled_down"] += DUST < ledger.fill_factor < 1 - DUST
    kinds["unaffordable"] += ledger.fill_factor == 0
    kinds["flips"] += any(before * after < 0 for before, after, _ in traded)
    kinds["closes"] += not record.ruined and any(value and not after for _, after, value in traded)
    kinds["short"] += any(value < 0 for value in ledger.position)
    kinds["borrowed"] += ledger.cash < -Decimal(DUST)
    kinds["idle"] += not any(record.fill_value)
