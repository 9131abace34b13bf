"""`--env NAME` and a file whose `env` is a text choose control; the rest of the command line is as for trading."""

from pathlib import Path

import pytest
import yaml

from jaxtrade.errors import InputError
from train.cli import ENVIRONMENT, parse_arguments
from train.config import TrainConfig
from train.control_config import ControlConfig


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for variable in ENVIRONMENT:
        monkeypatch.delenv(variable, raising=False)


def parse(line: str) -> TrainConfig | ControlConfig:
    return parse_arguments(line.split()).config


def test_an_environment_by_name_chooses_control() -> None:
    config = parse("--env Acrobot-v1 --env-params max_steps_in_episode=100 gravity=9.8 --observe 0 2 --num-envs 8")
    assert isinstance(config, ControlConfig)
    assert (config.env, config.observe, config.num_envs) == ("Acrobot-v1", (0, 2), 8)
    assert config.env_params == {"max_steps_in_episode": 100.0, "gravity": 9.8}
    assert parse("--env=Acrobot-v1").env == "Acrobot-v1"
    assert isinstance(parse("--env.action target_weight"), TrainConfig)


def test_a_file_chooses_control() -> None:
    Path("a.yaml").write_text("env: Acrobot-v1\nenv_params: {gravity: 9}\nppo: {clip_schedule: linear}\n")
    config = parse("--config a.yaml --ppo.clip-schedule.end 0.5 --network.kind lstm")
    assert (config.env, config.env_params, config.network.kind) == ("Acrobot-v1", {"gravity": 9.0}, "lstm")
    assert (config.ppo.clip_schedule.kind, config.ppo.clip_schedule.end) == ("linear", 0.5)
    Path("b.yaml").write_text("env: {action: target_weight}\n")
    assert isinstance(parse("--config b.yaml"), TrainConfig)


def test_a_resumed_run_is_of_its_kind() -> None:
    Path("config.yaml").write_text(yaml.safe_dump(ControlConfig(seed=3).model_dump(mode="json")))
    assert parse("--resume . --total-timesteps 9") == ControlConfig(seed=3, total_timesteps=9)


@pytest.mark.parametrize("first", ["", "--env CartPole-v1 "])
def test_a_schedule_alone_is_its_kind(first: str) -> None:
    """In both kinds of training, beside its other numbers, and over those of a file."""
    name = "--ppo.learning-rate-schedule"
    config = parse(f"{first}{name} cosine {name}.end 0.1 --ppo.entropy_schedule exponential")
    assert (config.ppo.learning_rate_schedule.kind, config.ppo.learning_rate_schedule.end) == ("cosine", 0.1)
    assert config.ppo.entropy_schedule.kind == "exponential"
    Path("a.yaml").write_text("ppo: {learning_rate_schedule: {kind: linear, end: 0.2}, clip_schedule: cosine}\n")
    config = parse(f"{first}--config a.yaml {name} cosine")
    assert (config.ppo.learning_rate_schedule.kind, config.ppo.learning_rate_schedule.end) == ("cosine", 0.2)
    assert config.ppo.clip_schedule.kind == "cosine"


REFUSED = {
    "--env CartPole-v1 --env.action orders": "unknown argument '--env.action'",
    "--env CartPole-v1 --data a.csv": "unknown argument '--data'",
    "--env CartPole-v1 --num-env 3": "unknown argument '--num-env'. Did you mean '--num-envs'?",
    "--env": "--env: takes one value, got 0",
    "--env CartPole-v1 --env-params gravity": "--env-params: must be numbers by name",
    "--env CartPole-v1 --env-params gravity=x": "--env-params: input should be a valid number",
    "--env CartPole-v1 --observe 0 0": "--observe: names a component twice",
    "--env CartPole-v1 --observe -1": "--observe: input should be greater than or equal to 0",
    "--env CartPole-v1 --network.kind gru": "--network.kind: input should be 'mlp' or 'lstm', got 'gru'",
    "--env CartPole-v1 --ppo.clip-schedule cos": "--ppo.clip-schedule: input should be 'constant', 'linear'",
    "--ppo.clip-schedule cos": "--ppo.clip-schedule: input should be 'constant', 'linear'",
    "--env CartPole-v1 --network.kind lstm --num-envs 6": "--num-envs: num_envs 6 is not a multiple of",
    "--env CartPole-v1 --ppo.rollout-length 6": "--ppo.rollout-length: ppo.rollout_length 6 is not a multiple",
    "--env CartPole-v1 --num-envs auto": "--num-envs: input should be a valid integer",
    "--config cartpol": "cartpol: no such configuration file or preset. Did you mean 'cartpole'?",
}


@pytest.mark.parametrize("line", REFUSED)
def test_refused(line: str) -> None:
    with pytest.raises(InputError) as error:
        parse(line)
    assert REFUSED[line] in str(error.value)


@pytest.mark.parametrize("line", ["--env CartPole-v1 --help", "--help --config cartpole"])
def test_help_is_that_of_control(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parse(line)
    assert end.value.code == 0
    out = capsys.readouterr().out
    assert "--env-params" in out
    assert "--ppo.normalize-observation" in out
    assert "--market" not in out


def test_help_of_trading_shows_its_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    """Those of a schedule are the defaults of where it stands, not of its kind."""
    with pytest.raises(SystemExit):
        parse("-h")
    out = capsys.readouterr().out
    assert "--env CartPole-v1 --help" in out
    kinds = out.split("--ppo.learning-rate-schedule.kind")[1].split("--ppo.learning-rate-schedule.end")[0]
    assert "(default: linear)" in " ".join(kinds.replace("│", " ").split())
