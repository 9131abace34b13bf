"""A callback that writes down what the process holds, chunk by chunk."""

from pathlib import Path

from train.callbacks.base import Callback, RunInfo, StepInfo

PAGE = 4096


class Meter(Callback):
    """Writes update, resident bytes and open files to `held.csv` in the run's folder; Linux only."""

    def on_start(self, run: RunInfo) -> None:
        """Name the file."""
        self._path = run.folder / "held.csv"

    def on_chunk(self, step: StepInfo) -> None:
        """Look, and write one line."""
        resident = int(Path("/proc/self/statm").read_text().split()[1]) * PAGE
        files = len([*Path("/proc/self/fd").iterdir()])
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"{step.update},{resident},{files}\n")
