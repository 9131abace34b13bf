"""The LSTM of many windows: its values, its exact gradient, and the encoders made of it."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from eval_bridge.spec import NetworkConfig
from jaxtrade.config import EnvConfig
from train.lstm import Form, Kernels, Windows, lstm
from train.networks import Policy, init_params, lane_windows, make_policy

LANES, BARS, SYMBOLS, FEATURES, HIDDEN = 3, 40, 2, 5, 6
LENGTHS = (1, 5, 7, 11, 20)


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.6, shape)


def world(length: int, every: bool = False) -> tuple[Kernels, Windows, Form]:
    """Random kernels, and windows that end at random bars of three lanes with two symbols."""
    kernels = Kernels(*(jnp.asarray(draw(*shape, 4 * HIDDEN)) for shape in ((FEATURES,), (HIDDEN,), ())))
    rows = jnp.asarray(draw(LANES, BARS, SYMBOLS, FEATURES, seed=1))
    ends = np.random.default_rng(2).integers(length - 1, BARS, (LANES, 4)).astype(np.int32)
    return kernels, lane_windows(rows, jnp.asarray(ends) - (length - 1)), Form(length, SYMBOLS, every)


def plain(kernels: Kernels, windows: Windows, form: Form) -> jax.Array:
    """The textbook's scan, differentiated by JAX."""

    def cell(carry: tuple, step: jax.Array) -> tuple:
        c, h = carry
        x = windows.rows[windows.index(step, form.stride)]
        i, f, g, o = jnp.split(x @ kernels.x + h @ kernels.h + kernels.bias[None], 4, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (c, h), h

    zero = jnp.zeros((windows.first.shape[0], HIDDEN), windows.rows.dtype)
    (_, last), every = jax.lax.scan(cell, (zero, zero), jnp.arange(form.steps, dtype=jnp.int32))
    return every if form.every else last


def compare(run: Callable[..., jax.Array], length: int, every: bool) -> float:
    """Return the largest relative difference of values and gradients from the plain scan."""
    kernels, windows, form = world(length, every)
    weights = jnp.asarray(draw(*plain(kernels, windows, form).shape, seed=3))

    def both(function: Callable[..., jax.Array]) -> Any:
        return jax.jit(jax.value_and_grad(lambda each: jnp.sum(weights * function(each, windows, form))))(kernels)

    found, wanted = jax.tree.leaves(both(run)), jax.tree.leaves(both(plain))
    return max(float(jnp.max(jnp.abs(a - b)) / jnp.max(jnp.abs(b))) for a, b in zip(found, wanted, strict=True))


@pytest.mark.parametrize("every", [False, True], ids=["last", "every"])
@pytest.mark.parametrize("length", LENGTHS)
def test_values_and_gradients_are_exact(length: int, every: bool, x64: None) -> None:
    assert compare(lstm, length, every) < 1e-12


def test_a_gradient_without_the_last_bar_is_noticed(x64: None) -> None:
    def cut(kernels: Kernels, windows: Windows, form: Form) -> jax.Array:
        first = lstm(kernels, windows, form)
        return jax.lax.stop_gradient(first) + 0.999 * (first - jax.lax.stop_gradient(first))

    assert compare(cut, 5, every=False) > 1e-4


def test_a_window_never_reads_past_its_lane() -> None:
    """Sequences that start too late repeat their lane's last row, of their own symbol."""
    rows = jnp.arange(LANES * BARS * SYMBOLS, dtype=jnp.float32).reshape(LANES, BARS, SYMBOLS, 1)
    windows = lane_windows(rows, jnp.full((LANES, 1), BARS - 2, jnp.int32))
    read = windows.rows[windows.index(jnp.int32(9), SYMBOLS), 0]
    np.testing.assert_array_equal(read, np.asarray(rows[:, -1, :, 0]).ravel())


def test_bfloat16_is_close_and_is_another_program() -> None:
    single = lambda leaf: leaf.astype(jnp.float32) if leaf.dtype == jnp.float64 else leaf  # noqa: E731
    kernels, windows = jax.tree.map(single, world(20)[:2])
    form = Form(20, SYMBOLS)
    exact, rough = (lstm(kernels, windows, form._replace(precision=each)) for each in ("float32", "bfloat16"))
    assert rough.dtype == jnp.float32
    assert 1e-5 < float(jnp.max(jnp.abs(exact - rough))) < 0.05
    slope = jax.grad(lambda each: jnp.sum(lstm(each, windows, form._replace(precision="bfloat16"))))(kernels)
    assert all(np.isfinite(leaf).all() and leaf.dtype == jnp.float32 for leaf in slope)


CARRIED = NetworkConfig(kind="lstm", hidden=HIDDEN, head=8, chunk=7, burn_in=5)


def encoded(policy: Policy, params: Any, rows: np.ndarray, bars: np.ndarray, origin: int) -> np.ndarray:
    """Return the embeddings of bars by their numbers, [n, N, H], from rows whose first has the number `origin`."""
    encoder, params = policy.bind({"params": params}).encoder, None
    return np.asarray(encoder(rows[None], jnp.asarray(bars - origin)[None], jnp.full(1, origin, jnp.int32))[0])


def step_by_step(params: Any, rows: np.ndarray, bar: int) -> np.ndarray:
    """Carry the state bar by bar from the burn-in of the bar's chunk, in float64 and plain NumPy, [N, H]."""
    kernels = {name: np.asarray(leaf, np.float64) for name, leaf in params["encoder"]["lstm"].items()}
    c = h = np.zeros((rows.shape[1], HIDDEN))
    for t in range(bar // CARRIED.chunk * CARRIED.chunk - CARRIED.burn_in, bar + 1):
        z = rows[t] @ kernels["kernel_x"] + h @ kernels["kernel_h"] + kernels["bias"]
        i, f, g, o = np.split(z, 4, axis=-1)
        i, f, o = (1 / (1 + np.exp(-gate)) for gate in (i, f, o))
        c = f * c + i * np.tanh(g)
        h = o * np.tanh(c)
    return h


@pytest.mark.parametrize("origin", [0, 3, 10])
def test_the_chunks_of_a_carried_lstm_are_the_steps(origin: int) -> None:
    """Whatever part of the data a lane holds, each bar's state is that of the step-by-step run."""
    policy, _ = make_policy(CARRIED, EnvConfig(), SYMBOLS)
    params = init_params(policy, jax.random.key(0), SYMBOLS, FEATURES)
    rows = draw(BARS, SYMBOLS, FEATURES, seed=4).astype(np.float32)
    bars = np.arange(origin + CARRIED.reach - 1, BARS)
    found = encoded(policy, params, rows[origin:], bars, origin)
    wanted = np.stack([step_by_step(params, rows, bar) for bar in bars])
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    late = encoded(policy, params, rows[origin:], bars, origin + 1)  # planted: the number of the first row is off
    assert np.max(np.abs(late[:-1] - wanted[1:])) > 1e-3


def test_a_carried_lstm_sees_no_later_bar() -> None:
    policy, _ = make_policy(CARRIED, EnvConfig(), SYMBOLS)
    params = init_params(policy, jax.random.key(0), SYMBOLS, FEATURES)
    rows = draw(BARS, SYMBOLS, FEATURES, seed=4).astype(np.float32)
    bars = np.arange(CARRIED.reach - 1, BARS)
    before, changed = encoded(policy, params, rows, bars, 0), rows.copy()
    changed[25:] += 1
    after = encoded(policy, params, changed, bars, 0)
    np.testing.assert_array_equal(before[bars < 25], after[bars < 25])
    assert (np.abs(before - after)[bars >= 25].max(axis=(1, 2)) > 1e-4).all()
