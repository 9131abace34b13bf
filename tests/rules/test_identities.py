"""The identities of the account, on random markets and actions, in float64; each is shown failing on a fault."""

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxtrade.assemble import rule_book, rule_params
from jaxtrade.config import CostConfig, EnvConfig
from jaxtrade.rules import Known, Outcome, Record, RuleBook, advance, observe, open_account
from jaxtrade.rules.accounting import fill, revalue
from jaxtrade.rules.rewards import fast_profit, log_return
from jaxtrade.rules.types import Account, Orders, RuleParams, equity_of
from tests.helpers import identities
from tests.helpers.decimal_ledger import LedgerParams
from tests.helpers.identities import EVERYWHERE, LONG_ONLY, UNLEVERED, Check, trade
from tests.helpers.ledger_episodes import Case

accounting = import_module("jaxtrade.rules.accounting")
advancing = import_module("jaxtrade.rules.advance")

LONG = LedgerParams(buy_rate=0.001, sell_rate=0.002, ruin_floor=0.05, trade_limit=0.9)
TRIPLE = replace(LONG, allow_short=True, max_leverage=3.0, maintenance_margin=0.2, trade_limit=1.5, buy_rate=0.02)
DISCRETE = replace(LONG, action_kind="discrete9")
CASES = {
    "one symbol": Case(1, LONG, seed=1, batch=(64,)),
    "many symbols": Case(7, LONG, seed=2, batch=(32,)),
    "half": Case(3, replace(LONG, max_leverage=0.5), seed=3, batch=(32,)),
    "short": Case(3, replace(LONG, allow_short=True), seed=4, batch=(32,), crash_rate=0.04),
    "triple, short": Case(5, TRIPLE, seed=5, batch=(32,), crash_rate=0.05),
    "no floor to speak of": Case(1, replace(TRIPLE, ruin_floor=1e-6, maintenance_margin=0.0), seed=6, batch=(32,)),
    "discrete": Case(1, DISCRETE, seed=7, batch=(64,)),
    "free": Case(4, replace(LONG, buy_rate=0.0, sell_rate=0.0, trade_limit=3.0), seed=8, batch=(32,)),
}


def checks_of(case: Case) -> tuple[Check, ...]:
    """Return the identities that hold for a case."""
    if case.params.allow_short:
        return EVERYWHERE
    return (*EVERYWHERE, *LONG_ONLY, *(UNLEVERED if case.params.max_leverage <= 1 else ()))


@pytest.mark.parametrize("name", CASES)
def test_identities_hold(name: str) -> None:
    moments = trade(CASES[name])
    for check in checks_of(CASES[name]):
        check(moments)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("name", CASES)
def test_identities_hold_for_long(name: str, seed: int) -> None:
    case = replace(CASES[name], seed=1000 + seed, steps=1000)
    moments = trade(case)
    for check in checks_of(case):
        check(moments)


# Faults: what is replaced, where the identity must notice -------------------------------------------------------------


def without_fees_in_cash(patch: pytest.MonkeyPatch) -> None:
    real = accounting.commission
    patch.setattr(accounting, "commission", lambda *args: 0.5 * real(*args))


def shortfall_forgotten(patch: pytest.MonkeyPatch) -> None:
    real = advancing.liquidate_if_ruined

    def liquidate_if_ruined(*args: object) -> object:
        done = real(*args)
        return done._replace(shortfall=np.zeros_like(done.shortfall))

    patch.setattr(advancing, "liquidate_if_ruined", liquidate_if_ruined)


def basis_kept(patch: pytest.MonkeyPatch) -> None:
    real = accounting.reduce_positions

    def reduce_positions(xp: object, account: Account, *args: object) -> object:
        reduced, realized = real(xp, account, *args)
        return reduced._replace(basis=account.basis), realized

    patch.setattr(accounting, "reduce_positions", reduce_positions)


