"""Numbers of prices and volumes: every cell is a number, empty, or named; text is rounded to the nearest float64."""

import re
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from jaxtrade.market.reading import Finding
from jaxtrade.market.sources.raw import NULLS, FloatArray, Raw, is_text, plain, shown

SPECIAL = r"[+-]?(?i:inf|infinity)"
TRIED = 20
FEWEST_GROUPED = 2  # a single 10,523 among 105.23 is a slip of the hand, no thousands


class Signs(NamedTuple):
    """How numbers are written."""

    decimal: str = "."
    thousands: str = ""

    def text(self) -> str:
        """Return the signs in words."""
        names = {".": "point", ",": "comma"}
        return names[self.decimal] + (f", thousands by {names[self.thousands]}" if self.thousands else "")

    @property
    def plain(self) -> str:
        """Regular expression of a number without thousands."""
        decimal = re.escape(self.decimal)
        return rf"[+-]?(?:\d+{decimal}?\d*|{decimal}\d+)(?:[eE][+-]?\d+)?"

    def grouped(self, groups: str = "*") -> str:
        """Return the regular expression of a number with thousands."""
        return rf"[+-]?\d{{1,3}}(?:{re.escape(self.thousands)}\d{{3}}){groups}(?:{re.escape(self.decimal)}\d*)?"


WAYS = (Signs(), Signs(".", ","), Signs(","), Signs(",", "."))


class Numbers(NamedTuple):
    """A column of numbers. `T` rows."""

    value: FloatArray  # [T] NaN where there is none
    bad: npt.NDArray[np.intp]  # [K] positions of cells that are neither number nor empty


def read_numbers(column: pa.ChunkedArray, signs: Signs) -> Numbers:
    """Read a column of any type."""
    column = plain(column)
    kind = column.type
    none = np.zeros(0, np.intp)
    if kind == pa.float64():
        return Numbers(_floats(column), none)
    if pa.types.is_floating(kind) or pa.types.is_integer(kind):
        return Numbers(_floats(column.cast(pa.float64(), safe=False)), none)
    if pa.types.is_decimal(kind):  # by way of the text: Arrow's own cast does not round to the nearest
        return Numbers(_floats(column.cast(pa.string()).cast(pa.float64())), none)
    if pa.types.is_null(kind):
        return Numbers(np.full(len(column), np.nan), none)
    if not is_text(column):
        return Numbers(np.full(len(column), np.nan), np.flatnonzero(column.is_valid()))
    return _from_text(column, signs)


def detect_signs(raw: Raw, places: list[int]) -> Signs:
    """Return how the numbers of some columns are written: in the way that reads most of all their cells.

    Raises:
        InputError: Two ways read as many, and differ.
    """
    columns = [_trimmed(raw.columns[place]) for place in places if is_text(raw.columns[place])]
    read = [sum(_count(each, _pattern(each, way)) for each in columns) if _likely(columns, way) else -1 for way in WAYS]
    best = WAYS[int(np.argmax(read))]
    if best == Signs(".", ",") and max(read) in read[2:]:
        marked = next(cell for each in columns for cell in each.to_pylist() if cell is not None and "," in cell)
        what = f"'{shown(marked)}' can be read with a decimal comma, or with commas between thousands, which"
        raise Finding("E-DATA-020", raw.where, what).error()
    return best


def _from_text(column: pa.ChunkedArray, signs: Signs) -> Numbers:
    if signs == Signs():
        try:
            column[:TRIED].cast(pa.float64())  # a cast that fails is slow
            return Numbers(_floats(column.cast(pa.float64())), np.zeros(0, np.intp))
        except pa.ArrowInvalid:
            pass  # some cell is empty or no number
    text = _trimmed(column)
    sound = pc.match_substring_regex(text, f"^(?:{_pattern(text, signs)}|{SPECIAL})$")
    bad = np.flatnonzero(pc.fill_null(pc.invert(sound), False))
    text = pc.if_else(sound, text, pa.scalar(None, pa.string()))
    if signs.thousands:
        text = pc.replace_substring(text, signs.thousands, "")
    if signs.decimal != ".":
        text = pc.replace_substring(text, signs.decimal, ".")
    return Numbers(_floats(text.cast(pa.float64())), bad)


def _likely(columns: list[pa.ChunkedArray], way: Signs) -> bool:
    """Return whether thousands occur at all, if a way of writing has them."""
    return not way.thousands or sum(_count(each, way.grouped("+")) for each in columns) >= FEWEST_GROUPED


def _pattern(column: pa.ChunkedArray, signs: Signs) -> str:
    """Return the regular expression of a column's numbers: with thousands if any of them has some."""
    return signs.grouped() if signs.thousands and _count(column, signs.grouped("+")) else signs.plain


def _count(column: pa.ChunkedArray, pattern: str) -> int:
    return int(pc.sum(pc.match_substring_regex(column, f"^(?:{pattern})$")).as_py() or 0)


def _trimmed(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return texts without blanks around them, null for those that stand for nothing."""
    text = pc.utf8_trim_whitespace(plain(column).cast(pa.string()))
    return pc.if_else(pc.is_in(text, pa.array(NULLS)), pa.scalar(None, pa.string()), text)


def _floats(column: pa.ChunkedArray) -> FloatArray:
    """Return float64 [T] of its own memory, NaN for null."""
    return np.concatenate([np.asarray(pc.fill_null(chunk, np.nan)) for chunk in column.chunks] or [np.zeros(0)])
