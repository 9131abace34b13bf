"""Networks of every kind with parameters large enough that their actions differ, and the markets they see."""

from functools import lru_cache
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest

from eval_bridge.spec import NetworkConfig
from jaxtrade.config import EnvConfig
from jaxtrade.market.loading import load_table
from jaxtrade.market.table import MarketTable
from tests.helpers.worlds import make_table
from train.config import TrainConfig
from train.networks import init_params
from train.state import Setup, make_setup

LSTM, MLP = NetworkConfig(), NetworkConfig(kind="mlp")
SLIM = NetworkConfig(hidden=16)  # as many branches
CARRIED = NetworkConfig(kind="lstm", hidden=32, chunk=50, burn_in=40)
FLAT = NetworkConfig(kind="flat_mlp")
SQUASHED = {"std": "state", "squash": "tanh"}


class Case(NamedTuple):
    """A network, its actions, and the market it sees."""

    network: NetworkConfig
    action: str
    symbols: int = 1  # 1: the Nasdaq sample; more: a made-up panel


CASES = {
    "lstm, continuous": Case(LSTM, "continuous"),
    "lstm, discrete9": Case(SLIM, "discrete9"),
    "mlp, continuous": Case(MLP, "continuous"),
    "mlp, discrete9": Case(MLP, "discrete9"),
    "lstm, panel": Case(SLIM, "continuous", 3),
    "mlp, panel": Case(MLP, "continuous", 3),
    "carried lstm, panel": Case(CARRIED, "continuous", 3),
    "flat mlp, panel": Case(FLAT, "continuous", 3),
    "mlp, squashed weights": Case(NetworkConfig(kind="mlp", **SQUASHED), "target_weight", 3),
    "lstm, squashed": Case(NetworkConfig(hidden=16, **SQUASHED), "target_weight"),
    "carried lstm, squashed": Case(CARRIED.model_copy(update={"squash": "tanh"}), "continuous", 3),
    "flat mlp, squashed": Case(NetworkConfig(kind="flat_mlp", **SQUASHED), "continuous", 3),
    "mlp, deviations": Case(NetworkConfig(kind="mlp", std="state"), "continuous"),
    "mlp, discrete9, squashed": Case(NetworkConfig(kind="mlp", **SQUASHED), "discrete9"),
}


LATER = (
    "lstm, continuous",
    "lstm, panel",
    "mlp, continuous",
    "mlp, panel",
    "lstm, squashed",
    "carried lstm, panel",
    "carried lstm, squashed",
    "flat mlp, panel",
    "mlp, squashed weights",
    "mlp, deviations",
    "mlp, discrete9, squashed",
)  # the other cases hold all that these do, apart
NAMES = [pytest.param(name, marks=[pytest.mark.nightly] * (name in LATER)) for name in CASES]


@lru_cache
def table_of(symbols: int) -> MarketTable:
    config = TrainConfig()
    if symbols == 1:
        return load_table("sample:nasdaq", config.market, config.env.window)
    return make_table(config.env.window, 2200, symbols, missing=0.02)


@lru_cache
def trained(case: Case) -> tuple[Setup, Any]:
    """Return the setup and parameters larger than fresh ones, so that actions differ; outputs are of the order of 1."""
    table = table_of(case.symbols)
    config = TrainConfig(network=case.network, env=EnvConfig(action=case.action))
    setup = make_setup(config, table.ranges["train"], case.symbols)
    params = init_params(setup.policy, jax.random.key(1), case.symbols, table.features.shape[-1])
    params = jax.tree.map(np.array, jax.device_get(params))
    params["actor_out"]["kernel"] *= 40
    noise = np.random.default_rng(0)
    larger = lambda leaf: 1.3 * leaf + noise.normal(0, 0.03, leaf.shape).astype(np.float32)  # noqa: E731
    return setup, jax.tree.map(larger, params)
