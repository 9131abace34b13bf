"""A reading as the checks see it: its bars in the order of time, and findings made of places in it."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from jaxtrade.market.reading import Finding, Reading
from jaxtrade.market.units import DAY, HOUR, MINUTE, PRICES, commonest

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
PlaceArray = npt.NDArray[np.intp]


class Series(NamedTuple):
    """The bars of a reading that have a time, in its order, one a time; NaN for what no cell can be. `T` bars."""

    reading: Reading
    at: PlaceArray  # [T] where each stands in the frame
    time: IntArray  # [T] seconds since 1970, strictly increasing
    open: FloatArray  # [T]
    high: FloatArray  # [T]
    low: FloatArray  # [T]
    close: FloatArray  # [T]
    volume: FloatArray  # [T]
    interval: int  # seconds, the commonest step; 0 for a single bar


def seconds_of(reading: Reading) -> tuple[IntArray, npt.NDArray[np.bool_]]:
    """Return the times of all rows in seconds, [T], and which of them are known, [T]."""
    time = reading.frame.index.to_numpy().astype("datetime64[s]")
    return time.astype(np.int64), ~np.isnat(time)


def make_series(reading: Reading) -> Series:
    """Return the bars in the order of time; of several at one time, the first in the file."""
    seconds, known = seconds_of(reading)
    at = np.flatnonzero(known)
    time = seconds[at]
    if (np.diff(time) <= 0).any():
        time, first = np.unique(time, return_index=True)
        at = at[first]
    whole = len(at) == len(reading.frame) and bool((np.diff(at) == 1).all())
    columns = {name: _possible(reading.frame[name].to_numpy(np.float64), name) for name in (*PRICES, "volume")}
    if not whole:
        columns = {name: values[at] for name, values in columns.items()}
    return Series(reading, at, time, **columns, interval=commonest(np.diff(time)))


def _possible(values: FloatArray, name: str) -> FloatArray:
    """Return the cells that can be a price or a volume, [T]; NaN for the others, of which the cells are told."""
    return np.where(np.isfinite(values) & ((values >= 0) if name == "volume" else (values > 0)), values, np.nan)


def time_text(seconds: int) -> str:
    """Return a time as people write it, in UTC."""
    return f"{np.datetime64(int(seconds), 's')}Z"


def span_text(seconds: float) -> str:
    """Return a length of time in its largest whole unit: 15 min, 4 h, 1 day, 31 days."""
    for unit, name in ((DAY, "day"), (HOUR, "h"), (MINUTE, "min")):
        if seconds >= unit and seconds % unit == 0:
            count = int(seconds // unit)
            return f"{count} {name}" + "s" * (name == "day" and count > 1)
    return f"{seconds:g} s" if seconds < DAY else f"{seconds / DAY:.1f} days"


def findings(reading: Reading, code: str, at: PlaceArray, what: str, column: str = "") -> list[Finding]:
    """Return one finding of all the rows at some places of the frame; none if there are none."""
    if not at.size:
        return []
    seconds, known = seconds_of(reading)
    time = time_text(int(seconds[at[0]])) if known[at[0]] else ""
    return [Finding(code, reading.where, what, reading.symbol, column, at, reading.rows[at], time)]


def whole(reading: Reading, code: str, what: str, column: str = "") -> list[Finding]:
    """Return one finding of a symbol as a whole."""
    return [Finding(code, reading.where, what, reading.symbol, column)]
