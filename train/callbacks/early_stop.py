"""Stops training when validations no longer get better."""

import math
from typing import Any

from train.callbacks.base import Callback, RunInfo, StepInfo


class EarlyStop(Callback):
    """Stops after `early_stop.patience` validations that do not exceed the best by `min_delta`."""

    def __init__(self) -> None:
        self._best = -math.inf
        self._worse = 0  # validations since the best
        self._update = 0  # of the last validation

    def on_start(self, run: RunInfo) -> None:
        """A run that had stopped stays so, unless its patience was raised."""
        self._limits, self._metric = run.config.early_stop, run.metric
        if self._exhausted():
            run.stop(self._reason())

    def on_chunk(self, step: StepInfo) -> None:
        """Judge a validation; one that is not finite is no better."""
        if step.validation is None:
            return
        value, self._update = step.validation[self._metric], step.update
        if math.isfinite(value) and value > self._best + self._limits.min_delta:
            self._best, self._worse = value, 0
        else:
            self._worse += 1
        if self._exhausted():
            step.stop(self._reason())

    def _exhausted(self) -> bool:
        patience = self._limits.patience
        return patience > 0 and self._worse >= patience and self._update >= self._limits.min_updates

    def _reason(self) -> str:
        return f"early stop: {self._worse} validations without a better one (early_stop.patience)"

    def saved(self) -> dict[str, Any]:
        """Remember the best and what came after it."""
        return {"best": self._best if math.isfinite(self._best) else None, "worse": self._worse, "update": self._update}

    def restore(self, saved: dict[str, Any]) -> None:
        """Go on judging."""
        self._best = -math.inf if saved["best"] is None else saved["best"]
        self._worse, self._update = saved["worse"], saved["update"]
