"""A run's folder: its resolved configuration and its fingerprint."""

import csv
import errno
import hashlib
import importlib.metadata
import json
import math
import os
import platform
import shutil
import time
from pathlib import Path
from typing import Any

import yaml

from jaxtrade import trials
from jaxtrade.assemble import rule_params
from jaxtrade.errors import InputError
from jaxtrade.market.sources.names import absolute, name_of
from jaxtrade.market.table import MarketTable
from train.config import RunConfig, TrainConfig
from train.lock import hold

PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "gymnax", "numpy", "pandas", "ta-lib")
MAY_CHANGE = (
    *("total_timesteps", "eval_every", "eval_episodes", "tensorboard", "jsonl", "monitor", "runs_dir", "max_discarded"),
    *("callbacks", "checkpoints.", "early_stop.", "ppo."),
)
FIXED_PPO = ("ppo.lanes", "ppo.rollout_length", "ppo.episode_bars", "ppo.normalize_observation")
Record = dict[str, Any]


def resolve_config(config: TrainConfig, table: MarketTable) -> TrainConfig:
    """Return the configuration with name, data, symbols and split dates filled in.

    Raises:
        InputError: The market cannot be traded with these actions, or cannot be validated on.
    """
    symbols = len(table.symbols)
    if config.env.one_symbol and symbols != 1:
        what = f"action {config.env.action} trades one symbol, the data holds {symbols}"
        raise InputError(config.data, what, "Use --env.action continuous, or name one symbol by --market.symbols")
    rule_params(config.env, table.symbols)
    table.span("validation")
    source = absolute(config.data)
    name = config.name or _default_name(config)
    return config.model_copy(update={"name": name, "market": table.config, "data": source})


def check_run(config: TrainConfig, table: MarketTable, resume: Path | None) -> Path:
    """Return the folder that `open_run` will create or open; nothing of the run is written yet.

    Raises:
        InputError: A new run would overwrite one or cannot be written; a resumed one would not fit its checkpoints
            or is part of a programme.
    """
    if resume is None:
        return free_folder(config)
    above = resume.absolute().parent
    if is_programme(above):
        remedy = f"Resume all of it: python -m train.programme --resume {above}"
        raise InputError(resume, "is one iteration of a programme", remedy)
    check_data(resume, "data_sha256", table.data_hash)
    check_changes(resume, config)
    return resume


def is_programme(run: Path) -> bool:
    """Tell whether a folder holds the configuration of a programme."""
    if not all((run / name).exists() for name in trials.OF_A_RUN):
        return False
    try:
        found = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError, OSError):
        return False
    return isinstance(found, dict) and "iterations" in found


def open_run(config: TrainConfig, table: MarketTable, resume: Path | None, calibration: Record | None = None) -> Path:
    """Create the folder of a resolved configuration, or open one to resume; return it.

    Raises:
        InputError: As `check_run`.
    """
    run = check_run(config, table, resume)
    ledger = trials.ledger_path(run)
    if resume is not None:
        reopen_run(run, config)
    else:
        records = {"fingerprint.json": fingerprint(config, table)}
        create_run(run, config, records | ({} if calibration is None else {"calibration.json": calibration}))
    if not any(entry.event == "train" and entry.run == run.name for entry in trials.read(ledger)) or resume is None:
        trials.append(ledger, "train", **trial_of(run, table))
    return run


def free_folder(config: RunConfig) -> Path:
    """Return the folder of a new run, whose name is resolved.

    Raises:
        InputError: It exists already, or cannot be written.
    """
    run = Path(config.runs_dir) / str(config.name)
    if run.exists():
        raise InputError(run, "this run exists already", f"Choose another --name, or go on with --resume {run}")
    above = next(folder for folder in run.absolute().parents if folder.exists())
    if not above.is_dir():
        raise _not_writable(run, errno.ENOTDIR)
    if not os.access(above, os.W_OK | os.X_OK):
        raise _not_writable(run, errno.EACCES)
    return run


def _not_writable(run: Path, number: int | None) -> InputError:
    return InputError(run, f"cannot be written ({os.strerror(number or 0)})", "Choose another --runs-dir")


def create_run(run: Path, config: RunConfig, records: dict[str, Record], latest: bool = True) -> Path:
    """Create a run's folder with its configuration and some JSON files, whole or not at all; return it.

    Unless it is a part of something larger, `latest` beside it points to it.

    Raises:
        InputError: It cannot be written.
    """
    draft = run.with_name(f".{run.name}-{os.getpid()}")
    try:
        draft.mkdir(parents=True)
        _write_config(draft, config)
        for name, record in records.items():
            (draft / name).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        draft.rename(run)
    except OSError as error:
        shutil.rmtree(draft, ignore_errors=True)
        raise _not_writable(run, error.errno) from None
    if latest:
        _point_latest(run)
    return run


