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
from jaxtrade.rules import Known, Outcome, RuleParams, advance, make_rule_book, observe, open_account
from tests.helpers.decimal_ledger import LedgerParams
from tests.helpers.ledger_episodes import Case, random_bars, rule_params

accounting = import_module("jaxtrade.rules.accounting")

LEDGER = LedgerParams(buy_rate=0.001, sell_rate=0.002, ruin_floor=0.05, trade_limit=0.9)
SHORT = replace(LEDGER, allow_short=True, max_leverage=3.0, maintenance_margin=0.2, trade_limit=1.5)
CASES = {
    "long": Case(3, LEDGER, seed=1, batch=(4,), steps=60),
    "short": Case(4, SHORT, seed=2, batch=(4,), steps=60, crash_rate=0.05),
    "discrete": Case(1, replace(LEDGER, action_kind="discrete9"), seed=3, batch=(4,), steps=60),
}
Pulses = tuple[np.ndarray, Known, Outcome]
Step = Callable[..., Any]


def pulses_of(case: Case) -> list[Pulses]:
    """Return action, known and outcome of every bar, leaves [lanes, S]; actions [lanes] when they are numbers."""
    bars = random_bars(case, np.random.default_rng(case.seed))
    single = case.params.action_kind == "discrete9"
    return [
        (bar.action[..., 0] if single else bar.action, Known(bar.tradable), Outcome(bar.gap, bar.move, bar.can_fill))
        for bar in bars
    ]


def step_in(xp: Any, case: Case) -> Step:
    """Return `(params, account, action, known, outcome) -> account, everything that one bar shows`."""
    book = make_rule_book(case.params.action_kind, "log_return", case.params.allow_short)

    def step(params: RuleParams, account: Any, action: Any, known: Known, outcome: Outcome) -> tuple[Any, tuple]:
        account, record = advance(xp, book, params, account, action, known, outcome)
        return account, (account, record, book.reward(xp, record), observe(xp, account, known, params))

    return step


def run(step: Step, to_xp: Callable[[Any], Any], xp: Any, params: RuleParams, pulses: list[Pulses]) -> np.ndarray:
    """Trade every bar and return all that was seen, flattened, [bars, numbers]; ruined accounts go on as they are."""
    account = open_account(xp, to_xp(np.zeros_like(pulses[0][2].gap)))
    params = jax.tree.map(to_xp, params)
    seen = []
    for pulse in pulses:
        account, shown = step(params, account, *jax.tree.map(to_xp, pulse))
        seen.append(np.concatenate([np.ravel(np.asarray(leaf, np.float64)) for leaf in jax.tree.leaves(shown)]))
    return np.stack(seen)


def run_numpy(case: Case, params: RuleParams | None = None) -> np.ndarray:
    """Trade under NumPy, lanes as a leading axis."""
    return run(step_in(np, case), np.asarray, np, params or rule_params(case.params), pulses_of(case))


def assert_same(found: np.ndarray, wanted: np.ndarray, tolerance: float) -> None:
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", CASES)
def test_array_api_strict_gives_the_same(name: str) -> None:
    case, xp = CASES[name], array_api_strict
    found = run(step_in(xp, case), xp.asarray, xp, rule_params(case.params), pulses_of(case))
    np.testing.assert_array_equal(found, run_numpy(case))


@pytest.mark.parametrize("name", CASES)
def test_jax_with_a_leading_axis_gives_the_same(name: str, x64: None) -> None:
    case = CASES[name]
    step = jax.jit(step_in(jnp, case))
    with jax.numpy_rank_promotion("allow"):  # lanes as a leading axis meet [1] rates; vmap below is JAX's own way
        found = run(step, jnp.asarray, jnp, rule_params(case.params), pulses_of(case))
    assert_same(found, run_numpy(case), 1e-12)


@pytest.mark.parametrize("name", CASES)
def test_jax_vmapped_gives_the_same(name: str, x64: None) -> None:
    """Strict rank promotion is on: nothing of another rank meets."""
    case = CASES[name]
    step = jax.jit(jax.vmap(step_in(jnp, case), (None, 0, 0, 0, 0)))
    assert_same(run(step, jnp.asarray, jnp, rule_params(case.params), pulses_of(case)), run_numpy(case), 1e-12)


def test_float32_stays_float32() -> None:
    case = CASES["short"]
    step = jax.vmap(step_in(jnp, case), (None, 0, 0, 0, 0))
    narrow = partial(jnp.asarray, dtype=jnp.float32)
    to_jax = lambda leaf: jnp.asarray(leaf) if leaf.dtype == bool else narrow(leaf)  # noqa: E731
    pulse = jax.tree.map(to_jax, pulses_of(case)[0])
    params = jax.tree.map(narrow, rule_params(case.params))
    shown = step(params, open_account(jnp, jnp.zeros((4, 4))), *pulse)
    assert {leaf.dtype for leaf in jax.tree.leaves(shown)} == {np.dtype(np.float32), np.dtype(bool)}


