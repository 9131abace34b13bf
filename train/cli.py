"""The command line of training: file, environment variables and dotted flags become one validated configuration.

Every value, wherever it comes from, passes the same pydantic models, so the message for a bad one is always the same.
"""

import json
import os
import re
import sys
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import yaml
from pydantic import BaseModel, Field, ValidationError, create_model

from jaxtrade.errors import InputError, did_you_mean
from train.config import AUTO, RunConfig, TrainConfig
from train.control_config import ControlConfig
from train.programme.config import ProgrammeConfig

PROGRAM = "python -m train.ppo"
PROGRAMS: dict[type[RunConfig], str] = {ProgrammeConfig: "python -m train.programme"}
ENVIRONMENT = {
    "JAXTRADE_DATA": "data",
    "JAXTRADE_NUM_ENVS": "num_envs",
    "JAXTRADE_RUNS_DIR": "runs_dir",
    "JAXTRADE_SEED": "seed",
}
DESCRIPTION = f"""
--config FILE  start from a YAML or JSON file, or from a preset by name (smoke, cartpole, ...).
--resume RUN   go on with the run in that folder; its configuration is the start.

Flags override the environment ({", ".join(ENVIRONMENT)}), which overrides the file.
A schedule alone is its kind: --ppo.learning-rate-schedule cosine."""
ABOUT: dict[type[RunConfig], str] = {
    TrainConfig: """Train a trading policy with PPO; writes runs/NAME/ with metrics, checkpoints and policy.npz.

With --env NAME, on an environment of gymnax instead: python -m train.ppo --env CartPole-v1 --help.
""",
    ControlConfig: """Train with PPO on an environment of gymnax; writes runs/NAME/ with metrics and checkpoints.
""",
    ProgrammeConfig: """Train a programme: several candidates at once, iteration after iteration over windows that walk
forward; writes runs/NAME/ with programme.html, the winners' policies and their stitched out-of-sample backtest.

--benchmark runs it with and without each optimisation, and reports what each of them saves and costs;
--benchmark=plain runs it with all and with none of them.
""",
}
Model = type[RunConfig]


class Arguments(NamedTuple):
    """A parsed command line."""

    config: Any  # TrainConfig, ControlConfig or ProgrammeConfig
    resume: Path | None


def program_of(model: Model) -> str:
    """Return the command that reads a model."""
    return PROGRAMS.get(model, PROGRAM)


def parse_arguments(argv: list[str], model: Model | None = None) -> Arguments:
    """Parse a command line; `--help` prints and exits.

    Args:
        argv: Without the program.
        model: What it configures; of train.ppo what `--env` says.

    Raises:
        InputError: An unknown flag or key, or an impossible value.
    """
    help_wanted = {"-h", "--help"} & set(argv)
    asked = _split([arg for arg in argv if arg not in help_wanted])
    config_file, resume = (_text(asked, name) for name in ("config", "resume"))
    data, default_source = _starting_point(config_file, resume)
    if model is None:
        model = ControlConfig if "env" in asked or isinstance(data.get("env"), str) else TrainConfig
    if help_wanted:
        _print_help(model)
    sources: dict[str, str] = {}
    before = data.get("num_envs")
    for variable, name in ENVIRONMENT.items():
        if os.environ.get(variable) and name in model.model_fields:  # set but empty is not set
            data[name], sources[name] = os.environ[variable], variable
    for name, value in _read_flags(asked, model).items():
        key = _written_out(model, name)
        _put(data, key, value, model)
        sources[key] = "--" + name.replace("_", "-")
    if resume is not None and data.get("num_envs") == AUTO:
        data["num_envs"] = before  # what the calibration chose when the run began
    config = validate(data, sources, default_source, model)
    return Arguments(config, Path(resume) if resume is not None else None)


