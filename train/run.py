"""A training run: the host loop over compiled chunks, and everything that happens between them."""

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxtrade.errors import STOPPED, InputError
from train.callbacks.base import Callback, RunInfo, StepInfo
from train.callbacks.calls import Crew
from train.callbacks.checkpointing import Checkpoint
from train.checkpoint import Checkpoints
from train.chunks import CHUNK_SECONDS, Chunk, Told, count_ahead, run_chunk, tell
from train.compilation import Compilations
from train.job import Job, columns
from train.leaves import shapes_here
from train.lock import hold
from train.meter import Meter
from train.signals import Abandoned, Stop, call_aside, stop_signals


class Outcome(NamedTuple):
    """How training ended."""

    finished: bool  # the last update is done, or a callback said that it is enough
    reason: str
    abandoned: bool  # a computation is still running: leave by os._exit
    signal: str = ""  # that came meanwhile, be it during the last update; empty: none


def leave(outcome: Outcome, run: Path) -> int:
    """Say how to go on with a run that did not finish. Return the exit status; train.ppo leaves by os._exit."""
    print(f"stopped: {outcome.reason}. Go on: python -m train.ppo --resume {run}")
    return STOPPED


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


def train(
    job: Job,
    run: Path,
    resume: bool,
    compilations: Compilations,
    callbacks: Sequence[Callback],
    say: Callable[[str], None] = print,
) -> Outcome:
    """Train until the last update, a callback's wish or a signal; the run's folder holds everything.

    Args:
        job: What is trained.
        run: Its folder.
        resume: Go on from the newest checkpoint there.
        compilations: Open, to count.
        callbacks: Called between chunks.
        say: Told what is to be told beside them.

    Raises:
        InputError: Another process trains there, a callback failed, a log or a checkpoint cannot be written, or no
            checkpoint fits. What was done is saved before, where it can be.
    """
    with hold(run), Checkpoints(run, job.config.checkpoints, job.facts) as saves, stop_signals() as stop:
        crew = Crew(callbacks, run)
        done, state = first_state(job, saves, crew, resume, say)
        loop = Loop(job, crew, saves, Meter(job.config, done, compilations, job.samples), say)
        try:
            crew.start(loop.info(run))
            outcome = loop.run(state, stop)
        except BaseException:
            crew.end(loop.info(run))  # what failed first is told
            raise
        failed = crew.end(loop.info(run))
    if failed is not None and outcome.abandoned:
        sys.stderr.write(f"error: {failed}\n")
    elif failed is not None:
        raise failed
    return outcome._replace(signal=stop.name)


def first_state(job: Job, saves: Checkpoints, crew: Crew, resume: bool, say: Callable[[str], None]) -> tuple[int, Any]:
    """Return the updates done and the state that training goes on from."""
    training, market, seed = job.programs.training, job.programs.market, jnp.int32(job.config.seed)
    if resume:
        restored = saves.restore(shapes_here(training.start, seed, market))
        if restored is not None:
            crew.restore(restored.host)
            say(f"going on from update {restored.update}")
            return restored.update, restored.state
        say("no checkpoint yet: starting from the beginning")
    return 0, jax.device_put(training.start(seed, market), jax.devices()[0])


class Loop:
    """Does chunk after chunk until there is a reason to stop."""

    def __init__(self, job: Job, crew: Crew, saves: Checkpoints, meter: Meter, say: Callable[[str], None]) -> None:
        self._job, self._crew, self._saves, self._meter = job, crew, saves, meter
        self._checkpoint = Checkpoint(saves, crew, job.config, job.metric, meter.done)
        self._watch = CompilationWatch(meter.compilations, say)
        self._first, self._total, self._reason = meter.done, job.config.updates, ""

    def info(self, run: Path) -> RunInfo:
        """Return the run as callbacks see it."""
        return RunInfo(
            folder=run,
            config=self._job.config,
            done=self._first,
            updates=self._total,
            samples=self._job.samples,
            columns=columns(self._job),
            metric=self._job.metric,
            about=self._meter.about(),
            stop=self._ask,
        )

    def _ask(self, reason: str) -> None:
        self._reason = self._reason or reason

    def run(self, state: Any, stop: Stop) -> Outcome:
        """Train from a state on, which is consumed.

        Raises:
            InputError: As `train`.
        """
        copy, seconds_each = self._job.programs.training.copy, CHUNK_SECONDS
        while self._meter.done < self._total and not self._reason and not stop.name:
            done = self._meter.done
            count = count_ahead(self._job.config, done, seconds_each)
            before = copy(state)
            validated = (done + count) % self._job.config.eval_every == 0 or done + count == self._total
            try:
                chunk = call_aside(partial(run_chunk, self._job, state, jnp.int32(count), validated), stop)
            except (Abandoned, KeyboardInterrupt) as left:
                return self._leave(before, stop.name, save=isinstance(left, Abandoned))
            self._finish(chunk, count)
            state, seconds_each = chunk.state, chunk.seconds / count
        done = self._meter.done
        if done < self._total:
            self._checkpoint.save(done, state)
            finished = bool(self._reason)
            reason = self._reason or f"{stop.name} after update {done}; everything is saved"
            return Outcome(finished, reason, abandoned=False)
        return Outcome(True, f"all {self._total} updates are done", abandoned=False)

    def _leave(self, before: Any, signal: str, save: bool) -> Outcome:
        """Leave a chunk that would take too long, and save the state before it."""
        done = self._meter.done
        if not save:
            return Outcome(False, "interrupted twice; the newest checkpoint stands", abandoned=True)
        try:
            self._checkpoint.save(done, before)
        except InputError as error:
            return Outcome(False, f"update {done} could not be saved: {error}", abandoned=True)
        return Outcome(
            False, f"{signal} in an update; everything before, up to update {done}, is saved", abandoned=True
        )

    def _finish(self, chunk: Chunk, count: int) -> None:
        """Tell the callbacks of a chunk, and save it when that is due or one of them failed."""
        told = tell(self._job, chunk, self._meter.done, count)
        self._meter.add(count, chunk.seconds, chunk.validation_seconds)
        done = self._meter.done
        self._watch.after_chunk(done)
        step = self._step(chunk, told)
        with self._meter.measure("callbacks"):
            failed = self._crew.chunk(step)
        with self._meter.measure("checkpoint"):
            self._checkpoint.on_chunk(step)
            if failed is not None:
                self._checkpoint.save(done, chunk.state)
        if failed is not None:
            kept = self._saves.updates()
            remedy = f"{failed.remedy}; checkpoint {kept[-1]} is the newest" if kept else failed.remedy
            raise InputError(failed.where, failed.what, remedy)
        if chunk.validation is not None:
            self._watch.after_validation(done)

    def _step(self, chunk: Chunk, told: Told) -> StepInfo:
        each = chunk.seconds / len(told.rows)
        speed = {"seconds": each, "steps_per_second": self._job.samples / each}
        compiled = float(self._meter.compilations.total)
        return StepInfo(
            update=self._meter.done,
            updates=self._total,
            timing=[{"update": row["update"], **speed, "compilations": compiled} for row in told.rows],
            validation=chunk.validation,
            state=chunk.state,
            stop=self._ask,
            **told._asdict(),
        )
