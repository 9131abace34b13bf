"""monitor.csv: a row an episode, in the format of Stable-Baselines3, whose plotting tools read it."""

import json
import sys
import time
from typing import Any

import numpy as np

from train.callbacks.base import Callback, RunInfo, StepInfo
from train.loggers import TextLog, cut

FIRST = ("r", "l", "t", "update")


class EpisodeMonitor(Callback):
    """Writes return, length, seconds since the start of the run, update, and any other figures of each episode."""

    def __init__(self, env_id: str) -> None:
        self._env_id = env_id
        self._log: TextLog | None = None

    def on_start(self, run: RunInfo) -> None:
        """Cut the file back to the restored update."""
        self._path = run.folder / "monitor.csv"
        self._lost = 0
        cut(self._path, run.done, _update_of)

    def on_chunk(self, step: StepInfo) -> None:
        """Write the episodes that ended; their times are spread over the time of the chunk."""
        now = time.time()
        names = [name for name in step.episodes if name not in ("return", "length", "update")]
        log = self._log or self._open(names, now - sum(row["seconds"] for row in step.timing))
        self._log = log
        self._lost += step.episodes_lost
        episodes = step.episodes
        count = len(episodes["update"])
        if not count:
            return
        seconds = sum(row["seconds"] for row in step.timing)
        at = now - self._began - seconds * (1 - np.arange(1, count + 1) / count)
        table = [episodes["return"], episodes["length"], at, episodes["update"], *(episodes[name] for name in names)]
        form = "%.9g,%d,%.6f,%d" + ",%.9g" * len(names) + "\n"
        log.write("".join(form % row for row in zip(*(column.tolist() for column in table), strict=True)))

    def _open(self, names: list[str], began: float) -> TextLog:
        """Open the file, whose first line says when the run began."""
        log = TextLog(self._path)
        with self._path.open(encoding="utf-8") as file:
            first = file.readline()
        if not first:
            head = {"t_start": began, "env_id": self._env_id}
            first = f"#{json.dumps(head)}\n"
            log.write(first + ",".join((*FIRST, *names)) + "\n")
        self._began = float(json.loads(first[1:])["t_start"])
        return log

    def saved(self) -> dict[str, Any]:
        """Put the rows on disk."""
        if self._log is not None:
            self._log.sync()
        return {}

    def on_end(self, run: RunInfo) -> None:
        """Close the file."""
        if self._log is not None:
            self._log.close()
        if self._lost:
            sys.stdout.write(f"monitor.csv: {self._lost:,} episodes left out: too many ended in one update\n")


def _update_of(line: str) -> int | None:
    """Return a row's update; the two lines of the head have none."""
    if line.startswith(("#", "r,")):
        return None
    return int(line.split(",")[FIRST.index("update")])
