"""What is wrong with the bars of a symbol, as findings: cells, times, intervals, prices, zones, calendars."""

from typing import NamedTuple

import numpy as np

from jaxtrade.market.checks.calendars import check_calendar
from jaxtrade.market.checks.cells import check_cells
from jaxtrade.market.checks.intervals import check_intervals
from jaxtrade.market.checks.panels import check_panel
from jaxtrade.market.checks.prices import check_prices
from jaxtrade.market.checks.series import IntArray, Series, make_series
from jaxtrade.market.checks.times import check_times
from jaxtrade.market.checks.zones import check_zone
from jaxtrade.market.reading import Finding, Reading


class Terms(NamedTuple):
    """What the checks need to know beside the bars."""

    now: int  # seconds since 1970
    timezone: str | None  # of the days that intraday bars belong to; UTC when None
    calendars: dict[str, str]  # exchange calendar by symbol
    adjusted: bool  # prices are scaled by the column adj_close before use
    splits: dict[str, IntArray]  # seconds of declared splits by symbol, [K]


@np.errstate(all="ignore")  # cells may hold anything; what is impossible is told, not warned of
def check_reading(reading: Reading, terms: Terms) -> list[Finding]:
    """Return all that is wrong with one symbol, what was found in reading first."""
    series = make_series(reading)
    splits = terms.splits.get(reading.symbol, np.zeros(0, np.int64))
    found = [*reading.findings, *check_cells(reading), *check_times(reading, terms.now)]
    found += check_intervals(series, terms.timezone)
    if series.time.size:
        found += [*check_prices(series, terms.adjusted, splits), *check_zone(series)]
    if reading.symbol in terms.calendars:
        found += check_calendar(series, terms.calendars[reading.symbol], terms.timezone)
    return found


def check_readings(readings: list[Reading], terms: Terms) -> list[Finding]:
    """Return all that is wrong with some symbols, and with their panel."""
    found = [each for reading in readings for each in check_reading(reading, terms)]
    return found + check_panel([make_series(reading) for reading in readings])


__all__ = ["Series", "Terms", "check_reading", "check_readings", "make_series"]
