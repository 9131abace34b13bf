"""The interface of callbacks: a small record of what has happened, and four moments."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from train.config import RunConfig

Row = dict[str, float]


class RunInfo(NamedTuple):
    """The run, as it begins or ends."""

    folder: Path
    config: RunConfig
    done: int  # updates done before this start: 0, or those of the checkpoint that is resumed
    updates: int  # of the whole run
    samples: int  # steps of one update
    columns: tuple[str, ...]  # of metrics.csv
    metric: str  # the validation column to maximise
    about: dict[str, Any]  # performance information: device, environments, memory, compile time
    stop: Callable[[str], None]  # in `on_start`: ask not to train any further, and why


class Fault(NamedTuple):
    """A number that is not finite, and the update that was discarded for it."""

    update: int
    tensor: str  # reward, observation, gradient of encoder/lstm_5/kernel_x ...
    step: int  # of the rollout, or the minibatch of the update

    def __str__(self) -> str:
        """Return the fault for people."""
        return f"update {self.update}: {self.tensor} is not finite (first at {self.step}); the update was discarded"


class StepInfo(NamedTuple):
    """What one chunk of updates brought."""

    update: int  # updates done
    updates: int  # of the whole run
    rows: list[Row]  # a row of metrics.csv for each update of the chunk; the same in every run of the same seed
    timing: list[Row]  # a row of timing.csv for each
    gradients: list[Row]  # for each, the norm of every layer's gradient
    episodes: dict[str, np.ndarray]  # [K] each: the episodes that ended, with the `update` in which they did
    episodes_lost: int  # that ended and are not among them
    faults: list[Fault]
    validation: Row | None  # of the last update of the chunk, if it was validated
    state: Any  # of the learner after the chunk; it stays valid while the callback runs
    stop: Callable[[str], None]  # ask to end training after this chunk, and why


class Callback:
    """Does nothing; override what you need. Instances are made without arguments.

    Callbacks run in order, on the host, between compiled chunks. What they must remember over a resume belongs into
    `saved`: it is asked for right before a checkpoint is written, after every `on_chunk`, and given back to `restore`.
    """

    def on_start(self, run: RunInfo) -> None:
        """Training starts or goes on."""

    def on_chunk(self, step: StepInfo) -> None:
        """Some updates are done."""

    def on_end(self, run: RunInfo) -> None:
        """Training ended, was stopped or failed; called once, whatever happened."""

    def saved(self) -> dict[str, Any]:
        """Return what to remember, as JSON has it; a checkpoint is about to be written."""
        return {}

    def restore(self, saved: dict[str, Any]) -> None:
        """Go on from what `saved` returned at the checkpoint that is resumed; called before `on_start`."""
