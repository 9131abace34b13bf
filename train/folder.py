"""A run's folder: its resolved configuration and its fingerprint."""

import importlib.metadata
import json
import os
import platform
import time
from pathlib import Path
from typing import Any

import yaml

from jaxtrade.errors import InputError
from jaxtrade.market.table import MarketTable
from train.config import TrainConfig

PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "gymnax", "numpy", "pandas", "ta-lib")
MAY_CHANGE = ("total_timesteps", "eval_every", "tensorboard", "runs_dir")
FIXED_PPO = ("ppo.lanes", "ppo.rollout_length", "ppo.episode_bars")


def open_run(config: TrainConfig, table: MarketTable, resume: Path | None) -> tuple[Path, TrainConfig]:
    """Create a run's folder, or open one to resume. Return it and the configuration with everything resolved.

    Raises:
        InputError: A new run would overwrite one, or a resumed one would see other data.
    """
    if resume is not None:
        _check_resumed(resume, config, table)
        _write_config(resume, config)
        return resume, config
    run = Path(config.runs_dir) / (config.name or _default_name(config))
    if run.exists():
        raise InputError(run, "this run exists already", f"Choose another --name, or go on with --resume {run}")
    source = config.data if config.data.startswith("sample:") else str(Path(config.data).expanduser().resolve())
    config = config.model_copy(update={"name": run.name, "market": table.config, "data": source})
    try:
        run.mkdir(parents=True)
        _write_config(run, config)
        (run / "fingerprint.json").write_text(json.dumps(fingerprint(config, table), indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(run, f"cannot be written ({error.strerror})", "Choose another --runs-dir") from None
    _point_latest(run)
    return run, config


def _write_config(run: Path, config: TrainConfig) -> None:
    text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, default_flow_style=None)
    (run / "config.yaml").write_text(text, encoding="utf-8")


def _check_resumed(run: Path, config: TrainConfig, table: MarketTable) -> None:
    """Refuse to go on with other data, or with a configuration that the checkpoints do not fit."""
    before = json.loads((run / "fingerprint.json").read_text(encoding="utf-8"))
    if before["data_sha256"] != table.data_hash:
        raise InputError(run, "the data changed since this run was started", "Start a new run, or restore the data")
    old, new = (
        _dotted(yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))),
        _dotted(config.model_dump(mode="json")),
    )
    for key in new:
        if old.get(key) != new[key] and not (key in MAY_CHANGE or (key.startswith("ppo.") and key not in FIXED_PPO)):
            what = f"'{key}' was {old.get(key)!r} and cannot become {new[key]!r} in a resumed run"
            raise InputError(run, what, f"Start a new run; {', '.join(MAY_CHANGE)} and ppo.* may change")


def _dotted(data: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested mappings into {dotted key: value}."""
    flat: dict[str, Any] = {}
    for key, value in data.items():
        flat |= _dotted(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat


def versions() -> dict[str, str]:
    """Return the versions that can change a result."""
    from jaxtrade import __version__

    return {
        "jaxtrade": __version__,
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in PACKAGES},
    }


def fingerprint(config: TrainConfig, table: MarketTable) -> dict[str, Any]:
    """Return what identifies a run: versions, data and seed."""
    return {
        "versions": versions(),
        "platform": platform.platform(),
        "seed": config.seed,
        "data_sha256": table.data_hash,
        "symbols": list(table.symbols),
        "ranges": range_times(table),
        "data_warning": table.warning,
    }


def range_times(table: MarketTable) -> dict[str, tuple[str, str]]:
    """Return the first and last time of each range."""
    return {name: (str(table.time[span.first]), str(table.time[span.last])) for name, span in table.ranges.items()}


def _default_name(config: TrainConfig) -> str:
    data = Path(config.data.removeprefix("sample:")).name.split(".")[0]
    return f"{data}-{config.network.kind}-{time.strftime('%Y%m%d-%H%M%S')}"


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
