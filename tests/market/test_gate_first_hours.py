"""Hard first hours of a session, which look like bars of the day and are none; and true bars of the day among them."""

import numpy as np
import pandas as pd
import pytest

from jaxtrade.market.checks import make_series
from jaxtrade.market.checks.intervals import bars_of_a_day
from jaxtrade.market.reading import Reading

BARS = 7  # of a session


def sessions(seed: int, volume: bool = True) -> Reading:
    """Return five years of hourly sessions: gaps overnight, a wide and busy first hour, opens near the last close."""
    random = np.random.default_rng(seed)
    days = np.arange("2010-01-01", "2015-01-01", dtype="datetime64[D]")
    days = days[np.is_busday(days)]
    times = (days[:, None] + np.arange(14, 14 + BARS) * np.timedelta64(1, "h")).ravel()
    first = np.arange(len(times)) % BARS == 0
    size = 0.004 * np.where(first, 2.0, 1.0) * np.exp(random.normal(0, 0.3, len(times)))
    move, wick = random.normal(0, 1, len(times)) * size, np.exp(np.abs(random.normal(0, 0.4, (2, len(times)))) * size)
    gap = random.normal(0, np.where(first, 0.008, 0.0001))
    close = 100 * np.exp(np.cumsum(move + gap))
    opening = close / np.exp(move)
    traded = np.floor(random.lognormal(8, 0.6, len(times)) * np.where(first, 2.2, 1.0))
    columns = {
        "open": opening,
        "high": np.maximum(opening, close) * wick[0],
        "low": np.minimum(opening, close) / wick[1],
        "close": close,
        "volume": traded if volume else np.full(len(times), np.nan),
    }
    index = pd.DatetimeIndex(times.astype("datetime64[s]"))
    return Reading("prices.csv", "X", pd.DataFrame(columns, index=index), np.arange(len(times)) + 2, {})


def with_days(reading: Reading, days: np.ndarray) -> Reading:
    """Return the reading with the bar of the whole day before the first hour of some days."""
    frame = reading.frame
    whole = frame.groupby(frame.index.normalize()).agg(
        {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    )
    if frame["volume"].isna().all():
        whole["volume"] = np.nan
    mixed = pd.concat([frame, whole.iloc[days].astype(np.float64)]).sort_index()
    return reading._replace(frame=mixed, rows=np.arange(len(mixed)) + 2)


def found_in(reading: Reading) -> list[str]:
    found = bars_of_a_day(make_series(reading), None)
    return [str(time) for each in found for time in reading.frame.index[each.at]]


@pytest.mark.parametrize("volume", [True, False])
def test_first_hours_are_left_alone(volume: bool) -> None:
    assert [found_in(sessions(seed, volume)) for seed in range(10)] == [[]] * 10


@pytest.mark.parametrize("days", [[700], [3, 10, 500], range(0, 900, 2)])
def test_bars_of_days_are_found_and_nothing_else(days: list[int]) -> None:
    reading = with_days(sessions(1), np.array(days))
    planted = [str(time) for time in reading.frame.index if time.hour == 0]
    assert len(planted) == len(days)
    assert found_in(reading) == planted


def test_most_are_found_without_volume() -> None:
    """What gives them away is the break to the next bar: seldom is there none."""
    reading = with_days(sessions(1, volume=False), np.arange(0, 900, 30))
    found = found_in(reading)
    assert all("00:00:00" in time for time in found)
    assert len(found) >= 20
