"""The formats that times have in text: each a regular expression, so that every text is read in full or not at all."""

import re
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from jaxtrade.errors import InputError

Seconds = npt.NDArray[np.datetime64]  # datetime64[s], NaT where there is none
BoolArray = npt.NDArray[np.bool_]
ZONE = r"(?P<z>Z|UTC|GMT|(?:UTC|GMT)?[+-]\d{2}:?\d{2}|(?:UTC|GMT)?[+-]\d{2})"
FRACTION = r"(?P<f>\d{1,9})"
PARTS = {
    "%Y": r"(?P<Y>\d{4})",
    "%y": r"(?P<y>\d{2})",
    "%m": r"(?P<m>\d{1,2})",
    "%b": r"(?P<b>[A-Za-z]{3,9})",
    "%B": r"(?P<b>[A-Za-z]{3,9})",
    "%d": r"(?P<d>\d{1,2})",
    "%H": r"(?P<H>\d{1,2})",
    "%I": r"(?P<H>\d{1,2})",
    "%M": r"(?P<M>\d{1,2})",
    "%S": r"(?P<S>\d{1,2})",
    "%f": FRACTION,
    "%p": r"(?P<p>[AaPp])\.?[Mm]\.?",
    "%z": ZONE,
    "%Z": ZONE,
    "%%": "%",
}
CLOCK = (
    rf"(?:(?:[T,] ?| +)(?P<H>\d{{1,2}}):(?P<M>\d{{2}})(?::(?P<S>\d{{2}})(?:[.,]{FRACTION})?)?"
    rf"(?: ?(?P<p>[AaPp])\.?[Mm]\.?)?(?: ?{ZONE})?)?"
)
DATES = ("%Y-%m-%d", "%Y.%m.%d", "%Y/%m/%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%m-%d-%Y", "%d-%m-%Y")
NAMED_MONTHS = ("%d-%b-%Y", "%d %b %Y", "%b %d, %Y", "%b %d %Y")
ISO = "%Y-%m-%d [%H:%M:%S]"
DIGITS = r"(?P<Y>(?:19|20)\d{2})(?P<m>\d{2})(?P<d>\d{2})"
COMPACT = r"(?P<H>\d{2})(?P<M>\d{2})(?P<S>\d{2})?"
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
EPOCHS = {"unix s": 1, "unix ms": 10**3, "unix us": 10**6, "unix ns": 10**9}  # parts of a second


class Dates(NamedTuple):
    """Times of some texts in one format. `U` texts."""

    local: Seconds  # [U] by the clock of their zone
    zoned: BoolArray  # [U] whether the text names its zone: then `local` is UTC


def _known() -> dict[str, str]:
    """Return the regular expression of every known format, by name."""
    found = {f"{date} [%H:%M:%S]": pattern_of(date) + CLOCK for date in (*DATES, *NAMED_MONTHS)}
    found["%Y%m%d [%H:%M:%S]"] = DIGITS + CLOCK
    found["%Y%m%d [%H%M%S]"] = rf"{DIGITS}(?:[T ]?{COMPACT}(?: ?{ZONE})?)?"
    for date in DATES[:4]:
        found[f"{date} %H%M%S"] = rf"{pattern_of(date)} {COMPACT}"
    return found


def pattern_of(date_format: str) -> str:
    """Return the regular expression of a format such as %d.%m.%Y %H:%M.

    Raises:
        InputError: It holds a directive that is not known.
    """
    pieces = re.split(r"(%.)", date_format)
    for piece in pieces[1::2]:
        if piece not in PARTS:
            known = " ".join(PARTS)
            raise InputError("market.load.date_format", f"holds '{piece}' in {date_format!r}", f"Known: {known}")
    return "".join(PARTS.get(piece, re.escape(piece)) for piece in pieces)


def read_dates(text: pa.Array, pattern: str) -> Dates:
    """Read texts [U] by a regular expression; NaT where one does not fit, or is no date of the calendar."""
    fields = pc.extract_regex(text, f"^(?:{pattern})$")
    fits = np.asarray(fields.is_valid())
    found = {fields.type.field(place).name: fields.field(place) for place in range(fields.type.num_fields)}
    day = _days(found, fits)
    hour, minute, second = (_number(found, name, 0) for name in "HMS")
    hour, sound = _twelve(found, hour)
    sound &= (hour < 24) & (minute < 60) & (second < 60)
    clock = (hour * 3600 + minute * 60 + second).astype("timedelta64[s]")
    shift, zoned = _offset(found)
    local = day.astype("datetime64[s]") + clock - shift.astype("timedelta64[s]")
    return Dates(np.where(fits & sound, local, np.datetime64("NaT", "s")), zoned)


