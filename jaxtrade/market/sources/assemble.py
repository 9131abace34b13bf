"""From the columns of a source to the bars of each symbol, with the cells that could not be read named."""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from jaxtrade.config.market import LoadConfig
from jaxtrade.market.reading import Finding, Reading, RowArray
from jaxtrade.market.sources.layout import Fields, Layout, describe
from jaxtrade.market.sources.numbers import Signs, detect_signs, read_numbers
from jaxtrade.market.sources.raw import Defect, FloatArray, Raw, is_text
from jaxtrade.market.sources.times import Times, read_times
from jaxtrade.market.units import PRICES

LARGE = 1 << 20  # rows from which on memory is given back at once
Columns = dict[str, FloatArray]


class Group(NamedTuple):
    """The rows of one symbol."""

    symbol: str
    at: RowArray | slice  # positions in the table, rising
    fields: Fields


def make_readings(raw: Raw, layout: Layout, config: LoadConfig, symbol: str, named: bool = False) -> list[Reading]:
    """Return the bars of every symbol of a table, symbols in their order.

    Args:
        raw: The table; its columns are taken out of it as they are read, to save memory.
        layout: What the columns are.
        config: Time zone and format of the times.
        symbol: The symbol of rows that name none.
        named: Whether that symbol goes before one that the rows name.

    Raises:
        InputError: The times cannot be read at all, or in two ways.
    """
    times = read_times(raw, layout.time, config)
    for place in layout.time:
        del raw.columns[place]
    groups, unnamed = _groups(raw, layout, symbol, named)
    numbers, signs, defects = _numbers(raw, layout, groups)
    about = raw.about | {name: text for name, text in times.about.items() if name not in raw.about}
    about |= ({"decimal": signs.text()} if signs else {}) | {"columns": describe(raw.names, layout)}
    findings = (*raw.findings, *unnamed, *_notices(raw, layout, times))
    readings = []
    for group, columns in zip(groups, numbers, strict=True):
        if "" not in layout.fields:
            at = _present(columns)
            group, columns = group._replace(at=at), {name: column[at] for name, column in columns.items()}
        reading = _reading(raw, group, columns, times, about)
        reading = reading._replace(findings=_adjusted(reading, config))
        wrong = [_located(reading, group.at, defect) for defect in (*times.defects, *defects.get(group.symbol, ()))]
        readings.append(reading._replace(findings=(*findings, *reading.findings, *(each for each in wrong if each))))
        findings = ()  # what holds of the source as a whole is told once
    return readings


def _groups(raw: Raw, layout: Layout, symbol: str, named: bool) -> tuple[list[Group], tuple[Finding, ...]]:
    """Return the rows of each symbol, and the finding of rows that name none."""
    everything = slice(0, len(raw.rows))
    if "" not in layout.fields:
        return [Group(name, everything, fields) for name, fields in layout.fields.items()], ()
    if layout.symbol is None or named:
        return [Group(symbol, everything, layout.fields[""])], ()
    codes, names = _codes(raw.columns.pop(layout.symbol))
    empty = np.flatnonzero(codes < 0)
    what = "the symbol is empty, which"
    finding = Finding("E-DATA-014", raw.where, what, column="symbol", rows=raw.rows[empty])
    if not names:
        raise finding.error()
    parts: list[slice | RowArray] = [*_runs(codes, len(names))]
    if (codes[1:] < codes[:-1]).any():  # else every symbol's rows stand together
        order = np.argsort(codes, kind="stable")
        parts = [order[part] for part in _runs(codes[order], len(names))]
    groups = [Group(name, part, layout.fields[""]) for name, part in zip(names, parts, strict=True)]
    return groups, (finding,) * bool(empty.size)


def _runs(codes: npt.NDArray[np.int32], symbols: int) -> Iterator[slice]:
    """Yield where each symbol's code stands among rising codes."""
    edges = np.searchsorted(codes, np.arange(symbols + 1))
    for first, end in itertools.pairwise(edges.tolist()):
        yield slice(first, end)


def _codes(column: pa.ChunkedArray) -> tuple[npt.NDArray[np.int32], list[str]]:
    """Return the place of each row's symbol among the sorted symbols, [T], -1 where there is none, and these."""
    if not pa.types.is_dictionary(column.type):
        column = column.cast(pa.string()).dictionary_encode()
    column = column.unify_dictionaries()
    found = ["" if name is None else str(name).strip() for name in column.chunk(0).dictionary.to_pylist()]
    places = np.concatenate([np.asarray(chunk.indices.fill_null(len(found))) for chunk in column.chunks])
    present = np.zeros(len(found) + 1, bool)
    present[places] = True
    names = sorted({name for place, name in enumerate(found) if name and present[place]})
    rank = {name: place for place, name in enumerate(names)}
    return np.array([*(rank.get(name, -1) for name in found), -1], np.int32)[places], names


