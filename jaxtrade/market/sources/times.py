"""Times of bars: the one format that they have in text, and the zone that they are in. All become UTC."""

from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from jaxtrade.config.market import LoadConfig
from jaxtrade.errors import InputError
from jaxtrade.market.reading import Finding
from jaxtrade.market.sources.formats import (
    EPOCHS,
    ISO,
    KNOWN,
    Dates,
    Seconds,
    candidates,
    epoch_of,
    pattern_of,
    read_dates,
    read_epochs,
)
from jaxtrade.market.sources.raw import NULLS, Defect, Raw, is_text, plain, shown

PIECE = 1 << 20  # times looked at together, to save memory
SAMPLED = 100  # texts from either end that tell which formats are worth trying on all
CLOCK_ALONE = r"^(\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?( ?[AaPp]\.?[Mm]\.?)?|\d{1,6})$"
EMPTY, UNKNOWN, MIXED, CHANGE = 1, 2, 3, 4
CODES = {EMPTY: "E-DATA-030", UNKNOWN: "E-DATA-031", MIXED: "E-DATA-033", CHANGE: "E-DATA-034"}
NAT = np.datetime64("NaT", "s")
NAT_BITS = np.iinfo(np.int64).min


class Times(NamedTuple):
    """The times of a table. `T` rows."""

    value: Seconds  # [T] UTC; NaT where there is none
    about: dict[str, str]
    defects: tuple[Defect, ...]
    intraday_without_zone: bool


class _Text(NamedTuple):
    """What texts [U] were read as."""

    dates: Dates
    format: str


def read_times(raw: Raw, places: tuple[int, ...], config: LoadConfig) -> Times:
    """Read the times of a table from one column, or from those of the date and of the time of day.

    Raises:
        InputError: Two formats read them differently, none fits any, or the zone in the config is unknown.
    """
    column = _joined([raw.columns[place] for place in places])
    name = " + ".join(raw.names[place].strip() for place in places) or "time"
    encoded = pa.types.is_dictionary(column.type)
    distinct = _trimmed(column.unify_dictionaries().chunk(0).dictionary if encoded else _whole(column))
    found, kind = _instants(raw.where, distinct, config)
    value, problem, zone = _to_utc(found, distinct, config.timezone)
    naive = not found.zoned.any()
    if encoded:
        value, problem = _spread(column, value, problem)
    defects = _defects(column, problem, kind, zone, name)
    if defects and np.isnat(value).all():
        raise _first(raw, defects[0]).error()
    about = {"dates": kind, "zone": zone}
    return Times(value, about, defects, naive and config.timezone is None and has_clock(value))


def _first(raw: Raw, defect: Defect) -> Finding:
    return Finding(defect.code, raw.where, defect.told(0), column=defect.column, at=defect.at, rows=raw.rows[defect.at])


def _joined(columns: list[pa.ChunkedArray]) -> pa.ChunkedArray:
    """Return one column of times: that of two which holds the whole, or the date and the time of day together."""
    if len(columns) == 1:
        return columns[0]
    whole = columns[1]
    date, clock = (plain(column) for column in columns)
    if pa.types.is_timestamp(date.type):
        date = pc.strftime(date, "%Y-%m-%d %H:%M:%S")
    date, clock = (pc.utf8_trim_whitespace(column.cast(pa.string())) for column in (date, clock))
    date = pc.replace_substring_regex(date, r"[ T]00:00(:00)?([.]0+)?$", "")
    if not _mostly(clock, CLOCK_ALONE):
        return whole
    if _mostly(date, r"\d:\d\d"):
        return columns[0]
    longest = pc.max(pc.utf8_length(clock)).as_py() or 0
    digits = pc.match_substring_regex(clock, r"^\d+$")
    clock = pc.if_else(digits, pc.utf8_lpad(clock, width=4 if longest <= 4 else 6, padding="0"), clock)
    return pc.binary_join_element_wise(date, clock, " ")


def _mostly(text: pa.ChunkedArray, pattern: str) -> bool:
    """Return whether most of the first texts fit a pattern."""
    return bool((pc.mean(pc.match_substring_regex(text[:SAMPLED], pattern)).as_py() or 0) > 0.5)


def _instants(where: str, column: pa.Array, config: LoadConfig) -> tuple[Dates, str]:
    """Return the times of a column of any type, and how they were read."""
    kind = column.type
    if pa.types.is_timestamp(kind):
        return _typed(column), f"timestamps ({kind.unit})"
    if pa.types.is_date(kind):
        return _typed(column.cast(pa.timestamp("s"))), "dates"
    if pa.types.is_floating(kind):
        finite = pc.if_else(pc.is_finite(column), column, pa.scalar(None, kind))
        column = finite.cast(pa.int64(), safe=False)
    dates, name = _from_text(where, column.cast(pa.string()), config.date_format)
    return dates, f"{name} ({'as configured' if config.date_format else 'detected'})"


def _trimmed(column: pa.Array) -> pa.Array:
    """Return texts without blanks around them, and null for those that stand for nothing; others as they are."""
    if not is_text(column) or _iso(column) is not None:
        return column
    text = pc.utf8_trim_whitespace(column)
    return pc.if_else(pc.is_in(text, pa.array(NULLS, text.type)), pa.scalar(None, text.type), text)


