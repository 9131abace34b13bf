"""Where a configuration comes from: defaults, file, environment variables, flags, each over the one before."""

import datetime
import json
from pathlib import Path

import pytest
import yaml

from tests.helpers.planting import ROOT
from train.cli import ENVIRONMENT, load_file, parse_arguments, validate
from train.config import TrainConfig
from train.programme.config import ProgrammeConfig

PRESETS = sorted(file.stem for file in (ROOT / "configs").glob("*.yaml"))


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for variable in ENVIRONMENT:
        monkeypatch.delenv(variable, raising=False)


def parse(*argv: str) -> TrainConfig:
    return parse_arguments(list(argv)).config


def test_no_flags_are_the_defaults() -> None:
    assert parse() == TrainConfig()
    assert parse_arguments([]).resume is None


def test_the_default_preset_writes_every_default_out() -> None:
    data, source = load_file("default")
    assert Path(source) == ROOT / "configs" / "default.yaml"
    assert validate(data, {}, source) == TrainConfig()
    assert data == json.loads(TrainConfig().model_dump_json())  # so that no key is left out


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_valid(name: str) -> None:
    model = ProgrammeConfig if name.endswith("_programme") else None
    assert parse_arguments(["--config", name], model).config.num_envs > 0
    assert set(PRESETS) >= {"default", "smoke"}


def test_a_file_of_that_name_comes_before_the_preset() -> None:
    Path("smoke").write_text("seed: 77", encoding="utf-8")
    assert parse("--config", "smoke").seed == 77


def test_yaml_and_json_say_the_same() -> None:
    Path("a.yaml").write_text("num_envs: 32\nppo:\n  epochs: 2\n  learning_rate: 1e-4\nnetwork: {branches: [1, 7]}\n")
    Path("a.json").write_text(
        '{"num_envs": 32, "ppo": {"epochs": 2, "learning_rate": 1e-4}, "network": {"branches": [1, 7]}}'
    )
    config = parse("--config", "a.yaml")
    assert config == parse("--config", "a.json")
    assert (config.num_envs, config.ppo.epochs, config.ppo.learning_rate, config.network.branches) == (
        32,
        2,
        1e-4,
        (1, 7),
    )
    assert config.ppo.lanes == TrainConfig().ppo.lanes


def test_an_empty_file_is_the_defaults() -> None:
    Path("a.yaml").write_text("# nothing yet\n", encoding="utf-8")
    assert parse("--config", "a.yaml") == TrainConfig()


def test_variables_override_the_file_and_flags_both(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("a.yaml").write_text("num_envs: 32\nseed: 1\ndata: a.csv\nruns_dir: a\n", encoding="utf-8")
    values = {"JAXTRADE_NUM_ENVS": "64", "JAXTRADE_SEED": "2", "JAXTRADE_DATA": "b.csv", "JAXTRADE_RUNS_DIR": "b"}
    assert set(values) == set(ENVIRONMENT)
    for variable, value in values.items():
        monkeypatch.setenv(variable, value)

    def found(*argv: str) -> tuple[int, int, str, str]:
        config = parse(*argv)
        return config.num_envs, config.seed, config.data, config.runs_dir

    assert found() == (64, 2, "b.csv", "b")
    assert found("--config", "a.yaml") == (64, 2, "b.csv", "b")
    assert found("--config", "a.yaml", "--num-envs", "128", "--data", "c.csv") == (128, 2, "c.csv", "b")
    assert found("--num-envs", "128", "--config", "a.yaml", "--seed=5", "--runs-dir", "c") == (128, 5, "b.csv", "c")
    monkeypatch.setenv("JAXTRADE_NUM_ENVS", "")  # set but empty is not set
    assert found("--config", "a.yaml") == (32, 2, "b.csv", "b")


def test_the_number_of_environments_may_be_auto(monkeypatch: pytest.MonkeyPatch) -> None:
    """By file, variable and flag; on a resumed run it is the number that was chosen."""
    Path("a.yaml").write_text("num_envs: auto\n", encoding="utf-8")
    assert parse("--config", "a.yaml").num_envs == "auto"
    assert parse("--num-envs", "auto").num_envs == "auto"
    assert parse("--num-envs", "auto").model_dump(mode="json")["num_envs"] == "auto"
    monkeypatch.setenv("JAXTRADE_NUM_ENVS", "auto")
    assert parse().num_envs == "auto"
    assert parse("--num-envs", "32").num_envs == 32
    Path("config.yaml").write_text("num_envs: 48\n", encoding="utf-8")
    assert parse("--resume", ".").num_envs == 48


def test_flags_change_one_key_of_a_section_of_the_file() -> None:
    Path("a.yaml").write_text("ppo: {epochs: 2, gamma: 0.9}\nenv: {costs: {buy_percent: 0.5}}\n", encoding="utf-8")
    config = parse("--config", "a.yaml", "--ppo.gamma", "0.8", "--env.costs.sell-percent", "0.7")
    assert (config.ppo.epochs, config.ppo.gamma) == (2, 0.8)
    assert (config.env.costs.buy_percent, config.env.costs.sell_percent) == (0.5, 0.7)


def test_dotted_flags() -> None:
    config = parse(
        *("--network.branches", "1", "5", "20", "--market.features", "macd=5,9,3", "rsi", "returns=1"),
        *("--market.symbols", "MSFT", "AAPL", "--env.allow_short", "--no-tensorboard", "--ppo.learning-rate=3e-4"),
        *("--market.split.train-until", "2010-06-30", "--name", "a=b"),
    )
    assert config.network.branches == (1, 5, 20)
    assert config.market.features == {"macd": (5, 9, 3), "rsi": (), "returns": (1,)}
    assert config.market.symbols == ("MSFT", "AAPL")
    assert (config.env.allow_short, config.tensorboard, config.ppo.learning_rate) == (True, False, 3e-4)
    assert config.market.split.train_until == datetime.date(2010, 6, 30)
    assert config.name == "a=b"


@pytest.mark.parametrize("flag", [["--tensorboard", "false"], ["--tensorboard=no"], ["--no-tensorboard"]])
def test_switches(flag: list[str]) -> None:
    assert not parse(*flag).tensorboard
    assert parse("--tensorboard").tensorboard


def test_resume_starts_from_the_configuration_of_the_run() -> None:
    config = TrainConfig(seed=9, num_envs=48, market={"split": {"train_until": "2010-06-30"}})
    Path("old").mkdir()
    Path("old/config.yaml").write_text(yaml.safe_dump(config.model_dump(mode="json")), encoding="utf-8")
    arguments = parse_arguments(["--resume", "old", "--total-timesteps", "5000"])
    assert arguments.resume == Path("old")
    assert arguments.config == config.model_copy(update={"total_timesteps": 5000})
