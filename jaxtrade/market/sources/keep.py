"""Keeping what is slow to get, bars that were made or downloaded, in folders of the user alone."""

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from jaxtrade.errors import InputError
from jaxtrade.private import cache_folder, make_private


def kept_folder(name: str, variable: str) -> Path | None:
    """Return a folder for what is kept; None where there shall be none, or it is not safe, which stderr tells.

    Args:
        name: Of the folder, under the user's caches or under the folder that the variable names.
        variable: The environment variable that holds another folder, or `off`.
    """
    try:
        folder = cache_folder(os.environ, variable, name)
        if folder is None:
            return None
        folder = folder if folder.name == name else folder / name
        make_private(folder, variable)
    except InputError as error:
        sys.stderr.write(f"warning: nothing is kept: {error}\n")
        return None
    return folder


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file under another name first, so that no reader ever meets a part of it; tell where that fails."""
    try:
        with tempfile.TemporaryDirectory(prefix=".new-", dir=path.parent, ignore_cleanup_errors=True) as aside:
            part = Path(aside, path.name)
            write(part)
            part.replace(path)
    except OSError as error:
        sys.stderr.write(f"warning: {path} is not kept ({error.strerror})\n")