def reopen_run(run: Path, config: RunConfig) -> Path:
    """Write the configuration with which a run goes on; `check_changes` has seen it. Return the folder.

    Raises:
        InputError: It cannot be written, or another process trains there.
    """
    try:
        with hold(run):
            _write_config(run, config)
    except OSError as error:
        raise _not_writable(run, error.errno) from None
    return run


def trial_of(run: Path, table: MarketTable) -> Record:
    """Return what the trial ledger says of a run."""
    config = (run / "config.yaml").read_bytes()
    return {"run": run.name, "data_sha256": table.data_hash, "config_sha256": hashlib.sha256(config).hexdigest()}


def record_validations(run: Path, table: MarketTable) -> None:
    """Record in the trial ledger how often the run was validated, and the figures of its best policy."""
    with (run / "metrics.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row.get("validation_log_growth")]
    best = max(rows, key=lambda row: float(row["validation_log_growth"]), default={})
    figures = {name: float(text) for name, text in best.items() if name.startswith("validation_") and text}
    detail = {name: value if math.isfinite(value) else None for name, value in figures.items()}
    span = table.ranges["validation"]
    about = trial_of(run, table) | {"split": "validation", "range": (span.first, span.last)}
    trials.append(trials.ledger_path(run), "validate", **about, detail={"validations": len(rows), "best": detail})


def _write_config(run: Path, config: RunConfig) -> None:
    text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, default_flow_style=None)
    draft = run / f".config-{os.getpid()}.yaml"
    draft.write_text(text, encoding="utf-8")
    draft.replace(run / "config.yaml")


def check_data(run: Path, key: str, now: str) -> None:
    """Refuse to go on with other data than the fingerprint names."""
    try:
        before = json.loads((run / "fingerprint.json").read_text(encoding="utf-8"))[key]
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(run, "its fingerprint.json is missing or damaged", "Start a new run") from None
    if before != now:
        raise InputError(run, "the data changed since this run was started", "Start a new run, or restore the data")


def check_changes(run: Path, config: RunConfig) -> None:
    """Refuse to go on with a configuration that the checkpoints do not fit."""
    old = dotted(yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8")))
    new = dotted(config.model_dump(mode="json"))
    for key in new:
        if old.get(key) != new[key] and (key in FIXED_PPO or not key.startswith(MAY_CHANGE)):
            what = f"'{key}' was {old.get(key)!r} and cannot become {new[key]!r} in a resumed run"
            raise InputError(run, what, f"Start a new run; {', '.join(MAY_CHANGE)}* may change")


def dotted(data: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested mappings into {dotted key: value}."""
    flat: dict[str, Any] = {}
    for key, value in data.items():
        flat |= dotted(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat


def versions() -> dict[str, str]:
    """Return the versions that can change a result."""
    from jaxtrade import __version__

    return {
        "jaxtrade": __version__,
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in PACKAGES},
    }


def fingerprint(config: TrainConfig, table: MarketTable) -> Record:
    """Return what identifies a run: versions, data and seed."""
    return {
        "versions": versions(),
        "platform": platform.platform(),
        "seed": config.seed,
        "data_sha256": table.data_hash,
        "symbols": list(table.symbols),
        "ranges": range_times(table),
        "warning": table.warning,
        "data": table.report,
    }


def range_times(table: MarketTable) -> dict[str, tuple[str, str]]:
    """Return the first and last time of each range that holds a decision."""
    spans = {name: span for name, span in table.ranges.items() if span.decisions >= 1}
    return {name: (str(table.time[span.first]), str(table.time[span.last])) for name, span in spans.items()}


def _default_name(config: TrainConfig) -> str:
    return f"{name_of(config.data)}-{config.network.kind}-{time.strftime('%Y%m%d-%H%M%S')}"


def _point_latest(run: Path) -> None:
    """Let runs/latest point to the newest run, where the system has symbolic links."""
    link, temporary = run.parent / "latest", run.parent / f".latest-{os.getpid()}"
    if link.exists() and not link.is_symlink():
        return
    try:
        temporary.symlink_to(run.name, target_is_directory=True)
        temporary.replace(link)
    except OSError:
        temporary.unlink(missing_ok=True)
