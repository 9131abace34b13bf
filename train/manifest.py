"""A folder that can be verified: the size and SHA-256 of each of its files, and of the list itself."""

import hashlib
import json
import os
from pathlib import Path

NAME = "manifest.json"


class Damaged(Exception):  # noqa: N818  it is told, and another checkpoint is taken
    """Which file is not what was written, and why."""


def _render(files: dict[str, list[int | str]]) -> bytes:
    """Return the only text of a manifest of these files, so that any other byte in it is damage."""
    seal = hashlib.sha256(json.dumps(files).encode()).hexdigest()
    return (json.dumps({"files": files, "sha256": seal}, indent=1) + "\n").encode()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_manifest(folder: Path) -> None:
    """Write the manifest of the files below a folder, and let the disk have all of them."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    files = {path.relative_to(folder).as_posix(): [path.stat().st_size, _digest(path)] for path in paths}
    (folder / NAME).write_bytes(_render(files))
    for path in folder.rglob("*"):
        sync(path)
    sync(folder)


def sync(path: Path) -> None:
    """Let the disk have a file, or the names in a folder, so that a power failure leaves them whole."""
    if os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def verify(folder: Path, only: str | None = None) -> None:
    """Check every file of a folder, or only one of them, against the manifest.

    Raises:
        Damaged: A file is missing or was changed since it was written.
    """
    for name, (size, digest) in _listed(folder).items():
        if only in (None, name):
            _check(folder / name, name, int(size), str(digest))


def _listed(folder: Path) -> dict[str, list[int | str]]:
    data = read_bytes(folder / NAME)
    try:
        files = json.loads(data)["files"]
        whole = data == _render(files)
    except (ValueError, KeyError, TypeError):
        whole = False
    if not whole:
        raise Damaged(f"{NAME} is not as it was written")
    return files


def read_bytes(path: Path) -> bytes:
    """Return what a file holds.

    Raises:
        Damaged: It cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise Damaged(f"{path.name} is missing") from None
    except OSError as error:
        raise Damaged(f"{path.name} cannot be read ({error.strerror})") from None


def _check(path: Path, name: str, size: int, digest: str) -> None:
    try:
        found = path.stat().st_size
        same = found == size and _digest(path) == digest
    except FileNotFoundError:
        raise Damaged(f"{name} is missing") from None
    except OSError as error:
        raise Damaged(f"{name} cannot be read ({error.strerror})") from None
    if found != size:
        raise Damaged(f"{name} holds {found} bytes, not {size}")
    if not same:
        raise Damaged(f"{name} is not as it was written (SHA-256)")
