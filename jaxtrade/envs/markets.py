"""From made-up bars to an environment's market without leaving the device: `vmap` over keys gives as many markets."""

import jax
import jax.numpy as jnp

from jaxtrade.assemble import rule_params, rule_ranges
from jaxtrade.config import EnvConfig
from jaxtrade.envs.processes import Increments, Prices
from jaxtrade.envs.trading import EnvParams
from jaxtrade.market.bars import Bars
from jaxtrade.market.sources.synthetic import complete_bars, increments
from jaxtrade.rules import Known, Outcome

LAGS = (1, 2, 3, 5, 10)
SHORT, LONG = 20, 60  # bars of the rolling volatilities
CLIP = 5.0
YEAR = 365 * 86_400  # seconds, of financing rates


def rules_alone(config: EnvConfig, symbols: int) -> EnvParams:
    """Return the environment parameters of a configuration, its market still to come; made on the host, once."""
    names = tuple(f"S{n}" for n in range(symbols))
    return EnvParams(
        rules=jax.tree.map(_to_device, rule_params(config, names)),
        ranges=jax.tree.map(_to_device, rule_ranges(config, names)),
    )


def market_params(prices: Prices, rules: EnvParams, window: int, seconds: float = 86_400.0) -> EnvParams:
    """Return the parameters of an environment that trades these bars.

    Args:
        prices: Complete bars, leaves [T, N].
        rules: What `rules_alone` gives.
        window: Bars of history that every decision has, its own included; static.
        seconds: From bar to bar; sets the financing by time.

    Returns:
        Environment parameters with `feature_names()` as features. Known and outcome are those of
        `jaxtrade.market.table` on the same bars, in float32; the last row is NaN and cannot be filled.
    """
    first, last = LONG + window - 1, prices.close.shape[0] - 1
    return rules.replace(
        max_steps_in_episode=jnp.int32(last - first),
        features=features(prices.close),
        known=Known(tradable=jnp.ones_like(prices.close, bool), close=prices.close),
        outcome=outcome(prices, seconds),
        first_bar=jnp.int32(first),
        last_bar=jnp.int32(last),
    )


def increments_of(bars: Bars) -> Increments:
    """Put the increments of real bars on the device, leaves [T', N], for `bootstrap` to draw from inside a program.

    Bars at which a symbol lacks a price are left out. Give it bars of the training range alone.
    """
    return Increments(**{name: _to_device(leaf) for name, leaf in increments(complete_bars(bars)).items()})


def outcome(prices: Prices, seconds: float) -> Outcome:
    """Return what follows each bar, leaves [T, N].

    Returns are differences of neighbouring prices, which float32 subtracts exactly, over the first of them: they are
    good to the last digit, where a ratio less one would lose the digits of small returns.
    """
    before, opening, after = prices.close[:-1], prices.open[1:], prices.close[1:]

    def with_end(leaf: jax.Array) -> jax.Array:
        nothing = jnp.full((1, *leaf.shape[1:]), False if leaf.dtype == bool else jnp.nan, leaf.dtype)
        return jnp.concatenate([leaf, nothing])

    return Outcome(
        gap=with_end((opening - before) / before),
        move=with_end((after - opening) / opening),
        can_fill=with_end(jnp.ones_like(opening, bool)),
        years=with_end(jnp.full(before.shape[0], seconds / YEAR, jnp.float32)),
        fill_price=with_end(opening),
        mark=with_end(after),
    )


def feature_names() -> tuple[str, ...]:
    """Return the names of the features, in the order of their columns."""
    return (*(f"return_{lag}" for lag in LAGS), "volatility")


def features(close: jax.Array) -> jax.Array:
    """Return causal features [T, N, F] within [-5, 5]; NaN before the warm-up of 60 bars.

    Log returns over 1, 2, 3, 5 and 10 bars in multiples of the volatility of the last 20 bars and of the root of
    their length, and the log of that volatility over the one of the last 60 bars.
    """
    step = jnp.diff(jnp.log(close), axis=0, prepend=jnp.log(close[:1]))
    short, long = (jnp.sqrt(_trailing_sum(step**2, bars) / bars) for bars in (SHORT, LONG))
    tiny = jnp.finfo(close.dtype).tiny
    columns = [_trailing_sum(step, lag) / (lag**0.5 * jnp.maximum(short, tiny)) for lag in LAGS]
    columns.append(jnp.log(jnp.maximum(short, tiny) / jnp.maximum(long, tiny)))
    result = jnp.clip(jnp.stack(columns, axis=-1), -CLIP, CLIP)
    return result.at[:LONG].set(jnp.nan)


def _trailing_sum(x: jax.Array, bars: int) -> jax.Array:
    """Return the sums of the last `bars` rows, [T, N]; rows before the first count as 0."""
    return jax.lax.reduce_window(x, 0.0, jax.lax.add, (bars, 1), (1, 1), ((bars - 1, 0), (0, 0)))


def _to_device(leaf: object) -> jax.Array:
    return jnp.asarray(leaf, jnp.float32)
