"""What a run executes: compiled once, nothing crosses to the host inside, buffers are donated, memory is checked."""

import csv
import json
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import yaml

from jaxtrade.market.table import MarketTable
from tests.conftest import small_config
from tests.helpers.chain import price_lines
from tests.helpers.commands import assert_refused, contents, make_runner
from tests.helpers.price_files import write_lines
from train import calibrate, programs, run
from train.callbacks.make import make_callbacks
from train.compilation import Compilations
from train.learner import run_chunk
from train.programs import Programs, make_job, make_programs, setup_for, start_state
from train.state import Setup, init_state

TINY = {"network": {"kind": "mlp", "hidden": 8, "head": 8}}


@pytest.fixture(scope="module")
def small(small_table: MarketTable) -> tuple[Setup, Programs]:
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        setup = setup_for(small_config(**TINY), small_table)
        return setup, make_programs(setup, small_table)


def one() -> jax.Array:
    return jax.device_put(np.int32(1), jax.devices()[0])


def call_without_transfers(chunk: Any, state: Any, market: Any) -> Any:
    """Call a chunk while every transfer between host and device is forbidden, but for the count's, before."""
    count = jax.block_until_ready(one())
    with jax.transfer_guard("disallow"):
        return jax.block_until_ready(chunk(state, market, count))


def test_no_transfer_inside_a_chunk(small: tuple[Setup, Programs]) -> None:
    setup, made = small
    call_without_transfers(made.training.chunk, start_state(setup, made), made.market)


def test_a_market_on_the_host_is_caught(small: tuple[Setup, Programs]) -> None:
    setup, made = small
    on_host = made.market.replace(features=np.asarray(made.market.features))
    with pytest.raises(Exception, match="Disallowed host-to-device transfer"):
        call_without_transfers(made.training.chunk, start_state(setup, made), on_host)


def callbacks(compiled: Any) -> list[str]:
    """Return the instructions of a compiled program that leave the device."""
    words = ("callback", "infeed", "outfeed", " send(", " recv(")
    return [line for line in compiled.as_text().splitlines() if any(word in line for word in words)]


