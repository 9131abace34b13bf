"""One source, four ways to run it: NumPy, NumPy with leading axes, array_api_strict, and JAX under jit and vmap."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import Any

import array_api_strict
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrade.config import MarketConfig
from jaxtrade.envs.synthetic import random_bars as walk_bars
from jaxtrade.market.bars import Bars
from jaxtrade.market.table import MarketTable, build_table
from jaxtrade.rules import Known, Outcome, RuleParams, advance, observe, open_account
from jaxtrade.rules.rewards import REWARDS
from tests.helpers.decimal_cases import CASES as ALL_CASES
from tests.helpers.decimal_cases import COSTS
from tests.helpers.ledger_episodes import Case, pulse, random_bars, rule_book, rule_params

accounting = import_module("jaxtrade.rules.accounting")

STRICT = {name: replace(case, batch=(3,), steps=25) for name, case in ALL_CASES.items()}
COMPILED = (
    "continuous, by symbol, short",
    "proportional, lots",
    "discrete, dear",
    "weights, lots",
    "positions, short",
    "orders, lots, limits",
)
CASES = {name: replace(ALL_CASES[name], batch=(4,), steps=60) for name in COMPILED}
LATER = ("discrete, dear", "proportional, lots", "positions, short")  # compiling them takes long
VMAPPED = [pytest.param(name, marks=[pytest.mark.nightly] * (name in LATER)) for name in CASES]
SHORT = CASES["continuous, by symbol, short"]
Pulses = tuple[np.ndarray, Known, Outcome]
Step = Callable[..., Any]


def pulses_of(case: Case) -> list[Pulses]:
    """Return action, known and outcome of every bar, leaves [lanes, S]; actions [lanes] when they are numbers."""
    return [pulse(case, bar) for bar in random_bars(case, np.random.default_rng(case.seed))]


def params_of(case: Case) -> RuleParams:
    """Return the rules' numbers, all rewards weighted by one."""
    return rule_params(case.params, len(REWARDS))


def step_in(xp: Any, case: Case) -> Step:
    """Return `(params, account, action, known, outcome) -> account, everything that one bar shows`."""
    book = rule_book(case.params, tuple(REWARDS))

    def step(params: RuleParams, account: Any, action: Any, known: Known, outcome: Outcome) -> tuple[Any, tuple]:
        account, record = advance(xp, book, params, account, action, known, outcome)
        return account, (account, record, observe(xp, book, account, known, params))

    return step


def opened(xp: Any, case: Case, like: Any) -> Any:
    return open_account(xp, rule_book(case.params, tuple(REWARDS)), xp.zeros_like(like))


def run(case: Case, xp: Any, step: Step, params: RuleParams | None = None, pulses: list[Pulses] | None = None) -> Any:
    """Trade every bar and return all that was seen, flattened, [bars, numbers]; ruined accounts go on as they are."""
    params, seen = jax.tree.map(xp.asarray, params or params_of(case)), []
    account = None
    for bar in pulses or pulses_of(case):
        given = jax.tree.map(xp.asarray, bar)
        account = opened(xp, case, given[2].gap) if account is None else account
        account, shown = step(params, account, *given)
        seen.append(np.concatenate([np.ravel(np.asarray(leaf, np.float64)) for leaf in jax.tree.leaves(shown)]))
    return np.stack(seen)


def run_numpy(case: Case, params: RuleParams | None = None, pulses: list[Pulses] | None = None) -> np.ndarray:
    """Trade under NumPy, lanes as a leading axis."""
    return run(case, np, step_in(np, case), params, pulses)


def assert_same(found: np.ndarray, wanted: np.ndarray, tolerance: float) -> None:
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", STRICT)
def test_array_api_strict_gives_the_same(name: str) -> None:
    case = STRICT[name]
    np.testing.assert_array_equal(run(case, array_api_strict, step_in(array_api_strict, case)), run_numpy(case))


@pytest.mark.parametrize("name", ["weights, lots", "orders, lots, limits"])
def test_jax_with_a_leading_axis_gives_the_same(name: str, x64: None) -> None:
    case = CASES[name]
    with jax.numpy_rank_promotion("allow"):  # lanes as a leading axis meet [1] rates; vmap below is JAX's own way
        found = run(case, jnp, jax.jit(step_in(jnp, case)))
    assert_same(found, run_numpy(case), 1e-11)


