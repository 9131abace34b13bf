"""An LSTM over many windows of one table of rows, with a gradient of its own.

The plain scan spends most of its backward pass on forming the kernels' gradient one bar at a time. Here the input is
projected once per row for all windows, one tanh serves all four gates (sigmoid(x) = tanh(x / 2) / 2 + 1 / 2), and the
gradient of the kernels is formed in one matrix product for several bars. Rows are data: they get no gradient.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

BARS_A_PRODUCT = 10  # of the kernels' gradient: large enough for a fast product, small enough to stay in the cache


class Kernels(NamedTuple):
    """Parameters; gates in the order i, f, g, o."""

    x: jax.Array  # [F, 4H]
    h: jax.Array  # [H, 4H]
    bias: jax.Array  # [4H]


class Windows(NamedTuple):
    """Which rows each of B sequences reads: `first + k * stride` at step k, but never past `last`."""

    rows: jax.Array  # [M, F]
    first: jax.Array  # [B]
    last: jax.Array  # [B]

    def index(self, step: jax.Array, stride: int) -> jax.Array:
        """Return the rows' numbers at a step, [B]."""
        return jnp.minimum(self.first + step * stride, self.last)


class Form(NamedTuple):
    """The static parts."""

    steps: int  # bars of a sequence
    stride: int  # rows from one bar of a sequence to the next
    every: bool = False  # return all hidden states, not only the last
    precision: str = "float32"  # of the matrix products: float32 or bfloat16, which is summed in float32


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def lstm(kernels: Kernels, windows: Windows, form: Form) -> jax.Array:
    """Run B sequences, each from a zero state.

    h = o * tanh(c), c = f * c + i * g (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000).

    Args:
        kernels: Parameters.
        windows: Rows and which of them each sequence reads.
        form: The static parts.

    Returns:
        The last hidden states, [B, H], or all of them, [steps, B, H].
    """
    return _run(kernels, windows, form, keep=False)[0]


def _matmul(a: jax.Array, b: jax.Array, form: Form) -> jax.Array:
    if form.precision == "float32":
        return a @ b
    half = jnp.bfloat16
    return jnp.matmul(a.astype(half), b.astype(half), preferred_element_type=a.dtype)


def _halves(kernels: Kernels) -> jax.Array:
    """Return what gates are scaled by before the tanh, [1, 4H]: sigmoids by a half."""
    hidden = kernels.h.shape[0]
    return jnp.repeat(jnp.array([[0.5, 0.5, 1.0, 0.5]], kernels.h.dtype), hidden, axis=1)


def _run(kernels: Kernels, windows: Windows, form: Form, keep: bool) -> tuple[jax.Array, Any]:
    """Return the result and, if asked to keep them, (tanh of the gates, c and h before) at each step and the last c."""
    halves = _halves(kernels)
    table = (_matmul(windows.rows, kernels.x, form) + kernels.bias[None]) * halves  # [M, 4H]
    recurrent = kernels.h * halves

    def cell(carry: tuple[jax.Array, jax.Array], step: jax.Array) -> tuple[tuple[jax.Array, jax.Array], Any]:
        c, h = carry
        gates = jnp.tanh(table[windows.index(step, form.stride)] + _matmul(h, recurrent, form))
        i, f, g, o = jnp.split(gates, 4, axis=-1)
        new_c = 0.5 * (f * c + c + i * g + g)
        new_h = (0.5 * o + 0.5) * jnp.tanh(new_c)
        return (new_c, new_h), ((gates, c, h) if keep else None, new_h if form.every else None)

    zero = jnp.zeros((windows.first.shape[0], kernels.h.shape[0]), kernels.h.dtype)
    (c, h), (kept, every) = jax.lax.scan(cell, (zero, zero), jnp.arange(form.steps, dtype=jnp.int32))
    return every if form.every else h, (kept, c)


def _run_and_keep(kernels: Kernels, windows: Windows, form: Form) -> tuple[jax.Array, Any]:
    result, kept = _run(kernels, windows, form, keep=True)
    return result, (kernels, windows, kept)


class _Back(NamedTuple):
    """What goes backwards in time."""

    dh: jax.Array  # [B, H]
    dc: jax.Array  # [B, H]
    c: jax.Array  # [B, H]


def _gradient(form: Form, saved: Any, dresult: jax.Array) -> tuple[Kernels, None]:
    """Return the gradient of the kernels by back-propagation through time."""
    kernels, windows, ((gates, c_before, h_before), c_last) = saved
    halves = _halves(kernels)
    recurrent = (kernels.h * halves).T
    steps = jnp.arange(form.steps, dtype=jnp.int32)

    def cell(back: _Back, now: Any) -> tuple[_Back, jax.Array]:
        gates, c_before, dh_now = now
        i, f, g, o = jnp.split(gates, 4, axis=-1)
        dh = back.dh if dh_now is None else back.dh + dh_now
        squashed = jnp.tanh(back.c)
        dc = 0.5 * (back.dc + dh * (0.5 * o + 0.5) * (1 - squashed * squashed))
        upper = jnp.concatenate([dc * g, dc * c_before, dc * i + dc, 0.5 * dh * squashed], axis=-1)
        dz = upper - upper * gates * gates  # of the scaled gates
        return _Back(_matmul(dz, recurrent, form), dc * f + dc, c_before), dz

    def product(carry: tuple[_Back, jax.Array, jax.Array], now: Any) -> tuple[tuple, None]:
        back, dkernel, dbias = carry
        gates, c_before, h_before, step, dh_now = now
        back, dz = jax.lax.scan(cell, back, (gates, c_before, dh_now), reverse=True)
        rows = windows.rows[jax.vmap(windows.index, (0, None))(step, form.stride)]
        seen = jnp.concatenate([rows, h_before], axis=-1)
        dz = dz.reshape(-1, dz.shape[-1])
        dkernel += _matmul(seen.reshape(-1, seen.shape[-1]).T, dz, form)
        return (back, dkernel, dbias + jnp.sum(dz, axis=0)), None

    bars = max(bars for bars in range(1, BARS_A_PRODUCT + 1) if form.steps % bars == 0)
    parts = (gates, c_before, h_before, steps, dresult if form.every else None)
    parts = jax.tree.map(lambda leaf: leaf.reshape(form.steps // bars, bars, *leaf.shape[1:]), parts)
    none = jnp.zeros_like(c_last)
    last = _Back(none if form.every else dresult, none, c_last)
    start = (last, jnp.zeros((sum(kernels.x.shape[:1] + kernels.h.shape[:1]), halves.shape[1]), halves.dtype))
    (_, dkernel, dbias), _ = jax.lax.scan(product, (*start, jnp.zeros_like(kernels.bias)), parts, reverse=True)
    dkernel = dkernel * halves
    features = kernels.x.shape[0]
    return Kernels(dkernel[:features], dkernel[features:], dbias * halves[0]), None


lstm.defvjp(_run_and_keep, _gradient)
