"""Training through the real path, and its policies through the float64 backtester, for the ladder."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from eval_bridge.backtester import Actor, Backtest, policy_actor, run_backtest
from eval_bridge.bundle import Bundle
from eval_bridge.policy import NumpyPolicy
from jaxtrade.config import CostConfig, EnvConfig
from jaxtrade.envs.trading import EnvParams, make_env_params
from jaxtrade.market.splits import Range
from jaxtrade.market.table import MarketTable
from tests.helpers.optimum import assert_not_better_than_clairvoyant, clairvoyant
from train.config import TrainConfig
from train.forward import flat_params
from train.learner import CHUNK, compile_chunk
from train.state import Setup, TrainState, init_state, make_setup

FloatArray = npt.NDArray[np.float64]
MLP = {"kind": "mlp", "hidden": 32, "head": 32}
BOTH_WAYS = {"positions": (-1.0, 1.0), "allow_short": True}


def all_or_nothing(percent: float, window: int = 1, **rules: object) -> EnvConfig:
    """Return rules that hold all or nothing of one symbol, at a commission in percent."""
    costs = CostConfig(buy_percent=percent, sell_percent=percent)
    return EnvConfig.model_validate({"action": "positions", "window": window, "costs": costs} | rules)


def ladder_config(env: EnvConfig, updates: int, network: dict[str, Any] = MLP, **ppo: Any) -> TrainConfig:
    """Return a small configuration: 64 environments in 16 lanes, rollouts of 64 bars; `ppo` changes how it learns."""
    usual = {"rollout_length": 64, "lanes": 16, "episode_bars": 256, "learning_rate": 3e-3, "entropy_weight": 0.0}
    ppo = usual | ppo
    total = updates * 64 * ppo["rollout_length"]
    return TrainConfig(num_envs=64, total_timesteps=total, env=env, network=network, ppo=ppo)


class Lab(NamedTuple):
    """What one configuration is compiled to; other tables of the same shape compile nothing anew."""

    setup: Setup
    start: Any  # (seed, market) -> state
    chunk: Any  # (state, market, count) -> state, figures


def make_lab(config: TrainConfig, table: MarketTable, quick: bool = False) -> Lab:
    """Return the compiled training of a configuration; `quick` compiles in less time what then runs longer."""
    setup = make_setup(config, table.ranges["train"], len(table.symbols))
    market = make_env_params(table, table.ranges["train"], config.env)

    def begin(seed: jax.Array, market: EnvParams) -> TrainState:
        return init_state(setup._replace(config=config.model_copy(update={"seed": seed})), market)

    seed, options = jnp.int32(0), {"xla_backend_optimization_level": 0} if quick else None
    start = jax.jit(begin).lower(seed, market).compile(compiler_options=options)
    state = jax.eval_shape(begin, seed, market)
    chunk = compile_chunk(setup).lower(state, market, seed).compile(compiler_options=options)
    return Lab(setup, start, chunk)


def learn(lab: Lab, table: MarketTable, seed: int = 0) -> Any:
    """Train on the training range through all updates and return the parameters."""
    config = lab.setup.config
    market = make_env_params(table, table.ranges["train"], config.env)
    state = lab.start(jnp.int32(seed), market)
    for done in range(0, config.updates, CHUNK):
        state, _ = lab.chunk(state, market, jnp.int32(min(CHUNK, config.updates - done)))
    return jax.device_get(state.params)


def actor_of(lab: Lab, params: Any, table: MarketTable, span: Range) -> Actor:
    """Return the deterministic policy in NumPy, as a bundle would have it."""
    config = lab.setup.config
    manifest = SimpleNamespace(network=config.network, env=config.env)
    return policy_actor(NumpyPolicy(Bundle(manifest, flat_params(params), {})), table, span)  # type: ignore[arg-type]


class Walk(NamedTuple):
    """A walk through a range, by the backtester."""

    growth: float  # log growth, net of costs
    bound: float  # that of the clairvoyant
    actions: npt.NDArray[np.intp]  # [K]
    returns: FloatArray  # [K] simple returns of the equity
    turnover: float  # mean value traded a bar, as a share of equity


def walk(table: MarketTable, span: Range, env: EnvConfig, actor: Actor) -> Walk:
    """Walk an actor through a range; whoever it is, it must not beat the clairvoyant."""
    result: Backtest = run_backtest(table, span, env, actor)
    growth, bound = float(np.log(result.equity[-1] / result.equity[0])), clairvoyant(table, span, env).growth
    assert_not_better_than_clairvoyant(growth, bound)
    actions = np.array([int(step.action) for step in result.steps])
    returns = result.equity[1:] / result.equity[:-1] - 1
    return Walk(growth, bound, actions, returns, float(np.mean(result.series("turnover"))))


def trained_walks(lab: Lab, table: MarketTable, seeds: int, span: str = "test") -> Iterator[Walk]:
    """Train with several seeds and walk each policy through a range that it was not trained on."""
    where = table.ranges[span]
    for seed in range(seeds):
        yield walk(table, where, lab.setup.config.env, actor_of(lab, learn(lab, table, seed), table, where))
