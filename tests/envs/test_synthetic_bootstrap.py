"""The stationary bootstrap: blocks of geometric length, from anywhere in the source, round its end."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrade.envs.markets import increments_of
from jaxtrade.envs.processes import Increments, block_rows, bootstrap
from jaxtrade.envs.synthetic import random_bars

LENGTH, BLOCK, BARS, DRAWS = 40, 8.0, 120, 1500
Rows = np.ndarray  # [K, T]


@pytest.fixture(scope="module")
def rows() -> Rows:
    draw = jax.jit(lambda keys: jax.lax.map(lambda key: block_rows(key, LENGTH, BLOCK, BARS), keys))
    return np.asarray(draw(jax.random.split(jax.random.key(5), DRAWS)))


def cuts(rows: Rows) -> np.ndarray:
    """True, [K, T - 1], where a bar does not follow the one before it in the source, which is a circle."""
    return np.diff(rows, axis=1) % LENGTH != 1


def check_lengths(rows: Rows) -> None:
    chance = (1 / BLOCK) * (1 - 1 / LENGTH)  # a new block may start where the old one would have gone on
    found = cuts(rows)
    assert abs(found.mean() - chance) < 5 * np.sqrt(chance * (1 - chance) / found.size)
    pair = (found[:, 1:] & found[:, :-1]).mean()  # geometric: a cut does not depend on the one before
    assert abs(pair - chance**2) < 5 * np.sqrt(chance**2 / found.size)


def check_uniform(rows: Rows) -> None:
    for bar in (0, BARS // 2, BARS - 1):
        counts = np.bincount(rows[:, bar], minlength=LENGTH)
        chi_square = np.sum((counts - DRAWS / LENGTH) ** 2) / (DRAWS / LENGTH)
        assert len(counts) == LENGTH
        assert abs(chi_square - (LENGTH - 1)) < 5 * np.sqrt(2 * (LENGTH - 1))


def check_wraps(rows: Rows) -> None:
    at_the_end = rows[:, :-1] == LENGTH - 1
    chance = 1 - 1 / BLOCK + 1 / BLOCK / LENGTH
    after = (rows[:, 1:] == 0)[at_the_end].mean()
    assert abs(after - chance) < 5 * np.sqrt(chance * (1 - chance) / at_the_end.sum())


CHECKS = {"lengths": check_lengths, "uniform": check_uniform, "wraps": check_wraps}


@pytest.mark.parametrize("check", CHECKS)
def test_blocks(rows: Rows, check: str) -> None:
    CHECKS[check](rows)


def independent(rows: Rows) -> Rows:
    return np.random.default_rng(0).integers(0, LENGTH, rows.shape)


def fixed_lengths(rows: Rows) -> Rows:
    starts = np.random.default_rng(0).integers(0, LENGTH, (DRAWS, BARS // int(BLOCK)))
    return ((starts[..., None] + np.arange(int(BLOCK))) % LENGTH).reshape(rows.shape)


def no_wrap(rows: Rows) -> Rows:
    """Blocks stay inside the source: its first and last bars are drawn too seldom."""
    starts = np.random.default_rng(0).integers(0, LENGTH - int(BLOCK) + 1, (DRAWS, BARS // int(BLOCK)))
    return (starts[..., None] + np.arange(int(BLOCK))).reshape(rows.shape)


@pytest.mark.parametrize(
    ("plant", "check"),
    [(independent, "lengths"), (fixed_lengths, "lengths"), (no_wrap, "wraps"), (no_wrap, "uniform")],
)
def test_planted_faults_show(rows: Rows, plant: Callable[[Rows], Rows], check: str) -> None:
    with pytest.raises(AssertionError):
        CHECKS[check](plant(rows))


def test_real_bars_on_the_device() -> None:
    bars = random_bars(30, symbols=2, seed=1)
    close = bars.close.copy()
    close[10, 1] = np.nan
    source = increments_of(bars._replace(close=close))
    assert source.overnight.shape == (28, 2)
    np.testing.assert_allclose(source.overnight[9], np.log(bars.open[11] / bars.close[9]), rtol=1e-5)  # over the gap
    np.testing.assert_allclose(source.upper[0], np.log(bars.high[1] / np.maximum(bars.open, bars.close)[1]), rtol=1e-3)
    np.testing.assert_allclose(source.volume[-1], bars.volume[-1], rtol=1e-6)


def test_all_symbols_and_fields_share_the_blocks() -> None:
    values = np.random.default_rng(2).normal(size=(5, LENGTH, 3)).astype(np.float32)
    source = Increments(*map(jnp.asarray, values))
    drawn = jax.jit(lambda key, block: bootstrap(key, source, block, BARS))(jax.random.key(1), 5.0)
    found = np.array([np.flatnonzero(np.all(values[0] == row, axis=1))[0] for row in np.asarray(drawn.overnight)])
    assert len(set(found)) > LENGTH / 2
    for leaf, given in zip(drawn, values, strict=True):
        np.testing.assert_array_equal(leaf, given[found])
