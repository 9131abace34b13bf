"""The identities of the account, on random markets and actions of every kind, in float64."""

from collections import Counter
from functools import cache
from importlib import import_module

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxtrade.rules import Account, Outcome, RuleParams, advance, open_account
from jaxtrade.rules.accounting import fill, liquidate
from jaxtrade.rules.types import Tickets
from tests.helpers.bar_by_hand import everything, open_of
from tests.helpers.identities import check_all
from tests.helpers.rule_worlds import WORLDS, Moment, World, make_env, random_bars, trade


@cache
def traded(name: str) -> list[Moment]:
    """Return a world's story; two tests read it."""
    return trade(WORLDS[name])


@pytest.mark.parametrize("name", WORLDS)
def test_identities_hold(name: str) -> None:
    check_all(traded(name))


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", WORLDS)
def test_identities_hold_for_long(name: str, seed: int) -> None:
    check_all(trade(WORLDS[name]._replace(seed=1000 + seed, bars=400)))


def events_of(moment: Moment) -> dict[str, np.ndarray]:
    """Return what happened on a bar, booleans to be counted."""
    at, record, before, params = open_of(moment), moment.record, moment.before, moment.params
    lone = params.min_commission / params.capital[..., None] * (np.abs(at.reduced) + np.abs(at.added) > 0)
    quiet, flipped = ~record.ruined, (at.reduced != 0) & (at.added != 0)
    return {
        "flip": flipped,
        "partial close": (at.reduced != 0) & (moment.account.position * before.position > 0),
        "full close": quiet[:, None] & (at.reduced != 0) & (moment.account.position == 0),
        "opened long": at.added > 0,
        "opened short": at.added < 0,
        "at the leverage limit": np.isclose(
            np.abs(at.position + record.fill_value).sum(axis=-1),
            params.max_leverage * (at.equity - everything(at.costs)),
            rtol=1e-4,
        )
        & np.any(at.added != 0, axis=-1),
        "minimum commission paid": (lone > 0) & (record.costs.commission[:, None] <= 1.01 * lone),
        "delisted long": record.exit_value < 0,
        "delisted short": record.exit_value > 0,
        "loss by delisting": record.exit_loss > 0,
        "dividend": record.income > 0,
        "dividend of a short": record.income < 0,
        "borrow fee": record.borrow > 0,
        "interest": record.interest > 0,
        "blocked": record.blocked,
        "rejected": record.rejected,
        "called at the open": record.called,
        "ruined at the mark": record.ruined & ~record.called,
        "shortfall": record.shortfall > 0,
        "ruined with cash left": record.ruined & (record.equity > 1.001 * params.ruin_floor),
        "unlisted": np.isnan(moment.known.close),
    }


def test_everything_happens() -> None:
    """The worlds are rough enough: every event that an identity speaks of is met, often."""
    count: Counter[str] = Counter()
    for name in WORLDS:
        for moment in traded(name):
            count.update({event: int(np.sum(happened)) for event, happened in events_of(moment).items()})
    rare = {name: times for name, times in count.items() if times < 20}
    assert not rare, f"too rare: {rare}"


# No fill changes equity but by its costs ------------------------------------------------------------------------------

AMOUNT = st.floats(-2, 2).map(lambda x: round(x, 6))
SYMBOL = st.tuples(AMOUNT, AMOUNT, AMOUNT, st.floats(-0.9, 3), st.booleans())
COSTS = {"buy_percent": 0.3, "sell_percent": 0.7, "min_commission": 40.0, "half_spread_bps": 4.0, "slippage_bps": 9.0}
FREE = dict.fromkeys(COSTS, 0.0)


def tickets_of(symbols: np.ndarray, position: np.ndarray) -> Tickets:
    """Return tickets that reduce by at most the position, and add on the other side or further on."""
    share, added = np.clip(np.abs(symbols[:, 1]), 0, 1), symbols[:, 2]
    closes = (share == 1) & (position != 0)
    zero = np.zeros_like(position)
    return Tickets(
        -share * position, closes, np.where((share < 1) & (position * added < 0), 0, added), zero, zero, None
    )


def check_fill(symbols: list, cash: float, ruined: bool, free: bool) -> None:
    """Fill, and liquidate, one account."""
    numbers = np.array([symbol[:4] for symbol in symbols])
    position, zero = numbers[:, 0], np.zeros(3)
    params = World(make_env(allow_short=True, max_leverage=3.0, **(FREE if free else COSTS))).params
    account = Account(np.array(cash), position, zero, 0.9 * position, np.array(9.0), zero, ())
    gap, can_fill = numbers[:, 3], np.array([symbol[4] for symbol in symbols])
    outcome, call = Outcome(gap, zero, can_fill, np.array(0.0)), np.array(ruined)
    tickets = tickets_of(numbers, position / (1 + gap))
    opened = fill(np, account, tickets, call, outcome, params, False)
    for done in (opened, liquidate(np, account, call, params)):
        after, scale = done.account, 1e-13 * (1 + np.abs(position).sum() + np.abs(done.value).sum())
        paid = everything(done.costs)
        assert abs((after.cash + after.position.sum()) - (cash + position.sum()) + paid) <= scale, "money made or lost"
        assert paid >= 0
        assert paid == 0 or not free
        assert not (ruined and np.any(after.position)), "a ruined account holds something"


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(SYMBOL, min_size=3, max_size=3), st.floats(0.2, 3), st.booleans(), st.booleans())
def test_no_fill_changes_equity_but_by_its_costs(symbols: list, cash: float, ruined: bool, free: bool) -> None:
    check_fill(symbols, cash, ruined, free)


