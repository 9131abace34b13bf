"""It learns what can be learned, and nothing where nothing can.

One feature tells whether the next bar's return is positive. A policy that reads it must come near to what always being
right earns through the same rules; the same feature shuffled in time must leave it with nothing.
"""

import logging
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import pytest

from eval_bridge.backtester import buy_and_hold, run_backtest
from jaxtrade.config import CostConfig, EnvConfig
from jaxtrade.envs.trading import make_env_params
from jaxtrade.market.table import MarketTable
from tests.helpers.worlds import make_table
from train.config import TrainConfig
from train.evaluate import compile_evaluation
from train.learner import compile_chunk
from train.state import Setup, init_state, make_setup

LOG = logging.getLogger(__name__)
UPDATES, ORACLE = 40, 0
CHEAP = CostConfig(buy_percent=0.01, sell_percent=0.01)
ALL_IN = {"continuous": (1.0, -1.0), "discrete9": (4, 8)}


def planted(shuffled: bool) -> MarketTable:
    """Return a market whose first feature is the sign of the next bar's total return, or that sign shuffled in time."""
    table = make_table(30, 1500)
    total = (1 + table.outcome.gap) * (1 + table.outcome.move) - 1
    sign = np.sign(np.nan_to_num(total)).astype(np.float32)
    if shuffled:
        sign = np.random.default_rng(1).permutation(sign)
    features = table.features.copy()
    features[..., ORACLE] = np.where(np.isnan(features[..., ORACLE]), np.nan, sign)
    return replace(table, features=features)


class Programs(NamedTuple):
    """What training and validating one kind of action is compiled to."""

    setup: Setup
    chunk: Any
    evaluate: Any


@lru_cache
def programs_of(action: str) -> Programs:
    table = planted(shuffled=False)
    config = TrainConfig(
        num_envs=64,
        total_timesteps=UPDATES * 64 * 32,
        env=EnvConfig(window=30, action=action, trade_limit_percent=100.0, costs=CHEAP),
        network={"kind": "mlp", "hidden": 16, "head": 16},
        ppo={"rollout_length": 32, "episode_bars": 64, "learning_rate": 3e-3, "gamma": 0.9, "entropy_weight": 0.0},
    )
    setup = make_setup(config, table.ranges["train"], len(table.symbols))
    return Programs(setup, compile_chunk(setup), compile_evaluation(setup, table.ranges["validation"].decisions))


def learn(action: str, shuffled: bool, seed: int = 0) -> float:
    """Train, and return the log growth over the validation range."""
    setup, chunk, evaluate = programs_of(action)
    table, config = planted(shuffled), setup.config.model_copy(update={"seed": seed})
    train, validation = (make_env_params(table, table.ranges[name], config.env) for name in ("train", "validation"))
    state, _ = chunk(init_state(setup._replace(config=config), train), train, jnp.int32(UPDATES))
    return float(evaluate(state.params, validation)["log_growth"])


def always_right(action: str) -> tuple[float, float]:
    """Return the log growth of trading everything on the planted sign, and of buy and hold, in the backtester."""
    table, config = planted(shuffled=False), programs_of(action).setup.config.env
    span = table.ranges["validation"]
    buy, sell = (np.full(1, each) if action == "continuous" else np.array(each) for each in ALL_IN[action])
    oracle = run_backtest(
        table, span, config, lambda bar, _: (buy if table.features[bar, 0, ORACLE] > 0 else sell, 0.0)
    )
    hold = buy_and_hold(table, span, config)
    return tuple(float(np.log(each.equity[-1] / each.equity[0])) for each in (oracle, hold))


@pytest.mark.nightly  # every day the foot of the ladder: tests/train/test_ladder_small.py
@pytest.mark.parametrize("action", ["continuous", "discrete9"])
def test_what_is_announced_is_learned(action: str) -> None:
    """Above 60 % of what always being right earns, and far above buy and hold; shuffled, below 20 %."""
    right, hold = always_right(action)
    assert right > 0.3
    assert right > hold + 0.3
    growth, noise = learn(action, shuffled=False), learn(action, shuffled=True)
    LOG.info("%s: learned %.3f, shuffled %.3f, always right %.3f, hold %.3f", action, growth, noise, right, hold)
    assert growth > 0.6 * right, f"learned {growth:.3f} of {right:.3f}"
    assert growth > hold + 0.2
    assert noise < 0.2 * right, f"learned {noise:.3f} of {right:.3f} from noise"


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(1, 6))
@pytest.mark.parametrize("action", ["continuous", "discrete9"])
def test_every_seed_learns(action: str, seed: int) -> None:
    right, _ = always_right(action)
    assert learn(action, shuffled=False, seed=seed) > 0.6 * right
    assert learn(action, shuffled=True, seed=seed) < 0.3 * right
