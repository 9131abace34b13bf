"""Whether the times of a file change their zone half-way: the hours of activity move, and stay where they moved."""

import numpy as np

from jaxtrade.market.checks.series import FloatArray, Series, findings
from jaxtrade.market.reading import Finding
from jaxtrade.market.units import HOUR, WEEK

YEAR_WEEKS = 52  # compared on either side: both hold all seasons, so that daylight saving cancels
HOURS = 24
ALIKE = 0.9  # correlation of the two years' profiles at the shift found
CLEARLY = 0.05  # by how much it exceeds the correlation without a shift


def check_zone(series: Series) -> list[Finding]:
    """Return a notice where the daily profile of ranges moves by whole hours for good.

    Needs bars of an hour or less and a year on either side. The hour at which the week opens shows less: vendors cut
    the bars before midnight on Monday.
    """
    if not 0 < series.interval <= HOUR or series.time[-1] - series.time[0] < 2 * YEAR_WEEKS * WEEK:
        return []
    week = (series.time - series.time[0]) // WEEK
    before, after = _years(_profiles(series, week))
    flat = _likeness(before, after)
    lags = [lag for lag in range(-HOURS // 2 + 1, HOURS // 2 + 1) if lag]
    shifted = np.stack([_likeness(np.roll(before, lag, axis=1), after) for lag in lags])  # [lags, K]
    gain = np.where(shifted >= ALIKE, shifted - flat, -1.0)
    lag_at, place = np.unravel_index(int(np.argmax(gain)), gain.shape)
    if not gain[lag_at, place] > CLEARLY:
        return []
    bar = int(np.searchsorted(week, place + YEAR_WEEKS))
    lag = lags[int(lag_at)]
    what = f"from about this week on, the hours of activity lie {abs(lag)} h {'later' if lag > 0 else 'earlier'}"
    what += " than in the year before: a change of time zone inside the file?"
    return findings(series.reading, "N-DATA-064", series.at[bar : bar + 1], what)


def _profiles(series: Series, week: np.ndarray) -> FloatArray:
    """Return the mean range of each hour of the day in each week, [weeks, 24], 1 on average; NaN for empty hours."""
    spread = np.log(series.high / series.low)
    good = np.isfinite(spread)
    place = (week * HOURS + series.time % (HOURS * HOUR) // HOUR)[good]
    size = (int(week[-1]) + 1) * HOURS
    count = np.bincount(place, minlength=size)
    total = np.bincount(place, weights=spread[good], minlength=size)
    mean = np.divide(total, count, out=np.full(size, np.nan), where=count > 0).reshape(-1, HOURS)
    weekly = np.nansum(mean, axis=1, keepdims=True) / np.maximum(np.isfinite(mean).sum(axis=1, keepdims=True), 1)
    return np.asarray(np.divide(mean, weekly, out=np.full(mean.shape, np.nan), where=weekly > 0))


def _years(profiles: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the profiles of the year before and of the year from each week on that has both, [K, 24] each."""
    seen = np.isfinite(profiles)
    start = np.zeros((1, HOURS))
    total = np.concatenate([start, np.cumsum(np.where(seen, profiles, 0.0), axis=0)])
    count = np.concatenate([start, np.cumsum(seen, axis=0)])
    year = (total[YEAR_WEEKS:] - total[:-YEAR_WEEKS]) / np.maximum(count[YEAR_WEEKS:] - count[:-YEAR_WEEKS], 1)
    return year[:-YEAR_WEEKS], year[YEAR_WEEKS:]


def _likeness(before: FloatArray, after: FloatArray) -> FloatArray:
    """Return the correlation of two profiles, [K]; 0 where one is flat."""
    one, two = before - before.mean(axis=1, keepdims=True), after - after.mean(axis=1, keepdims=True)
    size = np.sqrt((one**2).sum(axis=1) * (two**2).sum(axis=1))
    return np.asarray(np.divide((one * two).sum(axis=1), size, out=np.zeros(len(size)), where=size > 0))