@pytest.mark.parametrize("name", CASES)
def test_leading_axes_are_many_accounts(name: str) -> None:
    """Four lanes together, as [2, 2] lanes, and each alone: bitwise the same."""
    case = CASES[name]
    pulses, params, step = pulses_of(case), rule_params(case.params), step_in(np, case)
    together = run(step, np.asarray, np, params, pulses)

    def reshaped(shape: tuple[int, ...], lanes: slice) -> list[Pulses]:
        part = lambda leaf: np.reshape(leaf[lanes], (*shape, *leaf.shape[1:]))  # noqa: E731
        return [jax.tree.map(part, pulse) for pulse in pulses]

    np.testing.assert_array_equal(run(step, np.asarray, np, params, reshaped((2, 2), slice(None))), together)
    sizes = [np.size(leaf) for leaf in jax.tree.leaves(step(params, *opened(pulses), *pulses[0])[1])]
    fields = np.split(together, np.cumsum(sizes)[:-1], axis=1)
    for n in range(4):
        mine = [field.reshape(len(field), 4, -1)[:, n] for field in fields]
        alone = run(step, np.asarray, np, params, reshaped((), slice(n, n + 1)))
        np.testing.assert_array_equal(alone, np.concatenate(mine, axis=1))


def opened(pulses: list[Pulses]) -> tuple[Any]:
    return (open_account(np, np.zeros_like(pulses[0][2].gap)),)


def test_a_grid_of_rates_is_a_leading_axis() -> None:
    """Each lane with its own rates trades as it would alone with them."""
    case = replace(CASES["short"], batch=(1,))
    rates = np.array([0.0, 0.001, 0.01])
    base, step = rule_params(case.params), step_in(np, case)
    wide = base._replace(buy_rate=rates[:, None], sell_rate=2 * rates[:, None])
    pulses = pulses_of(case)
    three = [jax.tree.map(lambda leaf: np.repeat(leaf, 3, axis=0), pulse) for pulse in pulses]
    account = open_account(np, np.zeros((3, 4)))
    alone = [open_account(np, np.zeros((1, 4))) for _ in rates]
    for pulse, wider in zip(pulses, three, strict=True):
        account, _ = step(wide, account, *wider)
        for n, rate in enumerate(rates):
            mine = base._replace(buy_rate=np.array([rate]), sell_rate=np.array([2 * rate]))
            alone[n], _ = step(mine, alone[n], *pulse)
    np.testing.assert_array_equal(account.cash, np.concatenate([each.cash for each in alone]))
    np.testing.assert_array_equal(account.position, np.concatenate([each.position for each in alone]))


def test_the_comparison_notices_a_millionth_of_a_fee() -> None:
    case = CASES["long"]
    params = rule_params(case.params)
    params = params._replace(buy_rate=params.buy_rate * (1 + 1e-6))
    with pytest.raises(AssertionError):
        assert_same(run_numpy(case, params), run_numpy(case), 1e-12)


# Symmetries -----------------------------------------------------------------------------------------------------------


def cash_and_positions(case: Case, order: np.ndarray) -> np.ndarray:
    """Trade with the symbols in another order; return cash and positions in the first order, [bars, lanes, 1 + S]."""
    step, params = step_in(np, case), rule_params(case.params)
    account, seen = open_account(np, np.zeros((*case.batch, case.symbols))), []
    for pulse in pulses_of(case):
        account, _ = step(params, account, *jax.tree.map(lambda leaf: leaf[:, order], pulse))
        back = account.position[:, np.argsort(order)]
        seen.append(np.concatenate([account.cash[:, None], back], axis=1))
    return np.stack(seen)


def check_permutation(case: Case) -> None:
    rng = np.random.default_rng(0)
    for _ in range(3):
        order = rng.permutation(case.symbols)
        plain = cash_and_positions(case, np.arange(case.symbols))
        np.testing.assert_allclose(cash_and_positions(case, order), plain, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", ["long", "short"])
def test_the_order_of_symbols_plays_no_part(name: str) -> None:
    check_permutation(CASES[name])


def test_an_order_of_symbols_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    real = accounting.affordable
    monkeypatch.setattr(
        accounting,
        "affordable",
        lambda xp, account, increasing, params: real(xp, account, increasing[..., :1], params),
    )
    with pytest.raises(AssertionError):
        check_permutation(CASES["long"])


def scaled_table(bars: Bars, factor: float, tick: float = 0.0) -> MarketTable:
    """Return the table of bars with all prices multiplied, and the opens shifted by an absolute amount."""
    prices = {name: getattr(bars, name) * factor for name in ("open", "high", "low", "close")}
    return build_table(bars._replace(**prices | {"open": prices["open"] + tick}), MarketConfig(), window=10)


def traded(table: MarketTable) -> np.ndarray:
    """Return all that trading a table's training range with random actions shows."""
    first, last = table.ranges["train"]
    rng, case = np.random.default_rng(5), Case(2, LEDGER, seed=0)
    pulses = [
        (rng.normal(size=2), *jax.tree.map(lambda leaf: leaf[t], (table.known, table.outcome)))  # noqa: B023
        for t in range(first, last)
    ]
    return run(step_in(np, case), np.asarray, np, rule_params(case.params), pulses)


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
