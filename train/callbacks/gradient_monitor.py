"""gradients.csv: the norm of every layer's gradient; faults.csv: updates discarded for a NaN or infinite number."""

import sys
from typing import Any

from jaxtrade.errors import InputError
from train.callbacks.base import Callback, RunInfo, StepInfo
from train.loggers import TableLog

FAULTS = "faults.csv"
REMEDY = "Lower ppo.learning_rate, or look at what feeds the tensor; faults.csv and gradients.csv hold the course"


class GradientMonitor(Callback):
    """Logs norms and faults, and ends training when too many updates in a row are discarded."""

    def __init__(self) -> None:
        self._in_a_row = 0
        self._gradients: TableLog | None = None
        self._faults: TableLog | None = None

    def on_start(self, run: RunInfo) -> None:
        """Cut the log of faults, if there is one, back to the restored update."""
        self._run = run
        if (run.folder / FAULTS).exists():
            self._faults = self._open(FAULTS, ("update", "tensor", "step"))

    def on_chunk(self, step: StepInfo) -> None:
        """Log the chunk.

        Raises:
            InputError: `max_discarded` updates in a row were discarded.
        """
        if step.gradients and step.gradients[0]:
            if self._gradients is None:
                self._gradients = self._open("gradients.csv", ("update", *step.gradients[0]))
            updates = [{"update": row["update"]} for row in step.rows]
            self._gradients.add(first | norms for first, norms in zip(updates, step.gradients, strict=True))
        if step.faults:
            self._faults = self._faults or self._open(FAULTS, ("update", "tensor", "step"))
            self._faults.add(each._asdict() for each in step.faults)
        for fault in step.faults:
            sys.stderr.write(f"{fault}\n")
        self._judge(step)

    def _open(self, name: str, columns: tuple[str, ...]) -> TableLog:
        return TableLog(self._run.folder / name, columns, self._run.done)

    def _judge(self, step: StepInfo) -> None:
        """Count the faults in a row, also over chunks."""
        found = {fault.update: fault for fault in step.faults}
        most = self._run.config.max_discarded
        failed = None
        for row in step.rows:
            update = int(row["update"])
            self._in_a_row = self._in_a_row + 1 if update in found else 0
            if self._in_a_row >= most and failed is None:
                failed = found[update]
        if failed is not None:
            what = f"{failed.tensor} is not finite (first at {failed.step}); {most} updates in a row were discarded"
            raise InputError(f"update {failed.update}", what, REMEDY)

    def saved(self) -> dict[str, Any]:
        """Put the rows on disk, and remember how many updates in a row were discarded."""
        for log in (self._faults, self._gradients):
            if log is not None:
                log.sync()
        return {"in_a_row": self._in_a_row}

    def restore(self, saved: dict[str, Any]) -> None:
        """Go on counting."""
        self._in_a_row = saved["in_a_row"]

    def on_end(self, run: RunInfo) -> None:
        """Close the logs."""
        for log in (self._faults, self._gradients):
            if log is not None:
                log.close()