def _starting_point(config_file: str | None, resume: str | None) -> tuple[dict[str, Any], str]:
    """Return the mapping that flags and variables change, and where it came from."""
    if resume is None:
        return ({}, "defaults") if config_file is None else load_file(config_file)
    if config_file is not None:
        raise InputError("--config", "cannot be given with --resume", "The run's own config.yaml is the start")
    path = Path(resume) / "config.yaml"
    if not path.exists():
        raise InputError(resume, "no run to resume: it holds no config.yaml", "Name a folder under runs/")
    return load_file(str(path))


def load_file(name: str) -> tuple[dict[str, Any], str]:
    """Read a YAML or JSON file, or a preset by name. Return its mapping and its path."""
    path = next((each for each in _candidates(name) if each.is_file()), None)
    if path is None:
        presets = sorted({file.stem for folder in preset_folders() for file in folder.glob("*.yaml")})
        raise InputError(name, "no such configuration file or preset", did_you_mean(name, presets))
    try:
        text = path.read_text(encoding="utf-8")
        data = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, OSError, RecursionError) as error:
        raise InputError(path, f"cannot be read: {' '.join(str(error).split())}", "Mend the file") from None
    data = {} if data is None else data
    if not isinstance(data, dict):
        raise InputError(path, "does not hold a mapping of keys to values", "See configs/default.yaml")
    return data, str(path)


def preset_folders() -> list[Path]:
    """Return the folders of the presets: the current one's, the checkout's, the installed package's."""
    here = Path(__file__).parent
    return [Path("configs"), here.parent / "configs", here / "configs"]


def _candidates(name: str) -> list[Path]:
    return [Path(name), *(folder / f"{name}.yaml" for folder in preset_folders())]


def validate(data: dict[str, Any], sources: dict[str, str], default_source: str, model: Model = TrainConfig) -> Any:
    """Return the configuration; the first violation names where it came from, its key, the rule and the value."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        parts = [str(part) for part in first["loc"]]
        key = ".".join(parts)
        source = sources.get(key) or sources.get(".".join(parts[:-1])) or _sources_within(key, first["msg"], sources)
        where = source or (f"{default_source}: {key}" if key else default_source)
        more = f" (1 of {error.error_count()} errors)" if error.error_count() > 1 else ""
        if first["type"] == "extra_forbidden":
            known = _section(model, parts[:-1])
            raise InputError(where, f"unknown key '{parts[-1]}'{more}", did_you_mean(parts[-1], known)) from None
        message = first["msg"].removeprefix("Value error, ")
        got = "" if isinstance(first["input"], dict) else f", got {first['input']!r}"
        raise InputError(
            where, f"{message[0].lower()}{message[1:]}{got}{more}", f"See {program_of(model)} --help"
        ) from None


def _sources_within(section: str, message: str, sources: dict[str, str]) -> str:
    """Return the flags and variables inside a section that a message about the whole section speaks of."""
    prefix = section + "." if section else ""
    words = set(re.findall(r"\w+", message))
    named = [name for name in sources if name.startswith(prefix) and name.rpartition(".")[2] in words]
    return ", ".join(sources[name] for name in named)


def _within(model: Any, name: str) -> Any:
    """Return the model of a section inside a model, None where there is none of that name."""
    field = model.model_fields.get(name)
    kind = field.annotation if field is not None else None
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _section(model: Any, parts: list[str]) -> list[str]:
    """Return the keys of the section at a path."""
    for part in parts:
        model = _within(model, part) if model is not None else None
    return list(model.model_fields) if model is not None else []


def _flag_types(model: type[BaseModel], prefix: str = "") -> dict[str, Any]:
    """Return every dotted key and its type; a section with a shorthand is a key as well."""
    result: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        section = _within(model, name)
        if section is not None:
            result |= _flag_types(section, f"{prefix}{name}.")
        if section is None or hasattr(section, "shorthand"):
            result[prefix + name] = str if section is not None else field.annotation
    return result


def _split(argv: list[str]) -> dict[str, tuple[str, list[str]]]:
    """Return {key: (flag as it was given, its values)}."""
    rest = [part for arg in argv for part in (arg.split("=", 1) if arg.startswith("--") else [arg])]
    asked: dict[str, tuple[str, list[str]]] = {}
    while rest:
        flag, values = rest.pop(0), []
        while rest and not rest[0].startswith("--"):
            values.append(rest.pop(0))
        asked[flag.removeprefix("--").replace("-", "_") if flag.startswith("--") else flag] = flag, values
    return asked


def _text(asked: dict[str, tuple[str, list[str]]], name: str) -> str | None:
    """Return the value of a flag that takes one, and None where it is not given."""
    return None if name not in asked else _flag_value(asked[name][0], str, asked[name][1])


def _read_flags(asked: dict[str, tuple[str, list[str]]], model: Model) -> dict[str, Any]:
    """Return {dotted key: text, texts or bool}."""
    types = _flag_types(model)
    flags: dict[str, Any] = {}
    for name, (flag, values) in asked.items():
        if name in ("config", "resume"):
            continue
        if name.startswith("no_") and types.get(name[3:]) is bool and not values:
            flags[name[3:]] = False
            continue
        if not flag.startswith("--") or name not in types:
            known = ["--" + key.replace("_", "-") for key in (*types, "config", "resume")]
            raise InputError(program_of(model), f"unknown argument '{flag}'", did_you_mean(flag, known))
        flags[name] = _flag_value(flag, types[name], values)
    return flags


def _flag_value(flag: str, kind: Any, values: list[str]) -> Any:
    """Return a flag's values as its type wants them."""
    if kind is bool and not values:
        return True
    if any(many in str(kind) for many in ("tuple[", "dict[")):
        return values
    if len(values) != 1:
        raise InputError(flag, f"takes one value, got {len(values)}", f"See {PROGRAM} --help")
    return values[0]