@pytest.mark.parametrize("name", VMAPPED)
def test_jax_vmapped_gives_the_same(name: str, x64: None) -> None:
    """Strict rank promotion is on: nothing of another rank meets."""
    case = CASES[name]
    found = run(case, jnp, jax.jit(jax.vmap(step_in(jnp, case), (None, 0, 0, 0, 0))))
    assert_same(found, run_numpy(case), 1e-11)


@pytest.mark.parametrize("name", CASES)
def test_float32_stays_float32(name: str) -> None:
    case = CASES[name]
    step = partial(jax.eval_shape, jax.vmap(step_in(jnp, case), (None, 0, 0, 0, 0)))
    narrow = partial(jnp.asarray, dtype=jnp.float32)
    to_jax = lambda leaf: jnp.asarray(leaf) if leaf.dtype == bool else narrow(leaf)  # noqa: E731
    bar = jax.tree.map(to_jax, pulses_of(case)[0])
    shown = step(jax.tree.map(narrow, params_of(case)), opened(jnp, case, bar[2].gap), *bar)
    assert {leaf.dtype for leaf in jax.tree.leaves(shown)} == {np.dtype(np.float32), np.dtype(bool)}


@pytest.mark.parametrize("name", CASES)
def test_leading_axes_are_many_accounts(name: str) -> None:
    """Four lanes together, as [2, 2] lanes, and each alone: bitwise the same."""
    case = CASES[name]
    pulses = pulses_of(case)
    together = run_numpy(case)

    def reshaped(shape: tuple[int, ...], lanes: slice) -> list[Pulses]:
        part = lambda leaf: np.reshape(leaf[lanes], (*shape, *leaf.shape[1:]))  # noqa: E731
        return [jax.tree.map(part, bar) for bar in pulses]

    np.testing.assert_array_equal(run_numpy(case, pulses=reshaped((2, 2), slice(None))), together)
    shown = step_in(np, case)(params_of(case), opened(np, case, pulses[0][2].gap), *pulses[0])[1]
    fields = np.split(together, np.cumsum([np.size(leaf) for leaf in jax.tree.leaves(shown)])[:-1], axis=1)
    for n in range(4):
        mine = [field.reshape(len(field), 4, -1)[:, n] for field in fields]
        alone = run_numpy(case, pulses=reshaped((), slice(n, n + 1)))
        np.testing.assert_array_equal(alone, np.concatenate(mine, axis=1))


def test_a_grid_of_rates_is_a_leading_axis() -> None:
    """Each lane with its own rates trades as it would alone with them."""
    case = replace(SHORT, batch=(1,))
    rates = np.array([0.0, 0.001, 0.01])
    base, step = params_of(case), step_in(np, case)
    wide = base._replace(buy_rate=rates[:, None], interest_rate=20 * rates, max_leverage=1 + 100 * rates)
    pulses = pulses_of(case)
    three = [jax.tree.map(lambda leaf: np.repeat(leaf, 3, axis=0), bar) for bar in pulses]
    account = opened(np, case, three[0][2].gap)
    alone = [opened(np, case, pulses[0][2].gap) for _ in rates]
    for bar, wider in zip(pulses, three, strict=True):
        account, _ = step(wide, account, *wider)
        for n, rate in enumerate(rates):
            mine = base._replace(buy_rate=rate[None], interest_rate=20 * rate, max_leverage=1 + 100 * rate)
            alone[n], _ = step(mine, alone[n], *bar)
    np.testing.assert_array_equal(account.cash, np.concatenate([each.cash for each in alone]))
    np.testing.assert_array_equal(account.position, np.concatenate([each.position for each in alone]))


def test_the_comparison_notices_a_millionth_of_a_fee() -> None:
    case = replace(ALL_CASES["continuous, long"], batch=(4,), steps=60)
    params = params_of(case)
    params = params._replace(buy_rate=params.buy_rate * (1 + 1e-6))
    with pytest.raises(AssertionError):
        assert_same(run_numpy(case, params), run_numpy(case), 1e-11)


# Symmetries -----------------------------------------------------------------------------------------------------------


