"""A training run: the host loop over compiled chunks, and everything that happens between them."""

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp

from jaxtrade.errors import InputError
from train import checkpoint
from train.compilation import Compilations
from train.learner import CHUNK
from train.loggers import Loggers, Row
from train.programs import Programs, start_state
from train.progress import ProgressView
from train.state import Setup, TrainState

CHUNK_SECONDS = 2.0


class Stop:
    """Set by the first Ctrl-C or SIGTERM; a second one interrupts at once."""

    asked = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Handle the signal."""
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        sys.stderr.write("\nstopping after this chunk of updates; once more to stop at once\n")


@contextmanager
def stop_signals() -> Iterator[Stop]:
    """Catch SIGINT and SIGTERM for the time of the block."""
    stop = Stop()
    old = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


class CompilationWatch:
    """Tells what was compiled for the first chunk, and later of any compilation in the middle of the run."""

    def __init__(self, compilations: Compilations, say: Callable[[str], None]) -> None:
        self._compilations, self._say = compilations, say
        self._known: int | None = None
        self._validated = False

    def after_chunk(self, update: int) -> None:
        """Look after a chunk: the first says all, and no other should have compiled anything."""
        if self._known is None:
            self._say(str(self._compilations))
        else:
            self._warn(update)
        self._known = self._compilations.total

    def after_validation(self, update: int) -> None:
        """Look after a validation and a checkpoint: only the first may have compiled something."""
        if self._validated:
            self._warn(update)
        self._known, self._validated = self._compilations.total, True

    def _warn(self, update: int) -> None:
        more = self._compilations.total - (self._known or 0)
        if more:
            self._say(f"update {update}: {more} more compilations in the middle of the run")


def train(setup: Setup, programs: Programs, run: Path, resume: bool, compilations: Compilations) -> bool:
    """Train until the last update or a signal; the run's folder holds everything. Return False if stopped early."""
    total = setup.config.updates
    with checkpoint.open_checkpoints(run) as manager, stop_signals() as stop:
        state = first_state(setup, programs, manager, resume)
        done = int(state.update)
        columns = [*host_row(setup, dict.fromkeys(programs.training.figures, 1.0), 1), *VALIDATION]
        with (
            Loggers(run, columns, setup.config.tensorboard, done) as loggers,
            ProgressView(total, done) as view,
        ):
            watch = CompilationWatch(compilations, view.say)
            seconds_each = CHUNK_SECONDS
            stopping = False
            while done < total and not stopping:
                to_validation = setup.config.eval_every - done % setup.config.eval_every
                count = min(CHUNK, to_validation, total - done, max(1, int(CHUNK_SECONDS / seconds_each)))
                state, rows, seconds_each = run_one_chunk(setup, programs, state, done, count)
                done += count
                watch.after_chunk(done)
                stopping = stop.asked
                if count == to_validation or done == total or stopping:
                    rows[-1] |= validate(programs, state)
                    checkpoint.save(manager, done, state, rows[-1]["validation_log_growth"])
                    watch.after_validation(done)
                timing = {"seconds": seconds_each, "steps_per_second": setup.config.samples / seconds_each}
                for row in rows:
                    about = {"update": row["update"], **timing, "compilations": float(compilations.total)}
                    loggers.write(row, about)
                    view.show(row | about)
                loggers.flush()
    return done >= total


def first_state(setup: Setup, programs: Programs, manager: ocp.CheckpointManager, resume: bool) -> TrainState:
    """Return the state that training goes on from."""
    state = start_state(setup, programs)
    if resume and manager.latest_step() is None:
        print("no checkpoint yet: starting from the beginning")
    elif resume:
        state = checkpoint.restore(manager, checkpoint.pick(manager, "latest"), state)
    return state


VALIDATION = [
    f"validation_{name}" for name in ("log_growth", "equity", "sharpe_per_bar", "max_drawdown", "turnover", "fees")
]


def run_one_chunk(
    setup: Setup, programs: Programs, state: TrainState, done: int, count: int
) -> tuple[TrainState, list[Row], float]:
    """Run updates done+1 .. done+count. Return the state, a row for each, and the seconds of one."""
    began = time.perf_counter()
    state, figures = programs.training.chunk(state, programs.market, jnp.int32(count))
    figures = jax.device_get(figures)
    seconds = (time.perf_counter() - began) / count
    rows = [host_row(setup, {name: values[i] for name, values in figures.items()}, done + i + 1) for i in range(count)]
    bad = next((row for row in rows if not np.isfinite(row["loss"]) or not np.isfinite(row["grad_norm"])), None)
    if bad is not None:
        raise InputError(
            f"update {bad['update']:.0f}",
            f"the loss is {bad['loss']} and the gradient norm {bad['grad_norm']}",
            "Lower ppo.learning_rate; the checkpoints before it are intact",
        )
    return state, rows, seconds


def host_row(setup: Setup, figures: dict[str, Any], update: int) -> Row:
    """Return the row of an update: sums over episodes become means, left out when no episode ended."""
    bars = update * setup.schedule.lanes * setup.schedule.length
    row = {"update": float(update), "timesteps": float(update * setup.config.samples), "bars": float(bars)}
    count = float(figures["episode_count"])
    for name, value in figures.items():
        if name == "episode_count":
            row["episodes"] = count
        elif name.startswith("episode_"):
            if count:
                row[name] = float(value) / count
        else:
            row[name] = float(value)
    return row


def validate(programs: Programs, state: TrainState) -> Row:
    """Walk the validation range and return its figures."""
    figures = jax.device_get(programs.evaluate(state.params, programs.validation))
    return {name: float(figures[name.removeprefix("validation_")]) for name in VALIDATION}
