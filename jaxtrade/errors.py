"""The one kind of error that is the user's to mend: what, where and how to mend it, in one line."""

import difflib
import sys
from collections.abc import Callable, Iterable

STOPPED = 130  # the shell's exit status for a command ended by Ctrl-C


class InputError(ValueError):
    """Bad input. The text reads `where: what. remedy`; commands print it and exit with 2."""

    def __init__(self, where: object, what: str, remedy: str) -> None:
        super().__init__(f"{where}: {what}. {remedy}")
        self.where, self.what, self.remedy = str(where), what, remedy


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """Return `Did you mean 'x'?`, or the choices themselves when nothing is close."""
    known = sorted(choices)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if close:
        return f"Did you mean '{close[0]}'?"
    return "Known: " + ", ".join(known[:20]) + (", ..." if len(known) > 20 else "")


def run_command(command: Callable[[list[str]], int]) -> int:
    """Run a command line: InputError becomes one line on stderr and exit code 2, without a traceback."""
    try:
        return command(sys.argv[1:])
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return STOPPED
    except BrokenPipeError:
        return 1
