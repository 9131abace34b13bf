"""What must not matter: the order of symbols, the scale of prices and of the capital; and what must: costs."""

from importlib import import_module
from typing import Any

import jax
import numpy as np
import pytest

from jaxtrade.rules import RuleParams, advance, rewards
from tests.helpers.rule_worlds import (
    MANY,
    WORLDS,
    Array,
    Bar,
    Moment,
    World,
    make_env,
    outcome_of,
    play,
    random_bars,
    start_of,
    trade,
    units_of,
)

accounting, costs = (import_module(f"jaxtrade.rules.{name}") for name in ("accounting", "costs"))

BY_SYMBOL = ["continuous", "continuous, short", "continuous, lots", "weights", "weights, short", "orders, long"]
REWARDS = dict.fromkeys(rewards.REWARDS, 1.0)


def shown(moments: list[Moment]) -> dict[str, Array]:
    """Return all that an account and its record show, leaves [bars, lanes, ...]."""
    each = [{**moment.account._asdict(), **moment.record._asdict()} for moment in moments]
    flat = [jax.tree.leaves_with_path(fields) for fields in each]
    names = [jax.tree_util.keystr(path) for path, _ in flat[0]]
    return {name: np.stack([leaves[n][1] for leaves in flat]) for n, name in enumerate(names)}


def assert_same(found: list[Moment], wanted: list[Moment], tolerance: float) -> None:
    """Assert that everything shown is the same, to a tolerance of the largest equity of the lane."""
    left, right = shown(found), shown(wanted)
    scale = np.maximum(1, np.max(right["['peak_equity']"]))
    for name in right:
        np.testing.assert_allclose(left[name], right[name], rtol=tolerance, atol=tolerance * scale, err_msg=name)


# The order of symbols -------------------------------------------------------------------------------------------------


def reordered(tree: Any, order: Array) -> Any:
    """Return the same with the last axis of everything that has one for each symbol in another order."""
    size = len(order)
    return jax.tree.map(lambda leaf: leaf[..., order] if leaf.ndim and leaf.shape[-1] == size else leaf, tree)


def check_permutation(world: World) -> None:
    """Permuting symbols, actions and rates permutes the results."""
    world = world._replace(lanes=7, bars=60)  # 7: no axis of lanes is taken for one of symbols
    moments = trade(world)
    random = np.random.default_rng(0)
    for _ in range(2):
        order = random.permutation(world.symbols)
        bars = [reordered((moment.known, moment.outcome), order) for moment in moments]
        actions = [moment.action[..., order] for moment in moments]
        params = reordered(world.params._replace(reward=None), order)._replace(reward=world.params.reward)
        other = play(world, bars, lambda n, *_, actions=actions: actions[n], params)
        back = np.argsort(order)
        same = [m._replace(account=reordered(m.account, back), record=reordered(m.record, back)) for m in other]
        assert_same(same, moments, 1e-11)


@pytest.mark.parametrize("name", BY_SYMBOL)
def test_the_order_of_symbols_plays_no_part(name: str) -> None:
    check_permutation(WORLDS[name])


