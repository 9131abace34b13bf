"""The rule book agrees with an account in Decimal that was written from docs/accounting.md alone."""

from dataclasses import replace
from math import prod
from zlib import crc32

import pytest

from tests.helpers.decimal_ledger import LedgerParams
from tests.helpers.ledger_episodes import Case, run_case

HALF = LedgerParams(max_leverage=0.5, ruin_floor=0.05, dead_band=0.05, trade_limit=0.9)
FULL = replace(HALF, max_leverage=1.0, trade_limit=0.97, buy_rate=0.001, sell_rate=0.002)
TRIPLE = replace(HALF, max_leverage=3.0, trade_limit=1.5, maintenance_margin=0.2, buy_rate=0.02, sell_rate=0.005)
FREE = replace(TRIPLE, buy_rate=0.0, sell_rate=0.0, maintenance_margin=0.0, dead_band=0.0)
DISCRETE = LedgerParams(ruin_floor=0.12, buy_rate=0.01, sell_rate=0.003, action_kind="discrete9")

COMMON = {"fills": 100, "blocked": 20, "rejected": 20, "scaled_down": 20, "idle": 20}
LONG = COMMON | {"closes": 20}
SHORT = COMMON | {"short": 100, "flips": 20, "ruined_at_open": 1, "ruined_at_mark": 1}
BORROWING = {"borrowed": 50, "unaffordable": 5, "ruined_at_open": 3, "ruined_at_mark": 3}

# name: (symbols, params, batch, at least so many steps of each kind)
Row = tuple[int, LedgerParams, tuple[int, ...], dict[str, int]]
CASES: dict[str, Row] = {
    "one symbol, long": (1, FULL, (16,), LONG),
    "one account, unbatched": (3, FULL, (), {"fills": 50, "blocked": 5, "rejected": 5, "scaled_down": 5}),
    "many symbols, long": (8, FULL, (16,), LONG),
    "half, long": (4, HALF, (16,), LONG),
    "half, short": (2, replace(HALF, allow_short=True, buy_rate=0.004), (2, 8), SHORT),
    "full, short": (5, replace(FULL, allow_short=True, sell_rate=0.02), (16,), SHORT),
    "one symbol, short": (1, replace(FULL, allow_short=True), (24,), SHORT),
    "triple, long": (2, TRIPLE, (16,), LONG | BORROWING | {"shortfalls": 3}),
    "triple, short": (3, replace(TRIPLE, allow_short=True), (16,), SHORT | BORROWING | {"shortfalls": 3}),
    "many symbols, triple, short": (8, replace(TRIPLE, allow_short=True), (12,), SHORT | {"shortfalls": 3}),
    "free, triple, short": (2, replace(FREE, allow_short=True), (16,), SHORT | {"shortfalls": 3}),
    "free, full, long": (2, replace(FREE, max_leverage=1.0, trade_limit=0.7), (16,), LONG),
    "discrete": (1, DISCRETE, (24,), LONG | {"ruined": 3}),
    "discrete, one account": (1, replace(DISCRETE, sell_rate=0.0), (), {"fills": 30, "closes": 3, "rejected": 3}),
    "discrete, half": (1, replace(DISCRETE, max_leverage=0.5, allow_short=True), (16,), LONG),
    "discrete, triple": (1, replace(DISCRETE, max_leverage=3.0, buy_rate=0.0), (16,), COMMON | {"scaled_down": 0}),
}


def case_of(name: str) -> Case:
    symbols, params, batch, _ = CASES[name]
    return Case(symbols, params, seed=crc32(name.encode()), batch=batch, steps=100 if batch else 400, crash_rate=0.04)


@pytest.mark.parametrize("name", CASES)
def test_every_step_agrees(name: str) -> None:
    case, (*_, wanted) = case_of(name), CASES[name]
    kinds = run_case(case)
    assert kinds["steps"] == prod(case.batch) * case.steps
    rare = {kind: kinds[kind] for kind, least in wanted.items() if kinds[kind] < least}
    assert not rare, f"occurred too rarely: {rare} in {dict(kinds)}"


def test_the_cases_are_many() -> None:
    assert sum(prod(case.batch) * case.steps for case in map(case_of, CASES)) > 20_000
