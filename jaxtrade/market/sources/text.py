"""Text as a file holds it: unpacked, decoded to UTF-8 and counted, before anything is read from it."""

import codecs
import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from jaxtrade.market.reading import Finding
from jaxtrade.market.sources.raw import shown

LARGE = 1 << 26  # bytes of a file from which on it is read piece by piece, and never lies in memory whole
PIECE = 1 << 20
HEAD = 1 << 18  # bytes that tell delimiter and header
GZIP = b"\x1f\x8b"
MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
OTHERS = {
    b"PK\x03\x04": "a zip archive, or an Excel workbook",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"\x28\xb5\x2f\xfd": "a zstandard archive",
}  # unpacked by hand first


class Text(NamedTuple):
    """Text in UTF-8."""

    source: bytes | Path  # a path where the file is large and can be read as it is
    head: bytes  # its beginning
    lines: int  # the last one included, whether it ends or not
    ends: bool  # whether the last line has its line end
    about: dict[str, str]


def open_text(path: Path) -> Text:
    """Unpack, decode and count a file.

    Raises:
        InputError: It is empty, a damaged archive, or no text in UTF-8 or UTF-16.
    """
    with path.open("rb") as file:
        head = file.read(HEAD)
    if not head:
        raise Finding("E-DATA-002", str(path), "the file is empty, which").error()
    zipped = head.startswith(GZIP) or path.suffix.lower() == ".gz"
    about = {"compression": "gzip"} if zipped else {}
    if not zipped and path.stat().st_size > LARGE:
        counted = _count(path)
        if counted is not None:
            return Text(path, head, *counted, {"encoding": "UTF-8"})
    data = _unpacked(path) if zipped else path.read_bytes()
    data, encoding = _decoded(path, data)
    if data.isspace() or not data:
        raise Finding("E-DATA-002", str(path), "the file is empty, which").error()
    ends = data.endswith(b"\n")
    return Text(data, data[:HEAD], data.count(b"\n") + (not ends), ends, about | {"encoding": encoding})


def _count(path: Path) -> tuple[int, bool] | None:
    """Return the lines of a large file and whether the last one ends; None if it is not plain ASCII."""
    lines, last = 0, b""
    for piece in _pieces(path):
        if not piece.isascii() or b"\0" in piece:
            return None
        lines += piece.count(b"\n")
        last = piece[-1:]
    return (lines + (last != b"\n"), last == b"\n") if lines else None


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece


def _unpacked(path: Path) -> bytes:
    try:
        return gzip.decompress(path.read_bytes())  # checks length and checksum
    except (EOFError, OSError, zlib.error) as error:
        raise Finding("E-DATA-003", str(path), f"it cannot be unpacked ({shown(error)}), which").error() from None


def _decoded(path: Path, data: bytes) -> tuple[bytes, str]:
    """Return the data in UTF-8 with line ends that are line feeds, and the name of the encoding."""
    mark = next((mark for mark in MARKS if data.startswith(mark)), b"")
    encoding = MARKS.get(mark, "utf-8")
    name = "UTF-16" if encoding == "utf-16" else "UTF-8"
    try:
        if mark or not data.isascii():
            data = data.decode(encoding).encode()
    except UnicodeDecodeError as error:
        row = data.count(b"\n", 0, error.start) + 1
        what = f"row {row}: the byte {data[error.start]:#04x} is not {name} ({error.reason}){_guess(data)}, which"
        raise Finding("E-DATA-004", str(path), what).error() from None
    if b"\0" in data:
        row = data.count(b"\n", 0, data.index(b"\0")) + 1
        raise Finding("E-DATA-004", str(path), f"row {row}: a zero byte is no text{_guess(data)}, which").error()
    if b"\n" not in data and b"\r" in data:
        data = data.replace(b"\r", b"\n")
    return data, name + (" with its mark" if mark else "")


def _guess(data: bytes) -> str:
    """Return what a file that is no text seems to be."""
    return next((f": it looks like {name}" for magic, name in OTHERS.items() if data.startswith(magic)), "")
