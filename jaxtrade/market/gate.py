"""The gate between what was read and what is used: checks, the repairs asked for, checks again, and a report."""

import time
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from jaxtrade.amounts import DEFAULT
from jaxtrade.config.market import LoadConfig
from jaxtrade.errors import InputError, did_you_mean
from jaxtrade.market.checks import Terms, check_reading, check_readings, make_series
from jaxtrade.market.checks.calendars import parse_calendars
from jaxtrade.market.checks.intervals import missing_bars
from jaxtrade.market.checks.series import IntArray, seconds_of, time_text
from jaxtrade.market.codes import RULES
from jaxtrade.market.events import read_events
from jaxtrade.market.reading import NOTHING_WRITTEN, Finding, Reading
from jaxtrade.market.repairs import repair
from jaxtrade.market.units import DAY, commonest

INSPECT = "python -m jaxtrade.market inspect"
ORDER = {code: place for place, code in enumerate(RULES)}  # of severity


class Summary(NamedTuple):
    """The bars of one symbol, as they are used."""

    where: str
    rows: int
    first: str
    last: str
    interval: int  # seconds, the commonest step
    missing: int  # bars that times of the week usually have


class Report(NamedTuple):
    """What was understood of a source, what is wrong with it, and what was done about that."""

    source: str
    about: dict[str, dict[str, str]]  # how each file or table was understood
    symbols: dict[str, Summary]
    findings: tuple[Finding, ...]  # before repairs
    refused: tuple[Finding, ...]  # after repairs: severe and not accepted, the most severe first
    repairs: dict[str, dict[str, int]]  # bars changed, by repair and symbol
    accepted: tuple[str, ...]  # codes that were found and lived with

    def record(self) -> dict[str, Any]:
        """Return the report for a run's fingerprint, fit for JSON: findings as counts by code and symbol."""
        counts: dict[str, dict[str, int]] = {}
        for each in self.findings:
            by_symbol = counts.setdefault(each.code, {})
            by_symbol[each.symbol] = by_symbol.get(each.symbol, 0) + max(1, int(each.at.size))
        return {
            "source": self.source,
            "about": {Path(where).name: about for where, about in self.about.items()},
            "symbols": {name: _plain(summary) for name, summary in self.symbols.items()},
            "findings": counts,
            "repairs": self.repairs,
            "accepted": list(self.accepted),
        }

    def error(self) -> InputError:
        """Return the error that refuses the data: the most severe finding, and how to see the others."""
        error = self.refused[0].error()
        others = len(self.refused) - 1
        if not others:
            return error
        word = "finding" if others == 1 else "findings"
        remedy = error.remedy.removesuffix(f". {NOTHING_WRITTEN}")
        remedy = f"{remedy}. {others} more {word}: {INSPECT} {self.source}. {NOTHING_WRITTEN}"
        return InputError(error.where, error.what, remedy)


def _plain(summary: Summary) -> dict[str, Any]:
    """Return a summary without the folder of the file: the same data elsewhere is the same data."""
    return summary._asdict() | {"where": Path(summary.where).name}


def judge(source: str, readings: list[Reading], config: LoadConfig) -> tuple[list[Reading], Report]:
    """Check readings, make the repairs asked for, and check again; nothing is refused yet.

    Raises:
        InputError: The configuration does not fit the data: an unknown calendar or symbol, a missing events file.
    """
    if config.label == "end":
        readings = [label_start(reading) for reading in readings]
    terms = make_terms(readings, config)
    found = check_readings(readings, terms)
    repairs: dict[str, dict[str, int]] = {}
    left = found
    if config.repair:
        mended = []
        for reading in readings:
            reading, counts = repair(reading, config, partial(check_reading, terms=terms))
            mended.append(reading)
            for name, count in counts.items():
                repairs.setdefault(name, {})[reading.symbol] = count
        readings = mended
        left = check_readings(readings, terms) if repairs else found
    severe = [each for each in left if each.severe]
    refused = sorted((each for each in severe if each.code not in config.accept), key=lambda each: ORDER[each.code])
    return readings, Report(
        source=source,
        about={reading.where: reading.about for reading in readings},
        symbols={reading.symbol: _summary(reading) for reading in readings},
        findings=tuple(found),
        refused=tuple(refused),
        repairs=repairs,
        accepted=tuple(sorted({each.code for each in severe} & set(config.accept))),
    )


def make_terms(readings: list[Reading], config: LoadConfig) -> Terms:
    """Return what the checks need to know, from the configuration and the clock of this machine."""
    splits: dict[str, IntArray] = {}
    if config.events is not None:
        events = read_events(config.events)
        for symbol, rows in events[events["kind"] == "split"].groupby("symbol"):
            splits[str(symbol)] = rows["date"].to_numpy().astype("datetime64[s]").astype(np.int64)
    symbols = tuple(reading.symbol for reading in readings)
    for symbol in config.rescale if isinstance(config.rescale, dict) else ():
        if symbol not in (DEFAULT, *symbols):
            what = f"names symbol '{symbol}', which is not in the data"
            raise InputError("market.load.rescale", what, did_you_mean(symbol, symbols))
    return Terms(
        now=int(time.time()),
        timezone=config.timezone,
        calendars=parse_calendars(config.calendar, symbols),
        adjusted=config.adjusted == "adj_close",
        splits=splits,
    )


def label_start(reading: Reading) -> Reading:
    """Return intraday bars whose times are those of their ends, with the times of their starts; daily bars as is."""
    seconds, known = seconds_of(reading)
    interval = commonest(np.abs(np.diff(seconds[known])))
    if not 0 < interval < DAY:
        return reading
    index = pd.DatetimeIndex(reading.frame.index) - pd.Timedelta(interval, "s")
    return reading._replace(frame=reading.frame.set_axis(index, axis=0))


def _summary(reading: Reading) -> Summary:
    series = make_series(reading)
    first, last = (time_text(int(series.time[at])) for at in (0, -1)) if series.time.size else ("", "")
    missing = int(missing_bars(series, np.diff(series.time)).sum()) if series.time.size > 1 else 0
    return Summary(reading.where, len(reading.frame), first, last, series.interval, missing)