def _whole(column: pa.ChunkedArray) -> pa.Array:
    """Return a column in one piece, copied only if it has several."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _typed(column: pa.Array) -> Dates:
    """Return the times of a column of timestamps, cut to the second."""
    unit = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[column.type.unit]
    whole = column.view(pa.int64())
    count = np.asarray(pc.fill_null(whole, NAT_BITS) if whole.null_count else whole)
    seconds = count if unit == 1 else np.where(count == NAT_BITS, NAT_BITS, count // unit)
    return Dates(seconds.view("datetime64[s]"), np.full(len(column), column.type.tz is not None))


def _from_text(where: str, text: pa.Array, date_format: str | None) -> _Text:
    if date_format is not None:
        if date_format in EPOCHS:
            return _Text(read_epochs(text, EPOCHS[date_format]), date_format)
        return _Text(read_dates(text, pattern_of(date_format)), date_format)
    quick = _iso(text)
    if quick is not None:
        return _Text(quick, ISO)
    ends = [cell for cell in (*text[:SAMPLED].to_pylist(), *text[-SAMPLED:].to_pylist()) if cell is not None]
    tried = [_Text(read_dates(text, KNOWN[name]), name) for name in candidates(ends)]
    tried += _as_epochs(text, ends) if not tried else []
    if not tried:
        return _Text(Dates(np.full(len(text), NAT), np.zeros(len(text), bool)), "unknown")
    good = [int((~np.isnat(each.dates.local)).sum()) for each in tried]
    best = tried[int(np.argmax(good))]
    for other, count in zip(tried, good, strict=True):
        if count == max(good) and not np.array_equal(other.dates.local, best.dates.local, equal_nan=True):
            one, two = best.format.split(" [")[0], other.format.split(" [")[0]
            at = int(np.argmax(~(other.dates.local == best.dates.local)))
            what = f"time '{shown(text[at])}' can be {one} and {two}, which differ, and no row tells which"
            raise Finding("E-DATA-032", where, what).error()
    return best


def _as_epochs(text: pa.Array, ends: list[str]) -> list[_Text]:
    sizes = [abs(float(cell)) for cell in ends if cell.replace(".", "", 1).lstrip("-").isdigit()]
    if not sizes:
        return []
    name = epoch_of(float(np.median(sizes)))
    dates = read_epochs(text, EPOCHS[name])
    recent = np.nanmax(dates.local.astype(np.float64)) if (~np.isnat(dates.local)).any() else 0
    return [_Text(dates, name)] if recent >= 10**8 else []  # the last bar after 1973: row numbers are no times


def _iso(text: pa.Array) -> Dates | None:
    """Return what Arrow reads fast: ISO 8601, all with a zone or none; None for anything else."""
    for unit, zone in (("s", None), ("s", "UTC"), ("ns", None), ("ns", "UTC")):
        try:
            text[:1].cast(pa.timestamp(unit, zone))  # a cast that fails is slow
            return _typed(text.cast(pa.timestamp(unit, zone)))
        except pa.ArrowInvalid:
            continue
    return None


def _to_utc(found: Dates, cells: pa.Array, timezone: str | None) -> tuple[Seconds, npt.NDArray[np.int8], str]:
    """Return the times [U] in UTC, what is wrong with each [U], and the zone in words."""
    value, good = found.local, ~np.isnat(found.local)
    problem = np.zeros(len(value), np.int8)
    if not good.all():
        problem = np.where(np.asarray(cells.is_valid()), np.where(good, 0, UNKNOWN), EMPTY).astype(np.int8)
    zoned = good & found.zoned
    naive = good & ~found.zoned
    if zoned.any() and naive.any():
        odd = naive if 2 * naive.sum() <= good.sum() else zoned
        problem[odd] = MIXED
        value = np.where(odd, NAT, value)
        naive, zoned = naive & ~odd, zoned & ~odd
    if zoned.any():
        return value, problem, "UTC, from the times"
    clock = has_clock(value)
    local_zone = _zone_info(timezone or "UTC")
    if timezone is None or not clock:
        return value, problem, "none: taken as UTC" if clock else "none: dates"
    local = pd.DatetimeIndex(value).tz_localize(local_zone, ambiguous="NaT", nonexistent="NaT")
    utc = local.tz_convert("UTC").tz_localize(None).as_unit("s").to_numpy().astype("datetime64[s]")
    problem[naive & np.isnat(utc)] = CHANGE
    return utc, problem, f"{timezone}, as configured"


def has_clock(value: Seconds) -> bool:
    """Return whether any time is not midnight: else they are dates, which no zone moves."""
    pieces = (value[first : first + PIECE].view(np.int64) for first in range(0, len(value), PIECE))
    return any(((piece % 86_400 != 0) & (piece != NAT_BITS)).any() for piece in pieces)


def _zone_info(timezone: str) -> ZoneInfo:
    try:
        return ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        what = f"there is no time zone {timezone!r}"
        raise InputError("market.load.timezone", what, "Name one such as Europe/Berlin or America/New_York") from None


def _spread(
    column: pa.ChunkedArray, value: Seconds, problem: npt.NDArray[np.int8]
) -> tuple[Seconds, npt.NDArray[np.int8]]:
    """Return the values and problems of distinct times for every row."""
    unified = column.unify_dictionaries()
    places = np.concatenate([np.asarray(chunk.indices.fill_null(len(value))) for chunk in unified.chunks])
    return np.append(value, NAT)[places], np.append(problem, np.int8(EMPTY))[places]


def _defects(
    column: pa.ChunkedArray, problem: npt.NDArray[np.int8], kind: str, zone: str, name: str
) -> tuple[Defect, ...]:
    what = {
        EMPTY: "the time is empty",
        UNKNOWN: f"time '{{}}' is none of the format {kind}",
        MIXED: "time '{}' names a zone, and others do not, or the other way round",
        CHANGE: f"time '{{}}' does not exist, or twice, in {zone.partition(',')[0]}",
    }
    found: list[Defect] = []
    if not problem.any():
        return ()
    for each, code in CODES.items():
        at = np.flatnonzero(problem == each)
        if at.size:
            found.append(Defect(code, at, what[each], column.take(pa.array(at)), name))
    return tuple(found)
