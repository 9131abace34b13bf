"""What is wrong with the times of bars: their order, times that appear twice, times still to come."""

import numpy as np
import pandas as pd

from jaxtrade.market.checks.series import IntArray, PlaceArray, findings, seconds_of, time_text
from jaxtrade.market.reading import Finding, Reading
from jaxtrade.market.units import DAY, HOUR

AUTUMN = {10: 25, 11: 1}  # first day of the week in which Europe, and North America, set their clocks back on Sunday
ZONE_HINT = ", at the hour that clocks are set back: the times may be local, name their zone by --market.load.timezone"


def check_times(reading: Reading, now: int) -> list[Finding]:
    """Return the rows out of order, at a time of another row, to come (after now, in seconds), or without any time."""
    seconds, known = seconds_of(reading)
    at = np.flatnonzero(known)
    time = seconds[at]
    back = at[1:][np.diff(time) < 0]
    what = ""
    if back.size:
        before = int(np.flatnonzero(np.diff(time) < 0)[0])
        hint = ZONE_HINT if at_clock_change(seconds[back]) else ""
        what = f"a time before that of the row above ({time_text(int(time[before]))}){hint}"
    found = findings(reading, "E-DATA-035", back, what)
    late = at[time > now + DAY]  # a day: a zone that the file does not name may be half a day ahead
    found += _duplicates(reading, seconds, at) + findings(reading, "E-DATA-038", late, "a time to come")
    told = [each.at for each in reading.findings if each.code.startswith("E-DATA-03")]
    known[np.concatenate([np.zeros(0, np.intp), *told])] = True
    return found + findings(reading, "E-DATA-030", np.flatnonzero(~known), "no time, which")


def _duplicates(reading: Reading, seconds: IntArray, at: PlaceArray) -> list[Finding]:
    """Return the later rows of each time that appears twice: identical to the first of that time, or in conflict."""
    later, first = repeated(seconds, at)
    if not later.size:
        return []
    same = identical(reading.frame, later, first)
    found = []
    for code, which, word in (("E-DATA-036", same, "the same"), ("E-DATA-037", ~same, "other")):
        places = np.sort(later[which])
        if places.size:
            twin = first[later == places[0]][0]
            hint = ZONE_HINT if at_clock_change(seconds[places]) else ""
            what = f"the time of row {reading.rows[twin]} again, with {word} values{hint}"
            found += findings(reading, code, places, what)
    return found


def repeated(seconds: IntArray, at: PlaceArray) -> tuple[PlaceArray, PlaceArray]:
    """Return the places, [K], of rows whose time an earlier row has, and those of the first such rows, [K]."""
    if not (np.diff(seconds[at]) <= 0).any():
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    order = at[np.argsort(seconds[at], kind="stable")]
    time = seconds[order]
    is_first = np.concatenate([[True], np.diff(time) != 0])
    first = order[np.maximum.accumulate(np.where(is_first, np.arange(len(order)), 0))]
    return order[~is_first], first[~is_first]


def identical(frame: pd.DataFrame, some: PlaceArray, others: PlaceArray) -> np.ndarray:
    """Return True, [K], where a row holds the same cells as another."""
    values = frame.to_numpy(np.float64)
    one, two = values[some], values[others]
    return np.asarray(((one == two) | (np.isnan(one) & np.isnan(two))).all(axis=1))


def at_clock_change(seconds: IntArray) -> bool:
    """Return True if all times lie in the small hours of Sundays on which clocks are set back in Europe or America."""
    index = pd.DatetimeIndex(seconds.astype("datetime64[s]"))
    first_day = index.month.map(AUTUMN).to_numpy(np.float64)  # NaN in other months
    sunday = (seconds // DAY + 3) % 7 == 6  # 1970 began on a Thursday
    day = index.day.to_numpy()
    return bool((sunday & (day >= first_day) & (day < first_day + 7) & (seconds % DAY < 4 * HOUR)).all())
