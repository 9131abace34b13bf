"""What a programme may be asked for, and how everything else is refused: in one line, before anything is written."""

import math
import signal
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from jaxtrade.envs.synthetic import random_bars
from jaxtrade.errors import STOPPED, run_command
from tests.helpers import commands
from tests.helpers.commands import Runner, make_runner, refuse
from tests.helpers.planting import ROOT, run_python
from tests.helpers.price_files import csv_lines, write_lines
from tests.helpers.programmes import BARS, SMALL, price_file, small_programme
from train.folder import create_run, open_run, resolve_config
from train.programme.__main__ import command
from train.programme.config import Candidate, ProgrammeConfig, parse_space, with_values
from train.programme.fleet import open_ground, plain_config
from train.programme.open import resolve, start_folder


def config_of(**changes: Any) -> ProgrammeConfig:
    return ProgrammeConfig.model_validate(SMALL | changes)


def test_values_are_read_as_what_they_say() -> None:
    texts = ["network.hidden=32,64", "ppo.gamma=0.9,1e-1", "ppo.cut=lanes,samples", "ppo.normalize_reward=true,False"]
    wanted = {
        "network.hidden": (32, 64),
        "ppo.gamma": (0.9, 0.1),
        "ppo.cut": ("lanes", "samples"),
        "ppo.normalize_reward": (True, False),
    }
    assert parse_space(texts) == wanted
    assert parse_space({key: list(values) for key, values in wanted.items()}) == wanted
    assert parse_space({"network.hidden": 32}) == {"network.hidden": (32,)}
    for bad in ("network.hidden", ["network.hidden="], ["network.hidden"], 3):
        with pytest.raises(ValueError, match=r"give at least one value|must be values by key|dictionary update"):
            parse_space(bad)


def test_the_line_up_is_every_combination_with_every_seed() -> None:
    vary = {"ppo.learning_rate": [1e-3, 3e-4], "env.costs.buy_percent": [0.05, 0.1, 0.2]}
    config = config_of(candidates=12, vary=vary, seed=5)
    wanted = [
        Candidate(seed, dict(zip(vary, values, strict=True))) for seed in (5, 6) for values in product(*vary.values())
    ]
    assert config.lineup == wanted
    assert len({tuple(each.settings.values()) for each in config.lineup[:6]}) == 6
    assert config_of(candidates=3).lineup == [Candidate(seed, {}) for seed in (0, 1, 2)]


def test_a_configuration_written_down_is_the_same_again() -> None:
    vary = {"ppo.clip": (0.1, 0.2), "env.costs.buy_percent": (0.0, 0.1)}
    config = config_of(candidates=4, vary=vary, search={"trials": 2, "space": {"ppo.cut": ["lanes", "samples"]}})
    assert ProgrammeConfig.model_validate(config.model_dump(mode="json")) == config
    changed = with_values(config, {"ppo.clip": 0.3, "seed": 9})
    assert (changed.ppo.clip, changed.seed, config.ppo.clip) == (0.3, 9, 0.2)


@pytest.mark.parametrize("least", [None, 1, 3000, 10**9])
def test_updates_shrink_by_the_factor_down_to_the_floor(least: int | None) -> None:
    config = config_of(total_timesteps=128 * 100, min_timesteps=least)
    floor = min(12_800, math.ceil(0.3 * 12_800) if least is None else least)
    wanted = [math.ceil(round(max(12_800 * 0.95**i, floor)) / 128) for i in range(60)]
    found = [config.planned_updates(i) for i in range(60)]
    assert found == wanted
    assert found[0] == config.updates == 100
    assert all(after <= before for before, after in pairwise(found))
    if least != 1:
        assert found[-1] == math.ceil(floor / 128)


