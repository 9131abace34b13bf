"""A programme's folder: made, or opened to go on; and the search that may come first."""

from pathlib import Path
from typing import Any

import yaml

from jaxtrade import trials
from jaxtrade.errors import InputError
from jaxtrade.market.table import MarketTable
from train.compilation import Compilations
from train.folder import check_data, create_run, dotted, fingerprint, free_folder, is_programme, resolve_config
from train.programme.config import ProgrammeConfig
from train.programme.fleet import Ground, compile_fleet, open_ground, setup_for
from train.programme.intervals import iqm


def resolve(config: ProgrammeConfig, ground: Ground) -> ProgrammeConfig:
    """Return the configuration with name, data and symbols filled in.

    Raises:
        InputError: The market cannot be traded with these actions, a range of training is shorter than one rollout, a
            cost is both varied and a range, or the search is impossible.
    """
    resolved = resolve_config(config, ground.table(0))
    setup_for(config, ground)
    for key in config.vary:
        *sections, name = key.split(".")
        if sections == ["env", "costs"] and not isinstance(getattr(config.env.costs, name), int | float):
            raise InputError(f"vary {key}", "is not one number in env.costs", "Give env.costs one number there")
    if config.search.trials:
        from train.programme.search import possible_settings

        possible_settings(config, lambda text: None)
    return resolved.model_copy(update={"market": ground.prepared.config})  # type: ignore[return-value]


def require_programme(run: Path, benchmark: bool = False) -> None:
    """Check that a folder to resume is a programme's, or a benchmark's.

    Raises:
        InputError: It is the other of the two, or a training run, of its own or within a programme.
    """
    above = run.absolute().parent
    if is_programme(run):
        if benchmark and (run / "iteration-01").exists():
            raise InputError(run, "is a programme, and no benchmark", f"Resume it without --benchmark: --resume {run}")
        if not benchmark and (run / "optimised").exists():
            raise InputError(run, "is a benchmark", f"Go on with it: --benchmark --resume {run}")
        return
    if is_programme(above):
        raise InputError(run, "is one iteration of a programme", f"Resume all of it: --resume {above}")
    raise InputError(run, "is a training run, and no programme", f"Go on with it: python -m train.ppo --resume {run}")


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
    return iqm(scores_of([result]))
