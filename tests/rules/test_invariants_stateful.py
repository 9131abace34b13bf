"""One account under any configuration, stepped by any actions through any market; hypothesis looks for the bar that
breaks an identity."""

from importlib import import_module
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from jaxtrade.rules import Account, Known, advance
from tests.helpers.identities import PER_BAR, PER_LIFE
from tests.helpers.rule_worlds import Moment, World, make_env, outcome_of, restart, start_of, units_of

accounting, advancing = (import_module(f"jaxtrade.rules.{name}") for name in ("accounting", "advance"))

SIZES = {
    "buy_percent": (0.1, 0.0, 2.0, 60.0),
    "sell_percent": (0.1, 0.0, 5.0, 99.0),
    "min_commission": (0.0, 5.0, 300.0),
    "stamp_duty_percent": (0.0, 0.5),
    "stamp_duty_side": ("buy", "sell", "both"),
    "half_spread_bps": (0.0, 5.0, 1000.0),
    "slippage_bps": (0.0, 20.0),
    "borrow_percent": (0.0, 30.0),
    "interest_percent": (0.0, 30.0),
    "lot_size": (0.0, 1.0, 0.01, 10.0, {"S0": 5.0, "default": 0.0}),
    "min_notional": (0.0, 500.0),
    "max_trade_percent": (None, 25.0),
    "max_position_percent": (None, 40.0),
    "maintenance_margin_percent": (25.0, 0.0, 33.0),
    "ruin_percent": (1.0, 0.01, 40.0),
    "delisting_recovery_percent": (100.0, 0.0, 60.0),
    "initial_cash": (1e4, 250.0, 1e9),
}
ODD = st.sampled_from([np.nan, np.inf, -np.inf, 1e300, -1e300, 0.0, -0.0, 1.0, -1.0, 5e-324, 2.5, 9.0, -1e-9])
NUMBER = st.one_of(st.floats(-1.5, 1.5), ODD, st.integers(-1, 9).map(float))
RETURN = st.one_of(st.floats(-0.05, 0.05), st.floats(-0.95, 3.0), st.just(0.0))
DAY = st.sampled_from(["bar"] * 6 + ["no open", "no close", "no bar", "delisted"])
SYMBOL = st.tuples(NUMBER, RETURN, RETURN, DAY, st.sampled_from([0.0, 0.0, 0.0, 0.03]))


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Draw a configuration of any kind of action, and up to three symbols."""
    kind = draw(st.sampled_from(["continuous", "target_weight", "orders", "positions", "proportional", "discrete9"]))
    short = kind not in ("proportional", "discrete9") and draw(st.booleans())
    leverage = draw(st.sampled_from([1.0, 0.5, 3.0]))
    sizes = {name: draw(st.sampled_from(choices)) for name, choices in SIZES.items()}
    if kind == "positions":
        sizes["positions"] = (0.0, leverage, -leverage) if short else (0.0, leverage)
    if kind == "continuous":
        sizes["trade_limit_percent"] = draw(st.sampled_from([30.0, 400.0]))
    env = make_env(kind, allow_short=short, max_leverage=leverage, **sizes)
    return World(env, 1 if env.one_symbol else draw(st.integers(1, 3)), lanes=1)


class Trading(RuleBasedStateMachine):
    """An account in a market; a ruined one starts afresh."""

    @initialize(world=worlds())
    def open_account(self, world: World) -> None:
        self.world, self.book, self.params = world, world.book, world.params
        self.account = start_of(world)
        self.known = Known(np.ones((1, world.symbols), bool), np.full((1, world.symbols), 50.0))
        self.moments: list[Moment] = []
        event(world.env.action)

    @rule(symbols=st.tuples(SYMBOL, SYMBOL, SYMBOL), days=st.sampled_from([1, 3, 365]))
    def any_bar(self, symbols: tuple[Any, ...], days: int) -> None:
        numbers, gap, move, day, income = (
            np.array(each)[None, : self.world.symbols] for each in zip(*symbols, strict=True)
        )
        before, gone = self.known.close, day == "delisted"
        open_ = np.where((day == "no open") | (day == "no bar") | gone, np.nan, before * (1 + gap))
        close = np.where(np.isfinite(open_), open_, before) * (1 + move)
        close = np.where((day == "no close") | (day == "no bar") | gone, np.nan, close)
        mark = np.where(np.isfinite(close), close, np.where(np.isfinite(open_), open_, before))
        outcome = outcome_of(before, open_, mark, gone, years=np.array([days / 365]), income=income)
        self.step(numbers, outcome)
        self.known = Known(np.isfinite(close), mark)

    @rule(number=st.sampled_from([-1.0, 0.0, 1.0, 8.0, np.inf, -np.inf, np.nan]))
    def quiet_bar(self, number: float) -> None:
        """Close, buy all there is, or talk nonsense, while nothing moves."""
        zero, mark = np.zeros_like(self.known.close), self.known.close
        outcome = outcome_of(mark, mark, mark, zero != 0, years=np.array([1 / 365]), income=zero)
        self.step(zero + number, outcome)
        self.known = Known(zero == 0, mark)

    def step(self, numbers: np.ndarray, outcome: Any) -> None:
        if self.world.env.action == "orders":
            numbers = units_of(self.params, self.account, self.known, numbers)
        action = numbers[:, 0] if self.world.env.choices is not None else numbers
        after, record = advance(np, self.book, self.params, self.account, action, self.known, outcome)
        told = (self.world.env, self.book, self.params, self.account, action, self.known, outcome, after, record)
        self.moments.append(Moment(*told))
        self.account = restart(after, start_of(self.world), record.ruined)
        event("ruined" if record.ruined else "traded" if np.any(record.fill_value) else "held")

    @invariant()
    def every_identity_of_the_bar(self) -> None:
        for moment in self.moments[-1:]:
            for check in PER_BAR:
                check(moment)

    def teardown(self) -> None:
        for check in PER_LIFE if getattr(self, "moments", None) else ():
            check(self.moments)


DEFAULT = settings(max_examples=50, stateful_step_count=20, deadline=None, derandomize=True)
TestTrading = Trading.TestCase
TestTrading.settings = DEFAULT


@pytest.mark.nightly
def test_many_accounts_for_long() -> None:
    run_state_machine_as_test(Trading, settings=settings(DEFAULT, max_examples=1500, stateful_step_count=60))


# Faults that take a state to show -------------------------------------------------------------------------------------


def lots_forgotten(patch: pytest.MonkeyPatch) -> None:
    """A delisted symbol keeps its lots, and so comes back to life at the next mark."""
    real = advancing.delist

    def delist(xp: Any, account: Account, *rest: Any) -> tuple:
        after, *others = real(xp, account, *rest)
        return after._replace(lots=account.lots), *others

    patch.setattr(advancing, "delist", delist)


def dividends_of_longs(patch: pytest.MonkeyPatch) -> None:
    """Who is short pays no dividend."""
    real = advancing.receive
    patch.setattr(advancing, "receive", lambda xp, a, income: real(xp, a, np.where(a.position > 0, income, 0)))


def minimum_not_reserved(patch: pytest.MonkeyPatch) -> None:
    """What is bought is not cut by the minimum commission."""
    real = accounting.affordable
    free = lambda xp, a, q, p: real(xp, a, q, p._replace(min_commission=0 * p.min_commission))  # noqa: E731
    patch.setattr(accounting, "affordable", free)


@pytest.mark.parametrize("plant", [lots_forgotten, dividends_of_longs, minimum_not_reserved])
def test_the_machine_finds_a_fault(plant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    quick = settings(DEFAULT, max_examples=400, phases=[Phase.generate], report_multiple_bugs=False)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(Trading, settings=quick)
