"""A command-line parser whose every error is one line."""

import argparse
from typing import NoReturn

from jaxtrade.errors import InputError, did_you_mean


class CommandParser(argparse.ArgumentParser):
    """argparse, with errors as InputError and a suggestion for an unknown flag."""

    def __init__(self, prog: str, description: str) -> None:
        super().__init__(prog=prog, description=description, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage."""
        raise InputError(self.prog, message, f"See {self.prog} --help")

    def parse(self, argv: list[str]) -> argparse.Namespace:
        """Parse; an unknown flag names the nearest known one."""
        values, unknown = self.parse_known_args(argv)
        if unknown:
            flags = [flag for action in self._actions for flag in action.option_strings]
            raise InputError(
                self.prog, f"unknown argument '{unknown[0]}'", did_you_mean(unknown[0].split("=")[0], flags)
            )
        return values
