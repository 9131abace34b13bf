"""What is watched while an iteration trains: whether all have stopped, where the time goes, how long it still takes."""

import json
import sys
import time
from pathlib import Path
from typing import Any

from train.callbacks.base import Callback, RunInfo, StepInfo

SPENT = "spent.json"
QUIET_SECONDS = 20.0  # between two lines in the middle of an iteration
REASON = "all candidates have stopped early"


class AllStopped(Callback):
    """Ends an iteration when no candidate runs any more."""

    def __init__(self) -> None:
        self._stopped = False

    def on_start(self, run: RunInfo) -> None:
        """An iteration that had ended stays so."""
        if self._stopped:
            run.stop(REASON)

    def on_chunk(self, step: StepInfo) -> None:
        """Look at how many still run."""
        if step.validation is not None and step.validation["running"] == 0:
            self._stopped = True
            step.stop(REASON)

    def saved(self) -> dict[str, Any]:
        """Remember it."""
        return {"stopped": self._stopped}

    def restore(self, saved: dict[str, Any]) -> None:
        """Go on from it."""
        self._stopped = saved["stopped"]


class Spent(Callback):
    """Adds up the seconds of updates and of validations, over all starts of an iteration."""

    def on_end(self, run: RunInfo) -> None:
        """Write what was spent."""
        before, seconds = read_spent(run.folder), run.about["seconds"]
        spent = {
            "training_seconds": before["training_seconds"] + seconds["chunk"],
            "validation_seconds": before["validation_seconds"] + seconds["validation"],
        }
        (run.folder / SPENT).write_text(json.dumps(spent) + "\n", encoding="utf-8")


def read_spent(folder: Path) -> dict[str, float]:
    """Return the seconds of an iteration so far; a clock that a kill cut short starts from zero."""
    try:
        found = json.loads((folder / SPENT).read_text(encoding="utf-8"))
        return {name: float(found[name]) for name in ("training_seconds", "validation_seconds")}
    except (OSError, ValueError, KeyError):
        return {"training_seconds": 0.0, "validation_seconds": 0.0}


class Pulse(Callback):
    """Says now and then where a long iteration stands."""

    def __init__(self, title: str) -> None:
        self._title = title

    def on_start(self, run: RunInfo) -> None:
        """Begin to count."""
        self._said = time.monotonic()

    def on_chunk(self, step: StepInfo) -> None:
        """Say where it stands, unless that was said a moment ago."""
        if step.validation is None or time.monotonic() - self._said < QUIET_SECONDS:
            return
        self._said = time.monotonic()
        best = step.validation["validation_log_growth"]
        running = f"{step.validation['running']:.0f} candidates run"
        sys.stdout.write(f"{self._title}: update {step.update}/{step.updates}, validation {best:+.4f}, {running}\n")
        sys.stdout.flush()
