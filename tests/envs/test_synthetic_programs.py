"""Made-up bars as programs: valid bars, one compilation for all markets, nothing that calls the host."""

from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrade.envs.processes import Increments, Prices, simulate, to_prices
from jaxtrade.market.bars import Bars
from jaxtrade.market.process_kinds import OU, Process, Regimes, Shape
from jaxtrade.market.sources.synthetic import increments
from tests.helpers.synthetic_samples import BARS, CASES, WALK, everything, sample

EXTREMES = {  # factor of the increments, addition to the overnight one
    "as drawn": (1.0, 0.0),
    "to infinity": (100.0, 1.0),
    "to nothing": (100.0, -1.0),
    "hardly a move": (1e-6, 0.0),
}


@cache
def bars_of() -> Callable[[Increments], Prices]:
    return jax.jit(jax.vmap(to_prices))


@pytest.mark.parametrize("extreme", EXTREMES)
@pytest.mark.parametrize("kind", CASES)
def test_bars_are_valid(kind: str, extreme: str) -> None:
    factor, shift = EXTREMES[extreme]
    drawn = jax.tree.map(lambda leaf: leaf * np.float32(factor), everything()[kind])
    made = bars_of()(drawn._replace(overnight=drawn.overnight + np.float32(shift)))
    assert all(leaf.dtype == np.float32 and np.isfinite(leaf).all() for leaf in made)
    assert np.all(made.low > 0)
    assert np.all(made.low <= np.minimum(made.open, made.close))
    assert np.all(made.high >= np.maximum(made.open, made.close))
    assert np.all(made.volume > 0)


def test_bars_hold_the_increments_they_were_made_of() -> None:
    drawn, made = sample("gbm"), jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), bars_of()(everything()["gbm"]))
    back = increments(Bars(np.zeros(BARS), ("A", "B"), *(leaf[0] for leaf in made)))
    for name, leaf in back.items():
        np.testing.assert_allclose(leaf, getattr(drawn, name)[0, 1:], atol=2e-6, err_msg=name)
    assert abs(np.log(made.close[0, 0] / 100) - drawn.overnight[0, 0] - drawn.intraday[0, 0]).max() < 2e-6


def test_a_thousand_markets_compile_once() -> None:
    calls: list[Any] = []

    def closes(key: jax.Array, process: Process) -> jax.Array:
        calls.append(key)
        return to_prices(simulate(key, process, Shape(), 50, 2)).close

    many = jax.jit(jax.vmap(closes))
    keys = jax.random.split(jax.random.key(0), 1000)
    speeds = jnp.linspace(0.01, 1.0, 1000, dtype=jnp.float32)
    spread = jnp.tile(jnp.array([0.0001, 0.01], jnp.float32), (1000, 1))  # by symbol
    first = np.asarray(many(keys, OU(speeds, spread)))
    assert len(np.unique(first.reshape(1000, -1), axis=0)) == 1000
    assert 90 < np.std(first[..., 1]) / np.std(first[..., 0]) < 110
    np.testing.assert_array_equal(many(keys, OU(speeds, spread)), first)
    assert not np.any(np.all(np.asarray(many(keys, OU(speeds, 2 * spread))) == first, axis=(1, 2)))
    other = np.asarray(many(jax.random.split(jax.random.key(1), 1000), OU(speeds, spread)))
    assert len(np.unique(np.concatenate([first, other]).reshape(2000, -1), axis=0)) == 2000
    assert len(calls) == 1


@pytest.mark.nightly
def test_one_regime_is_a_random_walk() -> None:
    process = Regimes((0.0,), (0.01,), (0.0,))
    drawn = simulate(jax.random.key(0), process, Shape(), 4000)
    assert abs(np.std(drawn.overnight + drawn.intraday) / 0.01 - 1) < 5 / np.sqrt(8000)


def test_no_host_callback_is_compiled_in() -> None:
    def market(key: jax.Array, process: Process) -> Any:
        return to_prices(simulate(key, process, Shape(), 20))

    def planted(key: jax.Array, process: Process) -> Any:
        jax.debug.print("planted")
        return market(key, process)

    for process in CASES.values():
        assert "callback" not in jax.jit(market).lower(jax.random.key(0), process).as_text()
    assert "callback" in jax.jit(planted).lower(jax.random.key(0), WALK).as_text()
