"""Checkpoints: complete or not there at all, verified before they are read; docs/checkpoints.md.

`checkpoints/UPDATE/` holds the state as Orbax writes it, `meta.json` and `manifest.json`. It is written under another
name, brought to the disk, and renamed; it is renamed again before it is deleted: whatever bears a number is complete.
"""

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from jaxtrade.errors import InputError
from train.config import CheckpointConfig
from train.leaves import describe, first_not_finite, pack, parameters_sha256, to_host
from train.manifest import Damaged, sync, write_manifest
from train.saved import (
    META,
    SCHEMA,
    Facts,
    Metrics,
    Restored,
    best_of,
    folder_of,
    load,
    newest,
    read_meta,
    reason,
    saved_updates,
    sha256,
    write_state,
)

__all__ = ["Checkpoints", "Restored", "kept", "load", "saved_updates"]
PARTIAL = ".partial-"  # begins the name of what is not complete, or no longer
DAMAGED = ".damaged"  # ends the name of what a resumed run passed over


def kept(metrics: Metrics, config: CheckpointConfig) -> set[int]:
    """Return the updates to keep: the latest, the best, and multiples of `keep_every`."""
    best = best_of(metrics)
    keep = {*sorted(metrics)[-config.keep_latest :], *([] if best is None else best[:1])}
    return keep | {update for update in metrics if config.keep_every and update % config.keep_every == 0}


class Checkpoints:
    """The checkpoints of a run for its one writer, who holds the run's lock; a context manager."""

    def __init__(self, run: Path, config: CheckpointConfig, facts: Facts) -> None:
        self._run, self._folder, self._config = run, (run / "checkpoints").absolute(), config
        self._facts = json.loads(json.dumps(facts))
        self._metrics: Metrics = {}

    def __enter__(self) -> Self:
        """Create the folder, and remove what a killed process left.

        Raises:
            InputError: The folder cannot be written.
        """
        with self._writing("the folder cannot be opened"):
            self._folder.mkdir(exist_ok=True)
            for left in self._folder.glob(f"{PARTIAL}*"):
                shutil.rmtree(left)
        for update in saved_updates(self._run):
            try:
                self._metrics[update] = read_meta(folder_of(self._run, update))["metric"]
            except Damaged:  # not known to be superfluous, so it is never deleted
                continue
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Do nothing: all is on the disk."""

    def updates(self) -> list[int]:
        """Return the updates of the checkpoints."""
        return saved_updates(self._run)

    def best(self) -> tuple[int, float] | None:
        """Return the update of the best checkpoint and its figure, if any has a finite one."""
        return best_of(self._metrics)

    def save(self, update: int, state: Any, metric: float | None, host: dict[str, Any]) -> None:
        """Save a state, once, and then delete what is not to be kept.

        A state whose parameters are not finite is not saved, which is told on stderr.

        Args:
            update: Updates done.
            state: The state of the learner.
            metric: Its figure of validation, if there is one; greater is better.
            host: What else to remember, as JSON has it.

        Raises:
            InputError: It cannot be written; all older checkpoints are intact. Or `host` is not JSON.
        """
        if update in self._metrics:
            return
        arrays = to_host(state)
        bad = first_not_finite(arrays)
        if bad is not None:
            sys.stderr.write(f"warning: update {update} is not saved: {bad} is not finite\n")
            return
        data, metric = pack(arrays), None if metric is None else float(metric)
        meta = {"schema": SCHEMA, "update": update, "metric": metric, "host": host, "facts": self._facts}
        meta |= {"parameters_sha256": parameters_sha256(arrays), "state_sha256": sha256(data)}
        text = _json(meta | {"leaves": describe(state)})
        with self._writing(f"update {update} cannot be saved"):
            self._write(update, data, text)
            self._metrics[update] = metric
            for old in set(self._metrics) - kept(self._metrics, self._config):
                self._remove(old)

    def _write(self, update: int, data: np.ndarray, meta: str) -> None:
        """Write a checkpoint under another name, and give it its own when it is complete."""
        partial = self._folder / f"{PARTIAL}{update}"
        partial.mkdir()  # not its parents: a folder that was removed is not to come back
        try:
            write_state(partial, data)
            (partial / META).write_text(meta, encoding="utf-8")
            write_manifest(partial)
            partial.rename(self._folder / str(update))
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        sync(self._folder)

    def _remove(self, update: int) -> None:
        partial = self._folder / f"{PARTIAL}{update}"
        (self._folder / str(update)).rename(partial)
        shutil.rmtree(partial)
        del self._metrics[update]

    @contextmanager
    def _writing(self, what: str) -> Iterator[None]:
        """Tell what is wrong with a disk in one line."""
        try:
            yield
        except (OSError, ValueError) as error:  # Orbax raises ValueError for a full disk
            saved = ", ".join(map(str, saved_updates(self._run)))
            intact = f"; intact are the checkpoints of updates {saved}" if saved else ""
            remedy = f"Free space or make it writable, then go on by --resume {self._run}{intact}"
            raise InputError(self._folder, f"{what} ({reason(error)})", remedy) from None

    def restore(self, like: Any) -> Restored | None:
        """Return the newest checkpoint that verifies, or None where there is none.

        Newer ones that do not verify are told on stderr and set aside, under a name that ends in `.damaged`.

        Args:
            like: A state, or its shapes and dtypes; the restored arrays lie on the devices of its leaves.

        Raises:
            InputError: None verifies; or the newest that does is one of other data, features, network or sizes.
        """
        restored, passed_over = newest(self._run, like, self._facts)
        with self._writing("a damaged checkpoint cannot be set aside"):
            for update in passed_over:
                aside = self._folder / f"{update}{DAMAGED}"
                shutil.rmtree(aside, ignore_errors=True)
                (self._folder / str(update)).rename(aside)
                self._metrics.pop(update, None)
        return restored


def _json(meta: dict[str, Any]) -> str:
    try:
        return json.dumps(meta, indent=1) + "\n"
    except (TypeError, ValueError) as error:
        what = f"what the callbacks remember is not JSON ({error})"
        raise InputError("checkpoint", what, "Let saved() return numbers, texts, lists and mappings") from None
