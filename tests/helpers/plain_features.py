"""The features by plain loops over floats, with TA-Lib's conventions for the first value of a recursive average."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

NAN = math.nan
Column = list[float]


class Series(NamedTuple):
    """One symbol's bars without gaps, as lists; `time` in seconds since 1970."""

    time: Sequence[int]
    open: Sequence[float]
    high: Sequence[float]
    low: Sequence[float]
    close: Sequence[float]
    volume: Sequence[float]


def moving(values: Sequence[float], bars: int, measure: Callable[[list[float]], float]) -> Column:
    """Return a measure of the last `bars` values; NaN where one is missing."""
    result = [NAN] * len(values)
    for t in range(bars - 1, len(values)):
        window = list(values[t - bars + 1 : t + 1])
        if not any(math.isnan(value) for value in window):
            result[t] = measure(window)
    return result


def mean_of(values: list[float]) -> float:
    return math.fsum(values) / len(values)


def std_of(values: list[float]) -> float:
    mean = mean_of(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))


def change(values: Sequence[float], bars: int) -> Column:
    return [NAN if t < bars else values[t] - values[t - bars] for t in range(len(values))]


def smoothed(values: Sequence[float], bars: int, first: int, rate: float) -> Column:
    """Start at bar `first` from the mean of the `bars` values that end there, then move by `rate` of the difference."""
    result = [NAN] * len(values)
    for t in range(first, len(values)):
        if t == first:
            result[t] = mean_of(list(values[t - bars + 1 : t + 1]))
        else:
            result[t] = result[t - 1] + (values[t] - result[t - 1]) * rate
    return result


def exponential(values: Sequence[float], span: int, first: int | None = None) -> Column:
    return smoothed(values, span, span - 1 if first is None else first, 2 / (span + 1))


def wilder(values: Sequence[float], period: int, first: int) -> Column:
    return smoothed(values, period, first, 1 / period)


def lagged_returns(s: Series, lag: int) -> list[Column]:
    return [change([math.log(price) for price in s.close], lag)]


def ema(s: Series, span: int) -> list[Column]:
    return [[math.log(price / mean) for price, mean in zip(s.close, exponential(s.close, span), strict=True)]]


def sma(s: Series, span: int) -> list[Column]:
    return [[math.log(price / mean) for price, mean in zip(s.close, moving(s.close, span, mean_of), strict=True)]]


def macd(s: Series, fast: int, slow: int, signal: int) -> list[Column]:
    """Both averages start at the first bar of the slow one; nothing is shown before the signal line starts."""
    pairs = zip(exponential(s.close, fast, slow - 1), exponential(s.close, slow, slow - 1), strict=True)
    line = [a - b for a, b in pairs]
    first = slow - 1 + signal - 1
    smooth = exponential(line, signal, first)
    shown = [NAN if t < first else value for t, value in enumerate(line)]
    return [
        [value / price for value, price in zip(shown, s.close, strict=True)],
        [(value - mean) / price for value, mean, price in zip(shown, smooth, s.close, strict=True)],
    ]


def rsi(s: Series, period: int) -> list[Column]:
    changes = change(s.close, 1)
    gain = wilder([max(each, 0.0) for each in changes], period, period)
    loss = wilder([max(-each, 0.0) for each in changes], period, period)
    return [[0.0 if up + down == 0 else up / (up + down) for up, down in zip(gain, loss, strict=True)]]


def true_range(s: Series) -> Column:
    result = [NAN]
    for t in range(1, len(s.close)):
        result.append(max(s.high[t], s.close[t - 1]) - min(s.low[t], s.close[t - 1]))
    return result


def atr(s: Series, period: int) -> list[Column]:
    return [[mean / price for mean, price in zip(wilder(true_range(s), period, period), s.close, strict=True)]]


