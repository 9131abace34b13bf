"""The chain from a CSV file to a backtest, with a small policy of random parameters that trades at every bar."""

import tempfile
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from eval_bridge import steps
from eval_bridge.backtester import Backtest, buy_and_hold
from eval_bridge.bundle import Bundle, load_bundle
from eval_bridge.evaluation import Evaluation, Options, evaluate
from eval_bridge.market import load_market
from eval_bridge.policy import NumpyPolicy, make_policy
from jaxtrade.envs.synthetic import random_bars
from jaxtrade.envs.trading import make_env_params
from jaxtrade.market.loading import load_table
from jaxtrade.market.table import MarketTable
from tests.conftest import small_config
from tests.helpers.price_files import csv_lines, write_lines
from train.bridge import write_bundle
from train.state import Setup, TrainState, init_state, make_setup

BARS = 600
BOLD = 40.0  # on the last layer, whose first values are small


class Trained(NamedTuple):
    """What a run has in memory after no update at all."""

    setup: Setup
    table: MarketTable
    state: TrainState


def price_lines() -> list[str]:
    """Return the lines of a file whose highs and lows leave room for changed opens and closes."""
    bars = random_bars(BARS, seed=21)
    return csv_lines(bars._replace(high=bars.high * 2, low=bars.low / 2))


def config_for(data: Path) -> Any:
    """Return a configuration in which every action trades."""
    env = {"window": 30, "dead_band": 0.0, "trade_limit_percent": 3.0, "allow_short": True, "max_leverage": 9.0}
    env["maintenance_margin_percent"] = 5.0
    return small_config(data=str(data), env=env)


@cache
def untrained() -> Trained:
    """Return a setup, its market and the state before the first update; the same at every call."""
    with tempfile.TemporaryDirectory() as folder:
        config = config_for(write_lines(Path(folder) / "prices.csv", price_lines()))
        table = load_table(config.data, config.market, config.env.window)
    setup = make_setup(config, table.ranges["train"], len(table.symbols))
    return Trained(setup, table, init_state(setup, make_env_params(table, table.ranges["train"], config.env)))


@cache
def bundle_bytes() -> bytes:
    """Return the policy bundle of a bold policy."""
    setup, table, state = untrained()
    params = jax.tree.map(lambda leaf: leaf, state.params)
    params["actor_out"]["kernel"] = params["actor_out"]["kernel"] * BOLD
    with tempfile.TemporaryDirectory() as folder:
        return write_bundle(Path(folder) / "policy.npz", setup, table, params, update=0).read_bytes()


class Walk(NamedTuple):
    """Everything that the chain makes of one file, by bar; `K` decisions from bar `first`."""

    data_hash: str
    features: np.ndarray  # [T, F]
    tradable: np.ndarray  # [T]
    mark: np.ndarray  # [T]
    gap: np.ndarray  # [T]
    move: np.ndarray  # [T]
    can_fill: np.ndarray  # [T]
    fill_price: np.ndarray  # [T]
    action: np.ndarray  # [T], NaN where nothing was decided
    value: np.ndarray  # [T]
    reward: np.ndarray  # [T] of the decision at t
    equity: np.ndarray  # [T] at the close of t


def walk_of(result: Backtest) -> Walk:
    """Lay a backtest out by bar."""
    table, first, steps = result.table, result.span.first, result.steps
    by_bar = {name: np.full(len(table.time), np.nan) for name in ("action", "value", "reward", "equity")}
    decided = slice(first, first + len(steps))
    by_bar["action"][decided] = [float(step.action[0]) for step in steps]
    by_bar["value"][decided] = [step.value for step in steps]
    by_bar["reward"][decided] = [step.reward for step in steps]
    by_bar["equity"][first : first + len(steps) + 1] = result.equity
    rows = {name: getattr(table.outcome, name)[:, 0] for name in ("gap", "move", "can_fill")}
    rows |= {"features": table.features[:, 0], "tradable": table.known.tradable[:, 0], "mark": table.mark[:, 0]}
    return Walk(data_hash=table.data_hash, fill_price=table.fill_price[:, 0], **rows, **by_bar)


def backtest_lines(folder: Path, lines: list[str], split: str = "test") -> tuple[Backtest, Backtest]:
    """Write the file and the bundle, read both, trade; return the policy's backtest and buy and hold."""
    policy, bundle, market = written(folder, lines)
    span, env = market.span(split), bundle.manifest.env
    return steps.trade(policy, market, span, env, Options()), buy_and_hold(market, span, env)


def evaluate_lines(folder: Path, lines: list[str], split: str = "test") -> Evaluation:
    """Write the file and the bundle, read both, trade; return all that is said about it."""
    return evaluate(*written(folder, lines), split)


def written(folder: Path, lines: list[str]) -> tuple[NumpyPolicy, Bundle, MarketTable]:
    """Write the file and the bundle, and read both."""
    data = write_lines(folder / "prices.csv", lines)
    (folder / "policy.npz").write_bytes(bundle_bytes())
    bundle = load_bundle(folder / "policy.npz")
    return make_policy(bundle), bundle, load_market(bundle.manifest, str(data))
