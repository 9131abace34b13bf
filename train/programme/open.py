"""A programme's folder: made, or opened to go on; and the search that may come first."""

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from jaxtrade import trials
from jaxtrade.errors import InputError
from jaxtrade.market.table import MarketTable
from train.compilation import Compilations
from train.folder import check_data, create_run, dotted, fingerprint, free_folder, resolve_config
from train.programme.config import ProgrammeConfig
from train.programme.fleet import Ground, compile_fleet, open_ground
from train.programme.intervals import iqm


def resolve(config: ProgrammeConfig, ground: Ground) -> ProgrammeConfig:
    """Return the configuration with name, data and symbols filled in.

    Raises:
        InputError: The market cannot be traded with these actions, or a cost is both varied and a range.
    """
    resolved = resolve_config(config, ground.table(0))
    for key in config.vary:
        *sections, name = key.split(".")
        if sections == ["env", "costs"] and not isinstance(getattr(config.env.costs, name), int | float):
            raise InputError(f"vary {key}", "is not one number in env.costs", "Give env.costs one number there")
    return resolved.model_copy(update={"market": ground.prepared.config})  # type: ignore[return-value]


def start_folder(config: ProgrammeConfig, ground: Ground, resume: Path | None) -> Path:
    """Create the folder of a programme, or open one to resume; return it.

    Raises:
        InputError: It exists already, cannot be written, or is resumed with other data or settings.
    """
    table = ground.table(0)
    if resume is None:
        return create_run(free_folder(config), config, {"fingerprint.json": fingerprint(config, table)})
    return require_same(config, table, resume)


def require_same(config: ProgrammeConfig, table: MarketTable, resume: Path) -> Path:
    """Return the folder of a programme to resume.

    Raises:
        InputError: It was begun with other data or settings.
    """
    check_data(resume, "data_sha256", table.data_hash)
    old = dotted(yaml.safe_load((resume / "config.yaml").read_text(encoding="utf-8")))
    new = dotted(config.model_dump(mode="json"))
    for key in new:
        if old.get(key) != new[key]:
            what = f"'{key}' was {old.get(key)!r} and cannot become {new[key]!r} in a resumed programme"
            raise InputError(resume, what, "Start another programme: what is tried later is chosen by what was seen")
    return resume


def after_search(config: ProgrammeConfig, run: Path, compilations: Compilations) -> ProgrammeConfig:
    """Return the configuration, with what a search on the first window found if one is asked for.

    Raises:
        InputError: The search cannot be made.
    """
    if not config.search.trials:
        return config
    from train.programme.search import search_settings

    folder = run / "search"
    folder.mkdir(exist_ok=True)

    def score(trial: ProgrammeConfig, label: str) -> float:
        return first_window(trial, folder, label, run, compilations)

    return search_settings(config, folder, score, print)


def first_window(config: ProgrammeConfig, folder: Path, label: str, run: Path, compilations: Compilations) -> float:
    """Train the candidates on the first window; return the interquartile mean of their best validations."""
    from train.programme.iteration import make_task, read_result, run_iteration
    from train.programme.loop import callbacks_of
    from train.programme.summary import scores_of

    place = folder / label
    if read_result(place) is None:
        ground = open_ground(config)
        fleet = compile_fleet(config, ground)
        task = make_task(config, ground, fleet, folder, 0, None)
        task = task._replace(folder=place, config=task.config.model_copy(update={"name": label}))
        ledger = trials.ledger_path(run)
        outcome = run_iteration(config, fleet, task, ledger, compilations, callbacks_of(config, label))
        if not outcome.finished:
            raise KeyboardInterrupt
    result: Any = read_result(place)
    return float(iqm(np.nan_to_num(scores_of([result]), nan=-np.inf)))
