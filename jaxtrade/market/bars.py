"""Bars: a source is read, judged at the gate, and laid out as a panel on one time axis."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from jaxtrade.config.market import LoadConfig
from jaxtrade.market.events import attach_events
from jaxtrade.market.gate import Report, judge
from jaxtrade.market.reading import Reading
from jaxtrade.market.units import PRICES

FloatArray = npt.NDArray[np.float64]
DEFAULT = LoadConfig()


class Bars(NamedTuple):
    """A panel of bars on one time axis; NaN marks what a symbol lacks. `T` bars, `N` symbols."""

    time: npt.NDArray[np.datetime64]  # [T] datetime64[s] UTC, strictly increasing: when each bar starts
    symbols: tuple[str, ...]
    open: FloatArray  # [T, N]
    high: FloatArray  # [T, N]
    low: FloatArray  # [T, N]
    close: FloatArray  # [T, N]
    volume: FloatArray  # [T, N], NaN throughout for a symbol without volume
    split: FloatArray | None = None  # [T, N] new shares for an old one from this bar's open on, 1 elsewhere
    dividend: FloatArray | None = None  # [T, N] money a share, ex at this bar's open


class Loaded(NamedTuple):
    """Bars, and how they came about."""

    bars: Bars
    report: Report


def load(source: str, config: LoadConfig = DEFAULT, symbols: tuple[str, ...] = ()) -> Loaded:
    """Load a panel of bars.

    Args:
        source: What `jaxtrade.market.sources` reads: a sample, a file, a folder, a database, a download.
        config: How it is read, and which defects are mended or accepted.
        symbols: Symbols to keep, in this order; all when empty. Only these are judged.

    Raises:
        InputError: The source cannot be read, a symbol is not there, or the gate refuses what was found.
    """
    from jaxtrade.market import sources  # its readers may import this module

    readings, report = judge(sources.hidden(source), sources.read(source, config, symbols), config)
    if report.refused:
        raise report.error()
    return Loaded(lay_out(readings, config), report)


def load_bars(source: str, symbols: tuple[str, ...] = (), config: LoadConfig = DEFAULT) -> Bars:
    """Load a panel of bars without its report; see `load`."""
    return load(source, config, symbols).bars


def lay_out(readings: list[Reading], config: LoadConfig) -> Bars:
    """Return the panel of readings that passed the gate, adjusted and with its events if that was asked for."""
    if config.adjusted == "adj_close":
        readings = [adjust_by_close(reading) for reading in readings]
    return attach_events(make_panel(readings), config.events)


def adjust_by_close(reading: Reading) -> Reading:
    """Return a reading whose four prices are scaled by adjusted close / close, as a multiple of the first bar's.

    Vendors count back from the last bar, so that every later dividend changes all earlier prices; docs/adr/0008.
    """
    factor = reading.frame["adj_close"] / reading.frame["close"]
    factor /= factor[factor.first_valid_index()] if factor.notna().any() else 1.0
    return reading._replace(frame=reading.frame.assign(**{name: reading.frame[name] * factor for name in PRICES}))


def make_panel(readings: list[Reading]) -> Bars:
    """Lay the symbols on the union of their times; times must increase strictly within each."""
    times = [reading.frame.index.to_numpy().astype("datetime64[s]") for reading in readings]
    one = times[0] if all(np.array_equal(times[0], time) for time in times[1:]) else np.unique(np.concatenate(times))
    places = [slice(None) if len(time) == len(one) else np.searchsorted(one, time) for time in times]
    columns = {}
    for name in (*PRICES, "volume"):
        rows = np.full((len(readings), len(one)), np.nan)  # filled in the order of memory, then turned
        for row, reading, place in zip(rows, readings, places, strict=True):
            row[place] = reading.frame[name].to_numpy()
        columns[name] = np.ascontiguousarray(rows.T)
    return Bars(time=one, symbols=tuple(reading.symbol for reading in readings), **columns)
