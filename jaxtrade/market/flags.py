"""Every setting of market.load as a flag of a command, under its short name and under the one it has in a run."""

import argparse
from typing import Any

from pydantic import ValidationError

from jaxtrade.config.market import LoadConfig
from jaxtrade.errors import InputError

PREFIX = "market.load."
LISTS = ("repair", "accept", "rescale")
DEFAULT = LoadConfig()


def add_load_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags, --timezone and --market.load.timezone alike; those not given leave no trace in the namespace."""
    group = parser.add_argument_group("how the data is read (each also as --market.load.NAME)")
    for name, field in LoadConfig.model_fields.items():
        flag = name.replace("_", "-")
        group.add_argument(
            f"--{flag}",
            f"--{PREFIX}{flag}",
            dest=PREFIX + name,
            default=argparse.SUPPRESS,
            nargs="+" if name in LISTS else None,
            metavar=name.upper(),
            help=(field.description or "").replace("%", "%%"),
        )


def load_config(args: argparse.Namespace, base: LoadConfig = DEFAULT) -> LoadConfig:
    """Return the configuration that the flags make of `base`.

    Raises:
        InputError: A value is not allowed, with its flag.
    """
    given = {name.removeprefix(PREFIX): value for name, value in vars(args).items() if name.startswith(PREFIX)}
    given = {name: _items(value) if name in LISTS else value for name, value in given.items()}
    try:
        return LoadConfig.model_validate(base.model_dump() | given)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]).replace("_", "-") if first["loc"] else ""
        message = first["msg"].removeprefix("Value error, ")
        what = f"{message[0].lower()}{message[1:]}, got {first['input']!r}"
        raise InputError(f"--{name}", what, "See python -m jaxtrade.market inspect --help") from None


def _items(values: list[str]) -> Any:
    """Return the items of a list that is separated by spaces, by commas, or both."""
    return [item for value in values for item in value.split(",") if item]
