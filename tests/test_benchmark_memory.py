"""The rollout's program has no array with a window axis, and the search for one can fail."""

from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.memory import ENVS, FEATURES, LENGTH, WINDOW, rollout_shapes, stored_bytes, window_arrays
from train.rollout import collect


def test_a_rollout_has_no_window_axis() -> None:
    setup, state, market = rollout_shapes()
    assert market.features.shape[2] == FEATURES
    assert setup.config.network.reach == WINDOW
    key = jax.random.key(0)
    assert window_arrays(lambda *each: collect(setup, *each), state, market, key) == []

    def with_windows(*each: Any) -> Any:
        def body(carry: jax.Array, bar: jax.Array) -> tuple[jax.Array, jax.Array]:
            return carry, each[1].features[bar - jnp.arange(WINDOW, dtype=jnp.int32)]

        return collect(setup, *each), jax.lax.scan(body, jnp.zeros(()), each[0].lanes.bar)

    assert "(16, 260, 1, 16)" in window_arrays(with_windows, state, market, key)


def test_what_a_rollout_stores() -> None:
    """No more than the account's part of the observation for every step; windows would be thousands of times a bar."""
    stored = stored_bytes()
    steps = ENVS * LENGTH
    assert stored["as it is"] < 80 * steps
    assert stored["with windows"] > 4 * WINDOW * FEATURES * steps
    assert stored["with windows"] > 100 * stored["as it is"]
