"""Our side of the training benchmarks: compiled updates, and the markets that they are measured on."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.harness import Work
from jaxtrade.config import Features, MarketConfig
from jaxtrade.envs.synthetic import random_bars
from jaxtrade.envs.trading import make_env_params
from jaxtrade.market.table import MarketTable, build_table
from train.config import PPOConfig, TrainConfig
from train.control import train_control
from train.control_config import ControlConfig, ControlNetwork, ControlPPOConfig
from train.control_rollout import init_control, make_control
from train.learner import compile_chunk
from train.state import init_state, make_setup

SIXTEEN: Features = dict(MarketConfig().features) | {
    "lagged_returns": (1, 2, 3, 4, 5, 10, 20, 40),
    "ema": (10, 20, 30),  # and five more: 16 features
}


def random_market(symbols: int, bars: int, window: int, features: Features = SIXTEEN) -> MarketTable:
    """Return a table of random walks with 16 features a symbol."""
    return build_table(random_bars(bars, symbols), MarketConfig(features=features), window)


def train_work(table: MarketTable, config: TrainConfig, updates: int) -> Work:
    """Return the work of some compiled updates; one sample is one step of one account, through all epochs."""
    setup = make_setup(config, table.ranges["train"], len(table.symbols))
    market = make_env_params(table, table.ranges["train"], config.env)
    chunk = compile_chunk(setup)
    state = jax.jit(lambda market: init_state(setup, market))(market)

    def work() -> int:
        nonlocal state
        figures: Any
        state, figures = chunk(state, market, jnp.int32(updates))
        jax.block_until_ready((state, figures))
        return int(updates * config.samples)

    return work


def control_work(name: str, ppo: PPOConfig, copies: int, hidden: tuple[int, ...], updates: int) -> Work:
    """Return the work of some updates of our learner on an environment of gymnax, in one compiled call."""
    config = ControlConfig(
        env=name,
        num_envs=copies,
        total_timesteps=updates * copies * ppo.rollout_length,
        network=ControlNetwork(layers=hidden),
        ppo=ControlPPOConfig.model_validate(ppo.model_dump()),
    )
    control = make_control(config)
    params = control.world.params
    program = jax.jit(partial(train_control, control, updates=updates), donate_argnums=0)
    state = init_control(control, params, 0)

    def work() -> int:
        nonlocal state
        state, figures = program(state, params)
        jax.block_until_ready((state, figures))
        return updates * copies * ppo.rollout_length

    return work
