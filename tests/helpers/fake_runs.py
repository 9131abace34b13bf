"""Runs of the fake training: started, stopped, probed and compared."""

import os
import signal
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.helpers.fake_job import fake_config, fake_job
from train.callbacks import Callback
from train.callbacks.make import make_callbacks
from train.compilation import Compilations
from train.job import Job
from train.run import Outcome, train


@cache
def compiled() -> Job:
    return fake_job(fake_config())


def go(run: Path, resume: bool = False, more: Any = (), market: float = 0.0, **changes: Any) -> Outcome:
    """Train the fake in a folder, one update a chunk unless `chunk_seconds` says more."""
    judge, seconds = changes.pop("judge", None), changes.pop("chunk_seconds", 1e-9)
    config, job = fake_config(jsonl=True, **changes), compiled()
    programs = job.programs._replace(market=np.float32(market))
    job = job._replace(config=config, programs=programs, validate=judge or job.validate)
    run.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("train.chunks.CHUNK_SECONDS", seconds)
        return train(job, run, resume, Compilations(), [*make_callbacks(config), *more])


class Probe(Callback):
    """Records what it is told; may do something when an update is done."""

    def __init__(self, at: int = 0, act: Any = None) -> None:
        self.seen, self.at, self.act = [], at, act

    def on_start(self, run: Any) -> None:
        self.seen.append(("start", run.done))

    def on_chunk(self, step: Any) -> None:
        self.seen.append(("chunk", step.update))
        if step.update == self.at:
            self.act(step)

    def saved(self) -> dict[str, Any]:
        self.seen.append(("saved",))
        return {"chunks": sum(each[0] == "chunk" for each in self.seen)}

    def restore(self, saved: dict[str, Any]) -> None:
        self.seen.append(("restore", saved["chunks"]))

    def on_end(self, run: Any) -> None:
        self.seen.append(("end", run.about["updates"]["to"]))


def interrupt(step: Any) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def without_times(run: Path) -> dict[str, Any]:
    """Return the logs that must not depend on the clock."""
    monitor = pd.read_csv(run / "monitor.csv", comment="#").drop(columns="t")
    return {
        "monitor": monitor.to_csv(),
        **{name: (run / f"{name}.csv").read_text() for name in ("metrics", "gradients")},
        "jsonl": (run / "metrics.jsonl").read_text(),
    }


def rows(run: Path, name: str = "metrics") -> pd.DataFrame:
    return pd.read_csv(run / f"{name}.csv", comment="#")
