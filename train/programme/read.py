"""How programme_summary.json is read and checked."""

import json
from pathlib import Path

from pydantic import ValidationError

from jaxtrade.errors import InputError
from train.programme.schema import Summary

SUMMARY = "programme_summary.json"


def parse_summary(data: object, where: object = SUMMARY) -> Summary:
    """Return a summary, checked.

    Args:
        data: As JSON has it.
        where: The file, for the message.

    Raises:
        InputError: A key is missing, or not what the schema says.
    """
    try:
        return Summary.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        remedy = "Write it anew with python -m train.programme --resume, or use the version that wrote it"
        raise InputError(where, f"{place}: {first['msg'].lower()}", remedy) from None


def read_summary(folder: Path) -> Summary:
    """Return the summary of a programme's folder.

    Raises:
        InputError: There is none, or it is damaged.
    """
    path = folder / SUMMARY
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        what = f"holds no {SUMMARY}: no iteration has ended, or it is no programme"
        raise InputError(folder, what, "Let its first iteration end") from None
    except (OSError, ValueError) as error:
        raise InputError(path, f"cannot be read ({type(error).__name__})", "Resume the programme") from None
    return parse_summary(data, path)
