"""The straight-line code of the backtester is the rule book, to the last bit, and it is what runs."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from eval_bridge.backtester import replay_actor, run_backtest
from eval_bridge.straight_line import writer
from eval_bridge.straight_line.rows import Rules, make_rules
from eval_bridge.straight_line.write import leaves
from jaxtrade.config import CostConfig, EnvConfig
from jaxtrade.rules import Account, Known, Outcome, Record, RuleBook, advance, make_rule_book, observe
from jaxtrade.rules.rewards import REWARDS, Reward
from tests.helpers.decimal_cases import CASES
from tests.helpers.ledger_episodes import Case, pulse, random_bars, rule_book, rule_params
from tests.helpers.worlds import make_table, random_actions

Bar = tuple[np.ndarray, Known, Outcome]


def alone(name: str) -> tuple[Case, list[Bar]]:
    """Return a case with one account, and its bars."""
    case = replace(CASES[name], batch=(), steps=150)
    return case, [pulse(case, bar) for bar in random_bars(case, np.random.default_rng(case.seed))]


def rules_of(case: Case, bars: list[Bar], book: RuleBook | None = None) -> Rules:
    book = rule_book(case.params, tuple(REWARDS)) if book is None else book
    params = rule_params(case.params, len(REWARDS))
    return make_rules(book, params, *bars[0][1:], discrete=bars[0][0].ndim == 0)


def plain_and_row(rules: Rules, bars: list[Bar]) -> Iterator[tuple[Any, Any, bool]]:
    """Trade by the rows; yield what the plain rules make of the same account, the row, and if the code did it."""
    account = start = rules.example.account
    for action, known, outcome in bars:
        state, now = (rules._numbers(each) for each in (account, known))
        wanted = advance(np, rules.book, rules.params, account, action, known, outcome)
        view = observe(np, rules.book, account, known, rules.params)
        shown = rules.observe(*state, *now)
        number = float(np.asarray(action).item()) if rules.floats else np.asarray(action, np.float64)
        quick = rules._advance is not None and rules._advance(*state, number, *now, *rules._numbers(outcome))
        row = rules.advance(state, action, now, rules._numbers(outcome))
        found: tuple[Account, Record] = rules.records([np.copy(leaf) if np.ndim(leaf) else leaf for leaf in row])
        yield (wanted, tuple(view)), (found, tuple(shown)), bool(quick)
        account = start if found[1].ruined else found[0]


def assert_bitwise(rules: Rules, bars: list[Bar]) -> int:
    """Compare every leaf of every bar; return the bars that the code did."""
    quick = 0
    for wanted, found, by_code in plain_and_row(rules, bars):
        quick += by_code
        for mine, theirs in zip(leaves(found), leaves(wanted), strict=True):
            assert np.shape(mine) == np.shape(theirs)
            np.testing.assert_array_equal(mine, theirs)
    return quick


@pytest.mark.parametrize("name", CASES)
def test_rows_are_the_rules(name: str) -> None:
    case, bars = alone(name)
    quick = assert_bitwise(rules_of(case, bars), bars)
    assert 0.8 * len(bars) < quick, "the plain rules did most of it"


@pytest.mark.parametrize(
    "name", [pytest.param("orders, full, one symbol", marks=pytest.mark.nightly), "positions, short"]
)
def test_a_called_account_is_left_to_the_plain_rules(name: str) -> None:
    case, bars = alone(name)
    many = [pulse(case, bar) for seed in range(12) for bar in random_bars(case, np.random.default_rng(seed))]
    rules = rules_of(case, bars)
    ruined = [bool(wanted[0][1].ruined) for wanted, _, quick in plain_and_row(rules, many) if not quick]
    assert sum(ruined) > 2
    assert_bitwise(rules, many)


@pytest.mark.parametrize(
    ("op", "fault"), [("subtract", "{1} - {0}"), ("minimum", "{0}"), ("and", "{0}"), ("where", "{1}"), ("floor", "{0}")]
)
def test_a_wrong_operation_on_floats_is_noticed(op: str, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    case, bars = alone("proportional, lots")
    monkeypatch.setitem(writer.SCALAR, op, fault)
    with pytest.raises((AssertionError, ArithmeticError)):
        assert_bitwise(rules_of(case, bars), bars)


@pytest.mark.parametrize("op", ["absolute", "maximum", "sums"])
def test_a_wrong_operation_on_arrays_is_noticed(op: str, monkeypatch: pytest.MonkeyPatch) -> None:
    case, bars = alone("weights, triple, short")
    real = writer.ArrayWriter.__init__

    def faulty(self: writer.ArrayWriter, symbols: int) -> None:
        real(self, symbols)
        fault = {"absolute": np.negative, "maximum": np.minimum, "sums": np.maximum.reduce}[op]
        self.names[op if op == "sums" else f"np_{op}"] = fault

    monkeypatch.setattr(writer.ArrayWriter, "__init__", faulty)
    with pytest.raises(AssertionError):
        assert_bitwise(rules_of(case, bars), bars)


def greedy(xp: Any, memory: Any, record: Record, params: Any) -> Any:
    """A reward that branches on a value, which NumPy allows."""
    del xp, params
    return memory, record.pnl if record.pnl > 0 else 2 * record.pnl


def test_rules_that_cannot_be_traced_run_plain() -> None:
    case, bars = alone("continuous, one account")
    book = make_rule_book("continuous", (Reward(greedy),), allow_short=False)
    assert assert_bitwise(rules_of(case, bars, book), bars) == 0


@pytest.mark.parametrize("symbols", [1, 4])
def test_a_backtest_runs_by_the_code(symbols: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default rules and the dearest: at no bar but that of ruin are the plain rules asked."""
    table = make_table(30, 500, symbols, missing=0.02)
    span = table.ranges["train"]
    dear = EnvConfig(window=30, allow_short=True, max_leverage=2.0, lot_size=1.0, costs=CostConfig(min_commission=5.0))
    asked: list[int] = []
    monkeypatch.setattr("eval_bridge.straight_line.rows.advance", lambda *given: asked.append(1) or advance(*given))
    for config in (EnvConfig(window=30), dear):
        asked.clear()
        actions = random_actions(config, span.decisions, symbols)
        result = run_backtest(table, span, config, replay_actor(actions, span.first))
        assert len(asked) <= 1 + bool(result.steps[-1].record.ruined)  # once for the example
        assert len(result.ledger.orders) > 100


@pytest.mark.parametrize("symbols", [1, 4])
def test_history_is_not_overwritten(symbols: int) -> None:
    """What the actor saw at each bar is what the history shows, and it is what the steps before it left."""
    table, config = make_table(30, 400, symbols), EnvConfig(window=30)
    span = table.ranges["train"]
    actions, seen = random_actions(config, span.decisions, symbols), []

    def actor(bar: int, view: Any) -> Any:
        seen.append([np.copy(leaf) for leaf in view])
        return actions[bar - span.first], 0.0

    result = run_backtest(table, span, config, actor)
    for step, copies in zip(result.steps, seen, strict=True):
        for leaf, copied in zip(step.view, copies, strict=True):
            np.testing.assert_array_equal(leaf, copied)
    assert len({step.account.position.tobytes() for step in result.steps}) > len(seen) / 2
    equity = np.array([step.account.cash + step.account.position.sum() for step in result.steps])
    np.testing.assert_allclose(equity, result.equity[1:] / result.capital, rtol=1e-12)
    np.testing.assert_array_equal(result.series("equity") * result.capital, result.equity[1:])
