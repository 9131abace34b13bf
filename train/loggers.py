"""Logs of a run: tables of rows that carry their update, and TensorBoard. What is written after a resume follows on."""

import json
import math
import os
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from jaxtrade.errors import InputError


def cut(path: Path, keep_until: int, update_of: Callable[[str], int | None]) -> None:
    """Cut a log after its last whole line of an update <= `keep_until`.

    The file is shortened in place: being killed meanwhile loses nothing that should stay.

    Args:
        path: The log; it need not exist.
        keep_until: Updates that the restored checkpoint covers.
        update_of: Returns a line's update, None for a line of the head; raises ValueError where a line is damaged.
    """
    if not path.exists():
        return
    end = 0
    with path.open("rb+") as file:
        for line in file:
            try:
                update = update_of(line.decode("utf-8"))
            except (ValueError, LookupError, TypeError):
                break
            if not line.endswith(b"\n") or (update or 0) > keep_until:
                break
            end += len(line)
        file.truncate(end)


class TextLog:
    """A file that grows by whole lines."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8", newline="")

    def write(self, text: str) -> None:
        """Hand text to the operating system: it outlives this process."""
        self._file.write(text)
        self._file.flush()

    def sync(self) -> None:
        """Put what was written on disk: it outlives the machine."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class TableLog(TextLog):
    """A CSV file with a fixed header, one of whose columns is `update`; on resume, later rows are cut off."""

    def __init__(self, path: Path, columns: Iterable[str], keep_until: int, comment: str = "") -> None:
        """Open the log.

        Args:
            path: The file.
            columns: Names; rows may lack some.
            keep_until: Rows of later updates are cut off.
            comment: First line of a new file; it begins with #.

        Raises:
            InputError: The file has other columns.
        """
        self._columns = tuple(columns)
        at, header = self._columns.index("update"), ",".join(self._columns)
        kept: list[str] = []

        def update_of(line: str) -> int | None:
            if line.startswith("#"):
                return None
            if not kept:
                kept.append(line.rstrip("\n"))
                return None
            return int(line.split(",")[at])

        cut(path, keep_until, update_of)
        if kept and kept[0] != header and path.stat().st_size:
            raise InputError(path, "has other columns than are written now", "Move it away, then go on")
        super().__init__(path)
        if not self._file.tell():
            self.write(comment + header + "\n")

    def add(self, rows: Iterable[Mapping[str, float | str]]) -> None:
        """Add rows; whole numbers are written without a point, what a row lacks is left empty."""
        lines = [",".join(_text(row.get(name, "")) for name in self._columns) + "\n" for row in rows]
        self.write("".join(lines))


def _text(value: float | str) -> str:
    if isinstance(value, str):
        return value
    return str(int(value)) if float(value).is_integer() else repr(float(value))


class JSONLog(TextLog):
    """A file of one JSON object a row; figures that are not finite are null."""

    def __init__(self, path: Path, keep_until: int) -> None:
        cut(path, keep_until, lambda line: int(json.loads(line)["update"]))
        super().__init__(path)

    def add(self, rows: Iterable[Mapping[str, float]]) -> None:
        """Add rows."""
        known = [{name: _json_number(value) for name, value in row.items()} for row in rows]
        self.write("".join(json.dumps(row) + "\n" for row in known))


def _json_number(value: float) -> float | int | None:
    if not math.isfinite(value):
        return None
    return int(value) if float(value).is_integer() else value


class Board:
    """A TensorBoard event file, written by this thread: a full disk is an error here, not a queue that blocks."""

    def __init__(self, folder: Path, first_update: int) -> None:
        from tensorboardX.proto.event_pb2 import Event, SessionLog
        from tensorboardX.record_writer import RecordWriter

        folder.mkdir(exist_ok=True)
        self._event = Event
        name = f"events.out.tfevents.{time.time():.0f}.{socket.gethostname()}.{os.getpid()}"
        self._file = RecordWriter(str(folder / name))
        start = SessionLog(status=SessionLog.SessionStatus.Value("START"))
        self._write(Event(wall_time=time.time(), file_version="brain.Event:2"))
        self._write(Event(wall_time=time.time(), step=first_update, session_log=start))  # hides what was cut off

    def _write(self, event: Any) -> None:
        self._file.write(event.SerializeToString())

    def add(self, row: Mapping[str, float], update: int) -> None:
        """Add the figures of an update."""
        from tensorboardX.proto.summary_pb2 import Summary

        values = [Summary.Value(tag=name, simple_value=value) for name, value in row.items()]
        self._write(self._event(wall_time=time.time(), step=update, summary=Summary(value=values)))

    def sync(self) -> None:
        """Put what was written on disk."""
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
