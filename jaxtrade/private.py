"""Folders of the user's own in which commands keep what they may read back and trust: caches."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from jaxtrade.errors import InputError

OFF = ("off", "none", "0")


def cache_folder(environment: Mapping[str, str], variable: str, name: str) -> Path | None:
    """Return where a cache shall lie by the environment variables, None for nowhere.

    Args:
        environment: The environment variables.
        variable: The one that holds the folder, or `off`.
        name: The cache's name under the user's caches, where the variable says nothing.

    Raises:
        InputError: The user has no home folder.
    """
    asked = environment.get(variable, "")
    if asked.lower() in OFF:
        return None
    try:
        if asked:
            return Path(asked).expanduser().absolute()
        base = environment.get("XDG_CACHE_HOME", "")
        caches = Path(base) if Path(base).is_absolute() else Path.home() / ".cache"
    except RuntimeError:
        raise InputError("home folder", "cannot be determined", f"Set {variable}=FOLDER or off") from None
    return caches / "jaxtrade" / name


def make_private(folder: Path, variable: str) -> None:
    """Create a folder that only the user may enter; an existing one must be the user's and no one else's to write.

    Raises:
        InputError: It cannot be made, or others could put something into it. The remedy names the variable.
    """
    remedy = f"Set {variable}=FOLDER or off"
    try:
        for each in (folder.parent, folder):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
        parents = [each.stat() for each in folder.resolve().parents]
    except OSError as error:
        raise InputError(folder, f"cannot be made ({error.strerror})", remedy) from None
    if not stat.S_ISDIR(found.st_mode):
        raise InputError(folder, "is a link, not a folder", remedy)
    if not hasattr(os, "getuid"):
        return  # no such bits; the user's profile is private by its access list
    if found.st_uid != os.getuid():
        raise InputError(folder, "belongs to another user", remedy)
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise InputError(folder, "others may write to it", f"Run chmod 700 on it, or set {variable}=off")
    if any(each.st_mode & stat.S_IWOTH and not each.st_mode & stat.S_ISVTX for each in parents):
        raise InputError(folder, "others may replace it: a folder above is open to all", remedy)