def cash_and_positions(case: Case, order: np.ndarray) -> np.ndarray:
    """Trade with the symbols in another order; return cash and positions in the first order, [bars, lanes, 1 + S]."""
    step, pulses = step_in(np, case), pulses_of(case)

    def ordered(leaf: np.ndarray) -> np.ndarray:
        return leaf[..., order] if leaf.ndim and leaf.shape[-1] == case.symbols else leaf

    params = params_of(case)
    params = jax.tree.map(ordered, params._replace(reward=()))._replace(reward=params.reward)
    account, seen = opened(np, case, pulses[0][2].gap), []
    for bar in pulses:
        account, _ = step(params, account, *jax.tree.map(ordered, bar))
        back = account.position[:, np.argsort(order)]
        seen.append(np.concatenate([account.cash[:, None], back], axis=1))
    return np.stack(seen)


def check_permutation(case: Case) -> None:
    case = replace(case, batch=(5,), steps=60)  # an axis as long as the symbols are many is the symbols'
    rng = np.random.default_rng(0)
    plain = cash_and_positions(case, np.arange(case.symbols))
    for _ in range(3):
        order = rng.permutation(case.symbols)
        np.testing.assert_allclose(cash_and_positions(case, order), plain, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(
    "name",
    [
        "continuous, long",
        "continuous, by symbol, short",
        "weights, triple, short",
        "weights, lots",
        "orders, lots, limits",
    ],
)
def test_the_order_of_symbols_plays_no_part(name: str) -> None:
    check_permutation(ALL_CASES[name])


def test_an_order_of_symbols_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    real = accounting.affordable
    monkeypatch.setattr(
        accounting,
        "affordable",
        lambda xp, account, increasing, params: real(xp, account, increasing[..., :1], params),
    )
    with pytest.raises(AssertionError):
        check_permutation(ALL_CASES["continuous, long"])


def scaled_table(bars: Bars, factor: float, tick: float = 0.0) -> MarketTable:
    """Return the table of bars with all prices multiplied, and the opens shifted by an absolute amount."""
    prices = {name: getattr(bars, name) * factor for name in ("open", "high", "low", "close")}
    return build_table(bars._replace(**prices | {"open": prices["open"] + tick}), MarketConfig(), window=10)


def traded(table: MarketTable) -> np.ndarray:
    """Return all that trading a table's training range with random actions shows."""
    first, last = table.ranges["train"]
    rng, case = np.random.default_rng(5), Case(2, COSTS, seed=0)
    pulses = [
        (rng.normal(size=2), *jax.tree.map(lambda leaf: leaf[t], (table.known, table.outcome)))  # noqa: B023
        for t in range(first, last)
    ]
    seen = run_numpy(case, pulses=pulses)
    assert np.ptp(seen) > 0
    return seen


def test_the_scale_of_prices_plays_no_part() -> None:
    bars = walk_bars(400, symbols=2)
    base = scaled_table(bars, 1.0)
    np.testing.assert_array_equal(traded(scaled_table(bars, 2.0**-20)), traded(base))
    for factor in (1e-6, 1e3, 1e7):
        other = scaled_table(bars, factor)
        assert_same(traded(other), traded(base), 1e-10)
        usable = slice(base.ranges["all"].first, None)
        np.testing.assert_allclose(other.features[usable], base.features[usable], atol=2e-5)
    with pytest.raises(AssertionError):
        assert_same(traded(scaled_table(bars, 1e3, tick=0.01)), traded(base), 1e-10)


@pytest.mark.parametrize("name", ["orders, lots, limits", "weights, lots", "continuous, by symbol, short"])
def test_the_unit_of_money_plays_no_part(name: str) -> None:
    """Prices, capital and all that is stated in money in another currency: bitwise the same at a power of two."""
    case, factor = replace(ALL_CASES[name], batch=(4,), steps=60), 2.0**7
    params = params_of(case)
    money = ("capital", "min_commission", "min_notional")
    rich = params._replace(**{field: getattr(params, field) * factor for field in money})

    def dearer(bar: Pulses) -> Pulses:
        action, known, outcome = bar
        prices = {"fill_price": outcome.fill_price * factor, "mark": outcome.mark * factor}
        return action, known._replace(close=known.close * factor), outcome._replace(**prices)

    found = run_numpy(case, rich, [dearer(bar) for bar in pulses_of(case)])
    np.testing.assert_array_equal(found, run_numpy(case))
    if np.any(params.lot_size > 0):  # the price of a lot is all that the rules know of prices
        with pytest.raises(AssertionError):
            np.testing.assert_array_equal(run_numpy(case, rich), found)
