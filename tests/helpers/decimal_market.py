"""Random markets and random actions for the comparison of the rule book with the Decimal ledger."""

from dataclasses import dataclass
from math import prod

import numpy as np

from tests.helpers.decimal_types import LedgerParams

INVALID_NUMBERS = (-1.0, 2.5, 1e9, 1e300, np.nan, np.inf, -np.inf)
ONE_NUMBER = ("discrete9", "positions")  # the action is one number, without an axis of symbols
AWAY = 7  # bars that a delisted symbol is gone, at least


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
    exit_rate: float = 0.0
    income_rate: float = 0.0
    hold_rate: float = 0.2
    same_close: bool = False


@dataclass(frozen=True)
class Bar:
    """What one step is given, each [accounts, symbols], but for `years`, [accounts]."""

    action: np.ndarray
    tradable: np.ndarray
    close: np.ndarray
    gap: np.ndarray
    move: np.ndarray
    can_fill: np.ndarray
    years: np.ndarray
    fill_price: np.ndarray
    mark: np.ndarray
    income: np.ndarray
    exit: np.ndarray


def random_bars(case: Case, random: np.random.Generator) -> list[Bar]:
    """Draw a market: prices in cents, missing opens and closes, crashes, delistings, income, late listings.

    A crash takes most symbols of an account at once: down by 90 % or up to four times the price.
    """
    shape = (prod(case.batch), case.symbols)
    mark = np.round(np.exp(random.normal(3.5, 0.7, shape)), 2)
    away = np.where(random.random(shape) < 0.1, random.integers(1, 10, shape), 0)
    mark[away > 0] = np.nan  # not listed yet
    tradable, bars = away == 0, []
    for _ in range(case.steps):
        leaves = tradable & (random.random(shape) < case.exit_rate)
        away = np.where(leaves, AWAY, np.maximum(away - 1, 0))
        opens, closes = _prices(case, random, mark, away > 0)
        action = random_action(case, random, mark)
        bar = _bar(case, random, action, tradable, mark, leaves, opens, closes)
        bars.append(bar)
        tradable, mark = np.isfinite(closes), bar.mark
    return bars


def _prices(
    case: Case, random: np.random.Generator, mark: np.ndarray, absent: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Draw opens and closes; NaN where missing."""
    shape, accounts = mark.shape, len(mark)
    before = np.where(np.isfinite(mark), mark, 50.0)
    gap, move = (1 + random.normal(0, sd, shape).clip(-0.5) for sd in (0.02, 0.04))
    crash = (random.random((accounts, 1)) < case.crash_rate) & (random.random(shape) < 0.8)
    jump, overnight = np.where(before > 40, 0.1, 4.0), random.random((accounts, 1)) < 0.5
    gap, move = np.where(crash & overnight, jump, gap), np.where(crash & ~overnight, jump, move)
    opens = np.maximum(np.round(before * gap, 2), 0.5)
    closes = np.maximum(np.round(opens * move, 2), 0.5)
    missing = [(random.random(shape) < case.missing_rate) | absent for _ in range(2)]
    return np.where(missing[0], np.nan, opens), np.where(missing[1], np.nan, closes)


def _bar(
    case: Case,
    random: np.random.Generator,
    action: np.ndarray,
    tradable: np.ndarray,
    before: np.ndarray,
    leaves: np.ndarray,
    opens: np.ndarray,
    closes: np.ndarray,
) -> Bar:
    """Lay out one bar as `docs/accounting.md` says, from the marks before and the prices after."""
    after = np.where(np.isfinite(closes), closes, np.where(np.isfinite(opens), opens, before))
    listed, shape = np.isfinite(before), before.shape
    price = np.where(tradable, before, np.nan) if case.same_close else opens
    can_fill = np.isfinite(price) & listed & ~leaves
    start = np.where(can_fill, price, before)
    paid = listed & (random.random(shape) < case.income_rate)
    return Bar(
        action=action,
        tradable=tradable,
        close=before,
        gap=np.where(can_fill, start / before - 1, 0.0),
        move=np.where(listed, after / start - 1, 0.0),
        can_fill=can_fill,
        years=random.choice([1.0, 1.0, 3.0, 0.0, 30.0], shape[0]) / 365,
        fill_price=np.where(can_fill, price, np.nan),
        mark=after,
        income=np.where(paid, random.choice([0.001, 0.02, 0.3], shape), 0.0),
        exit=leaves,
    )


# Actions --------------------------------------------------------------------------------------------------------------


def random_action(case: Case, random: np.random.Generator, mark: np.ndarray) -> np.ndarray:
    """Draw actions: ordinary ones, some at an edge, and some that are invalid."""
    shape, kind = mark.shape, case.params.action_kind
    if kind in ONE_NUMBER:
        count = 9 if kind == "discrete9" else len(case.params.exposures)
        action, invalid = random.integers(0, count, shape).astype(float), (*INVALID_NUMBERS, float(count))
    elif kind == "target_weight":
        most = case.params.max_leverage * random.choice([0.3, 1.0, 1.2], shape)
        action, invalid = random.uniform(-most, most), (np.nan, np.inf, -np.inf)
        action = np.where(random.random(shape) < 0.5, np.round(action, 1), action)
    elif kind == "orders":
        action, invalid = _random_orders(case, random, mark), (np.nan,)
    else:
        action, invalid = random.normal(0, 0.6, shape), (np.nan, np.inf, -np.inf)
        edge = case.params.dead_band * random.choice([-1, 1], shape) * (1 + random.choice([0, 1e-10, 1e-5], shape))
        action = np.where(random.random(shape) < 0.1, edge, action)
        action = np.where(random.random(shape) < 0.05, random.choice([-1.0, 1.0, -1e300], shape), action)
    if kind != "positions":
        action = np.where(random.random(shape) < case.hold_rate, 0.0, action)
    return np.where(random.random(shape) < case.invalid_rate, random.choice(invalid, shape), action)


def _random_orders(case: Case, random: np.random.Generator, mark: np.ndarray) -> np.ndarray:
    """Draw signed lots worth about a third of the capital, all-in orders, and orders beyond all means."""
    units = np.broadcast_to(np.asarray(case.params.lot_size, float), mark.shape)
    lot = np.where(units > 0, units, 1.0) * np.where(np.isfinite(mark), mark, 50.0) / case.params.capital
    action = random.normal(0, 0.4, mark.shape) * case.params.max_leverage / lot
    action = np.where(random.random(mark.shape) < 0.5, np.round(action), action)
    action = np.where(random.random(mark.shape) < 0.3, random.choice([40.0, -40.0], mark.shape), action)
    rare = random.random(mark.shape)
    action = np.where(rare < 0.08, random.choice([np.inf, -np.inf], mark.shape), action)
    return np.where(rare > 0.99, random.choice([1e12, -1e300], mark.shape), action)
