"""Where the figures of a run go: metrics.csv (reproducible), timing.csv (wall clock), TensorBoard."""

import csv
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

Row = dict[str, float]
TIMING = ["update", "seconds", "steps_per_second", "compilations"]


class CSVLog:
    """A CSV file with a fixed header; on resume, rows after the restored update are dropped."""

    def __init__(self, path: Path, columns: list[str], keep_until: int) -> None:
        rows: list[dict[str, Any]] = []
        if path.exists():
            with path.open(newline="", encoding="utf-8") as file:
                rows = [row for row in csv.DictReader(file) if int(row["update"]) <= keep_until]
        self._file = path.open("w", newline="", encoding="utf-8")
        self._writer = csv.DictWriter(self._file, columns, restval="")
        self._writer.writeheader()
        self._writer.writerows(rows)

    def write(self, row: Row) -> None:
        """Add a row; whole numbers are written without a point."""
        self._writer.writerow({key: int(value) if float(value).is_integer() else value for key, value in row.items()})

    def flush(self) -> None:
        """Put what was written on disk."""
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _open_board(folder: Path, first_update: int) -> Any:
    """Return a TensorBoard writer; the import takes a second, which the first update need not wait for."""
    from tensorboardX import SummaryWriter

    return SummaryWriter(str(folder), purge_step=first_update)


class Loggers:
    """All logs of a run; a context manager."""

    def __init__(self, run: Path, columns: list[str], tensorboard: bool, keep_until: int) -> None:
        self._metrics = CSVLog(run / "metrics.csv", columns, keep_until)
        self._timing = CSVLog(run / "timing.csv", TIMING, keep_until)
        self._board: Any = None
        self._open_board = partial(_open_board, run / "tensorboard", keep_until + 1) if tensorboard else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._metrics.close()
        self._timing.close()
        if self._board is not None:
            self._board.close()

    def write(self, row: Row, timing: Row) -> None:
        """Log one update."""
        self._metrics.write(row)
        self._timing.write(timing)
        if self._open_board is not None:
            self._board = self._board or self._open_board()
            update = int(row["update"])
            for name, value in (row | timing).items():
                if name != "update":
                    self._board.add_scalar(name, value, update)

    def flush(self) -> None:
        """Put what was written on disk."""
        self._metrics.flush()
        self._timing.flush()
