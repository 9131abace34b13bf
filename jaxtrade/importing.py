"""Import a user's own function by `package.module:function`."""

import importlib
import sys
from pathlib import Path
from typing import Any

from jaxtrade.errors import InputError


def import_object(where: str, name: str, remedy: str) -> Any:
    """Return what `package.module:attribute` names; the current folder counts, as it does under `python -m`.

    Args:
        where: What asks for it, for the message.
        name: Module and attribute, with a colon between.
        remedy: What to do if it is not there.

    Raises:
        InputError: The module cannot be imported, or has no such attribute.
    """
    module_name, _, attribute = name.partition(":")
    here = str(Path.cwd())
    sys.path.append(here)
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # whatever a user's module raises is the user's to mend
        raise InputError(where, f"cannot be imported: {told(error)}", remedy) from None
    finally:
        if here in sys.path:
            del sys.path[len(sys.path) - 1 - sys.path[::-1].index(here)]
    if (found := getattr(module, attribute, None)) is None:
        raise InputError(where, f"module {module_name} has no {attribute}", remedy)
    return found


def told(error: BaseException) -> str:
    """Return kind and text of an error in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
