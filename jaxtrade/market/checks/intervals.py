"""How far bars lie apart: intervals that change, bars of a day among intraday ones, bars off the grid, gaps."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from jaxtrade.market.checks.series import FloatArray, IntArray, PlaceArray, Series, findings, span_text, time_text
from jaxtrade.market.reading import Finding
from jaxtrade.market.units import DAY, HOUR, WEEK, commonest

BoolArray = npt.NDArray[np.bool_]
RUN = 12  # steps in a row that make another interval of what would else be gaps
REGULAR = 0.6  # share of steps that are the commonest one, where there is an interval at all
SHORTEST = 0.75  # of a day or more: a day of 23 hours, a month of 28 days and a week cut by a holiday are whole ones
MOST, FEW = 0.6, 0.05  # shares of the bars that begin at whole intervals, and of those that begin elsewhere by mistake
DAY_BARS = 5  # bars of a day from which one that covers the others is told from chance
SYSTEMATIC = 0.2  # share of days that begin with a bar of the day, from which the file is made that way
USUAL = 0.5  # share of weeks in which a time of the week has a bar, from which its lack is a gap


class Run(NamedTuple):
    """Steps `first` to `end - 1` that belong to another interval."""

    first: int
    end: int
    step: int  # seconds, the commonest


def check_intervals(series: Series, timezone: str | None) -> list[Finding]:
    """Return changes of the interval, bars of a day among intraday ones, bars off the grid, and gaps."""
    if len(series.time) < 3:
        return []
    steps = np.diff(series.time)
    runs = other_intervals(steps, series.interval)
    return [
        *_changes(series, runs),
        *_off_grid(series, steps, runs),
        *bars_of_a_day(series, timezone),
        *_gaps(series, steps),
    ]


def other_intervals(steps: IntArray, interval: int) -> list[Run]:
    """Return the runs of steps, [T - 1], that are all at least twice the interval, or all shorter than it."""
    runs = []
    inside = np.zeros(len(steps), np.bool_)
    for odd in (steps >= 2 * interval, steps < SHORTEST * interval):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], odd.astype(np.int8), [0]])))
        for first, end in edges.reshape(-1, 2)[np.diff(edges)[::2] >= RUN]:
            step = commonest(steps[first:end])
            if (steps[first:end] == step).mean() >= REGULAR:
                runs.append(Run(int(first), int(end), step))
                inside[first:end] = True
    rest = steps[~inside]
    irregular = rest.size > 0 and (np.abs(rest - interval) <= interval // 10).mean() < REGULAR
    return [] if irregular else sorted(runs)


def _changes(series: Series, runs: list[Run]) -> list[Finding]:
    """Return one finding of all rows at which the interval changes."""
    edges: list[tuple[int, int, int]] = []  # bar, interval before, interval after
    for run in runs:
        edges += [(run.first, series.interval, run.step)] * (run.first > 0)
        edges += [(run.end, run.step, series.interval)] * (run.end < len(series.time) - 1)
    if not edges:
        return []
    _, before, after = edges[0]
    what = f"bars {span_text(before)} apart before this one and {span_text(after)} apart after it"
    return findings(series.reading, "E-DATA-040", series.at[[bar for bar, *_ in edges]], what)


def _off_grid(series: Series, steps: IntArray, runs: list[Run]) -> list[Finding]:
    """Return the bars that follow another by less than the interval, or begin elsewhere than nearly all bars do."""
    short = np.flatnonzero(_too_short(steps, series.interval, runs)) + 1
    bars = np.union1d(short, np.flatnonzero(_odd_phase(series)))
    if not bars.size:
        return []
    if bars[0] in short:
        what = f"a bar {span_text(steps[bars[0] - 1])} after the last, among bars of {span_text(series.interval)}"
    else:
        what = f"a bar that begins at no whole {span_text(series.interval)} from the others"
    return findings(series.reading, "E-DATA-042", series.at[bars], what)


def _too_short(steps: IntArray, interval: int, runs: list[Run]) -> BoolArray:
    """Return True for steps, [T - 1], shorter than the interval, outside of runs of another interval.

    Where local times became UTC, a bar of several hours is an hour shorter on the day the clocks are set forward; the
    next one is whole, while that after a bar with a wrong time is longer.
    """
    short = steps < (interval * SHORTEST if interval >= DAY else interval)
    following = np.concatenate([steps[1:], [interval]])
    if interval > HOUR:
        short &= ~((steps == interval - HOUR) & (following == interval))
    for run in runs:
        short[run.first : run.end] = False
    return np.asarray(short)


def _odd_phase(series: Series) -> BoolArray:
    """Return True, [T], for bars of a day or less that begin where few do, while most begin at whole intervals.

    Daylight saving and lunch breaks move the beginning of many bars.
    """
    nothing = np.zeros(len(series.time), np.bool_)
    if series.interval > DAY:
        return nothing
    _, which, count = np.unique(series.time % series.interval, return_inverse=True, return_counts=True)
    if count.max() < MOST * len(which):
        return nothing
    return np.asarray((count < FEW * len(which))[which])


class Days(NamedTuple):
    """What the first bar of each day is beside the later ones. `D` days of three bars and more."""

    first: PlaceArray  # [D] its place in the series
    bars: IntArray  # [D] of the day
    cover: FloatArray  # [D] share of the later bars' range that it covers
    spans: BoolArray  # [D] True where it covers all of it
    volume: FloatArray  # [D] its volume for one of the later bars together; NaN without volume
    break_after: FloatArray  # [D] |close - next open| for one of its own range
    at_end: BoolArray  # [D] True where it closes where the day does, to a hundredth of its range


def bars_of_a_day(series: Series, timezone: str | None) -> list[Finding]:
    """Return intraday bars that hold high, low and volume of their whole day: they show the future.

    Such a bar is the first of its day and covers what follows. A hard first hour does so too; but it closes where the
    next one opens, and seldom trades what all later bars do together. Where many days begin with such a volume, the
    file is made that way: then all at that hour are told by a weaker likeness (two feeds differ by a little).
    """
    if not 0 < series.interval < DAY:
        return []
    days = first_bars(series, local_days(series.time, timezone))
    many, silent = days.bars >= DAY_BARS, np.isnan(days.volume)
    likely = many & np.where(silent, days.spans & days.at_end, (days.cover > 0.8) & (days.volume > 0.9))
    found = likely & (days.break_after > 0.1)
    found |= days.spans & days.at_end & (np.abs(days.volume - 1) < 0.01)
    hour = series.time[days.first] % DAY
    if likely.sum() >= SYSTEMATIC * len(likely):
        alike = many & (hour == commonest(hour[likely]))
        found |= alike & np.where(silent, days.spans, (days.cover > 0.6) & (days.volume > 0.25))
    at = series.at[days.first[found]]
    return findings(series.reading, "E-DATA-041", at, "the first bar of its day, with high and low of all later ones,")


def first_bars(series: Series, day: IntArray) -> Days:
    """Return the first bar of each day, of three bars at least, beside the later ones."""
    first = np.flatnonzero(np.concatenate([[True], np.diff(day) != 0]))
    count = np.diff(np.append(first, len(day)))
    later = np.ones(len(day), np.bool_)
    later[first] = False
    high = np.maximum.reduceat(np.where(later & np.isfinite(series.high), series.high, -np.inf), first)
    low = np.minimum.reduceat(np.where(later & np.isfinite(series.low), series.low, np.inf), first)
    volume = np.add.reduceat(np.where(later, series.volume, 0.0), first)
    first, high, low, volume, count = (values[count >= 3] for values in (first, high, low, volume, count))
    own_high, own_low, close = series.high[first], series.low[first], series.close[first]
    covered = np.minimum(own_high, high) - np.maximum(own_low, low)
    return Days(
        first=first,
        bars=count,
        cover=_ratio(covered, high - low),
        spans=(own_high >= high) & (own_low <= low) & (high > low),
        volume=_ratio(series.volume[first], volume),
        break_after=_ratio(np.abs(series.open[first + 1] - close), own_high - own_low),
        at_end=np.abs(close - series.close[first + count - 1]) <= 0.01 * (own_high - own_low),
    )


def _ratio(above: npt.ArrayLike, below: npt.ArrayLike) -> FloatArray:
    """Return a ratio, [D]; NaN where there is nothing to divide by."""
    below = np.asarray(below)
    return np.asarray(np.divide(above, below, out=np.full(below.shape, np.nan), where=below > 0))


def local_days(time: IntArray, timezone: str | None) -> IntArray:
    """Return the day, [T], that each time belongs to in a time zone."""
    if timezone is None or timezone.upper() == "UTC":
        return time // DAY
    local = pd.DatetimeIndex(time.astype("datetime64[s]")).tz_localize("UTC").tz_convert(timezone).tz_localize(None)
    return np.asarray(local.as_unit("s").asi8 // DAY)


def missing_bars(series: Series, steps: IntArray) -> IntArray:
    """Return how many bars are missing in each step, [T - 1]: times of the week that usually have one, and do not.

    So neither nights nor weekends are gaps, where a market closes; holidays are.
    """
    interval = series.interval
    if not (steps > interval).any():
        return np.zeros(len(steps), np.int64)
    if interval <= 0 or interval >= WEEK or WEEK % interval:
        return np.maximum(np.rint(steps / max(interval, 1)).astype(np.int64) - 1, 0)
    slot = (series.time - series.time[0]) // interval
    slots = WEEK // interval
    seen = 1 + np.count_nonzero(np.diff(slot // slots))  # weeks that have any bar
    weeks = max(1.0, min(seen, (slot[-1] + 1) / slots))
    usual = np.bincount(slot % slots, minlength=slots) >= USUAL * weeks
    before = np.concatenate([[0], np.cumsum(usual)])  # [slots + 1] usual ones before a slot of the week

    def usual_before(place: IntArray) -> IntArray:
        return np.asarray(place // slots * before[-1] + before[place % slots])

    missing = np.zeros(len(steps), np.int64)
    wide = np.flatnonzero(steps > interval)
    missing[wide] = np.maximum(usual_before(slot[wide + 1]) - usual_before(slot[wide] + 1), 0)
    return missing


def _gaps(series: Series, steps: IntArray) -> list[Finding]:
    missing = missing_bars(series, steps)
    gaps = np.flatnonzero(missing > 0)
    if not gaps.size:
        return []
    longest = int(np.argmax(missing))
    what = f"{_bars(missing[gaps[0]])} missing before this one, {missing.sum():,} in all, at most {missing[longest]}"
    what += f" from {time_text(int(series.time[longest]))} to {time_text(int(series.time[longest + 1]))},"
    return findings(series.reading, "N-DATA-062", series.at[gaps + 1], what)


def _bars(count: int) -> str:
    return f"{count} bar" if count == 1 else f"{count} bars"
