"""Markets and walks through them, for the tests of the environments and of the learner."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxtrade.config import EnvConfig, MarketConfig
from jaxtrade.envs.synthetic import random_bars
from jaxtrade.envs.trading import EnvParams, EnvState, TradingCore, make_env_params
from jaxtrade.market.bars import Bars
from jaxtrade.market.splits import Range
from jaxtrade.market.table import MarketTable, build_table


def holed(bars: Bars, share: float, seed: int = 0) -> Bars:
    """Return the bars with a share of the opens, of the closes and of whole bars missing, the first bar apart."""
    random = np.random.default_rng(seed)
    no_open, no_close, nothing = random.random((3, *bars.close.shape)) < share
    no_open[0] = no_close[0] = nothing[0] = False
    return bars._replace(
        open=np.where(no_open | nothing, np.nan, bars.open), close=np.where(no_close | nothing, np.nan, bars.close)
    )


def make_table(window: int, bars: int, symbols: int = 1, seed: int = 0, **kind: float) -> MarketTable:
    """Return the table of random bars; `kind` is the `volatility` and the share that is `missing`."""
    missing = kind.pop("missing", 0.0)
    walk = random_bars(bars, symbols, seed, **kind)
    return build_table(holed(walk, missing, seed) if missing else walk, MarketConfig(), window)


def random_actions(config: EnvConfig, count: int, symbols: int, seed: int = 0) -> np.ndarray:
    """Return actions [count] or [count, symbols], some of them beyond the bounds or in the dead band."""
    random = np.random.default_rng(seed)
    if config.action == "discrete9":
        return random.integers(0, 9, count).astype(np.int32)
    return random.normal(0.0, 0.6, (count, symbols)).astype(np.float32)


def walk(env: TradingCore, params: EnvParams, actions: Any, bar: Any = None) -> tuple[EnvState, dict[str, Any]]:
    """Take the actions one after the other without reset; return the last state and what every step showed, [K, ...].

    `obs` is what was seen before the action, `record` and `reward` what came of it.
    """

    def step(state: EnvState, action: jax.Array) -> tuple[EnvState, dict[str, Any]]:
        known, outcome = jax.tree.map(lambda leaf: leaf[state.t], (params.known, params.outcome))
        obs = env.view(state, known, params)
        after, reward, record = env.transition(state, action, known, outcome, params)
        return after, {"obs": obs, "account": after.account, "record": record, "reward": reward}

    start = env.fresh(params, params.first_bar if bar is None else jnp.int32(bar))
    return jax.lax.scan(step, start, jnp.asarray(actions))


def decisions(table: MarketTable, count: int, split: str = "train") -> Range:
    """Return the first `count` decisions of a range."""
    first, last = table.ranges[split]
    assert last - first >= count, f"the range holds {last - first} decisions only"
    return Range(first, first + count)


def env_params(table: MarketTable, config: EnvConfig, split: str = "train", **kind: Any) -> EnvParams:
    """Return the parameters of an environment over a range of a table."""
    return make_env_params(table, table.ranges[split], config, **kind)
