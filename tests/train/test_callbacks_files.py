"""What our callbacks write: monitor.csv as Stable-Baselines3 has it, performance.json."""

import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.helpers.fake_runs import Probe, go, interrupt, rows


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was stopped and resumed."""
    run = tmp_path_factory.mktemp("runs") / "run"
    go(run, more=[Probe(5, interrupt)])
    go(run, resume=True)
    return run


def test_monitor_csv(run: Path) -> None:
    """By hand: update u ends u % 5 episodes, of which three are kept."""
    first, header, *_ = (run / "monitor.csv").read_text().splitlines()
    head = json.loads(first.removeprefix("#"))
    assert head["env_id"] == "fake"
    assert time.time() - 600 < head["t_start"] < time.time()
    assert header == "r,l,t,update,equity"
    table = pd.read_csv(run / "monitor.csv", comment="#")
    ended = [min(update % 5, 3) for update in range(1, 13)]
    assert list(table["update"]) == [
        update for update, count in zip(range(1, 13), ended, strict=True) for _ in range(count)
    ]
    assert list(table["l"]) == [number + 1 for count in ended for number in range(count)]
    assert table["t"].is_monotonic_increasing
    assert 0 < table["t"].iloc[0] < table["t"].iloc[-1] < 600
    loss = rows(run)["loss"].to_numpy()  # the first episode's return, in this training
    np.testing.assert_allclose(table.groupby("update")["r"].first(), loss[np.asarray(ended) > 0], rtol=1e-6)


@pytest.mark.nightly
def test_stable_baselines_reads_monitor_csv(run: Path) -> None:
    pytest.importorskip("stable_baselines3")
    from stable_baselines3.common.monitor import load_results
    from stable_baselines3.common.results_plotter import X_EPISODES, X_TIMESTEPS, X_WALLTIME, ts2xy

    table = load_results(str(run))
    mine = pd.read_csv(run / "monitor.csv", comment="#")
    assert len(table) == len(mine) == 21
    for axis, wanted in ((X_TIMESTEPS, mine["l"].cumsum()), (X_EPISODES, np.arange(21)), (X_WALLTIME, None)):
        x, y = ts2xy(table, axis)
        np.testing.assert_allclose(y, mine["r"])
        if wanted is not None:
            np.testing.assert_array_equal(x, wanted)


def test_performance(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    about = json.loads((run / "performance.json").read_text())
    assert about["updates"] == {"from": 5, "to": 12}
    assert about["samples"] == 7 * 10
    assert about["environments"] == 2
    assert about["device"]["platform"] == "cpu"
    seconds = about["seconds"]
    assert set(seconds) == {"chunk", "validation", "callbacks", "checkpoint", "total"}
    assert sum(seconds.values()) - seconds["total"] <= seconds["total"] * 1.01
    assert all(each >= 0 for each in seconds.values())
    assert about["samples_per_second"]["chunk"] >= about["samples_per_second"]["total"] > 0
    assert 1e7 < about["memory"]["process_peak_bytes"] < 1e12
    assert set(about["compilation"]) == {"programs", "from_cache", "seconds"}
    assert about["versions"]["jax"]


def test_episodes_need_not_be_monitored(tmp_path: Path) -> None:
    go(tmp_path / "run", monitor=False)
    assert not (tmp_path / "run" / "monitor.csv").exists()
    assert not (tmp_path / "run" / "faults.csv").exists()
