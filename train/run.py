"""A training run: the host loop over compiled chunks, and everything that happens between them."""

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxtrade.envs.trading import EnvParams, make_env_params
from jaxtrade.errors import InputError
from jaxtrade.market.table import MarketTable
from train import checkpoint
from train.evaluate import compile_evaluation
from train.learner import CHUNK, compile_chunk
from train.loggers import Loggers, Row
from train.progress import ProgressView
from train.state import Setup, TrainState, init_state

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


class Programs(NamedTuple):
    """The compiled programs of a run and the markets they work on."""

    chunk: Any
    evaluate: Any
    market: EnvParams
    validation: EnvParams


def make_programs(setup: Setup, table: MarketTable) -> Programs:
    """Return the programs; training sees the market only up to the end of its own range."""
    validation = table.span("validation")
    return Programs(
        chunk=compile_chunk(setup),
        evaluate=compile_evaluation(setup, validation.decisions),
        market=make_env_params(table, table.ranges["train"], setup.config.env),
        validation=make_env_params(table, validation, setup.config.env),
    )


def train(setup: Setup, table: MarketTable, run: Path, resume: bool) -> bool:
    """Train until the last update or a signal; the run's folder holds everything. Return False if stopped early."""
    programs = make_programs(setup, table)
    state = jax.device_put(init_state(setup, programs.market), jax.devices()[0])
    total = setup.config.updates
    with checkpoint.open_checkpoints(run) as manager, stop_signals() as stop:
        if resume and not checkpoint.saved_updates(run):
            print("no checkpoint yet: starting from the beginning")
        elif resume:
            state = checkpoint.restore(manager, checkpoint.pick(manager, "latest"), state)
        done = int(state.update)
        columns = [*metric_names(setup, state, programs), *VALIDATION]
        with (
            Loggers(run, columns, setup.config.tensorboard, done) as loggers,
            ProgressView(total, done) as view,
        ):
            seconds_each = CHUNK_SECONDS
            stopping = False
            while done < total and not stopping:
                to_validation = setup.config.eval_every - done % setup.config.eval_every
                count = min(CHUNK, to_validation, total - done, max(1, int(CHUNK_SECONDS / seconds_each)))
                state, rows, seconds_each = run_one_chunk(setup, programs, state, done, count)
                done += count
                stopping = stop.asked
                if count == to_validation or done == total or stopping:
                    rows[-1] |= validate(programs, state)
                    checkpoint.save(manager, done, state, rows[-1]["validation_log_growth"])
                for row in rows:
                    timing = {"update": row["update"], "seconds": seconds_each}
                    timing["steps_per_second"] = setup.config.samples / seconds_each
                    loggers.write(row, timing)
                    view.show(row | timing)
                loggers.flush()
    return done >= total


VALIDATION = [
    f"validation_{name}" for name in ("log_growth", "equity", "sharpe_per_bar", "max_drawdown", "turnover", "fees")
]


def run_one_chunk(
    setup: Setup, programs: Programs, state: TrainState, done: int, count: int
) -> tuple[TrainState, list[Row], float]:
    """Run updates done+1 .. done+count. Return the state, a row for each, and the seconds of one."""
    began = time.perf_counter()
    state, figures = programs.chunk(state, programs.market, jnp.int32(count))
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


def metric_names(setup: Setup, state: TrainState, programs: Programs) -> list[str]:
    """Return the columns of metrics.csv."""
    shapes = jax.eval_shape(programs.chunk, state, programs.market, jnp.int32(1))[1]
    return list(host_row(setup, dict.fromkeys(shapes, 1.0), 1))


def validate(programs: Programs, state: TrainState) -> Row:
    """Walk the validation range and return its figures."""
    figures = jax.device_get(programs.evaluate(state.params, programs.validation))
    return {name: float(figures[name.removeprefix("validation_")]) for name in VALIDATION}
