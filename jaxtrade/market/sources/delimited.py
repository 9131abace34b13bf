"""Tables in text: delimiter, header and columns are detected, then every cell is read once."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import csv as arrow_csv

from jaxtrade.config.market import LoadConfig
from jaxtrade.market.reading import Finding, RowArray
from jaxtrade.market.sources.formats import ISO
from jaxtrade.market.sources.layout import Layout, make_layout
from jaxtrade.market.sources.raw import NULLS, Raw, shown
from jaxtrade.market.sources.style import DELIMITERS, Style, detect_style
from jaxtrade.market.sources.text import Text, open_text

SMALL = 1 << 24  # bytes that one thread reads in one piece
BLOCK = 1 << 22  # bytes that are read together of more
PLACED = (pa.float64(), pa.timestamp("s"))
Handler = Callable[[arrow_csv.InvalidRow], str]


def read_text(path: Path, config: LoadConfig) -> tuple[Raw, Layout]:
    """Read a file of delimited text.

    Args:
        path: The file.
        config: Whether the format of the times is given.

    Raises:
        InputError: It is no table of bars.
    """
    where = str(path)
    text = open_text(path)
    style = detect_style(where, text.head)
    if style.delimiter == " ":
        text = _tabbed(text)
    layout = make_layout(where, style.names)
    about = {"format": "text", **text.about, "delimiter": DELIMITERS[style.delimiter], "header": style.header}
    time = None if config.date_format else _time_type(style, layout)
    table = _parse(where, text, style, layout, time)
    if not table.num_rows:
        raise Finding("E-DATA-002", where, "the file holds no rows, which").error()
    rows = _rows(where, text, style, table.num_rows)
    columns = {int(name): table.column(name) for name in table.column_names}
    if columns[layout.time[0]].type == time:
        about["dates"] = f"{ISO} (detected)"
    findings = () if text.ends else (Finding("N-DATA-066", where, "the last line has no line end, which"),)
    return Raw(where, style.names, columns, rows, about, findings), layout


def _tabbed(text: Text) -> Text:
    """Return text whose columns stand apart by blanks with tabs between them."""
    data = text.source.read_bytes() if isinstance(text.source, Path) else text.source
    lines = (b"\t".join(line.split()) for line in data.split(b"\n"))
    return text._replace(source=b"\n".join(lines))


def _time_type(style: Style, layout: Layout) -> pa.DataType | None:
    """Return the type of times that Arrow itself reads fast, ISO 8601 to the second, if the first is one."""
    if len(layout.time) > 1 or len(style.first) != len(style.names):
        return None
    for zone in (None, "UTC"):
        try:
            pa.array([style.first[layout.time[0]]]).cast(pa.timestamp("s", zone))
            return pa.timestamp("s", zone)
        except pa.ArrowInvalid:
            continue
    return None


def _parse(where: str, text: Text, style: Style, layout: Layout, time: pa.DataType | None) -> pa.Table:
    """Read the columns that are used: numbers and times at once as such, or all as text where a cell is none."""
    label = pa.string() if layout.symbol is None else pa.dictionary(pa.int32(), pa.string())
    labels = dict.fromkeys(layout.time, time or label) | {layout.symbol: label}
    kinds = {str(place): labels.get(place, pa.float64()) for place in sorted(layout.used())}
    try:
        return (_streamed if isinstance(text.source, Path) else _at_once)(text, style, kinds)
    except pa.ArrowInvalid:
        pass  # to be told below, or to be named cell by cell
    odd: list[arrow_csv.InvalidRow] = []
    try:
        return _at_once(text, style, {name: pa.string() for name in kinds}, partial(_note, odd))
    except pa.ArrowInvalid as error:
        what = _odd_row(text, odd[0]) if odd else shown(error)
        raise Finding("E-DATA-005", where, f"{what}, which").error() from None


def _note(odd: list[arrow_csv.InvalidRow], row: arrow_csv.InvalidRow) -> str:
    if not row.text.strip():
        return "skip"
    odd.append(row)
    return "error"


def _odd_row(text: Text, row: arrow_csv.InvalidRow) -> str:
    lines = (line.decode(errors="replace").rstrip("\r") for line in _lines(text))
    first = row.text.split("\n")[0].rstrip("\r")  # more than one where quotes do not match
    place = next((number for number, line in enumerate(lines, 1) if line == first), None)
    start = f"row {place}" if place else "a row"
    return f"{start} has {row.actual_columns} cells and others {row.expected_columns}: '{shown(row.text)}'"


def _at_once(text: Text, style: Style, kinds: dict[str, pa.DataType], handler: Handler | None = None) -> pa.Table:
    """Read the whole text into columns of some types; ArrowInvalid where a cell is not of its type."""
    options = _options(style, kinds, handler)
    if isinstance(text.source, Path):
        return arrow_csv.read_csv(str(text.source), **options)
    if len(text.source) < SMALL:
        options["read_options"].use_threads = False
        options["read_options"].block_size = len(text.source) + 1
    return arrow_csv.read_csv(pa.BufferReader(text.source), **options)


def _streamed(text: Text, style: Style, kinds: dict[str, pa.DataType]) -> pa.Table:
    """Read a large file piece by piece, each value straight to its place: Arrow would hold them twice for a while."""
    count = text.lines - style.skipped
    placed = {name: np.empty(count, kind.to_pandas_dtype()) for name, kind in kinds.items() if kind in PLACED}
    others: dict[str, list[pa.Array]] = {name: [] for name in kinds if name not in placed}
    filled = 0
    read = partial(_piece, options=_options(style, kinds))
    for piece in _ahead(read, _whole_lines(text, style.skipped)):
        end = filled + len(piece)
        if end > count:
            raise pa.ArrowInvalid("more rows than lines")
        for name, values in placed.items():
            values[filled:end] = piece.column(name).to_numpy()
        for name, pieces in others.items():
            pieces += piece.column(name).chunks
        filled = end
    columns = {name: pa.chunked_array([pa.array(values[:filled], kinds[name])]) for name, values in placed.items()}
    columns |= {name: pa.chunked_array(pieces, kinds[name]) for name, pieces in others.items()}
    return pa.table({name: columns[name] for name in kinds})


def _whole_lines(text: Text, skipped: int) -> Iterator[bytes]:
    """Yield a large file in pieces of whole lines, without the first of them."""
    with Path(str(text.source)).open("rb") as file:
        for _ in range(skipped):
            file.readline()
        while piece := file.read(BLOCK):
            yield piece + file.readline()


def _piece(piece: bytes, options: dict[str, Any]) -> pa.Table:
    names = options["read_options"].column_names
    read = arrow_csv.ReadOptions(column_names=names, use_threads=False, block_size=len(piece) + 1)
    return arrow_csv.read_csv(pa.BufferReader(piece), **(options | {"read_options": read}))


def _ahead(work: Callable[[bytes], pa.Table], pieces: Iterable[bytes]) -> Iterator[pa.Table]:
    """Yield the work on every piece in their order, a few pieces ahead in other threads."""
    threads = os.cpu_count() or 1
    waiting: deque[Future[pa.Table]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for piece in pieces:
            waiting.append(pool.submit(work, piece))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _options(style: Style, kinds: dict[str, pa.DataType], handler: Handler | None = None) -> dict[str, Any]:
    names = [str(place) for place in range(len(style.names))]
    return {
        "read_options": arrow_csv.ReadOptions(column_names=names, skip_rows=style.skipped, block_size=BLOCK),
        "parse_options": arrow_csv.ParseOptions(
            delimiter="\t" if style.delimiter == " " else style.delimiter, invalid_row_handler=handler
        ),
        "convert_options": arrow_csv.ConvertOptions(
            column_types=kinds, include_columns=list(kinds), null_values=list(NULLS), strings_can_be_null=False
        ),
    }


def _lines(text: Text) -> list[bytes]:
    data = text.source.read_bytes() if isinstance(text.source, Path) else text.source
    return data.split(b"\n")


def _rows(where: str, text: Text, style: Style, count: int) -> RowArray:
    """Return the lines at which the rows stand: blank ones are counted."""
    if text.lines - style.skipped == count:
        return _row_numbers(style.skipped + 1, text.lines + 1)
    filled = np.array([bool(line.strip()) for line in _lines(text)])
    filled[: style.skipped] = False
    if int(filled.sum()) != count:
        what = "line ends inside of cells: quotes do not match, or rows end in two ways, which"
        raise Finding("E-DATA-005", where, what).error()
    return np.flatnonzero(filled) + 1


@lru_cache(maxsize=4)
def _row_numbers(first: int, end: int) -> RowArray:
    """Return first..end-1, read-only: the files of a folder often have as many lines, and share it."""
    rows = np.arange(first, end)
    rows.flags.writeable = False
    return rows
