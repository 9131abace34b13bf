"""Episode statistics in O(1) state."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxtrade.rules import Record
from jaxtrade.rules.rewards import log_return


class EpisodeStats(NamedTuple):
    """Running sums of one episode; every leaf is a scalar per environment."""

    episode_return: jax.Array  # sum of rewards
    length: jax.Array  # steps
    log_growth: jax.Array  # log(equity / starting capital)
    log_growth_sq: jax.Array  # sum of squared log returns, for the Sharpe ratio
    peak: jax.Array  # highest log equity
    max_drawdown: jax.Array  # largest 1 - equity / peak
    turnover: jax.Array  # sum of value traded / equity
    fees: jax.Array  # in starting capitals
    trades: jax.Array  # fills
    ruins: jax.Array  # 1 after ruin


def empty_stats(dtype: jnp.dtype) -> EpisodeStats:
    """Return the statistics of an episode that has not begun."""
    return EpisodeStats(*(jnp.zeros((), dtype) for _ in EpisodeStats._fields))


def update_stats(stats: EpisodeStats, record: Record) -> EpisodeStats:
    """Add one step."""
    dtype = stats.length.dtype
    growth = log_return(jnp, record)
    log_growth = stats.log_growth + growth
    peak = jnp.maximum(stats.peak, log_growth)
    return EpisodeStats(
        episode_return=stats.episode_return + record.reward,
        length=stats.length + 1,
        log_growth=log_growth,
        log_growth_sq=stats.log_growth_sq + growth**2,
        peak=peak,
        max_drawdown=jnp.maximum(stats.max_drawdown, 1 - jnp.exp(log_growth - peak)),
        turnover=stats.turnover + record.turnover,
        fees=stats.fees + record.fees,
        trades=stats.trades + jnp.sum((record.fill_value != 0).astype(dtype), axis=-1),
        ruins=jnp.maximum(stats.ruins, record.ruined.astype(dtype)),
    )


def summarize(stats: EpisodeStats) -> dict[str, jax.Array]:
    """Return the figures of an episode; Sharpe is per bar, without annualisation, 0 before two steps."""
    length = jnp.maximum(stats.length, 2)
    mean = stats.log_growth / length
    variance = (stats.log_growth_sq - length * mean**2) / (length - 1)
    known = (stats.length >= 2) & (variance > 1e-16)
    sharpe = jnp.where(known, mean / jnp.sqrt(jnp.maximum(variance, 1e-16)), jnp.zeros_like(mean))
    return {
        "return": stats.episode_return,
        "length": stats.length,
        "equity": jnp.exp(stats.log_growth),
        "sharpe_per_bar": sharpe,
        "max_drawdown": stats.max_drawdown,
        "turnover": stats.turnover,
        "fees": stats.fees,
        "trades": stats.trades,
        "ruined": stats.ruins,
    }
