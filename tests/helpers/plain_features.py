"""The features by plain loops over floats, with TA-Lib's conventions for the first value of a recursive average."""

import math
from collections.abc import Sequence

from jaxtrade.config import FeatureConfig

NAN = math.nan


def lag(values: Sequence[float], bars: int) -> list[float]:
    return [NAN if t < bars else values[t] - values[t - bars] for t in range(len(values))]


def ema(values: Sequence[float], span: int, first: int) -> list[float]:
    """Start at bar `first` from the mean of the `span` values that end there, then move by 2 / (span + 1)."""
    result = [NAN] * len(values)
    for t in range(first, len(values)):
        if t == first:
            result[t] = sum(values[t - span + 1 : t + 1]) / span
        else:
            result[t] = result[t - 1] + (values[t] - result[t - 1]) * 2 / (span + 1)
    return result


def macd(close: Sequence[float], fast: int, slow: int, signal: int) -> tuple[list[float], list[float]]:
    """Both averages start at the first bar of the slow one; nothing is shown before the signal line starts."""
    line = [a - b for a, b in zip(ema(close, fast, slow - 1), ema(close, slow, slow - 1), strict=True)]
    first = slow - 1 + signal - 1
    smooth = ema(line, signal, first)
    shown = [NAN if t < first else value for t, value in enumerate(line)]
    return shown, [a - b for a, b in zip(shown, smooth, strict=True)]


def rsi(close: Sequence[float], period: int) -> list[float]:
    """Wilder: the first averages are plain means of `period` changes, the later ones move by 1 / period."""
    result = [NAN] * len(close)
    changes = lag(close, 1)
    gain = loss = 0.0
    for t in range(period, len(close)):
        if t == period:
            gain = sum(max(change, 0.0) for change in changes[1 : period + 1]) / period
            loss = sum(max(-change, 0.0) for change in changes[1 : period + 1]) / period
        else:
            gain += (max(changes[t], 0.0) - gain) / period
            loss += (max(-changes[t], 0.0) - loss) / period
        result[t] = 100 * gain / (gain + loss) if gain + loss > 0 else 0.0
    return result


def mean_and_std(values: Sequence[float]) -> tuple[float, float]:
    mean = math.fsum(values) / len(values)
    return mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))


def volatility(close: Sequence[float], bars: int) -> list[float]:
    returns = lag([math.log(price) for price in close], 1)
    return [NAN if t < bars else mean_and_std(returns[t - bars + 1 : t + 1])[1] for t in range(len(close))]


def volume_score(volume: Sequence[float], bars: int) -> list[float]:
    level = [math.log(1 + value) for value in volume]
    result = [NAN] * len(level)
    for t in range(bars - 1, len(level)):
        mean, std = mean_and_std(level[t - bars + 1 : t + 1])
        result[t] = (level[t] - mean) / std if std > 1e-9 else 0.0
    return result


def plain_features(close: Sequence[float], volume: Sequence[float], config: FeatureConfig) -> dict[str, list[float]]:
    """Return every feature of one series without holes, by name."""
    log_close = [math.log(price) for price in close]
    line, histogram = macd(close, *config.macd)
    result = {f"return_{bars}": lag(log_close, bars) for bars in config.returns}
    for span in config.ema:
        average = ema(close, span, span - 1)
        result[f"ema_{span}"] = [math.log(price / mean) for price, mean in zip(close, average, strict=True)]
    result["macd"] = [value / price for value, price in zip(line, close, strict=True)]
    result["macd_histogram"] = [value / price for value, price in zip(histogram, close, strict=True)]
    result[f"rsi_{config.rsi}"] = [value / 100 for value in rsi(close, config.rsi)]
    result[f"volatility_{config.volatility}"] = volatility(close, config.volatility)
    result[f"volume_{config.volume}"] = volume_score(volume, config.volume)
    return result
