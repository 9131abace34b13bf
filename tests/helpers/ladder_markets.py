"""Markets whose best policy is known, for the ladder. They open at the last close, so that exposures stay exact."""

from dataclasses import replace

import jax
import numpy as np
import numpy.typing as npt

from jaxtrade.config import MarketConfig, SplitConfig
from jaxtrade.envs.processes import simulate
from jaxtrade.market.bars import Bars
from jaxtrade.market.process_kinds import OU, Shape
from jaxtrade.market.table import MarketTable, build_table

FloatArray = npt.NDArray[np.float64]
SPLIT = SplitConfig(train_until=0.6, validation_until=0.65)


def market_of(returns: FloatArray, window: int = 1, **planted: FloatArray) -> MarketTable:
    """Return the market of one symbol with these simple returns, each from a bar's close to the next bar's.

    Args:
        returns: [T - 1].
        window: Bars of history that every decision has.
        planted: The features in place of the usual ones, all that the policy sees of the market, [T] each.
    """
    close = 100 * np.concatenate([[1.0], np.cumprod(1 + returns)])[:, None]
    opening = np.concatenate([close[:1], close[:-1]])
    bars = Bars(
        time=np.datetime64("2000-01-03", "s") + np.arange(len(close)) * np.timedelta64(1, "D"),
        symbols=("S0",),
        open=opening,
        high=np.maximum(opening, close),
        low=np.minimum(opening, close),
        close=close,
        volume=np.ones_like(close),
    )
    table = build_table(bars, MarketConfig(features={"lagged_returns": (1,)}, split=SPLIT), window)
    if not planted:
        return table
    features = np.stack(list(planted.values()), axis=-1)[:, None, :].astype(np.float32)
    features = np.where(np.isnan(table.features), np.float32(np.nan), features)
    return replace(table, features=features, feature_names=tuple(planted))


def lively(bars: int, seed: int = 0) -> FloatArray:
    """Return independent returns, half of them too small to trade on: deviations of 0.05 % and 1.5 %."""
    random = np.random.default_rng(seed)
    return random.normal(size=bars) * np.where(random.random(bars) < 0.5, 0.015, 0.0005)


def oracle_market(bars: int = 3000, seed: int = 0) -> MarketTable:
    """Rung (a): the feature is the return of the next bar, in percent."""
    returns = lively(bars, seed)
    return market_of(returns, oracle=np.append(100 * returns, 0.0))


def reverting_market(theta: float, volatility: float, bars: int, seed: int = 0) -> MarketTable:
    """Rung (b): an Ornstein-Uhlenbeck log price; the feature is its deviation, in stationary deviations."""
    moves = simulate(jax.random.key(seed), OU(theta, volatility), Shape(overnight=0.0), bars)
    steps = np.asarray(moves.overnight + moves.intraday, np.float64)[:, 0]  # by night only the way to the first open
    x = np.concatenate([[0.0], np.cumsum(steps)])
    return market_of(np.expm1(steps), deviation=x * np.sqrt(2 * theta) / volatility)


def cue_market(lag: int, bars: int, seed: int = 0) -> MarketTable:
    """Rung (c): moves of 1 % whose sign is shown `lag` bars before the close they lead to, and by nothing else."""
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], bars + lag)
    return market_of(0.01 * signs[:bars], window=120, cue=signs[lag - 1 : lag + bars])


def noise_market(bars: int, seed: int = 0) -> MarketTable:
    """Rung (d): driftless returns of 1 %, and features that say nothing: noise, and the last return."""
    random = np.random.default_rng(seed)
    returns = random.normal(0.0, 0.01, bars)
    return market_of(returns, noise=random.normal(size=bars + 1), last=np.append(0.0, 100 * returns))


def signal_market(bars: int, right: float, seed: int = 0) -> MarketTable:
    """Rung (e): returns of 1 % up or down, whose sign is announced correctly with probability `right`."""
    random = np.random.default_rng(seed)
    signs = random.choice([-1.0, 1.0], bars)
    said = np.where(random.random(bars) < right, signs, -signs)
    return market_of(0.01 * signs, signal=np.append(said, 0.0))
