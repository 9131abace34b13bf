"""What every source is read into first: columns as they stand there, and where each row stands."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from jaxtrade.market.reading import Finding, RowArray

NULLS = ("", "NA", "N/A", "n/a", "NaN", "nan", "NAN", "null", "NULL", "None", "none", "#N/A")  # cells that are missing
SHOWN = 60  # characters
FloatArray = npt.NDArray[np.float64]


class Raw(NamedTuple):
    """A table as it stands in a source. `T` rows."""

    where: str  # the file or table, for messages
    names: tuple[str, ...]  # of all columns, as they stand there
    columns: dict[int, pa.ChunkedArray]  # [T] each, by place; those that nothing is read from may be missing
    rows: RowArray  # [T] where each row stands, 1-based
    about: dict[str, str]
    findings: tuple[Finding, ...] = ()
    sign: str | None = None  # the decimal sign of numbers in text; None: to be detected


class Defect(NamedTuple):
    """Cells of a table that cannot be read."""

    code: str
    at: RowArray  # [K] positions in the table, rising
    what: str  # with {} for the text of a cell
    cells: pa.ChunkedArray  # [K]
    column: str = ""

    def told(self, place: int) -> str:
        """Return what was found in one of the cells."""
        return self.what.format(shown(self.cells[place].as_py()))


def shown(cell: object) -> str:
    """Return a cell or a line as a message shows it: in one line, and not too long."""
    text = " ".join(str(cell).split())
    return text if len(text) <= SHOWN else text[:SHOWN] + "..."


def plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column whose dictionary, if it has one, is written out."""
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def is_text(column: pa.ChunkedArray) -> bool:
    """Return whether a column holds text."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
