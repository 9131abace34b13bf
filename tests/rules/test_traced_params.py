"""Every number of the rules is an argument: a sweep over it compiles nothing, and every one of them does something."""

from collections.abc import Callable
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrade.rules import Account, Record, RuleParams, advance, make_rule_book
from jaxtrade.rules.rewards import REWARDS
from jaxtrade.rules.types import RewardParams
from tests.helpers.random_states import Kind, States, random_states

KIND, COUNT = Kind("continuous", 3, short=True, lots=True), 400
PARTS = ("realized_profit", "differential_sharpe")
BOOK = make_rule_book("continuous", tuple(REWARDS[name] for name in PARTS), allow_short=True, lots=True)

# Where each number shows first: in the costs, else in the record.
EFFECTS = {
    "buy_rate": "commission",
    "sell_rate": "commission",
    "min_commission": "commission",
    "duty_buy": "duty",
    "duty_sell": "duty",
    "half_spread": "spread",
    "slippage": "slippage",
    "borrow_rate": "borrow",
    "interest_rate": "interest",
    "lot_size": "filled_lots",
    "min_notional": "fill_value",
    "max_trade": "fill_value",
    "max_position": "fill_value",
    "max_leverage": "fill_value",
    "maintenance_margin": "called",
    "ruin_floor": "called",
    "dead_band": "fill_value",
    "trade_limit": "fill_value",
    "recovery": "exit_loss",
    "capital": "filled_lots",
    "reward.weights": "reward",
    "reward.gain_weight": "reward",
    "reward.loss_weight": "reward",
    "reward.idle_decay": "reward",
    "reward.trade_penalty": "reward",
    "reward.adaptation": "memory",
}
FACTORS = {"ruin_floor": 50.0, "lot_size": 2.0, "capital": 2.0}  # 1.1 for the others
Bar = Callable[..., tuple[Account, Record]]


@pytest.fixture(scope="module")
def states() -> States:
    """Many accounts under two rewards, past the warm-up of the ratio, each with rules of its own."""
    states = random_states(KIND, COUNT, seed=3)
    narrow = np.float32
    memory = (np.full(COUNT, 0.001, narrow), np.full(COUNT, 1e-4, narrow), np.full(COUNT, 300, narrow))
    reward = states.params.reward._replace(weights=np.full((COUNT, 2), 0.5, narrow))
    return states._replace(params=states.params._replace(reward=reward), account=states.account._replace(memory=memory))


@pytest.fixture(scope="module")
def bar() -> Bar:
    """Return the compiled bar, which may be traced once; accounts and rules are batched."""
    step = chex.assert_max_traces(lambda *given: advance(jnp, BOOK, *given), n=1)
    return jax.jit(jax.vmap(step))


def leaf_of(params: RuleParams, name: str) -> Any:
    return getattr(params.reward, name.removeprefix("reward.")) if "." in name else getattr(params, name)


def replaced(params: RuleParams, name: str, value: Any) -> RuleParams:
    if "." in name:
        return params._replace(reward=params.reward._replace(**{name.removeprefix("reward."): value}))
    return params._replace(**{name: value})


def shown(bar: Bar, states: States, params: RuleParams) -> dict[str, Any]:
    """Return what a bar shows under some rules, by name."""
    account, record = bar(params, *states[1:])
    return record._asdict() | record.costs._asdict() | account._asdict()


def check_effect(name: str, before: dict[str, Any], after: dict[str, Any]) -> None:
    """Assert that a number shows where it should, in some accounts but not in what it has no part in."""
    where = EFFECTS[name]
    old, new = (np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(each[where])]) for each in (before, after))
    assert np.any(old != new), f"{name} has no effect on {where}"
    assert np.all(np.isfinite(new.astype(float))), f"{name} makes {where} no number"


def test_every_number_is_listed() -> None:
    names = [name for name in RuleParams._fields if name != "reward"]
    assert list(EFFECTS) == names + [f"reward.{name}" for name in RewardParams._fields]


def test_a_sweep_over_every_number_compiles_once(bar: Bar, states: States) -> None:
    """One program, whatever the numbers; and each number has an effect."""
    before = shown(bar, states, states.params)
    for name in EFFECTS:
        value = leaf_of(states.params, name) * np.float32(FACTORS.get(name, 1.1))
        check_effect(name, before, shown(bar, states, replaced(states.params, name, value)))
    assert bar._cache_size() == 1


def test_every_number_is_the_accounts_own(bar: Bar, states: States) -> None:
    """Changed for one half of the accounts, it has no effect on the other."""
    before = shown(bar, states, states.params)
    half = np.arange(COUNT) < COUNT // 2
    for name in EFFECTS:
        value = leaf_of(states.params, name)
        factor = np.where(half.reshape(-1, *(1,) * (value.ndim - 1)), FACTORS.get(name, 1.1), 1)
        after = shown(bar, states, replaced(states.params, name, (value * factor).astype(np.float32)))
        for field, leaf in after.items():
            chex.assert_trees_all_equal(
                *(jax.tree.map(lambda x: x[COUNT // 2 :], each) for each in (leaf, before[field]))
            )


def test_what_is_no_array_is_compiled_anew(bar: Bar, states: States) -> None:
    """The counter counts: a number of another type is another program."""
    shown(bar, states, states.params)
    whole = states.params._replace(capital=np.full(COUNT, 1000, np.int32))
    with jax.numpy_dtype_promotion("standard"), pytest.raises(AssertionError, match="traced"):
        shown(bar, states, whole)


@pytest.mark.parametrize("name", ["slippage", "reward.idle_decay", "recovery"])
def test_a_number_without_effect_is_noticed(name: str, states: States) -> None:
    """A rule that leaves one out: here it is a fixed number, whatever is asked for."""

    def forgetful(params: RuleParams, *given: Any) -> tuple[Account, Record]:
        return advance(np, BOOK, replaced(params, name, 0 * leaf_of(params, name)), *given)

    value = leaf_of(states.params, name) * np.float32(1.1)
    before = shown(forgetful, states, states.params)
    with pytest.raises(AssertionError, match=f"{name} has no effect"):
        check_effect(name, before, shown(forgetful, states, replaced(states.params, name, value)))
