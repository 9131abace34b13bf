"""Checkpoints through Orbax: the latest two and the best by validation."""

import logging
import math
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers as policies

from jaxtrade.errors import InputError

METRIC = "validation_log_growth"


def _metric(metrics: dict[str, float]) -> float:
    """Return the metric to maximise; Orbax would delete the best checkpoint if it met a NaN."""
    value = metrics[METRIC]
    return value if math.isfinite(value) else -1e30


def open_checkpoints(run: Path) -> ocp.CheckpointManager:
    """Open the checkpoints of a run; a context manager that waits for pending writes when it closes."""
    logging.getLogger("absl").setLevel(logging.ERROR)
    options = ocp.CheckpointManagerOptions(
        best_fn=_metric,
        best_mode="max",
        cleanup_tmp_directories=True,
        preservation_policy=policies.AnyPreservationPolicy(
            [policies.LatestN(2), policies.BestN(get_metric_fn=_metric, n=1)]
        ),
    )
    return ocp.CheckpointManager((run / "checkpoints").absolute(), options=options)


def save(manager: ocp.CheckpointManager, update: int, state: Any, log_growth: float) -> None:
    """Save a state after an update, once; the write goes on in the background."""
    if update not in manager.all_steps():
        manager.save(update, args=ocp.args.StandardSave(state), metrics={METRIC: log_growth})


def saved_updates(run: Path) -> list[int]:
    """Return the updates of a run's checkpoints without opening (and so creating) anything."""
    return sorted(int(step.name) for step in (run / "checkpoints").glob("*") if step.name.isdigit())


def pick(manager: ocp.CheckpointManager, which: str) -> int:
    """Return the update of a checkpoint: `best`, `latest` or a number.

    Raises:
        InputError: There is no such checkpoint.
    """
    steps = sorted(manager.all_steps())
    if which in ("best", "latest"):
        return int(manager.best_step() if which == "best" else steps[-1])
    if not which.isdigit() or int(which) not in steps:
        raise InputError(manager.directory, f"no checkpoint '{which}'", f"Choose best, latest or one of {steps}")
    return int(which)


def restore(manager: ocp.CheckpointManager, update: int, like: Any) -> Any:
    """Restore a state; `like` is a state of the same shapes on the devices where it shall lie.

    Raises:
        InputError: The checkpoint is damaged, or of another network or number of environments.
    """
    abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
    try:
        return manager.restore(update, args=ocp.args.StandardRestore(abstract))
    except (ValueError, OSError, KeyError) as error:
        first = str(error).strip().splitlines()[0][:300]
        where = Path(manager.directory) / str(update)
        raise InputError(where, f"cannot be restored ({first})", "Use the configuration it was trained with") from None