def test_proceeds_without_costs_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    accounting = import_module("jaxtrade.rules.accounting")
    real = accounting.reduce_positions

    def reduce_positions(*args: object) -> object:
        done = real(*args)
        return done._replace(account=done.account._replace(cash=done.account.cash + done.costs.impact))

    monkeypatch.setattr(accounting, "reduce_positions", reduce_positions)
    with pytest.raises(AssertionError, match="money made"):
        check_fill([(0.5, 0.4, 0.0, 0.1, True)] * 3, 1.0, False, False)


# Nothing comes of nothing ---------------------------------------------------------------------------------------------

KINDS: dict[str, dict] = {
    "continuous": {"allow_short": True, "max_leverage": 3.0},
    "proportional": {},
    "discrete9": {},
    "target_weight": {"allow_short": True, "max_leverage": 3.0},
    "positions": {"allow_short": True, "max_leverage": 3.0, "positions": (-1, 0, 2.5)},
    "orders": {"allow_short": True, "max_leverage": 3.0},
}
ZERO = {"target_weight": np.nan, "positions": np.nan}  # a weight of 0 closes: these hold by what is no number


def world_of(kind: str, **changes: object) -> World:
    env = make_env(kind, **KINDS[kind] | changes)
    return World(env, symbols=1 if env.one_symbol else 3, lanes=2)


def action_of(world: World, number: float) -> np.ndarray:
    """Return the same number for every lane and symbol."""
    return np.full((2,) if world.env.choices is not None else (2, world.symbols), number)


def still(world: World) -> Outcome:
    """Return a night on which nothing moves, and which lasts a year."""
    zero = np.zeros((2, world.symbols))
    price = zero + 50
    return Outcome(zero, zero, zero == 0, np.ones(2), price, price, zero, zero != 0)


def held_account(world: World) -> Account:
    """Return a long account, and beside it, where it may, a short one that owes no cash."""
    long = np.full(world.symbols, 0.2)
    position = np.stack([long, -long if world.env.allow_short else long])
    cash = 1.1 - position.sum(axis=1)
    fresh = open_account(np, world.book, position)
    return fresh._replace(cash=cash, position=position, basis=1.1 * position, peak_equity=cash * 0 + 1.3)


@pytest.mark.parametrize("kind", KINDS)
def test_no_action_and_constant_prices_change_nothing(kind: str) -> None:
    world = world_of(kind)
    check_nothing_changes(world, action_of(world, ZERO.get(kind, 0.0)), world.params)


def check_nothing_changes(world: World, action: np.ndarray, params: RuleParams) -> None:
    account, outcome = held_account(world), still(world)
    known = world.known(outcome)
    after, record = advance(np, world.book, params, account, action, known, outcome)
    assert not np.any(record.pnl), "profit of nothing"
    assert not np.any(record.reward), "a reward for nothing"
    assert not np.any(record.turnover + record.fees + record.financing)
    for name in ("cash", "position", "lots", "basis", "peak_equity"):
        np.testing.assert_array_equal(getattr(after, name), getattr(account, name), name)
    np.testing.assert_array_equal(after.idle, np.ones_like(after.idle))


def test_a_fee_for_holding_would_be_noticed() -> None:
    world = world_of("continuous")
    with pytest.raises(AssertionError, match="profit of nothing"):
        check_nothing_changes(world, action_of(world, 0.0), world_of("continuous", borrow_percent=0.1).params)


# Ruin is for good -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_an_account_at_the_floor_stays_there(kind: str) -> None:
    """Whatever is ordered and whatever happens, an account that ruin left at the floor keeps it, and earns 0."""
    world = world_of(kind, ruin_percent=2.0, **COSTS)._replace(bars=40, dividends=0.3, delistings=0.05)
    random, params = np.random.default_rng(3), world.params
    fresh = open_account(np, world.book, np.zeros((2, world.symbols)))
    account = fresh._replace(cash=np.full(2, 0.02))
    for number, (known, outcome) in enumerate(random_bars(world, random)):
        action = action_of(world, [1.0, -1.0, 4.0, np.inf, np.nan, 0.0, 2.0][number % 7])
        account, record = advance(np, world.book, params, account, action, known, outcome)
        assert record.ruined.all(), "an account at the floor lives on"
        np.testing.assert_array_equal(record.equity, 0.02)
        np.testing.assert_array_equal(account.position, 0)
        np.testing.assert_array_equal(record.reward, 0)


def test_a_floor_that_is_no_ruin_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        import_module("jaxtrade.rules.advance"),
        "is_ruined",
        lambda xp, account, params: account.cash + account.position.sum(axis=-1) < 0.5 * params.ruin_floor,
    )
    with pytest.raises(AssertionError, match="lives on"):
        test_an_account_at_the_floor_stays_there("target_weight")