def _written_out(model: Any, name: str) -> str:
    """Return a dotted key; that of a section means the key that the section is short for."""
    for part in name.split("."):
        model = _within(model, part)
    return name if model is None else f"{name}.{model.shorthand}"


def _put(data: dict[str, Any], name: str, value: Any, model: Any) -> None:
    """Set a dotted key in nested dictionaries.

    A section that is no mapping, nor a text that stands for one, is left for the models to refuse.
    """
    *sections, last = name.split(".")
    for section in sections:
        model = _within(model, section)
        if isinstance(data.get(section), str) and hasattr(model, "shorthand"):
            data[section] = {model.shorthand: data[section]}
        data = data.setdefault(section, {})
        if not isinstance(data, dict):
            return
    data[last] = value


def _print_help(model: Model) -> None:
    import tyro

    tyro.cli(_for_help(model), args=["--help"], prog=program_of(model), description=ABOUT[model] + DESCRIPTION)
    sys.exit(0)


def _metavar(name: str, default: Any) -> str:
    if isinstance(default, dict):
        return {"features": "NAME[=NUMBERS] ...", "reward": "NAME[=WEIGHT] ..."}.get(name, "NAME=NUMBER ...")
    return "AMOUNT"


def _as_text(default: Any) -> str:
    """Return a default as one would type it."""
    if not isinstance(default, dict):
        return "none" if default is None else f"{default:g}"
    if not default:
        return "none"
    pairs = {name: ",".join(map(str, each)) if isinstance(each, tuple) else "" for name, each in default.items()}
    return " ".join(f"{name}={numbers}" if numbers else name for name, numbers in pairs.items())


def _for_help(model: type[BaseModel], defaults: BaseModel | None = None) -> type[BaseModel]:
    """Return the model as help shows it: what may be a number, a range or a mapping is one kind of text."""
    import tyro

    fields: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        kind, default = field.annotation, getattr(defaults, name, field.default)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            kind = _for_help(kind, default)
            default = kind()
        elif "dict[" in str(kind):
            kind, default = Annotated[str, tyro.conf.arg(metavar=_metavar(name, default))], _as_text(default)
        fields[name] = (kind, Field(default=default, description=field.description))
    return create_model(model.__name__, __doc__=model.__doc__, **fields)
