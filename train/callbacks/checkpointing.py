"""Saves checkpoints when they are due, and with them what every callback remembers."""

from typing import Any

from train.callbacks.base import Callback, StepInfo
from train.callbacks.calls import Crew
from train.checkpoint import Checkpoints
from train.config import RunConfig


class Checkpoint(Callback):
    """The last of the callbacks: what it saves is what the others have brought to an end."""

    def __init__(self, saves: Checkpoints, crew: Crew, config: RunConfig, metric: str, done: int) -> None:
        self._saves, self._crew, self._every, self._metric = saves, crew, config.checkpoints.every, metric
        self._last = done  # nothing is new until another update is done

    def on_chunk(self, step: StepInfo) -> None:
        """Save at each validation, at the last update, and every so many updates if asked for."""
        asked = self._every > 0 and step.update % self._every == 0
        if asked or step.validation is not None or step.update == step.updates:
            self.save(step.update, step.state, step.validation)

    def save(self, update: int, state: Any, validation: dict[str, float] | None = None) -> None:
        """Save a state, once.

        Raises:
            InputError: It cannot be saved; or a callback could not say what it remembers, and it was saved without.
        """
        if update == self._last:
            return
        saved, failed = self._crew.saved()
        self._saves.save(update, state, None if validation is None else validation[self._metric], {"callbacks": saved})
        self._last = update
        if failed is not None:
            raise failed
