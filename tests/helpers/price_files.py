"""Bars as CSV text, cut and changed, for the tests of the market and of the whole chain."""

from pathlib import Path

import numpy as np

from jaxtrade.market.bars import Bars, load_bars

COLUMNS = ("open", "high", "low", "close", "volume")
HEADER = "date," + ",".join(COLUMNS)
GOOD_LINES = [
    HEADER,
    "2020-01-01,10,12,9,11,100",
    "2020-01-02,11,13,10,12,200",
    "2020-01-03,12,14,11,13,300",
]
GOOD_TEXT = "\n".join(GOOD_LINES) + "\n"
PANEL_TEXT = "date,{},open,close\n2020-01-01,B,10,11\n2020-01-01,A,20,21\n2020-01-02,A,22,23\n2020-01-03,B,12,13\n"


def csv_lines(bars: Bars, symbol: int = 0) -> list[str]:
    """Return the header and one line per bar of one symbol; a missing cell is empty."""
    columns = np.stack([getattr(bars, name)[:, symbol] for name in COLUMNS], axis=1)
    cells = [["" if np.isnan(cell) else repr(float(cell)) for cell in row] for row in columns]
    return [HEADER, *(f"{time}," + ",".join(row) for time, row in zip(bars.time, cells, strict=True))]


def write_lines(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def scale_cell(lines: list[str], bar: int, column: str, factor: float) -> list[str]:
    """Return the lines with one cell multiplied."""
    cells = lines[bar + 1].split(",")
    place = 1 + COLUMNS.index(column)
    cells[place] = repr(float(cells[place]) * factor)
    return [*lines[: bar + 1], ",".join(cells), *lines[bar + 2 :]]


def cut(bars: Bars, first: int, end: int | None = None) -> Bars:
    """Return the bars first..end-1."""
    rows = {name: getattr(bars, name)[first:end] for name in COLUMNS}
    return bars._replace(time=bars.time[first:end], **rows)


def scramble(bars: Bars, first: int, seed: int = 0, columns: tuple[str, ...] = COLUMNS) -> Bars:
    """Return the bars with every cell from `first` on multiplied by a factor of its own."""
    random = np.random.default_rng(seed)
    changed = {}
    for name in columns:
        factor = np.exp(random.normal(0.0, 0.2, bars.close.shape))
        factor[:first] = 1.0
        changed[name] = getattr(bars, name) * factor
    return bars._replace(**changed)


def load_text(folder: Path, text: str, name: str = "prices.csv", symbols: tuple[str, ...] = ()) -> Bars:
    """Write a file and load it."""
    (folder / name).write_text(text, encoding="utf-8")
    return load_bars(str(folder / name), symbols)