def planted(setup: Setup, made: Programs, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Compile a chunk that tells the host of every update."""
    real = run_chunk

    def telling(*arguments: Any) -> Any:
        state, figures = real(*arguments)
        jax.debug.callback(lambda loss: None, figures.scalars["loss"][0])
        return state, figures

    monkeypatch.setattr("train.learner.run_chunk", telling)
    return programs.compile_training(setup, made.market).chunk


def test_no_program_calls_the_host(small: tuple[Setup, Programs], monkeypatch: pytest.MonkeyPatch) -> None:
    setup, made = small
    assert callbacks(made.training.chunk) == []
    assert callbacks(made.evaluate) == []
    assert callbacks(planted(setup, made, monkeypatch)) != []


def test_the_old_state_is_donated(small: tuple[Setup, Programs]) -> None:
    """Every buffer is taken over; without donation none is."""
    setup, made = small
    for chunk, donated in (
        (made.training.chunk, True),
        (jax.jit(lambda *arguments: run_chunk(setup, *arguments)), False),
    ):
        state = start_state(setup, made)
        jax.block_until_ready(chunk(state, made.market, one()))
        assert {leaf.is_deleted() for leaf in jax.tree.leaves(state)} == {donated}


def test_the_compiled_start_is_the_plain_one(small: tuple[Setup, Programs]) -> None:
    """For every seed, by one program."""
    setup, made = small
    with Compilations() as compilations:
        states = {}
        for seed in (0, 7, 2**31 - 1):
            seeded = setup._replace(config=setup.config.model_copy(update={"seed": seed}))
            states[seed] = start_state(seeded, made)
            if seed == 0:
                compilations.total = 0
        assert compilations.total == 0
    seeded = setup._replace(config=setup.config.model_copy(update={"seed": 7}))
    plain = init_state(seeded, made.market)
    same = jax.tree.map(lambda a, b: bool(jnp.all(a == b)), states[7], plain)
    assert all(jax.tree.leaves(same)), same
    other = jax.tree.map(lambda a, b: bool(jnp.all(a == b)), states[0], plain)
    assert not all(jax.tree.leaves(other.params))


def timing(folder: Path) -> list[int]:
    with (folder / "timing.csv").open(newline="") as file:
        return [int(row["compilations"]) for row in csv.DictReader(file)]


def test_a_run_compiles_nothing_after_its_first_validation(
    small: tuple[Setup, Programs],
    small_table: MarketTable,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    setup, made = small
    job = make_job(setup, small_table, made)
    (tmp_path / "good").mkdir()
    with Compilations() as compilations:
        assert run.train(job, tmp_path / "good", False, compilations, make_callbacks(setup.config)).finished
    counts = timing(tmp_path / "good")
    assert len(counts) == setup.config.updates == 6
    assert len(set(counts[2:])) == 1
    out = capsys.readouterr().out
    assert out.count("compiled ") == 1
    assert "in the middle" not in out

    real, sizes = run.run_chunk, iter(range(3, 99))

    def retraced(*arguments: Any) -> Any:
        if int(arguments[1].update) >= 4:
            jax.jit(lambda x: x + 1)(np.zeros(next(sizes)))
        return real(*arguments)

    monkeypatch.setattr(run, "run_chunk", retraced)
    (tmp_path / "bad").mkdir()
    with Compilations() as compilations:
        assert run.train(job, tmp_path / "bad", False, compilations, make_callbacks(setup.config)).finished
    assert timing(tmp_path / "bad")[-1] > timing(tmp_path / "bad")[3]
    assert "more compilations in the middle of the run" in capsys.readouterr().out


SMALL = (
    *("--data", "prices.csv", "--num-envs", "64", "--env.window", "30", "--name", "here", "--runs-dir", "runs"),
    *("--network.kind", "mlp", "--network.hidden", "8", "--network.head", "8", "--no-tensorboard"),
    *("--ppo.rollout-length", "16", "--ppo.lanes", "4", "--ppo.episode-bars", "64", "--total-timesteps", "20480"),
)


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Return `python -m train.ppo` in an empty folder that holds prices.csv."""
    monkeypatch.chdir(tmp_path)
    write_lines(tmp_path / "prices.csv", price_lines())
    return partial(make_runner(monkeypatch, capsys, trains=True), "ppo")


@pytest.mark.nightly
def test_a_run_that_does_not_fit_is_refused(command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the figures and a number that does fit, which is then taken as it stands."""
    free = 2_000_000
    monkeypatch.setattr(programs, "free_bytes", lambda device: free)
    before = contents(tmp_path)
    ran = command(*SMALL, "--num-envs", "4096")
    assert_refused(ran._replace(out=""), f"--num-envs 4096: needs about |MB of memory, {free / 1e6:.0f} MB are free")
    assert contents(tmp_path) == before
    suggested = int(ran.err.rsplit("--num-envs ", 1)[1])
    assert 0 < suggested < 4096
    ran = command(*SMALL, "--num-envs", str(suggested))
    assert ran.code == 0, ran.err
    assert f" of {free / 1e6:.0f} MB free\n" in ran.out


@pytest.mark.nightly
def test_auto_takes_the_fastest_and_records_it(command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"LEAST": 8, "FIRST": 8, "MOST": 32, "TRIAL_SECONDS": 0.01, "MIN_UPDATES": 1}.items():
        monkeypatch.setattr(calibrate, name, value)
    monkeypatch.setenv("JAXTRADE_NUM_ENVS", "auto")
    at = SMALL.index("--num-envs")
    ran = command(*SMALL[:at], *SMALL[at + 2 :])
    assert ran.code == 0, ran.err
    record = json.loads((tmp_path / "runs" / "here" / "calibration.json").read_text())
    seen = {trial["num_envs"]: trial["samples_per_second"] for trial in record["trials"]}
    assert set(seen) >= {8, 32}
    assert seen[record["chosen"]] >= 0.96 * max(seen.values())
    assert all(f"{count:>8}" in ran.out for count in seen)
    config = yaml.safe_load((tmp_path / "runs" / "here" / "config.yaml").read_text())
    assert config["num_envs"] == record["chosen"]
    assert config["total_timesteps"] == 20480
    assert command("--resume", "runs/here", "--total-timesteps", "30000").code == 0  # with auto still in the air
    again = yaml.safe_load((tmp_path / "runs" / "here" / "config.yaml").read_text())
    assert again == config | {"total_timesteps": 30000}
