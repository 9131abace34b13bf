"""Parquet files: typed columns, and the index that pandas stores beside them."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jaxtrade.market.reading import Finding
from jaxtrade.market.sources.layout import Layout, make_layout
from jaxtrade.market.sources.raw import Raw, shown


def read_parquet(path: Path) -> tuple[Raw, Layout]:
    """Read a Parquet file.

    Raises:
        InputError: It is damaged, or no table of bars.
    """
    where = str(path)
    if not path.stat().st_size:
        raise Finding("E-DATA-002", where, "the file is empty, which").error()
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            stored = file.schema_arrow.names
            names = tuple("" if name.startswith("__index_level_") else name for name in stored)
            order = sorted(range(len(names)), key=lambda place: names[place] != "")  # an index stands first
            names, stored = tuple(names[place] for place in order), [stored[place] for place in order]
            layout = make_layout(where, names)
            table = file.read(columns=[stored[place] for place in sorted(layout.used())])
    except (OSError, pa.ArrowException) as error:
        what = f"it cannot be read ({shown(error)}), which"
        raise Finding("E-DATA-003", where, what).error() from None
    if not table.num_rows:
        raise Finding("E-DATA-002", where, "the file holds no rows, which").error()
    columns = {place: table.column(stored[place]) for place in layout.used()}
    rows = np.arange(1, table.num_rows + 1)
    return Raw(where, names, columns, rows, {"format": "Parquet"}, low_precision(where, names, columns)), layout


def low_precision(where: str, names: tuple[str, ...], columns: dict[int, pa.ChunkedArray]) -> tuple[Finding, ...]:
    """Return the notice of columns stored in fewer than 64 bits."""
    short = [names[place] for place, column in sorted(columns.items()) if column.type in (pa.float32(), pa.float16())]
    if not short:
        return ()
    return (Finding("N-DATA-073", where, f"{', '.join(short)} in 32 bits or fewer, which"),)
