"""The features that come with jaxtrade, by name. All are scale-free, and row t depends on bars up to t alone.

Recursive averages are TA-Lib's. They forget slowly: they start from a plain mean over one span; four more spans of an
exponential average, or eight more periods of Wilder's slower ones, leave exp(-8) = 0.03 % of that start in them, and
that makes their warm-up. Finite windows are computed afresh at every bar: the running sums that TA-Lib has for them
carry the rounding of the whole history along, and take what is left of it in a flat window for a move.
"""

import numpy as np
import talib

from jaxtrade.market.features.registry import Feature, FloatArray, SymbolBars, feature
from jaxtrade.market.units import DAY, MONDAY, epoch_seconds

FLAT = 1e-12  # a spread below this share of the level is rounding


def _past(values: FloatArray, bars: int) -> FloatArray:
    """Return values[t - bars], [T]; NaN before."""
    result = np.full_like(values, np.nan)
    result[bars:] = values[: max(len(values) - bars, 0)]
    return result


def _windows(values: FloatArray, bars: int) -> FloatArray:
    """Return the last `bars` values at every bar from the first full window on, [T - bars + 1, bars]."""
    if len(values) < bars:
        return np.empty((0, bars))
    return np.lib.stride_tricks.sliding_window_view(values, bars)


def _late(values: FloatArray, length: int) -> FloatArray:
    """Return the values of full windows on the axis of the bars, [length]; NaN before."""
    return np.concatenate([np.full(length - len(values), np.nan), values])


def _mean(values: FloatArray, bars: int) -> FloatArray:
    return _late(_windows(values, bars).mean(axis=1), len(values))


def _std(values: FloatArray, bars: int) -> FloatArray:
    return _late(_windows(values, bars).std(axis=1), len(values))


def _ratio(part: FloatArray, whole: FloatArray, least: FloatArray | float, otherwise: float) -> FloatArray:
    """Return part / whole, and `otherwise` where the whole is not above `least`; NaN stays NaN."""
    flat = whole <= least
    return np.asarray(np.where(flat, otherwise, part / np.where(flat, 1.0, whole)))


@feature(warm_up=lambda lag: lag, names=lambda lag: (f"return_{lag}",), each=(1, 2, 3, 5, 10), least=(1,))
def lagged_returns(bars: SymbolBars, lag: int) -> FloatArray:
    """log(close[t] / close[t - lag])."""
    log_close = np.log(bars.close)
    return log_close - _past(log_close, lag)


@feature(warm_up=lambda span: 5 * span, each=(10, 20), least=(2,))
def ema(bars: SymbolBars, span: int) -> FloatArray:
    """log(close / EMA)."""
    return np.asarray(np.log(bars.close / talib.EMA(bars.close, span)))


@feature(warm_up=lambda span: span - 1, each=(20,), least=(2,))
def sma(bars: SymbolBars, span: int) -> FloatArray:
    """log(close / SMA)."""
    return np.asarray(np.log(bars.close / _mean(bars.close, span)))


@feature(
    warm_up=lambda fast, slow, signal: 5 * max(slow, 2 * signal),
    names=lambda *_: ("macd", "macd_histogram"),
    least=(2, 2, 1),
    rule=lambda fast, slow, _: None if fast < slow else f"fast {fast} must be below slow {slow}",
)
def macd(bars: SymbolBars, fast: int = 12, slow: int = 26, signal: int = 9) -> tuple[FloatArray, ...]:
    """Difference of two EMAs, and its distance from its own EMA, both / close."""
    line, _, histogram = talib.MACD(bars.close, fast, slow, signal)
    return line / bars.close, histogram / bars.close


@feature(warm_up=lambda period: 9 * period, each=(14,), least=(2,))
def rsi(bars: SymbolBars, period: int) -> FloatArray:
    """Wilder's relative strength index / 100; 0 where the price never moved."""
    return np.asarray(talib.RSI(bars.close, period) / 100)


@feature(warm_up=lambda period: 9 * period, each=(14,), least=(2,))
def atr(bars: SymbolBars, period: int) -> FloatArray:
    """Wilder's average true range / close."""
    return np.asarray(talib.ATR(bars.high, bars.low, bars.close, period) / bars.close)


@feature(warm_up=lambda period: 12 * period, each=(14,), least=(2,))
def adx(bars: SymbolBars, period: int) -> FloatArray:
    """Wilder's average directional index / 100: an average of averages, with a longer memory."""
    return np.asarray(talib.ADX(bars.high, bars.low, bars.close, period) / 100)