def adx(s: Series, period: int) -> list[Column]:
    """Wilder's sums: the first holds period - 1 bars, and each bar takes 1 / period of the sum away."""
    ranges = true_range(s)
    up = down = total = 0.0
    index: Column = [NAN] * len(s.close)
    for t in range(1, len(s.close)):
        rise, fall = s.high[t] - s.high[t - 1], s.low[t - 1] - s.low[t]
        if t >= period:
            up, down, total = up - up / period, down - down / period, total - total / period
        up += rise if rise > 0 and rise > fall else 0.0
        down += fall if fall > 0 and fall > rise else 0.0
        total += ranges[t]
        if t >= period:
            index[t] = abs(up / total - down / total) / (up / total + down / total)
    return [wilder(index, period, 2 * period - 1)]


def bollinger(s: Series, span: int, width: float) -> list[Column]:
    middle, spread = moving(s.close, span, mean_of), moving(s.close, span, std_of)
    place, bandwidth = [], []
    for price, mean, std in zip(s.close, middle, spread, strict=True):
        lower, upper = mean - width * std, mean + width * std
        place.append((price - lower) / (upper - lower))
        bandwidth.append((upper - lower) / mean)
    return [place, bandwidth]


def obv(s: Series, bars: int) -> list[Column]:
    total, balance = 0.0, []
    for volume, move in zip(s.volume, change(s.close, 1), strict=True):
        total += volume if move > 0 else -volume if move < 0 else 0.0
        balance.append(total)
    result = [NAN] * len(balance)
    for t in range(bars, len(balance)):
        volume = sum(s.volume[t - bars + 1 : t + 1])
        result[t] = (balance[t] - balance[t - bars]) / volume if volume > 0 else 0.0
    return [result]


def realized_vol(s: Series, bars: int) -> list[Column]:
    return [moving(lagged_returns(s, 1)[0], bars, std_of)]


def volume_zscore(s: Series, bars: int) -> list[Column]:
    level = [math.log(1 + value) for value in s.volume]
    means, spreads = moving(level, bars, mean_of), moving(level, bars, std_of)
    rows = zip(level, means, spreads, strict=True)
    return [[(value - mean) / std if not std <= 1e-9 else 0.0 for value, mean, std in rows]]


def stochastic(s: Series, period: int, smooth: int, signal: int) -> list[Column]:
    low, high = moving(s.low, period, min), moving(s.high, period, max)
    fast = [(price - a) / (b - a) for price, a, b in zip(s.close, low, high, strict=True)]
    slow = moving(fast, smooth, mean_of)
    return [slow, moving(slow, signal, mean_of)]


def cci(s: Series, period: int) -> list[Column]:
    typical = [(a + b + c) / 3 for a, b, c in zip(s.high, s.low, s.close, strict=True)]
    means = moving(typical, period, mean_of)
    spreads = moving(typical, period, lambda window: mean_of([abs(each - mean_of(window)) for each in window]))
    return [[(x - mean) / (0.015 * spread) / 100 for x, mean, spread in zip(typical, means, spreads, strict=True)]]


def gap(s: Series) -> list[Column]:
    return [[NAN, *(math.log(s.open[t] / s.close[t - 1]) for t in range(1, len(s.close)))]]


def bar_range(s: Series) -> list[Column]:
    return [[math.log(a / b) for a, b in zip(s.high, s.low, strict=True)]]


def close_location(s: Series) -> list[Column]:
    return [[(c - b) / (a - b) for a, b, c in zip(s.high, s.low, s.close, strict=True)]]


def time_of_day(s: Series) -> list[Column]:
    turn = [2 * math.pi * (second % 86400) / 86400 for second in s.time]
    return [[math.sin(each) for each in turn], [math.cos(each) for each in turn]]


def day_of_week(s: Series) -> list[Column]:
    turn = [2 * math.pi * ((second // 86400 + 3) % 7) / 7 for second in s.time]  # 1970-01-01 was a Thursday
    return [[math.sin(each) for each in turn], [math.cos(each) for each in turn]]


PLAIN: dict[str, Callable[..., list[Column]]] = {
    each.__name__: each
    for each in (
        *(lagged_returns, ema, sma, macd, rsi, atr, adx, bollinger, obv, realized_vol, volume_zscore),
        *(stochastic, cci, gap, bar_range, close_location, time_of_day, day_of_week),
    )
}
