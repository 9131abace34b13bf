"""A run on gymnax from the command line: its files, its last line, and that a resume is the uninterrupted run."""

import csv
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.helpers.commands import Ran, assert_refused, make_runner
from train import checkpoint, control_command
from train.control_job import make_job
from train.control_rollout import Control
from train.job import Job

SMALL = (
    *(
        "--env",
        "CartPole-v1",
        "--observe",
        "0",
        "2",
        "--network.layers",
        "8",
        "--num-envs",
        "4",
        "--ppo.rollout-length",
        "16",
        "--ppo.minibatches",
        "2",
    ),
    *("--ppo.normalize-observation", "--eval-every", "4", "--eval-episodes", "3", "--no-tensorboard"),
    *("--env-params", "max_steps_in_episode=20"),
)
STEPS = 4 * 16


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Return `python -m train.ppo` in an empty folder; the same configuration is compiled once."""
    monkeypatch.chdir(tmp_path)
    return partial(make_runner(monkeypatch, capsys, trains=True), "ppo")


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let runs of the same configuration share their programs."""
    made: dict[str, Job] = {}

    def once(control: Control) -> Job:
        key = str(control.config.model_copy(update={"name": None}))
        if key not in made:
            made[key] = make_job(control)
        return made[key]._replace(config=control.config)

    monkeypatch.setattr(control_command, "make_job", once)


def check_files(folder: Path) -> None:
    """Assert that the logs of a run of eight updates say the same, row by row and episode by episode."""
    rows = rows_of(folder / "metrics.csv")
    assert [int(row["update"]) for row in rows] == list(range(1, 9))
    assert [bool(row["validation_return"]) for row in rows] == [False, False, False, True] * 2
    assert {"learning_rate", "entropy_weight", "discarded", "episode_return", "explained_variance"} <= set(rows[0])
    assert checkpoint.saved_updates(folder) == [4, 8]
    assert not list(folder.parent.glob("*.jsonl"))  # no entry in the ledger of trading
    monitor = pd.read_csv(folder / "monitor.csv", skiprows=1)
    assert monitor["r"].tolist() == monitor["l"].tolist()
    assert len(monitor) == sum(float(row["episodes"]) for row in rows) > 10
    np.testing.assert_allclose(monitor.groupby("update")["r"].mean()[8], float(rows[-1]["episode_return"]), rtol=1e-6)


@pytest.mark.usefixtures("compiled_once")
def test_a_run_and_its_resume(command: Callable[..., Ran]) -> None:
    """A run that lost its second half goes on from its first, and ends with the very same rows."""
    ran = command(*SMALL, "--total-timesteps", str(8 * STEPS), "--name", "whole")
    assert ran.code == 0, ran.err
    last = ran.out.strip().splitlines()[-1]
    assert last.startswith("best checkpoint: update ")
    assert "over 3 fresh episodes by the most likely action" in last
    folder = Path("runs/whole")
    check_files(folder)

    shutil.rmtree(folder / "checkpoints" / "8")
    before = (folder / "metrics.csv").read_bytes()
    ran = command("--resume", "runs/whole")
    assert ran.code == 0, ran.err
    assert "going on from update 4" in ran.out
    assert (folder / "metrics.csv").read_bytes() == before
    assert ran.out.strip().splitlines()[-1] == last
    ran = command("--resume", "runs/whole", "--network.layers", "9")
    assert_refused(ran, "'network.layers' was [8] and cannot become [9]")


def test_what_is_refused_before_anything_is_written(command: Callable[..., Ran], tmp_path: Path) -> None:
    ran = command("--env", "CartPole-v3", "--name", "a")
    assert_refused(ran._replace(out=""), "env: gymnax has no environment 'CartPole-v3'. Did you mean 'CartPole-v1'?")
    (tmp_path / "runs" / "b").mkdir(parents=True)
    assert_refused(command("--env", "CartPole-v1", "--name", "b"), "this run exists already")
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["b"]
