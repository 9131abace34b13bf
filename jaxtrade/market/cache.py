"""Market tables as they were built, by the hash of what they were built from; the next run maps them into memory.

Whoever can write to the folder decides what is traded on, so it is the user's alone or is not used. An entry is a
folder of `.npy` files and a manifest with the size and CRC-32 of each. The checksums are against damage, not against an
attacker: CRC-32 finds every damage of up to 32 bits in a row, and runs at 4 GB/s where SHA-256 runs at 1.7.
"""

import errno
import hashlib
import importlib.metadata
import json
import math
import os
import platform
import re
import shutil
import sys
import tempfile
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from jaxtrade import __version__
from jaxtrade.errors import InputError
from jaxtrade.private import cache_folder, make_private

VARIABLE, LIMIT = "JAXTRADE_TABLE_CACHE", "JAXTRADE_TABLE_CACHE_GB"
DEFAULT_GB = "10"
PACKAGES = ("numpy", "pandas", "ta-lib", "pyarrow")
SOURCES = ("config", "market", "rules")  # folders of the code that a table hangs on
MANIFEST = "manifest"
KEY = re.compile("[0-9a-f]{64}")
LEFTOVER = re.compile(r"\.(new|old)-.*")  # of a writer or a deletion
LEFTOVER_SECONDS = 86_400  # by then no one is at work on it any more
Arrays = dict[str, npt.NDArray[Any]]


class Entry(NamedTuple):
    """A stored table."""

    arrays: Arrays  # read-only, mapped
    meta: dict[str, Any]
    seconds: float  # that it took to build


class Listed(NamedTuple):
    """A stored table in the list."""

    key: str
    source: str  # `meta["source"]`, empty without; or why it will not be used
    size: int  # bytes
    age: float  # seconds since it was stored
    seconds: float  # that each use of it saves, less those of reading it


class Place(NamedTuple):
    """Where tables are kept."""

    folder: Path
    most_bytes: float


def cache_key(parts: dict[str, Any]) -> str:
    """Return the SHA-256 of `parts` (JSON), of the code that builds tables, and of the versions below it."""
    here = Path(__file__).resolve().parents[1]
    code = hashlib.sha256()
    for file in sorted(file for folder in SOURCES for file in (here / folder).rglob("*.py")):
        code.update(f"{file.relative_to(here).as_posix()}\n".encode() + file.read_bytes())
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    whole = {
        "parts": parts,
        "code": code.hexdigest(),
        "versions": versions | {"jaxtrade": __version__, "machine": platform.machine()},
    }
    return hashlib.sha256(json.dumps(whole, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def in_use() -> bool:
    """Return False where there is no cache: switched off, or not safe to use, of which a line on stderr tells."""
    return _place() is not None


def open_entry(key: str) -> Entry | None:
    """Return the table of a key; None where there is none, or where it is damaged, of which a line on stderr tells."""
    place = _place()
    if place is None or not (place.folder / key).is_dir():
        return None
    folder = place.folder / key
    try:
        manifest = _read_manifest(folder)
        with ThreadPoolExecutor() as pool:  # checksums wait for the disk, or use a core each
            list(pool.map(lambda part: _check(folder / part["file"], part), manifest["arrays"].values()))
        arrays = {name: _map(folder / part["file"]) for name, part in manifest["arrays"].items()}
    except (OSError, ValueError) as error:
        _tell(f"note: the cached table {key[:12]} is damaged ({_why(error)}); it is built again")
        _remove(folder)
        return None
    with suppress(OSError):  # a disk that is read-only
        os.utime(folder / MANIFEST)  # the least recently used entry goes first
    return Entry(arrays, manifest["meta"], manifest["seconds"])


def store(key: str, arrays: Arrays, meta: dict[str, Any], seconds: float) -> bool:
    """Keep a table; what prevents it is told in a line on stderr.

    Args:
        key: Its `cache_key`.
        arrays: Its arrays by name, of any dtype but objects.
        meta: What else it holds, as JSON has it; `source` is for the list.
        seconds: What it took to build.

    Returns:
        True if the table is there, by this call or by another process that was faster.
    """
    place = _place()
    if place is None:
        return False
    size = sum(array.nbytes for array in arrays.values())
    if size > place.most_bytes:
        _tell(f"note: the table is not cached: its {size / 1e9:.1f} GB are more than {LIMIT} allows")
        return False
    about = {"meta": meta, "seconds": seconds, "stored": time.time()}
    try:
        with _aside(place.folder, "new") as aside:
            _write(Path(aside, key), arrays, about)
            Path(aside, key).rename(place.folder / key)  # not synced first: what a power cut tears is found on opening
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):  # else another process was faster
            _tell(f"warning: the table is not cached: {place.folder}: {_why(error)}")
            return False
    _prune(place)
    return True


def list_entries() -> list[Listed]:
    """Return what is stored, the most recently used first."""
    place = _place()
    entries = [] if place is None else _entries(place.folder)
    return [_listed(folder) for folder in reversed(entries)]


def clear() -> tuple[int, int]:
    """Delete all tables, and what interrupted writers left.

    Returns:
        How many tables there were, and the bytes that are free now.
    """
    place = _place()
    if place is None:
        return 0, 0
    entries, leftovers = _entries(place.folder), _leftovers(place.folder)
    size = sum(_size(folder) for folder in entries + leftovers)
    for folder in entries + leftovers:
        _remove(folder)
    return len(entries), size


def _place() -> Place | None:
    try:
        folder = cache_folder(os.environ, VARIABLE, "tables")
        if folder is None:
            return None
        most_bytes = _limit(os.environ.get(LIMIT) or DEFAULT_GB)
        make_private(folder, VARIABLE)
    except InputError as error:
        _tell(f"warning: no table cache: {error}")
        return None
    return Place(folder, most_bytes)


def _limit(text: str) -> float:
    """Return bytes for gigabytes."""
    try:
        limit = float(text) * 1e9
    except ValueError:
        limit = math.nan
    if not limit >= 0:
        raise InputError(LIMIT, f"must be a number of gigabytes, got '{text}'", f"Set {LIMIT}={DEFAULT_GB}")
    return limit


def _aside(folder: Path, what: str) -> tempfile.TemporaryDirectory[str]:
    """Return a private folder beside the tables that is deleted in the end, whatever happens."""
    return tempfile.TemporaryDirectory(prefix=f".{what}-", dir=folder, ignore_cleanup_errors=True)


def _write(folder: Path, arrays: Arrays, about: dict[str, Any]) -> None:
    folder.mkdir(mode=0o700)
    parts = {}
    for number, (name, array) in enumerate(arrays.items()):
        path = folder / f"{number}.npy"  # a name may hold anything
        np.save(path, array, allow_pickle=False)
        parts[name] = {"file": path.name, "bytes": path.stat().st_size, "crc32": _checksum(path)}
    text = json.dumps({"key": folder.name, "arrays": parts, **about}).encode()
    (folder / MANIFEST).write_bytes(hashlib.sha256(text).hexdigest().encode() + b"\n" + text)


def _read_manifest(folder: Path) -> dict[str, Any]:
    digest, _, text = (folder / MANIFEST).read_bytes().partition(b"\n")
    if hashlib.sha256(text).hexdigest().encode() != digest:
        raise ValueError("its manifest does not match its hash")
    manifest: dict[str, Any] = json.loads(text)
    if manifest["key"] != folder.name:
        raise ValueError("its manifest is that of another table")
    return manifest


def _check(path: Path, part: dict[str, Any]) -> None:
    """Raise ValueError if size or checksum of a file are wrong."""
    if path.stat().st_size != part["bytes"]:  # before anything is mapped: reading beyond the end would kill the process
        raise ValueError(f"{path.name} has another size")
    if _checksum(path) != part["crc32"]:
        raise ValueError(f"{path.name} does not match its checksum")


def _map(path: Path) -> npt.NDArray[Any]:
    array: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)  # not in threads: CPython issue 106905
    return array


