"""Closing a position leaves exactly nothing, as compiled by JAX in float32, however the close is ordered."""

from importlib import import_module
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrade.rules import Account, Known, advance
from tests.helpers.rule_worlds import EXPOSED, LEVERED, ONE, Array, World, make_env, random_bars, start_of, units_of

SIZE = {"lanes": 64, "bars": 25, "jumps": 0.0, "unlisted": 0.0}
WORLDS = {
    "continuous": World(make_env(trade_limit_percent=400, min_notional=1e3, **ONE), seed=1, **SIZE),
    "proportional": World(make_env("proportional", **ONE), 1, seed=2, **SIZE),
    "discrete9": World(make_env("discrete9", lot_size=1, **ONE), 1, seed=3, **SIZE),
    "target_weight": World(make_env("target_weight", dead_band=0.05, **LEVERED, **ONE), seed=4, **SIZE),
    "positions": World(make_env("positions", **EXPOSED, **ONE), 1, seed=5, **SIZE),
    "orders": World(make_env("orders", **LEVERED, **ONE), seed=6, **SIZE),
    "orders of lots": World(make_env("orders", lot_size={"S0": 0.1, "default": 25}, **LEVERED, **ONE), seed=7, **SIZE),
    "all-in": World(make_env("orders", **ONE), seed=8, **SIZE),
}
OPEN = {"discrete9": (1, 5), "positions": (0, 5)}  # numbers from which the others are drawn
CLOSE = {"continuous": -1.0, "proportional": -1.0, "discrete9": 8.0, "target_weight": 0.0, "positions": 2.0}


def narrow(tree: Any) -> Any:
    """Return the same on the device, in float32."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, None if leaf.dtype == bool else jnp.float32), tree)


def choose(world: World, name: str, account: Account, known: Known, random: np.random.Generator) -> tuple[Array, Array]:
    """Return actions, and where they order to close what is held, [lanes, S]."""
    kind, shape = world.env.action, account.position.shape
    closes = np.broadcast_to(random.random((shape[0], 1)) < 0.4, shape)
    if kind == "orders":
        share = np.where(closes, -1.0, random.normal(0.2, 0.4, shape))
        action = units_of(world.params, account, known, share)
        return np.where(closes & (name == "all-in"), -np.inf, action), closes
    if kind in OPEN:
        action = np.where(closes[:, 0], CLOSE[kind], random.integers(*OPEN[kind], shape[0]))
        return action, closes | (action == CLOSE[kind])[:, None]
    return np.where(closes, CLOSE[kind], random.uniform(0.1, 0.8, shape)), closes


def check_closing(name: str) -> int:
    """Trade and close; return how often something was closed."""
    world = WORLDS[name]
    random, book, params = np.random.default_rng(world.seed), world.book, narrow(world.params)
    step = jax.jit(jax.vmap(lambda *args: advance(jnp, book, params, *args)))
    account, count = narrow(start_of(world)), 0
    for known, outcome in random_bars(world, random):
        before = jax.tree.map(np.asarray, account)
        action, closes = choose(world, name, before, known, random)
        account, record = step(account, narrow(action), narrow(known), narrow(outcome))
        after = jax.tree.map(np.asarray, account)
        gone = closes & (before.position != 0) & known.tradable & outcome.can_fill
        gone |= outcome.exit | np.asarray(record.ruined)[:, None]
        for field in ("position", "basis", "lots"):
            left = getattr(after, field)[gone]
            assert np.all(left == 0), f"a close left a {field} of {left[left != 0][0]:.3g}"
        flat = after.position == 0
        assert np.all(after.basis[flat] == 0), "a basis without a position"
        assert np.all(after.lots[flat] == 0), "lots without a position"
        assert after.position.dtype == np.float32
        count += int(np.sum(gone & (before.position != 0)))
    return count


@pytest.mark.parametrize("name", WORLDS)
def test_a_close_leaves_exactly_zero(name: str) -> None:
    assert check_closing(name) > 50


def test_a_residue_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A close that is a subtraction: what is sold differs from what is held by the rounding of float32."""
    accounting = import_module("jaxtrade.rules.accounting")
    real = accounting.reduce_positions

    def subtract(xp: Any, account: Account, reducing: Any, closes: Any, *args: Any) -> Any:
        return real(xp, account, reducing * (1 - 1.2e-7), closes & False, *args)

    monkeypatch.setattr(accounting, "reduce_positions", subtract)
    with pytest.raises(AssertionError, match="a close left a position"):
        check_closing("orders")
