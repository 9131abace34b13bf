"""Fixtures for all tests: our own code runs under strict dtype and rank promotion."""

import os
from collections.abc import Iterator

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["JAXTRADE_COMPILATION_CACHE"] = "off"  # the user's own caches are none of a test's business
os.environ["JAXTRADE_TABLE_CACHE"] = "off"

import jax
import pytest

from jaxtrade.config import EnvConfig
from jaxtrade.envs.synthetic import random_bars, synthetic_table
from jaxtrade.market.bars import Bars
from jaxtrade.market.table import MarketTable
from train import leaks
from train.config import TrainConfig

leaks.CELLS_AT_EXPORT = 0  # few cuts: exports are many here, and the leak check has tests of its own


OPTIMIZED = bool(os.environ.get("JAXTRADE_TEST_OPTIMIZED"))  # the nightly tier: everything as users compile it


@pytest.fixture(autouse=True, scope="module")
def quick_compilation(request: pytest.FixtureRequest) -> None:
    """Leave out most of the compiler's optimisations, which here cost more than they save.

    Modules marked `optimized` compile as users do: where two engines are compared to the last digits.
    """
    quick = not OPTIMIZED and request.node.get_closest_marker("optimized") is None
    if quick != jax.config.read("jax_disable_most_optimizations"):
        jax.config.update("jax_disable_most_optimizations", quick)
        jax.clear_caches()  # programs of the other kind


@pytest.fixture(autouse=True)
def strict_promotion() -> Iterator[None]:
    """No implicit change of dtype or rank in our code; `with jax.numpy_rank_promotion("allow")` for others' code."""
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield


@pytest.fixture
def x64() -> Iterator[None]:
    """Double precision under JAX."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="session")
def small_bars() -> Bars:
    """Two symbols of random bars."""
    return random_bars(900, symbols=2, seed=3)


@pytest.fixture(scope="session")
def small_table() -> MarketTable:
    """One symbol, a window of 30 bars, about 700 bars."""
    return synthetic_table(window=30, bars=700)


def small_config(**changes: object) -> TrainConfig:
    """Return a configuration that compiles in a second or two; `changes` are top-level keys."""
    data = {
        "num_envs": 16,
        "total_timesteps": 16 * 16 * 6,
        "eval_every": 2,
        "tensorboard": False,
        "env": EnvConfig(window=30),
        "network": {"kind": "multiscale_lstm", "branches": (1, 5, 20), "hidden": 8, "head": 16},
        "ppo": {"rollout_length": 16, "lanes": 4, "episode_bars": 64},
    }
    return TrainConfig.model_validate(data | changes)
