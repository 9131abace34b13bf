"""Causal features through TA-Lib: row t depends on bars up to t and on nothing else."""

import numpy as np
import numpy.typing as npt
import talib

from jaxtrade.config import FeatureConfig
from jaxtrade.market.bars import Bars

FloatArray = npt.NDArray[np.float64]


def feature_names(config: FeatureConfig) -> tuple[str, ...]:
    """Return the names of the features, in the order of their columns."""
    return (
        *(f"return_{lag}" for lag in config.returns),
        *(f"ema_{span}" for span in config.ema),
        "macd",
        "macd_histogram",
        f"rsi_{config.rsi}",
        f"volatility_{config.volatility}",
        f"volume_{config.volume}",
    )


def warm_up(config: FeatureConfig) -> int:
    """Return the number of first bars that no decision may use.

    Recursive averages forget slowly. They start from a plain mean over one span; four more spans of an exponential
    average, or eight more periods of the RSI's slower one, leave exp(-8) = 0.03 % of that start in them.
    """
    recursive = max(5 * max((*config.ema, *config.macd)), 9 * config.rsi)
    finite = 1 + max((*config.returns, config.volatility, config.volume))
    return max(recursive, finite)


def compute(bars: Bars, config: FeatureConfig) -> FloatArray:
    """Return raw features, [T, N, F]; NaN where a symbol has too little history.

    Each symbol is computed on its own valid bars; a bar that it lacks repeats the last known features.
    """
    time_count, symbol_count = bars.close.shape
    result = np.full((time_count, symbol_count, len(feature_names(config))), np.nan)
    for n in range(symbol_count):
        valid = np.isfinite(bars.close[:, n])
        result[valid, n] = _one_symbol(bars.close[valid, n], bars.volume[valid, n], config)
        last_valid = np.maximum.accumulate(np.where(valid, np.arange(time_count), 0))
        result[:, n] = result[last_valid, n]
    return result


def _one_symbol(close: FloatArray, volume: FloatArray, config: FeatureConfig) -> FloatArray:
    """Return the features of one gap-free series, [T, F]."""
    log_close = np.log(close)
    macd, _, histogram = talib.MACD(close, *config.macd)
    columns = [
        *(_lagged(log_close, lag) for lag in config.returns),
        *(np.log(close / talib.EMA(close, span)) for span in config.ema),
        macd / close,
        histogram / close,
        talib.RSI(close, config.rsi) / 100,
        _rolling_std(_lagged(log_close, 1), config.volatility),
        _volume_score(volume, config.volume),
    ]
    return np.stack(columns, axis=1)


def _lagged(values: FloatArray, lag: int) -> FloatArray:
    """Return values[t] - values[t-lag], NaN before."""
    result = np.full_like(values, np.nan)
    result[lag:] = values[lag:] - values[:-lag]
    return result


def _rolling_std(values: FloatArray, bars: int) -> FloatArray:
    """Return the standard deviation (ddof 0) over the last `bars` values, NaN before."""
    result = np.full_like(values, np.nan)
    if len(values) >= bars:
        result[bars - 1 :] = np.lib.stride_tricks.sliding_window_view(values, bars).std(axis=1)
    return result


def _volume_score(volume: FloatArray, bars: int) -> FloatArray:
    """Return the z-score of log(1 + volume) over the last `bars` bars; 0 for a series without volume."""
    level: FloatArray = np.log1p(np.nan_to_num(np.maximum(volume, 0.0)))
    result = np.full_like(level, np.nan)
    if len(level) >= bars:
        windows = np.lib.stride_tricks.sliding_window_view(level, bars)
        spread = windows.std(axis=1)
        result[bars - 1 :] = (level[bars - 1 :] - windows.mean(axis=1)) / np.where(spread > 1e-9, spread, 1.0)
    return result
