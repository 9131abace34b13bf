"""Calls callbacks in order; what fails in one is told in one line that names it."""

import json
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxtrade.errors import InputError
from jaxtrade.importing import told
from train.callbacks.base import Callback, RunInfo, StepInfo

OURS = "train.callbacks."


class UnwritableError(InputError):
    """A log could not be written: what was done since the last checkpoint is not covered by the logs."""

    def __init__(self, run: Path, error: OSError) -> None:
        remedy = f"Make room or restore access, then go on: python -m train.ppo --resume {run}"
        super().__init__(error.filename or run, f"cannot be written ({error.strerror or error})", remedy)


def name_of(callback: Callback) -> str:
    """Return the name under which a checkpoint keeps what a callback remembers."""
    return type(callback).__name__


class Crew:
    """The callbacks of a run."""

    def __init__(self, callbacks: Sequence[Callback], run: Path) -> None:
        self._callbacks, self._run = callbacks, run

    def _call(self, callback: Callback, moment: str, *arguments: Any) -> Any:
        """Call a moment of a callback.

        Raises:
            UnwritableError: One of our own logs could not be written.
            InputError: Anything else failed in a callback of the user.
        """
        try:
            answer = getattr(callback, moment)(*arguments)
            if moment == "saved":
                json.dumps(answer)
        except InputError:
            raise
        except Exception as error:
            if not type(callback).__module__.startswith(OURS):
                raise _failure(callback, moment, error) from None
            if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
                raise UnwritableError(self._run, error) from None
            raise
        return answer

    def restore(self, host: dict[str, Any]) -> None:
        """Give back what each callback remembered; a callback that is new has nothing to go on from."""
        saved = host.get("callbacks", {})
        for callback in self._callbacks:
            if name_of(callback) in saved:
                self._call(callback, "restore", saved[name_of(callback)])

    def start(self, info: RunInfo) -> None:
        """Training begins."""
        for callback in self._callbacks:
            self._call(callback, "on_start", info)

    def chunk(self, step: StepInfo) -> InputError | None:
        """Tell all of a chunk; one that fails does not keep it from the others. Return the first failure."""
        return self._all("on_chunk", step)[1]

    def saved(self) -> tuple[dict[str, Any], InputError | None]:
        """Return what all remember, by name, and the first failure."""
        return self._all("saved")

    def end(self, info: RunInfo) -> InputError | None:
        """Training ended, for whatever reason. Return the first failure."""
        return self._all("on_end", info)[1]

    def _all(self, moment: str, *arguments: Any) -> tuple[dict[str, Any], InputError | None]:
        answers: dict[str, Any] = {}
        failed: InputError | None = None
        for callback in self._callbacks:
            try:
                answers[name_of(callback)] = self._call(callback, moment, *arguments)
            except InputError as error:
                if isinstance(error, UnwritableError) and moment != "on_end":
                    raise
                failed = failed or error
        return answers, failed


def _failure(callback: Callback, moment: str, error: Exception) -> InputError:
    """Name the callback and the place in it."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    kind = type(callback)
    what = f"{moment} failed: {told(error)} ({Path(place.filename).name}, line {place.lineno})"
    where = f"callback {kind.__module__}:{kind.__qualname__}"
    return InputError(where, what, "Mend it, or leave it out of `callbacks`")