def read_epochs(text: pa.Array, unit: int) -> Dates:
    """Read texts [U] of seconds since 1970 or parts of them; NaT for what is none.

    Parts of a second are believed only from 1973 on: an earlier time is one in seconds, in the wrong column.
    """
    whole = pc.extract_regex(text, r"^(?P<whole>-?\d{1,19})(?:\.\d*)?$")
    digits = whole.field(0)
    count = np.asarray(pc.if_else(pc.equal(digits, ""), "0", digits).fill_null("0").cast(pa.float64()))
    fits = np.asarray(whole.is_valid()) & (np.abs(count) < 9.2e18)
    exact = np.asarray(pc.if_else(pa.array(fits), digits, "0").fill_null("0").cast(pa.int64()))
    seconds = exact // unit
    fits &= (np.abs(seconds) < 10**11) & ((seconds >= 10**8) if unit > 1 else fits)
    return Dates(np.where(fits, seconds, np.iinfo(np.int64).min).astype("datetime64[s]"), np.ones(len(text), bool))


def epoch_of(largest: float) -> str:
    """Return the unit of epochs up to a largest one."""
    return next(name for name, unit in EPOCHS.items() if largest < 10**11 * unit or unit == 10**9)


def _number(found: dict[str, pa.Array], name: str, default: int) -> npt.NDArray[np.int64]:
    if name not in found:
        return np.array(default)
    digits = pc.if_else(pc.equal(found[name], ""), str(default), found[name])
    return np.asarray(digits.fill_null(str(default)).cast(pa.int64()))


def _days(found: dict[str, pa.Array], fits: BoolArray) -> npt.NDArray[np.datetime64]:
    """Return the days, NaT for 31 June."""
    year = _number(found, "Y", 1970)
    if "y" in found:
        short = _number(found, "y", 70)
        year = short + np.where(short < 69, 2000, 1900)  # as POSIX has it
    month = _number(found, "m", 1)
    if "b" in found:
        short_names = pc.utf8_slice_codeunits(pc.utf8_lower(found["b"]), 0, 3)
        month = np.asarray(pc.index_in(short_names, pa.array(MONTHS)).fill_null(-1)).astype(np.int64) + 1
    day = _number(found, "d", 1)
    sound = fits & (month >= 1) & (month <= 12) & (day >= 1)
    first = ((year - 1970) * 12 + np.where(sound, month, 1) - 1).astype("datetime64[M]")
    days = first.astype("datetime64[D]") + (day - 1).astype("timedelta64[D]")
    return np.where(sound & (days.astype("datetime64[M]") == first), days, np.datetime64("NaT", "D"))


def _twelve(found: dict[str, pa.Array], hour: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], BoolArray]:
    """Return the hours of the day, and whether they are sound, of clocks with or without AM and PM."""
    if "p" not in found:
        return hour, np.ones(np.shape(hour), bool)
    half = pc.utf8_lower(found["p"]).fill_null("")
    has, after_noon = (np.asarray(pc.is_in(half, pa.array(some))) for some in (["a", "p"], ["p"]))
    return np.where(has, hour % 12 + 12 * after_noon, hour), ~has | ((hour >= 1) & (hour <= 12))


def _offset(found: dict[str, pa.Array]) -> tuple[npt.NDArray[np.int64], BoolArray]:
    """Return the seconds east of Greenwich, and whether the text names its zone."""
    if "z" not in found:
        return np.array(0), np.zeros(len(next(iter(found.values()))), bool)
    names = found["z"].fill_null("").dictionary_encode()
    seconds = np.array([_seconds_east(name) for name in names.dictionary.to_pylist()], np.int64)
    zoned = np.array([name != "" for name in names.dictionary.to_pylist()])
    places = np.asarray(names.indices)
    return seconds[places], zoned[places]


def _seconds_east(zone: str) -> int:
    digits = zone.removeprefix("UTC").removeprefix("GMT").replace(":", "")
    if digits in ("", "Z"):
        return 0
    seconds = int(digits[1:3]) * 3600 + int(digits[3:5] or 0) * 60
    return -seconds if digits[0] == "-" else seconds


def candidates(text: Iterable[str]) -> list[str]:
    """Return the names of the known formats that some of the texts fit."""
    some = list(text)
    return [name for name, pattern in KNOWN.items() if any(re.fullmatch(pattern, each) for each in some)]


KNOWN = _known()
