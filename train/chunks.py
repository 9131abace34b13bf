"""One chunk of updates: run on the device, and told to the host."""

import time
from typing import Any, NamedTuple

import jax
import numpy as np

from train.callbacks.base import Fault, Row
from train.config import RunConfig
from train.figures import Figures
from train.health import cause
from train.job import Job
from train.learner import CHUNK

CHUNK_SECONDS = 2.0


class Chunk(NamedTuple):
    """What a chunk of updates left behind."""

    state: Any
    figures: Figures  # on the host
    validation: Row | None
    seconds: float  # of the updates
    validation_seconds: float


class Told(NamedTuple):
    """The figures of a chunk, an element an update, and its episodes."""

    rows: list[Row]
    gradients: list[Row]
    faults: list[Fault]
    episodes: dict[str, np.ndarray]  # [K] each
    episodes_lost: int


def count_ahead(config: RunConfig, done: int, seconds_each: float) -> int:
    """Return how many updates to do at once: about two seconds, and never past a validation or a checkpoint."""
    every = [each for each in (config.eval_every, config.checkpoints.every) if each]
    return min(
        CHUNK,
        config.updates - done,
        max(1, int(CHUNK_SECONDS / max(seconds_each, 1e-9))),
        *(each - done % each for each in every),
    )


def run_chunk(job: Job, state: Any, count: jax.Array, validated: bool) -> Chunk:
    """Do `count` updates, which consume the state, and validate the last; only compiled programs are called."""
    began = time.perf_counter()
    state, figures = job.programs.training.chunk(state, job.programs.market, count)
    figures = jax.device_get(figures)
    middle = time.perf_counter()
    state, validation = job.validate(state) if validated else (state, None)
    return Chunk(state, figures, validation, middle - began, time.perf_counter() - middle)


def tell(job: Job, chunk: Chunk, done: int, count: int) -> Told:
    """Return the figures of updates done+1 .. done+count."""
    each = [jax.tree.map(lambda leaf, i=i: leaf[i], chunk.figures) for i in range(count)]
    updates = [done + i + 1 for i in range(count)]
    rows = [job.row(figures, update) for figures, update in zip(each, updates, strict=True)]
    if chunk.validation is not None:
        rows[-1] |= chunk.validation
    found = [(update, cause(figures.checks)) for update, figures in zip(updates, each, strict=True)]
    ended = [int(figures.episode_rows) for figures in each]
    room = next((leaf.shape[1] for leaf in chunk.figures.episodes.values()), 0)
    kept = [min(number, room) for number in ended]
    return Told(
        rows=rows,
        gradients=[{name: float(norm) for name, norm in figures.gradients.items()} for figures in each],
        faults=[Fault(update, *first) for update, first in found if first is not None],
        episodes={
            **{name: _concatenated(leaf, kept) for name, leaf in chunk.figures.episodes.items()},
            "update": np.repeat(np.asarray(updates), kept),
        },
        episodes_lost=sum(ended) - sum(kept),
    )


def _concatenated(leaf: np.ndarray, kept: list[int]) -> np.ndarray:
    """Return the first rows of each update, [CHUNK, C] -> [K]."""
    return np.concatenate([leaf[i, :number] for i, number in enumerate(kept)])
