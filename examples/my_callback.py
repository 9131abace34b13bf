"""A callback of one's own: `python -m train.ppo --callbacks examples.my_callback:Diary`.

It is called on the host, between compiled chunks of updates, in the order of the command line, after everything is
logged. Override the moments you need. What must outlive a resume is returned by `saved`; docs/callbacks.md has it all.
"""

import time
from typing import Any

from train.callbacks import Callback, RunInfo, StepInfo

SECONDS = 3600.0


class Diary(Callback):
    """Keeps a diary of the validations, and ends training once an hour is spent, over all starts of the run."""

    def __init__(self) -> None:
        self._spent = 0.0

    def on_start(self, run: RunInfo) -> None:
        """Open the diary; a resumed run goes on in it."""
        self._metric, self._last = run.metric, time.monotonic()
        self._path = run.folder / "diary.md"

    def on_chunk(self, step: StepInfo) -> None:
        """Some updates are done: `step.rows` has a row of metrics.csv for each of them."""
        now = time.monotonic()
        self._spent, self._last = self._spent + now - self._last, now
        if step.validation is not None:
            self._note(
                f"update {step.update}: {self._metric} {step.validation[self._metric]:+.4f}, "
                f"{len(step.faults)} discarded"
            )
        if self._spent >= SECONDS:
            step.stop(f"the budget of {SECONDS:.0f} seconds is spent")

    def on_end(self, run: RunInfo) -> None:
        """Training ended, whatever the reason."""
        self._note(f"{self._spent:.0f} seconds of training, {run.about['updates']['to']} updates of {run.updates}")

    def saved(self) -> dict[str, Any]:
        """Remember the time that is spent."""
        return {"spent": self._spent}

    def restore(self, saved: dict[str, Any]) -> None:
        """Go on counting from there."""
        self._spent = saved["spent"]

    def _note(self, text: str) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(text + "\n")