def credit_for_all(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(accounting, "affordable", lambda xp, account, increasing, params: xp.ones_like(account.cash))


def shorts_for_all(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(advancing, "limit", lambda xp, orders, account, allow_short: orders)


def residue_kept(patch: pytest.MonkeyPatch) -> None:
    real = accounting.reduce_positions

    def reduce_positions(xp: object, account: Account, reducing: np.ndarray) -> object:
        reduced, realized = real(xp, account, reducing)
        return reduced._replace(
            position=np.where(reducing == -account.position, 1e-16 * account.position, reduced.position)
        ), realized

    patch.setattr(accounting, "reduce_positions", reduce_positions)


def simple_returns(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(identities.REWARDS, "log_return", lambda xp, record: record.pnl / record.equity_before)


def ruin_without_floor(patch: pytest.MonkeyPatch) -> None:
    real = advancing.liquidate_if_ruined
    patch.setattr(
        advancing,
        "liquidate_if_ruined",
        lambda xp, account, params: real(xp, account, params._replace(ruin_floor=params.ruin_floor - 1e9)),
    )


def weight_unsquashed(patch: pytest.MonkeyPatch) -> None:
    def unsquashed(xp: object, account: Account, known: Known, params: RuleParams) -> tuple[np.ndarray, ...]:
        seen = observe(xp, account, known, params)
        return seen.assets, account.cash[..., None] / equity_of(xp, account)[..., None]

    patch.setattr(identities, "observe", unsquashed)


Fault = Callable[[pytest.MonkeyPatch], None]
FAULTS: dict[str, tuple[Fault, str, Check, str]] = {
    "fees halved": (without_fees_in_cash, "many symbols", identities.check_conservation, "^fees: "),
    "shortfall forgotten": (shortfall_forgotten, "triple, short", identities.check_conservation, "^cash: "),
    "basis kept": (basis_kept, "many symbols", identities.check_profit_adds_up, "^realised"),
    "leverage unlimited": (credit_for_all, "many symbols", identities.check_leverage, "^leverage exceeded"),
    "cash borrowed": (credit_for_all, "free", identities.check_cash_is_not_borrowed, "^cash of -"),
    "shorts for all": (shorts_for_all, "many symbols", identities.check_never_short, "^a holding of -"),
    "residue kept": (residue_kept, "discrete", identities.check_closed_is_zero, "^a residue"),
    "simple returns": (simple_returns, "one symbol", identities.check_log_rewards_telescope, "^exp of"),
    "no floor": (ruin_without_floor, "triple, short", identities.check_ruin_is_final, "^cash below the floor"),
    "unsquashed": (weight_unsquashed, "triple, short", identities.check_observation_is_bounded, "^a field of"),
}


@pytest.mark.filterwarnings("ignore:invalid value|divide by zero:RuntimeWarning")
@pytest.mark.parametrize("name", FAULTS)
def test_each_identity_can_fail(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plant, case, check, complaint = FAULTS[name]
    plant(monkeypatch)
    with pytest.raises(AssertionError, match=complaint):
        check(trade(CASES[case]))


# One by one -----------------------------------------------------------------------------------------------------------

ANY_FLOAT = st.floats(allow_nan=True, allow_infinity=True, width=64)
MOVE = st.floats(-0.95, 4.0)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.lists(st.tuples(ANY_FLOAT, ANY_FLOAT, MOVE, MOVE, MOVE, MOVE, st.integers(0, 15)), min_size=1, max_size=12),
    st.sampled_from([0.3, 1.0]),
)
def test_whatever_the_action_nothing_is_borrowed_or_short(bars: list[tuple], leverage: float) -> None:
    config = EnvConfig(trade_limit_percent=250.0, max_leverage=leverage, dead_band=0.0)
    book, params = rule_book(config), rule_params(config)
    account = open_account(np, np.zeros(2))
    for *numbers, flags in bars:
        action, gap, move = np.array(numbers[:2]), np.array(numbers[2:4]), np.array(numbers[4:6])
        bits = (flags >> np.arange(4)) & 1 == 1
        account, record = advance(np, book, params, account, action, Known(bits[:2]), Outcome(gap, move, bits[2:]))
        size = 1 + np.abs(account.position).sum()
        assert account.cash >= -1e-14 * size
        assert np.all(account.position >= 0)
        assert np.all(np.isfinite(account.position))
        assert np.isfinite(log_return(np, record))
        wanted = np.clip(action, -1, 1).astype(np.float32) != 0
        np.testing.assert_array_equal(record.rejected, ~np.isfinite(action) | (wanted & ~bits[:2]))
        assert record.ruined or not np.any(record.fill_value[record.rejected]), "a rejected order was filled"


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.one_of(ANY_FLOAT, st.integers(-3, 12)), MOVE, MOVE), min_size=1, max_size=12))
def test_whatever_the_number_discrete_never_borrows(bars: list[tuple]) -> None:
    config = EnvConfig(action="discrete9")
    book, params = rule_book(config), rule_params(config)
    account, yes = open_account(np, np.zeros(1)), np.array([True])
    for number, gap, move in bars:
        outcome = Outcome(np.array([gap]), np.array([move]), yes)
        account, record = advance(np, book, params, account, np.array(number), Known(yes), outcome)
        assert account.cash >= -1e-14 * (1 + account.position[0])
        assert account.position[0] >= 0
        rounded = np.float32(np.clip(number, -1e30, 1e30))
        assert record.rejected[0] == (rounded not in range(9))
        if number == 8 and not record.ruined:
            assert account.position[0] == 0
            assert account.basis[0] == 0


