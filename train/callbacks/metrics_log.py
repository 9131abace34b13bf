"""metrics.csv (the same in every run of the same seed), timing.csv (wall clock), metrics.jsonl and TensorBoard."""

from typing import Any

from train.callbacks.base import Callback, RunInfo, StepInfo
from train.loggers import Board, JSONLog, TableLog

TIMING = ("update", "seconds", "steps_per_second", "compilations")


class MetricsLog(Callback):
    """Writes what each update brought; a row is on disk before a checkpoint covers it."""

    def __init__(self) -> None:
        self._logs: list[Any] = []
        self._board: Board | None = None

    def on_start(self, run: RunInfo) -> None:
        """Open the logs, cut back to the restored update."""
        self._run = run
        self._metrics = TableLog(run.folder / "metrics.csv", run.columns, run.done)
        self._timing = TableLog(run.folder / "timing.csv", TIMING, run.done)
        self._logs = [self._metrics, self._timing]
        if run.config.jsonl:
            self._logs.append(JSONLog(run.folder / "metrics.jsonl", run.done))

    def on_chunk(self, step: StepInfo) -> None:
        """Write a row an update."""
        self._metrics.add(step.rows)
        self._timing.add(step.timing)
        for log in self._logs[2:]:
            log.add(step.rows)
        if self._run.config.tensorboard:
            self._show(step)

    def _show(self, step: StepInfo) -> None:
        if self._board is None:  # the import takes a second, which the first update need not wait for
            self._board = Board(self._run.folder / "tensorboard", self._run.done + 1)
        for row, timing, norms in zip(step.rows, step.timing, step.gradients, strict=True):
            gradients = {f"gradient/{name}": norm for name, norm in norms.items()}
            self._board.add(row | timing | gradients, int(row["update"]))

    def saved(self) -> dict[str, Any]:
        """Put on disk what the checkpoint will cover; there is nothing else to remember."""
        for log in self._logs:
            log.sync()
        if self._board is not None:
            self._board.sync()
        return {}

    def on_end(self, run: RunInfo) -> None:
        """Close the logs."""
        for log in self._logs + [self._board] * (self._board is not None):
            log.close()
