"""A kind of training as the host loop sees it: compiled programs, and what their figures are called."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from train.callbacks.base import Row
from train.config import RunConfig
from train.figures import Figures
from train.memory import Need


class Training(NamedTuple):
    """The programs whose size depends on the number of environments."""

    start: Callable[[Any, Any], Any]  # (seed, market) -> the state before the first update
    chunk: Any  # (state, market, count) -> (state, Figures); consumes the state
    figures: tuple[str, ...]  # names of Figures.scalars
    needed: int  # bytes
    copy: Any = None  # state -> its copy: what remains when a chunk that consumes the state is abandoned


class Programs(NamedTuple):
    """Everything that a run executes, and the markets or worlds it works on."""

    training: Training
    evaluate: Any
    market: Any
    validation: Any
    need: Need


class Job(NamedTuple):
    """What is trained; the loop in train.run knows nothing else of it."""

    config: RunConfig
    programs: Programs
    row: Callable[[Figures, int], Row]  # (figures of one update on the host, its number) -> a row of metrics.csv
    validate: Callable[[Any], tuple[Any, Row]]  # state -> (state, the columns of `validation`), between two chunks
    validation: tuple[str, ...]  # columns that only updates with a validation have
    metric: str  # the one of them to maximise
    facts: dict[str, Any]  # JSON: what a checkpoint must have been made with
    candidates: int = 1  # that train side by side; `config` is of one

    @property
    def samples(self) -> int:
        """Steps of one update, of all candidates."""
        return self.config.samples * self.candidates


def compile_copy(state: Any) -> Any:
    """Return the compiled copy of states of such shapes."""
    return jax.jit(lambda tree: jax.tree.map(jnp.copy, tree)).lower(state).compile()


def columns(job: Job) -> tuple[str, ...]:
    """Return the columns of metrics.csv."""
    ones = Figures(dict.fromkeys(job.programs.training.figures, 1.0), {}, {}, {}, 1)
    return (*job.row(ones, 1), *job.validation)


def mean_figures(scalars: dict[str, Any]) -> Row:
    """Return the scalars of an update: sums over episodes become means, left out where no episode ended."""
    count = float(scalars.get("episode_count", 0.0))
    row: Row = {}
    for name, value in scalars.items():
        if name == "episode_count":
            row["episodes"] = count
        elif not name.startswith("episode_"):
            row[name] = float(value)
        elif count:
            row[name] = float(value) / count
    return row