def _checksum(path: Path) -> int:
    return zlib.crc32(np.memmap(path, np.uint8, "r"))


def _entries(folder: Path) -> list[Path]:
    """Return the tables in the folder, the least recently used first; nothing else that the user may keep there."""
    return sorted(
        (each for each in folder.iterdir() if KEY.fullmatch(each.name)), key=lambda each: -_age(each / MANIFEST)
    )


def _leftovers(folder: Path) -> list[Path]:
    return [each for each in folder.iterdir() if LEFTOVER.fullmatch(each.name)]


def _age(path: Path) -> float:
    """Return the seconds since a file or folder was touched; infinity if it is damaged, or was just deleted."""
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return math.inf


def _size(folder: Path) -> int:
    try:
        return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    except OSError:
        return 0  # just deleted by another process


def _listed(folder: Path) -> Listed:
    try:
        manifest = _read_manifest(folder)
    except (OSError, ValueError) as error:
        return Listed(folder.name, f"damaged: {_why(error)}", _size(folder), 0.0, 0.0)
    age = max(time.time() - manifest["stored"], 0.0)
    return Listed(folder.name, str(manifest["meta"].get("source", "")), _size(folder), age, manifest["seconds"])


def _prune(place: Place) -> None:
    """Delete the least recently used tables beyond the limit, and what writers left that died."""
    entries = _entries(place.folder)
    sizes = [_size(folder) for folder in entries]
    total = sum(sizes)
    for folder, size in zip(entries, sizes, strict=True):
        if total <= place.most_bytes:
            break
        _remove(folder)
        total -= size
    for folder in _leftovers(place.folder):
        if _age(folder) > LEFTOVER_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)


def _remove(folder: Path) -> None:
    """Delete a folder so that no one finds a part of it under its name; who has it mapped keeps it."""
    try:
        with _aside(folder.parent, "old") as aside:
            folder.rename(Path(aside, folder.name))
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)  # another process was faster, or the folder cannot be renamed


def _why(error: Exception) -> str:
    """Return a reason that fits into a line."""
    return str(getattr(error, "strerror", None) or error).splitlines()[0]


def _tell(line: str) -> None:
    sys.stderr.write(line + "\n")