def still(symbols: int) -> Outcome:
    """Return a bar on which nothing moves."""
    return Outcome(np.zeros(symbols), np.zeros(symbols), np.ones(symbols, bool))


def step(config: EnvConfig, account: Account, action: np.ndarray, outcome: Outcome) -> tuple[Account, Record]:
    """Advance one account of tradable symbols."""
    known = Known(np.ones(account.position.shape, bool))
    book: RuleBook = rule_book(config)
    return advance(np, book, rule_params(config), account, action, known, outcome)


@pytest.mark.parametrize("action", [0.0, 0.1, -0.1, np.nan, np.inf, -np.inf])
def test_no_action_and_no_move_change_nothing(action: float) -> None:
    config = EnvConfig(max_leverage=2.0, allow_short=True)
    account = Account(np.array(1.7), np.array([0.4, -0.9]), np.array([0.3, -1.1]), np.array(1.3), np.zeros(2))
    after, record = step(config, account, np.full(2, action), still(2))
    assert record.pnl == record.fees == record.turnover == 0
    for name in ("cash", "position", "basis", "peak_equity"):
        np.testing.assert_array_equal(getattr(after, name), getattr(account, name))
    np.testing.assert_array_equal(after.idle, np.ones(2))


def test_a_fee_never_helps_given_the_same_fills() -> None:
    """A grid of fee levels is a leading axis; the orders are the same values for all, and small enough to fill."""
    rng = np.random.default_rng(0)
    fees = np.sort(rng.uniform(0, 0.05, 40))
    for which in ("buy_rate", "sell_rate"):
        params = rule_params(EnvConfig(max_leverage=3.0, allow_short=True))._replace(**{which: fees[:, None]})
        account = open_account(np, np.zeros((40, 3)))
        for _ in range(30):
            order = np.broadcast_to(rng.normal(0, 0.02, 3), (40, 3))
            orders = Orders(order, np.zeros((40, 3), bool), np.zeros((40, 3), bool))
            done = fill(np, account, orders, np.ones((40, 3), bool), params)
            np.testing.assert_allclose(done.value, order, rtol=1e-12)
            account, _ = revalue(np, done.account, np.broadcast_to(rng.normal(0, 0.03, 3), (40, 3)))
            assert np.all(np.diff(equity_of(np, account)) <= 1e-15)
        assert np.ptp(equity_of(np, account)) > 1e-3


def test_rewards_by_hand() -> None:
    """Half of the capital in a symbol that gains 10 %, at 0.1 % commission on the purchase."""
    config = EnvConfig(trade_limit_percent=50.0, costs=CostConfig(buy_percent=0.1))
    outcome = Outcome(np.zeros(1), np.array([0.1]), np.array([True]))
    account, record = step(config, open_account(np, np.zeros(1)), np.array([1.0]), outcome)
    np.testing.assert_allclose(record.pnl, 0.05 - 0.0005, rtol=1e-14)
    np.testing.assert_allclose(account.cash, 0.4995, rtol=1e-14)
    np.testing.assert_allclose(account.position, [0.55], rtol=1e-14)
    np.testing.assert_allclose(log_return(np, record), np.log(1.0495), rtol=1e-14)
    np.testing.assert_allclose(fast_profit(np, record), np.tanh(0.495), rtol=1e-14)


@pytest.mark.parametrize("action", [1.0, -1.0, 0.0, np.nan])
def test_an_account_at_the_floor_stays_there(action: float) -> None:
    config = EnvConfig(trade_limit_percent=300.0, max_leverage=3.0, allow_short=True)
    before = Account(np.array(-1.9), np.array([3.0]), np.array([2.9]), np.array(1.2), np.zeros(1))
    crash = Outcome(np.array([-0.6]), np.array([0.2]), np.array([True]))
    account, record = step(config, before, np.array([action]), crash)
    assert record.ruined
    assert account.cash == record.equity == 0.01
    np.testing.assert_allclose(record.shortfall, 0.01 - (-1.9 + 1.2 * 0.999), rtol=1e-12)
    for _ in range(3):
        account, record = step(config, account, np.array([action]), Outcome(crash.gap, crash.move, crash.can_fill))
        assert record.ruined
        assert record.equity == 0.01
        assert log_return(np, record) == fast_profit(np, record) == 0
