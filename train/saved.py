"""Checkpoints as they are read: verified, compared with what is asked for, and only then restored by Orbax."""

import hashlib
import json
import logging
import math
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orbax.checkpoint as ocp

from jaxtrade.errors import InputError
from train.leaves import describe, differences, unpack
from train.manifest import Damaged, read_bytes, verify

SCHEMA = 1
STATE = "state"  # the folder of Orbax, and the one array in it
META = "meta.json"
Facts = dict[str, Any]
Metrics = dict[int, float | None]


class Restored(NamedTuple):
    """A checkpoint that was read."""

    update: int
    state: Any
    host: dict[str, Any]


def folder_of(run: Path, update: int) -> Path:
    """Return the folder of a checkpoint."""
    return (run / "checkpoints" / str(update)).absolute()


def saved_updates(run: Path) -> list[int]:
    """Return the updates of a run's checkpoints; nothing is created."""
    return sorted(int(each.name) for each in (run / "checkpoints").glob("*") if each.name.isdigit())


def best_of(metrics: Metrics) -> tuple[int, float] | None:
    """Return the first update of the greatest figure, and the figure; what is not finite is never best."""
    finite = {update: value for update, value in metrics.items() if value is not None and math.isfinite(value)}
    return max(finite.items(), key=lambda item: (item[1], -item[0]), default=None)


def load(run: Path, which: str, like: Any, facts: Facts | None = None) -> tuple[int, Any]:
    """Return the update and the state of a checkpoint; nothing is written.

    Args:
        run: A run's folder.
        which: `best` (by validation), `latest` (that verifies) or the number of an update.
        like: A state, or its shapes and dtypes; the restored arrays lie on the devices of its leaves.
        facts: What it must have been made with.

    Raises:
        InputError: There is no such checkpoint, it is damaged, or it is one of another network or other sizes.
    """
    saved = saved_updates(run)
    if not saved:
        raise InputError(run, "holds no checkpoint", "Train until the first validation")
    if which == "latest":
        restored = newest(run, like, facts or {})[0]
        return restored.update, restored.state
    update = _best_update(run) if which == "best" else int(which) if which.isdigit() else -1
    if update not in saved:
        raise InputError(run / "checkpoints", f"no checkpoint '{which}'", f"Choose best, latest or one of {saved}")
    try:
        return update, _read(folder_of(run, update), like, facts or {}).state
    except Damaged as damage:
        others = [each for each in saved if each != update]
        remedy = f"Use --checkpoint with one of {others}" if others else "Train again"
        raise InputError(folder_of(run, update), str(damage), remedy) from None


def _best_update(run: Path) -> int:
    """Return the update of the best checkpoint of those whose figures can be read, and tell of the others."""
    metrics: Metrics = {}
    for update in saved_updates(run):
        try:
            metrics[update] = read_meta(folder_of(run, update))["metric"]
        except Damaged as damage:
            sys.stderr.write(f"warning: {folder_of(run, update)}: {damage}; the best is sought among the others\n")
    best = best_of(metrics)
    if best is None:
        raise InputError(run, "no checkpoint has a finite figure of validation", "Use --checkpoint latest")
    return best[0]


def newest(run: Path, like: Any, facts: Facts) -> tuple[Restored | None, list[int]]:
    """Return the newest checkpoint that verifies, and the updates of those that were passed over."""
    damages: dict[int, Damaged] = {}
    for update in reversed(saved_updates(run)):
        try:
            restored = _read(folder_of(run, update), like, facts)
        except Damaged as damage:
            damages[update] = damage
            continue
        for each, damage in damages.items():
            sys.stderr.write(f"warning: {folder_of(run, each)}: {damage}; update {update} is used instead\n")
        return restored, list(damages)
    if damages:
        found = "; ".join(f"{update}: {damage}" for update, damage in damages.items())
        raise InputError(run / "checkpoints", f"none is intact ({found})", "Restore a copy, or start a new run")
    return None, []


def read_meta(folder: Path) -> dict[str, Any]:
    """Return what a checkpoint says of itself.

    Raises:
        Damaged: It cannot be read, or was changed since it was written.
        InputError: Another version wrote it.
    """
    verify(folder, only=META)
    meta = json.loads(read_bytes(folder / META))
    if meta["schema"] != SCHEMA:
        raise InputError(folder, f"has schema {meta['schema']}, not {SCHEMA}", "Use the version that wrote it")
    return meta


def _read(folder: Path, like: Any, facts: Facts) -> Restored:
    """Verify a checkpoint, compare it with what is asked for, and only then let Orbax read it.

    Raises:
        Damaged: A file is missing or was changed since it was written.
        InputError: It is intact, but not what is asked for.
    """
    verify(folder)
    meta = read_meta(folder)
    _require_facts(folder, meta["facts"], facts)
    found = differences(meta["leaves"], describe(like))
    if found:
        more = f" (and {len(found) - 1} more differ)" if len(found) > 1 else ""
        remedy = "Use the network, the features and the number of environments that it was trained with"
        raise InputError(folder, found[0] + more, remedy)
    try:
        data = read_state(folder)
    except (OSError, ValueError, KeyError) as error:
        raise Damaged(f"{STATE} cannot be read ({reason(error)})") from None
    if sha256(data) != meta["state_sha256"]:
        raise Damaged(f"{STATE} does not hold the arrays that were saved (SHA-256)")
    return Restored(meta["update"], unpack(data, like), meta["host"])


def _require_facts(folder: Path, saved: Facts, here: Facts) -> None:
    """Refuse a checkpoint of other data or of another configuration, by name."""
    for name, value in json.loads(json.dumps(here)).items():
        if saved.get(name) != value:
            what = f"it was made with {name} {_short(saved.get(name))}, and here it is {_short(value)}"
            raise InputError(folder, what, "Use what it was made with, or start a new run")


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 120 else f"{text[:100]} ... ({len(text)} characters)"


def sha256(data: np.ndarray) -> str:
    """Return the hash of an array's bytes."""
    return hashlib.sha256(np.ascontiguousarray(data)).hexdigest()


def reason(error: Exception) -> str:
    """Return what is wrong in the words of the system, also where Orbax has wrapped it."""
    code = re.search(r"os_error_code='(\d+)'", str(error))
    number = error.errno if isinstance(error, OSError) else int(code[1]) if code else None
    return os.strerror(number) if number else str(error).strip().partition("\n")[0][:200]


@contextmanager
def _orbax() -> Iterator[ocp.Checkpointer]:
    """Open Orbax for one array in one plain file; it logs a traceback of each error that it also raises."""
    logging.getLogger("absl").setLevel(logging.CRITICAL)
    with ocp.Checkpointer(ocp.PyTreeCheckpointHandler(use_ocdbt=False)) as checkpointer:
        yield checkpointer


def write_state(folder: Path, data: np.ndarray) -> None:
    """Let Orbax write the bytes of a state, [bytes] uint8.

    Raises:
        OSError, ValueError: They cannot be written.
    """
    with _orbax() as checkpointer:
        checkpointer.save(folder / STATE, {STATE: data})


def read_state(folder: Path) -> np.ndarray:
    """Return what `write_state` wrote."""
    with _orbax() as checkpointer:
        return checkpointer.restore(folder / STATE)[STATE]