def test_without_adaptive_timesteps_all_iterations_are_as_long() -> None:
    config = config_of(adaptive_timesteps=False)
    assert {config.planned_updates(i) for i in range(8)} == {config.updates}
    slow = config_of(total_timesteps=12_800, timesteps_factor=0.5, min_timesteps=128)
    assert [slow.planned_updates(i) for i in range(9)] == [100, 50, 25, 13, 7, 4, 2, 1, 1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vary": {"ppo.gama": [0.9]}}, "ppo.gama cannot be varied in one compiled program; those that can: ppo.learn"),
        ({"vary": {"network.hidden": [8]}}, "network.hidden cannot be varied"),
        ({"vary": {"ppo.clip": ["x"]}}, r"ppo.clip: values must be numbers, got \['x'\]"),
        ({"vary": {"ppo.clip": [True]}}, "values must be numbers"),
        ({"vary": {"env.reward.sharpe": [1.0]}}, r"vary env.reward.sharpe is no reward of env.reward \(log_return\)"),
        ({"vary": {"ppo.clip": [0.1, 0.2]}, "candidates": 3}, "candidates 3 is no multiple of the 2 of vary"),
        ({"early_stop": {"patience": 2}}, "early_stop.patience is for train.ppo"),
        ({"num_envs": "auto"}, "auto is for train.ppo"),
        ({"timesteps_factor": 1.5}, "timesteps_factor"),
        ({"patience": 0}, "patience"),
        ({"convergence_threshold": -1}, "convergence_threshold"),
        ({"windows": {"kind": "sliding"}}, "windows.kind"),
        ({"iterations": 0}, "iterations"),
    ],
)
def test_impossible_configurations(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        config_of(**changes)


# The command ---------------------------------------------------------------------------------------------------------

BASE = (
    "--runs-dir runs --name a --num-envs 8 --env.window 10 --network.kind mlp --network.hidden 8 --network.head 8"
    " --ppo.rollout-length 16 --ppo.lanes 4 --ppo.episode-bars 32 --total-timesteps 768 --iterations 3 --candidates 2"
)
HELP = "See python -m train.programme --help"
REFUSED = {
    "typo": ("--iteratons 4", "python -m train.programme: unknown argument '--iteratons'|Did you mean '--iterations'?"),
    "switch": ("--no-warm-stort", "unknown argument '--no-warm-stort'"),
    "schedule": ("--schedule balancd", "schedule balancd: no such schedule or file|Did you mean 'balanced'?"),
    "vary": ("--vary ppo.gamma=0.9,0.99", f"--vary: ppo.gamma cannot be varied in one compiled program|{HELP}"),
    "vary costs": (
        "--vary env.costs.buy_percnt=0.1,0.2",
        "--vary: env.costs.buy_percnt cannot be varied in one compiled program; did you mean env.costs.buy_percent?",
    ),
    "vary a side": ("--vary env.costs.stamp_duty_side=1", "--vary: env.costs.stamp_duty_side cannot be varied"),
    "vary parameter": ("--vary env.reward_params.idle=1,2", "did you mean env.reward_params.idle_decay?"),
    "vary value": ("--vary ppo.learning_rate=-1,1e-3", "--vary: vary ppo.learning_rate: |greater than 0, got -1.0"),
    "vary cost": ("--vary env.costs.buy_percent=-1,1", "--vary: vary env.costs.buy_percent: |got -1.0"),
    "vary a range": (
        "--env.costs.buy-percent 0.1 0.2 --vary env.costs.buy_percent=0.1,0.2",
        "vary env.costs.buy_percent: is not one number in env.costs",
    ),
    "multiple": ("--candidates 3 --vary ppo.clip=0.1,0.2", "--candidates|candidates 3 is no multiple of the 2 of vary"),
    "auto": ("--num-envs auto", "--num-envs: auto is for train.ppo; a programme needs a number"),
    "split": (
        "--market.split.train-until 2001-01-01",
        "market.split: is for windows.kind fixed; windows.kind rolling makes the splits itself|windows.train_bars",
    ),
    "too short": ("--windows.test-bars 400", "windows.|iterations"),
    "too many": ("--iterations 400", "windows.|iterations"),
    "rollout": ("--ppo.rollout-length 1600 --ppo.minibatches 4", "range 'train': holds|Lower ppo.rollout_length"),
    "lanes": ("--num-envs 9", "num_envs|lanes"),
    "data": ("--data nowhere.csv", "nowhere.csv"),
    "exists": ("--name old", "runs/old: this run exists already. Choose another --name"),
    "callback": ("--callbacks nowhere.module:Class", "nowhere.module:Class"),
    "search": ("--search.trials 2", "search.space: is empty"),
    "searched": ("--search.trials 2 --search.space network.hiden=8,16", "search.space network.hiden: unknown key"),
    "early stop": ("--early-stop.patience 3", "early_stop.patience is for train.ppo"),
}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Runner:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(commands.MAINS, "programme", lambda: run_command(command))  # on one device, as all tests
    monkeypatch.setattr("train.programme.loop.compile_fleet", commands.never)
    monkeypatch.setattr("train.programme.open.compile_fleet", commands.never)
    price_file(tmp_path)
    (tmp_path / "runs" / "old").mkdir(parents=True)
    return make_runner(monkeypatch, capsys)


@pytest.mark.parametrize("what", REFUSED)
def test_refused_in_one_line_before_anything_is_written(tmp_path: Path, run: Runner, what: str) -> None:
    words, pieces = REFUSED[what]
    refuse(run, tmp_path, pieces, "programme", "--data", "prices.csv", *BASE.split(), *words.split())


@pytest.mark.parametrize("argument", ["--help", "--hepl"])
def test_help_and_errors_do_not_wait_for_jax(argument: str) -> None:
    code = f"import sys; sys.argv = ['programme', {argument!r}]\nfrom train.programme.__main__ import main\n"
    code += "try:\n    status = main()\nexcept SystemExit as stop:\n    status = stop.code or 0\n"
    code += "assert not {'jax', 'flax', 'optax', 'orbax', 'pandas'} & set(sys.modules)\nsys.exit(status)"
    ran = run_python(ROOT, "-c", code)
    assert ran.returncode == (0 if argument == "--help" else 2), ran
    assert ("--no-warm-start" in ran.stdout) == (argument == "--help")


# Resuming ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def begun(tmp_path: Path) -> Path:
    """A programme that has begun, and a run of train.ppo."""
    config = small_programme(tmp_path / "runs", "begun", data=str(price_file(tmp_path)))
    ground = open_ground(config)
    run = start_folder(resolve(config, ground), ground, None)
    own = plain_config(config, {"name": "ppo", "data": str(price_file(tmp_path))})
    open_run(resolve_config(own, ground.table(0)), ground.table(0), None)
    inside = own.model_copy(update={"name": "iteration-01", "runs_dir": str(run)})
    create_run(run / "iteration-01", resolve_config(inside, ground.table(0)), {"fingerprint.json": {}})
    return run


NOT_RESUMED = {
    "seed": ("begun --seed 4", "runs/begun: 'seed' was 0 and cannot become 4 in a resumed programme"),
    "switch": ("begun --no-warm-start", "'warm_start' was True and cannot become False in a resumed programme"),
    "longer": ("begun --iterations 4", "'iterations' was 3 and cannot become 4"),
    "vary": ("begun --vary ppo.clip=0.1,0.2", "'vary.ppo.clip' was None and cannot become [0.1, 0.2]"),
    "data": ("begun --data other/prices.csv", "runs/begun: |data"),
    "gone": ("gone", "gone: no run to resume: it holds no config.yaml. Name a folder under runs/"),
    "ppo": (
        "ppo",
        "runs/ppo: is a training run, and no programme. Go on with it: python -m train.ppo --resume runs/ppo",
    ),
    "inside": ("begun/iteration-01", "is one iteration of a programme. Resume all of it: --resume "),
    "two": ("begun --config smoke", "--config: cannot be given with --resume"),
}


@pytest.mark.parametrize("what", NOT_RESUMED)
def test_what_cannot_be_resumed(tmp_path: Path, run: Runner, begun: Path, what: str) -> None:
    (tmp_path / "other").mkdir()
    write_lines(tmp_path / "other" / "prices.csv", csv_lines(random_bars(BARS, seed=22)))
    words, pieces = NOT_RESUMED[what]
    refuse(run, tmp_path, pieces, "programme", "--resume", *f"runs/{words}".split())


def test_an_iteration_alone_is_not_resumed(tmp_path: Path, run: Runner, begun: Path) -> None:
    """Nor recorded as another trial."""
    pieces = f"is one iteration of a programme. Resume all of it: python -m train.programme --resume {begun}"
    refuse(run, tmp_path, pieces, "ppo", "--resume", "runs/begun/iteration-01")


# Signals -------------------------------------------------------------------------------------------------------------


def test_an_interrupt_says_how_to_go_on(tmp_path: Path, run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGTERM as Ctrl-C, wherever it comes."""

    def interrupted(*given: Any) -> None:
        signal.raise_signal(signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("train.programme.loop.Programme.run_all", interrupted)
    ran = run("programme", "--data", "prices.csv", *BASE.split())
    assert ran.code == STOPPED == 130
    assert ran.out.splitlines()[-1].endswith(". Go on: python -m train.programme --resume runs/a")
    assert ran.out.count("--resume") == 1
    assert ran.err == ""
    assert signal.getsignal(signal.SIGTERM) == before
