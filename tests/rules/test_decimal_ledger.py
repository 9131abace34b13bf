"""The rule book agrees with an account in Decimal written from docs/accounting.md and docs/actions.md alone."""

from dataclasses import replace
from functools import cache
from math import prod

import pytest

from jaxtrade.rules import RuleParams
from tests.helpers import ledger_episodes
from tests.helpers.decimal_cases import CASES, IN_EACH, IN_SHORT, WANTED
from tests.helpers.decimal_market import Case
from tests.helpers.ledger_episodes import Tally, rule_params, run_case

KINDS = sorted({case.params.action_kind for case in CASES.values()})


@cache
def tally_of(case: Case) -> Tally:
    return run_case(case)


def together(cases: list[Case]) -> Tally:
    total = Tally()
    for case in cases:
        total.update(tally_of(case))
    return total


def assert_explained(tally: Tally) -> None:
    """Fewer than one step in a thousand may differ, and only by a decision within rounding of its boundary."""
    assert tally["explained"] * 1000 < tally["steps"], f"{tally['explained']} of {tally['steps']} steps differ"


def assert_occurred(tally: Tally, wanted: dict[str, int]) -> None:
    rare = {event: tally[event] for event, least in wanted.items() if tally[event] < least}
    assert not rare, f"occurred too rarely: {rare} in {dict(tally)}"


@pytest.mark.parametrize("name", CASES)
def test_every_step_agrees(name: str) -> None:
    case = CASES[name]
    tally = tally_of(case)
    assert tally["steps"] == prod(case.batch) * case.steps
    assert_explained(tally)


def test_everything_on_the_pages_occurred() -> None:
    tally = together(list(CASES.values()))
    assert tally["steps"] > 20_000
    assert_occurred(tally, WANTED)


@pytest.mark.parametrize("kind", KINDS)
def test_everything_occurred_with_every_kind_of_action(kind: str) -> None:
    cases = [case for case in CASES.values() if case.params.action_kind == kind]
    assert_occurred(together(cases), IN_EACH)
    short = [case for case in cases if case.params.allow_short]
    if short:
        assert_occurred(together(short), IN_SHORT)


def test_all_kinds_of_action_are_here() -> None:
    assert KINDS == ["continuous", "discrete9", "orders", "positions", "proportional", "target_weight"]


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("name", CASES)
def test_long_episodes_agree(name: str, seed: int) -> None:
    assert_explained(run_case(replace(CASES[name], seed=1000 + seed, steps=300)))


# field of RuleParams: a case in which another value of it must be noticed, and the factor to that value
NOTICED = {
    **dict.fromkeys(("buy_rate", "sell_rate", "duty_buy", "duty_sell"), ("continuous, long", 1 + 1e-8)),
    **dict.fromkeys(("half_spread", "slippage", "interest_rate"), ("weights, triple, short", 1 + 1e-8)),
    **dict.fromkeys(("min_commission", "recovery", "borrow_rate"), ("orders, lots, limits", 1 + 1e-8)),
    **dict.fromkeys(("max_leverage", "max_position"), ("orders, lots, limits", 1 + 1e-2)),
    **dict.fromkeys(("lot_size", "capital"), ("positions, lots", 1 + 1e-4)),
    "min_notional": ("continuous, lots, limits", 1.5),
    "maintenance_margin": ("continuous, triple, short", 1.5),
    "ruin_floor": ("discrete", 1 + 1e-8),
    "dead_band": ("weights, long", 1.2),
    "max_trade": ("continuous, lots, limits", 1 + 1e-2),
    "trade_limit": ("continuous, long", 1 + 1e-8),
}


@pytest.mark.parametrize("field", NOTICED)
def test_another_number_is_noticed(field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, factor = NOTICED[field]
    params = rule_params(CASES[name].params)
    other = params._replace(**{field: getattr(params, field) * factor})
    monkeypatch.setattr(ledger_episodes, "rule_params", lambda _: other)
    with pytest.raises(AssertionError):
        run_case(CASES[name])


def test_every_number_is_tried() -> None:
    assert {*NOTICED, "reward"} == set(RuleParams._fields)