@feature(
    warm_up=lambda span, width: span - 1,
    names=lambda span, width: (f"percent_b_{span}", f"bandwidth_{span}"),
    least=(2, 0.01),
)
def bollinger(bars: SymbolBars, span: int = 20, width: float = 2) -> tuple[FloatArray, ...]:
    """%b, the place of the close between the bands (0.5 if they coincide), and the bands' distance / their mean."""
    middle, half = _mean(bars.close, span), width * _std(bars.close, span)
    return _ratio(bars.close - middle, 2 * half, FLAT * middle, 0.0) + 0.5, 2 * half / middle


@feature(warm_up=lambda bars: bars, each=(20,), least=(1,))
def obv(symbol: SymbolBars, bars: int) -> FloatArray:
    """Change of Granville's on-balance volume over some bars / their volume; 0 without volume."""
    change = symbol.close - _past(symbol.close, 1)
    signed = _windows((np.sign(change) * symbol.volume)[1:], bars).sum(axis=1)
    return _late(_ratio(signed, _windows(symbol.volume[1:], bars).sum(axis=1), 0.0, 0.0), len(change))


@feature(warm_up=lambda bars: bars, each=(20,), least=(2,))
def realized_vol(symbol: SymbolBars, bars: int) -> FloatArray:
    """Standard deviation of the log returns of some bars."""
    log_close = np.log(symbol.close)
    return _std(log_close - _past(log_close, 1), bars)


@feature(warm_up=lambda bars: bars - 1, each=(20,), least=(2,))
def volume_zscore(symbol: SymbolBars, bars: int) -> FloatArray:
    """z-score of log(1 + volume) among the last bars; 0 where these are all alike."""
    level = np.log1p(symbol.volume)
    spread = _std(level, bars)
    return np.asarray((level - _mean(level, bars)) / np.where(spread > 1e-9, spread, 1.0))


@feature(
    warm_up=lambda period, smooth, signal: period + smooth + signal - 3,
    names=lambda period, *_: (f"stochastic_k_{period}", f"stochastic_d_{period}"),
    least=(2, 1, 1),
)
def stochastic(bars: SymbolBars, period: int = 14, smooth: int = 3, signal: int = 3) -> tuple[FloatArray, ...]:
    """Lane's slow %K and %D in [0, 1]: the place of the close in its range, smoothed once and twice."""
    low, high = talib.MIN(bars.low, period), talib.MAX(bars.high, period)
    k = _mean(_ratio(bars.close - low, high - low, FLAT * high, 0.5), smooth)
    return k, _mean(k, signal)


@feature(warm_up=lambda period: period - 1, each=(20,), least=(2,))
def cci(bars: SymbolBars, period: int) -> FloatArray:
    """Lambert's commodity channel index / 100; 0 in a flat window."""
    typical = (bars.high + bars.low + bars.close) / 3
    mean, windows = _mean(typical, period), _windows(typical, period)
    deviation = _late(np.abs(windows - windows.mean(axis=1, keepdims=True)).mean(axis=1), len(typical))
    return _ratio(typical - mean, 1.5 * deviation, FLAT * mean, 0.0)


@feature(warm_up=lambda: 1)
def gap(bars: SymbolBars) -> FloatArray:
    """log(open / previous close)."""
    return np.asarray(np.log(bars.open / _past(bars.close, 1)))


@feature(warm_up=lambda: 0)
def bar_range(bars: SymbolBars) -> FloatArray:
    """log(high / low)."""
    return np.asarray(np.log(bars.high / bars.low))


@feature(warm_up=lambda: 0)
def close_location(bars: SymbolBars) -> FloatArray:
    """Place of the close in the range of its bar, in [0, 1]; 0.5 if that is a point."""
    return _ratio(bars.close - bars.low, bars.high - bars.low, FLAT * bars.high, 0.5)


@feature(warm_up=lambda: 0, names=lambda: ("time_of_day_sin", "time_of_day_cos"))
def time_of_day(bars: SymbolBars) -> tuple[FloatArray, ...]:
    """Sine and cosine of the time of the day at which the bar starts, UTC."""
    return _on_circle(epoch_seconds(bars.time) % DAY / DAY)


@feature(warm_up=lambda: 0, names=lambda: ("day_of_week_sin", "day_of_week_cos"))
def day_of_week(bars: SymbolBars) -> tuple[FloatArray, ...]:
    """Sine and cosine of the day of the week on which the bar starts, UTC; Monday is 0."""
    return _on_circle((epoch_seconds(bars.time) - MONDAY) // DAY % 7 / 7)


def _on_circle(turn: FloatArray) -> tuple[FloatArray, ...]:
    return np.sin(2 * np.pi * turn), np.cos(2 * np.pi * turn)


FEATURES = {name: found for name, found in list(globals().items()) if isinstance(found, Feature)}