def _numbers(
    raw: Raw, layout: Layout, groups: list[Group]
) -> tuple[list[Columns], Signs | None, dict[str, list[Defect]]]:
    """Read the prices and volumes of all groups, column by column."""
    wanted: dict[int, list[tuple[int, str]]] = {}  # by column: of which groups it is which field
    for number, group in enumerate(groups):
        for field, place in group.fields.items():
            wanted.setdefault(place, []).append((number, field))
    written = [place for place in wanted if is_text(raw.columns[place])]
    signs = Signs()
    if any(read_numbers(raw.columns[place], signs).bad.size for place in written):
        signs = detect_signs(raw, written)
    numbers: list[Columns] = [{} for _ in groups]
    defects: dict[str, list[Defect]] = {}
    for place in sorted(wanted):
        value, bad = read_numbers(raw.columns[place], signs)
        cells = raw.columns[place].take(pa.array(bad))
        del raw.columns[place]
        if len(raw.rows) >= LARGE:
            pa.default_memory_pool().release_unused()
        for number, field in wanted[place]:
            numbers[number][field] = value[groups[number].at]
            if bad.size:
                defect = Defect("E-DATA-020", bad, "'{}' is no number, which", cells, field)
                defects.setdefault(groups[number].symbol, []).append(defect)
    return numbers, signs if raw.about.get("format") == "text" or written else None, defects


def _reading(raw: Raw, group: Group, columns: Columns, times: Times, about: dict[str, str]) -> Reading:
    """Return the bars of one symbol, without what went wrong."""
    about = dict(about)
    if "tick_volume" in columns:
        columns["volume"], about["volume"] = _volume(columns.get("volume"), columns.pop("tick_volume"))
    has_range = {"high", "low"} <= set(columns)
    columns.setdefault("high", np.fmax(columns["open"], columns["close"]))
    columns.setdefault("low", np.fmin(columns["open"], columns["close"]))
    columns.setdefault("volume", np.full(len(columns["close"]), np.nan))
    index = pd.DatetimeIndex(times.value[group.at])
    names = [*PRICES, "volume", *(["adj_close"] if "adj_close" in columns else [])]
    frame = pd.DataFrame({name: columns[name] for name in names}, index=index, copy=False)
    return Reading(raw.where, group.symbol, frame, raw.rows[group.at], about, (), has_range)


def _volume(real: FloatArray | None, tick: FloatArray) -> tuple[FloatArray, str]:
    """Return the volume that says more, and which it is: MetaTrader leaves the real one at zero where it has none."""
    if real is None:
        return tick, "tick volume"
    share = float(np.mean((real == 0) & (tick > 0)))
    if share > 0.5:
        return tick, f"tick volume (the real one is zero in {share:.0%} of bars)"
    return real, "real volume"


def _present(columns: Columns) -> RowArray:
    """Return the rows of a wide panel in which a symbol has any number: it may be listed later than others."""
    return np.flatnonzero(np.any([np.isfinite(column) for column in columns.values()], axis=0))


def _adjusted(reading: Reading, config: LoadConfig) -> tuple[Finding, ...]:
    """Return the notice of prices that are not adjusted, though the source could tell how they would be."""
    frame = reading.frame
    if "adj_close" not in frame or config.adjusted == "adj_close":
        return ()
    close, adjusted = frame["close"].to_numpy(), frame["adj_close"].to_numpy()
    at = np.flatnonzero(np.isfinite(close) & np.isfinite(adjusted) & (close != adjusted))
    if not at.size:
        return ()
    what = f"the adjusted close {adjusted[at[0]]} is not the close {close[at[0]]}, which"
    time = f"{frame.index[at[0]].isoformat()}Z"
    return (Finding("N-DATA-072", reading.where, what, reading.symbol, "adj_close", at, reading.rows[at], time),)


def _located(reading: Reading, at: RowArray | slice, defect: Defect) -> Finding | None:
    """Return a defect of the table as a finding of one symbol, whose rows stand at `at`; None if it has none."""
    if isinstance(at, slice):
        inside = np.flatnonzero((defect.at >= at.start) & (defect.at < at.stop))
        here = defect.at[inside] - at.start
    else:
        inside = np.flatnonzero(np.isin(defect.at, at))
        here = np.searchsorted(at, defect.at[inside])
    if not inside.size:
        return None
    time = reading.frame.index[here[0]]
    what = defect.told(int(inside[0]))
    when = "" if pd.isna(time) else f"{time.isoformat()}Z"
    rows = reading.rows[here]
    return Finding(defect.code, reading.where, what, reading.symbol, defect.column, here, rows, when)


def _notices(raw: Raw, layout: Layout, times: Times) -> Iterator[Finding]:
    """Yield what is worth telling of the table as a whole."""
    if times.intraday_without_zone:
        yield Finding("N-DATA-063", raw.where, "the times name no zone and are taken as UTC, which")
    used = layout.used()
    ignored = [name.strip() or f"column {place + 1}" for place, name in enumerate(raw.names) if place not in used]
    if ignored:
        yield Finding("N-DATA-067", raw.where, f"nothing is read from {', '.join(ignored)}, which")
