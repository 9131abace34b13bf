"""How a table stands in text: its delimiter, its header and its first row, told from the beginning."""

import csv
import re
from collections import Counter
from typing import NamedTuple

from jaxtrade.market.reading import Finding
from jaxtrade.market.sources.layout import is_field, normal, positional
from jaxtrade.market.sources.raw import shown

DELIMITERS = {"\t": "tab", ";": "semicolon", "|": "bar", ",": "comma", " ": "blanks"}  # the likelier where several fit
SAMPLED = 60  # lines that tell the delimiter
LEADING = 6  # lines that tell the header: a title, two levels of names, that of the index, and a row
NUMBER = re.compile(r"[+-]?[\d.,]*\d[\d.,]*([eE][+-]?\d+)?")


class Style(NamedTuple):
    """How a table stands in text."""

    delimiter: str
    names: tuple[str, ...]
    skipped: int  # lines before the first row, the header among them
    header: str  # in words
    first: tuple[str, ...]  # the cells of the first row, if there is one


def detect_style(where: str, head: bytes) -> Style:
    """Tell delimiter and header from the beginning of a text.

    Raises:
        InputError: No delimiter makes columns of it, or nothing tells them apart.
    """
    lines = head.decode(errors="replace").split("\n", SAMPLED)[:SAMPLED]
    filled = [place for place, line in enumerate(lines) if line.strip()]
    sample = [lines[place] for place in filled]
    delimiter = _delimiter(where, sample)
    cells = [_cells(line, delimiter) for line in sample[:LEADING]]
    first = 1 if len(cells) > 1 and len(cells[0]) == 1 and any(map(is_field, cells[1])) else 0  # below a title
    names, header = tuple(cells[first]), 1
    if not any(map(is_field, names)) and sum(bool(NUMBER.fullmatch(cell.strip())) for cell in names) >= 3:
        timed = bool(re.fullmatch(r"\d{1,2}:\d\d(:\d\d)?", names[1].strip()))
        names, header = positional(where, len(names), timed), 0
    elif _second_header(cells[first:]):
        names, header = _two_headers(cells[first:])
    skipped = filled[first + header] if first + header < len(filled) else filled[-1] + 1
    words = "none" if not header else f"line {filled[first] + 1}" if header == 1 else f"lines 1 to {header}"
    row = tuple(cells[first + header]) if first + header < len(cells) else ()
    return Style(delimiter, names, skipped, words, row)


def _cells(line: str, delimiter: str) -> list[str]:
    if delimiter == " ":
        return line.split()
    line = line.rstrip("\r")
    if '"' not in line:
        return line.split(delimiter)
    try:
        return next(csv.reader([line], delimiter=delimiter), [""])
    except csv.Error:  # a line end inside, or a cell without end
        return [line]


def _delimiter(where: str, sample: list[str]) -> str:
    for delimiter in DELIMITERS:
        widths = [len(_cells(line, delimiter)) for line in sample]
        width, count = Counter(widths).most_common(1)[0]
        if width >= (3 if delimiter != " " else 5) and 2 * count >= len(widths) and width in widths[:2]:
            return delimiter
    known = ", ".join(DELIMITERS.values())
    what = f"no delimiter among {known} makes columns of lines like '{shown(sample[0])}', which"
    raise Finding("E-DATA-005", where, what).error()


def _second_header(cells: list[list[str]]) -> bool:
    """Return whether the first two rows are fields and symbols, as of yfinance."""
    if len(cells) < 2 or len(cells[0]) != len(cells[1]):
        return False
    corners = {normal(row[0]) for row in cells[:2]}
    named = corners <= {"price", "ticker", "attributes", "symbols", "symbol", ""}
    return named and (corners != {""} or not any(NUMBER.fullmatch(cell.strip()) for cell in cells[1]))


def _two_headers(cells: list[list[str]]) -> tuple[tuple[str, ...], int]:
    pairs = zip(cells[0][1:], cells[1][1:], strict=True)
    names = ["date", *(f"{above.strip()}|{below.strip()}" for above, below in pairs)]
    third = len(cells) > 2 and not any(cell.strip() for cell in cells[2][1:]) and is_field(cells[2][0])
    return tuple(names), 3 if third else 2