def test_an_order_of_symbols_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Purchases served from the first symbol on."""
    real = accounting.affordable

    def in_turn(xp: Any, account: Any, increasing: Array, *args: Any) -> Array:
        first = np.where(np.arange(increasing.shape[-1]) == 0, increasing, 0)
        return real(xp, account, first, *args)

    monkeypatch.setattr(accounting, "affordable", in_turn)
    with pytest.raises(AssertionError):
        check_permutation(WORLDS["continuous"])


# Scale ----------------------------------------------------------------------------------------------------------------

SCALED = ["continuous", "continuous, lots", "weights, short", "weights, half", "orders, long", "positions", "discrete9"]


def scaled_bars(moments: list[Moment], factor: float) -> list[Bar]:
    """Return the bars with all prices multiplied."""

    def bar(moment: Moment) -> Bar:
        outcome = moment.outcome
        return (
            moment.known._replace(close=moment.known.close * factor),
            outcome._replace(fill_price=outcome.fill_price * factor, mark=outcome.mark * factor),
        )

    return [bar(moment) for moment in moments]


def check_scale(world: World, prices: float, capital: float, tolerance: float) -> None:
    """Trade the same with other prices and another capital; lots and money of the rules go along."""
    world = world._replace(lanes=6, bars=60, env=world.env.model_copy(update={"reward": REWARDS}))
    moments, params = trade(world), world.params
    units = capital / prices
    changed = params._replace(
        capital=params.capital * capital,
        lot_size=params.lot_size * units,
        min_commission=params.min_commission * capital,
        min_notional=params.min_notional * capital,
    )
    by_units = (world.env.action == "orders") * np.broadcast_to(params.lot_size == 0, (world.symbols,))
    actions = [moment.action * np.where(by_units, units, 1) if by_units.any() else moment.action for moment in moments]
    bars = scaled_bars(moments, prices)
    assert_same(play(world, bars, lambda n, *_: actions[n], changed), moments, tolerance)


@pytest.mark.parametrize("name", SCALED)
def test_powers_of_two_change_not_a_bit(name: str) -> None:
    """(But for orders of units: what is beyond 1e15 of them is cut to it.)"""
    tolerance = 1e-9 if name == "orders, long" else 0.0
    check_scale(WORLDS[name], 2.0**-12, 1.0, tolerance)
    check_scale(WORLDS[name], 1.0, 2.0**16, tolerance)
    check_scale(WORLDS[name], 2.0**7, 2.0**-5, tolerance)


@pytest.mark.parametrize("name", [name for name in SCALED if name != "orders, long"])
def test_powers_of_ten_change_nothing(name: str) -> None:
    """(Orders of units are numbers in float32, which powers of ten round differently.)"""
    check_scale(WORLDS[name], 1e-3, 1.0, 1e-9)
    check_scale(WORLDS[name], 1.0, 1e4, 1e-9)
    check_scale(WORLDS[name], 1e5, 1e-2, 1e-9)


def test_a_commission_in_multiples_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "money", lambda params, amount: amount / 1e4)
    with pytest.raises(AssertionError):
        check_scale(WORLDS["continuous"], 1.0, 1e4, 1e-9)


# Costs ----------------------------------------------------------------------------------------------------------------

LEVELS, BARS = 12, 40
RICH = {"allow_short": True, "max_leverage": 1e9, "maintenance_margin_percent": 0, "ruin_percent": 0.01}
CHARGES = {
    "buy_rate": 0.02,
    "sell_rate": 0.02,
    "min_commission": 20.0,
    "duty_buy": 0.02,
    "duty_sell": 0.02,
    "half_spread": 0.02,
    "slippage": 0.02,
    "borrow_rate": 0.5,
    "interest_rate": 0.5,
}


def priced(name: str) -> list[Moment]:
    """Trade orders of units, the same for every lane, at rising levels of one cost; nothing is cut, dropped or ruined.

    Orders that big on accounts that small would be cut, so they are small; some are tiny, where the minimum
    commission and its cap at the proceeds bind.
    """
    world = World(make_env("orders", **RICH, **MANY), seed=21, lanes=LEVELS, bars=BARS, delistings=0.0, jumps=0.0)
    random, params = np.random.default_rng(5), world.params
    levels = np.linspace(0, CHARGES[name], LEVELS)
    wide = levels if getattr(params, name).ndim == 0 else levels[:, None]
    one = jax.tree.map(lambda leaf: np.repeat(leaf[:1], LEVELS, axis=0), random_bars(world, random))
    share = np.where(random.random((BARS, 3)) < 0.3, 1e-3, 0.05) * random.normal(size=(BARS, 3))
    share[:, :2] = np.abs(share[:, :2]) * (-0.3, 2)  # one is sold for ever, one bought on borrowed money
    fresh = np.ones(LEVELS), np.zeros((LEVELS, 3))

    def choose(number: int, account: Any, known: Any) -> Array:
        flat = account._replace(cash=fresh[0], position=fresh[1])
        return units_of(params, flat, known, np.repeat(share[number][None], LEVELS, axis=0))

    return play(world, one, choose, params._replace(**{name: wide}))


def check_costs_never_help(name: str) -> None:
    moments = priced(name)
    assert np.any([moment.record.fill_value for moment in moments])
    for moment in moments:
        assert not moment.record.ruined.any()
        fills = moment.record.fill_value
        np.testing.assert_allclose(fills, fills[:1].repeat(LEVELS, axis=0), rtol=1e-13, err_msg="not the same fills")
        step = np.diff(moment.record.equity)
        assert np.all(step <= 1e-14 * LEVELS), f"equity rises with {name} by {step.max():.3g}"
    assert np.all(step < -1e-5), f"{name} costs nothing"


@pytest.mark.parametrize("name", CHARGES)
def test_a_cost_never_helps_given_the_same_fills(name: str) -> None:
    check_costs_never_help(name)


def test_every_cost_is_tried() -> None:
    """Whatever is neither a limit nor a measure is a cost."""
    others = "lot_size min_notional max_trade max_position max_leverage maintenance_margin ruin_floor dead_band"
    others += " trade_limit recovery capital reward"
    assert set(RuleParams._fields) == {*CHARGES, *others.split()}


def test_a_fee_that_is_a_gain_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fees of sales added to the cash (freqtrade issue 7829)."""
    real = accounting.trade_costs

    def trade_costs(xp: Any, value: Array, params: RuleParams) -> Any:
        paid = real(xp, value, params)
        return paid._replace(commission=np.where(value < 0, -paid.commission, paid.commission))

    monkeypatch.setattr(accounting, "trade_costs", trade_costs)
    with pytest.raises(AssertionError, match="rises with sell_rate"):
        check_costs_never_help("sell_rate")


def test_a_worse_recovery_never_helps_who_is_long() -> None:
    """The same account meets the same delisting with other recoveries; a short gains by what a long loses."""
    world = World(make_env("orders", **RICH), lanes=LEVELS)
    zero = np.zeros((LEVELS, 3))
    held = np.array([0.4, -0.3, 0.2]) + zero
    account = start_of(world)._replace(position=held, basis=held, cash=np.full(LEVELS, 0.7))
    recovery = np.linspace(0, 1, LEVELS)[:, None]
    params = world.params._replace(recovery=recovery)
    for symbol, slope in ((0, 0.4), (1, -0.3)):
        leaves = np.arange(3) == symbol + zero
        outcome = outcome_of(zero + 9, zero + 9, zero + 9, leaves, years=np.zeros(LEVELS), income=zero)
        _, record = advance(np, world.book, params, account, zero, world.known(outcome), outcome)
        np.testing.assert_allclose(record.equity, 1 - slope * (1 - recovery[:, 0]), rtol=1e-14)
