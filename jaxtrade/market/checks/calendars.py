"""Bars against the sessions of an exchange: which are missing, which the exchange never held."""

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from jaxtrade.errors import InputError, did_you_mean
from jaxtrade.market.checks.intervals import local_days
from jaxtrade.market.checks.series import IntArray, Series, findings, time_text, whole
from jaxtrade.market.reading import SHOWN, Finding
from jaxtrade.market.units import DAY, HOUR

if TYPE_CHECKING:
    from exchange_calendars import ExchangeCalendar
else:
    ExchangeCalendar = Any

SETTING = "market.load.calendar"


def parse_calendars(text: str | None, symbols: tuple[str, ...]) -> dict[str, str]:
    """Return the calendar of each symbol that has one, from `XNYS` or `AAPL=XNYS,BTC=24/7`.

    Raises:
        InputError: A symbol is not in the data.
    """
    if text is None:
        return {}
    if "=" not in text:
        return dict.fromkeys(symbols, text.strip())
    chosen = {part.partition("=")[0].strip(): part.partition("=")[2].strip() for part in text.split(",")}
    for symbol in chosen:
        if symbol not in symbols:
            raise InputError(
                SETTING, f"names symbol '{symbol}', which is not in the data", did_you_mean(symbol, symbols)
            )
    return chosen


def open_calendar(name: str, first: int, last: int) -> ExchangeCalendar:
    """Return a calendar that covers the time from `first` to `last`, in seconds since 1970.

    Raises:
        InputError: There is no such calendar, it does not reach that far, or the package is not installed.
    """
    try:
        import exchange_calendars
    except ImportError:
        raise InputError(SETTING, "needs exchange-calendars", "pip install 'jaxtrade[calendars]'") from None
    if name not in exchange_calendars.get_calendar_names():
        known = exchange_calendars.get_calendar_names()
        raise InputError(SETTING, f"no calendar is called '{name}'", did_you_mean(name, known))
    day = np.timedelta64(1, "D")
    start = np.datetime64(first, "s").astype("datetime64[D]") - day
    end = np.datetime64(last, "s").astype("datetime64[D]") + day
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what a later pandas will not allow the package
            return exchange_calendars.get_calendar(name, start=pd.Timestamp(start), end=pd.Timestamp(end))
    except ValueError as error:
        text = " ".join(str(error).split())
        raise InputError(SETTING, f"{name} does not cover the data ({text})", "Leave it out, or cut the data") from None


def check_calendar(series: Series, name: str, timezone: str | None = None) -> list[Finding]:
    """Return one finding of the bars that the calendar has and the series lacks, or the other way round.

    Daily bars are compared with sessions, shorter ones with the bars that hold a minute of a session. Only the time
    between the first and the last bar counts; bars of more than a day have no calendar.
    """
    if not series.time.size or series.interval > DAY:
        return []
    calendar = open_calendar(name, int(series.time[0]), int(series.time[-1]))
    daily = series.interval in (0, DAY)
    got = local_days(series.time, timezone) * DAY if daily else series.time
    expected = _seconds(calendar.schedule.index) if daily else session_bars(calendar, series)
    expected = expected[(expected >= got[0]) & (expected <= got[-1])]
    missing, extra = np.setdiff1d(expected, got), np.setdiff1d(got, expected)
    if not missing.size and not extra.size:
        return []
    unit = "sessions" if daily else "bars"
    what = f"got {len(np.unique(got))} {unit}, expected {len(expected)} of {name}"
    what += _listed("missing", missing, daily) + _listed("extra", extra, daily)
    if not extra.size:
        return whole(series.reading, "E-DATA-045", what)
    return findings(series.reading, "E-DATA-045", series.at[np.isin(got, extra)], what)


def _seconds(times: pd.DatetimeIndex) -> IntArray:
    """Return times in seconds since 1970, [S]."""
    utc = times.tz_localize(None) if times.tz is None else times.tz_convert(None)
    return np.asarray(utc.to_numpy().astype("datetime64[s]").astype(np.int64))


def session_bars(calendar: ExchangeCalendar, series: Series) -> IntArray:
    """Return where the bars begin that hold a minute of a session, [B].

    Bars begin at whole intervals from the first; those of several hours, which follow local time, at whole intervals
    from the first that the session has.
    """
    step = series.interval
    begin, end = (_seconds(pd.DatetimeIndex(calendar.schedule[side])) for side in ("open", "close"))
    phase = np.full(len(begin), series.time[0])
    if step > HOUR:
        at = np.minimum(np.searchsorted(series.time, begin - step + 1), len(series.time) - 1)
        inside = (series.time[at] > begin - step) & (series.time[at] < end)
        phase = np.where(inside, series.time[at], phase)
    first = begin - (begin - phase) % step
    count = -((first - end) // step)
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    bars = np.unique(np.repeat(first, count) + within * step)
    return bars[~_in_break(calendar, bars, step)]


def _in_break(calendar: ExchangeCalendar, bars: IntArray, step: int) -> npt.NDArray[np.bool_]:
    """Return True, [B], for bars that lie within the lunch break of a session."""
    pause = calendar.schedule[["break_start", "break_end"]].dropna()
    if not len(pause):
        return np.zeros(bars.shape, np.bool_)
    begin, end = (_seconds(pd.DatetimeIndex(pause[side])) for side in ("break_start", "break_end"))
    at = np.searchsorted(begin, bars, side="right") - 1
    return (at >= 0) & (bars + step <= end[np.maximum(at, 0)])


def _listed(word: str, times: IntArray, daily: bool) -> str:
    if not times.size:
        return ""
    some = ", ".join(time_text(time)[:10] if daily else time_text(time) for time in times[:SHOWN])
    return f"; {times.size} {word}: {some}" + (", ..." if times.size > SHOWN else "")
