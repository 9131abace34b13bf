"""The best validation so far, over all starts of a run."""

import math
import sys
from typing import Any

from train.callbacks.base import Callback, RunInfo, StepInfo


class Evaluation(Callback):
    """Remembers the best validation, and tells it at the end."""

    def __init__(self) -> None:
        self._best: dict[str, float] | None = None

    def on_start(self, run: RunInfo) -> None:
        """Take the name of the figure to maximise."""
        self._metric = run.metric

    def on_chunk(self, step: StepInfo) -> None:
        """Compare; what is not finite is never best."""
        value = math.nan if step.validation is None else step.validation[self._metric]
        if math.isfinite(value) and (self._best is None or value > self._best["value"]):
            self._best = {"value": value, "update": step.update}

    def saved(self) -> dict[str, Any]:
        """Remember the best."""
        return {"best": self._best}

    def restore(self, saved: dict[str, Any]) -> None:
        """Go on from it."""
        self._best = saved["best"]

    def on_end(self, run: RunInfo) -> None:
        """Tell the best."""
        if self._best is not None:
            name = run.metric.removeprefix("validation_").replace("_", " ")
            best = f"{name} {self._best['value']:+.4f} at update {self._best['update']}"
            sys.stdout.write(f"best validation: {best}\n")
