"""A search by Optuna over what one compiled program cannot vary: sizes of the network, minibatches, discounts.

The journal holds finished trials only, one line each. What is tried next follows from the seed and the trials in the
journal, so that a trial that was cut off is found again, and tried with the same values. docs/schedules.md says which
keys can be searched.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from pydantic import ValidationError

from jaxtrade.errors import InputError, did_you_mean
from train.folder import dotted
from train.programme.config import KNOBS, TRACED, ProgrammeConfig, with_values

Values = dict[str, Any]  # dotted key -> value
Score = Callable[[ProgrammeConfig, str], float]
Say = Callable[[str], None]
JOURNAL, RESULT = "search.log", "search.json"
SCORED = ("env", "network", "ppo", "num_envs", "total_timesteps")  # what a score depends on
SEARCHABLE = ("network.", "ppo.", "num_envs")
MOST = 10_000  # combinations of a space
DRAWS = 32  # of the sampler for one trial, before any other setting will do
METRIC = "interquartile mean of the candidates' best validation log growth"


class Outcome(NamedTuple):
    """A trial as it ended."""

    label: str
    values: Values
    state: Literal["done", "failed", "impossible"]
    score: float | None  # None unless done
    why: str | None  # None if done


def search_settings(config: ProgrammeConfig, folder: Path, score: Score, say: Say) -> ProgrammeConfig:
    """Try settings of `config.search.space` and return the configuration with the best.

    Finished trials are not run again. The result does not depend on where a search was cut off.

    Args:
        config: The programme; `search.trials` of 0 is no search.
        folder: Where search.log and search.json lie; nobody else may write there meanwhile.
        score: Trains the candidates of a configuration on the first window, under a label of its own, and returns the
            interquartile mean of their validations; NaN if they failed.
        say: Is told what happens.

    Raises:
        InputError: A key cannot be searched, no setting is possible, the journal is of another search, or all failed.
    """
    if config.search.trials == 0:
        return config
    settings = possible_settings(config, say)
    study = _open_journal(folder, config)
    done = len(study.trials)
    count = min(config.search.trials, len(settings))
    if done:
        say(f"search: {done} of {count} trials are done already")
    for number in range(done, count):
        values = _propose(study, settings, config.seed, number)
        outcome = _attempt(config, values, f"search-{number + 1:02d}", score)
        _record(study, settings, outcome)
        result = f"{outcome.state}: {outcome.why}" if outcome.score is None else f"{outcome.score:.6g}"
        say(f"{outcome.label} of {count}: {told(values)}: {result}")
    return _conclude(config, folder, _outcomes(study))


def told(values: Values) -> str:
    """Return values as one would type them."""
    return " ".join(f"{key}={_text(value)}" for key, value in values.items())


def possible_settings(config: ProgrammeConfig, say: Say) -> list[Values]:
    """Return the combinations of the space that the configuration allows, in its order; each once.

    Raises:
        InputError: A key cannot be searched, there are too many combinations, or none is possible.
    """
    space = config.search.space
    if not space:
        raise InputError("search.space", "is empty", "Name keys and values, such as network.hidden=32,64")
    for key in space:
        _check_key(key, config)
    axes = [list({_text(value): value for value in values}.values()) for values in space.values()]
    if (size := math.prod(map(len, axes))) > MOST:
        raise InputError("search.space", f"has {size} combinations, more than {MOST}", "Give fewer values or keys")
    settings, refused = [], []
    for combination in product(*axes):
        values = dict(zip(space, combination, strict=True))
        try:
            with_values(config, values)
            settings.append(values)
        except ValidationError as error:
            refused.append(f"{told(values)}: {error.errors()[0]['msg'].removeprefix('Value error, ')}")
    if not settings:
        raise InputError("search.space", f"no setting is possible, such as {refused[0]}", "Change its values")
    if refused:
        say(f"search: {len(refused)} of {size} settings are impossible and left out, such as {refused[0]}")
    return settings


def _check_key(key: str, config: ProgrammeConfig) -> None:
    where = f"search.space {key}"
    known = dotted(config.model_dump(mode="json", exclude={"search", "vary"}))
    searchable = [each for each in known if each.startswith(SEARCHABLE) and each not in KNOBS]
    if key not in known:
        raise InputError(where, "unknown key", did_you_mean(key, searchable))
    if any(key == each or (each.endswith(".") and key.startswith(each)) for each in TRACED):
        raise InputError(where, "one compiled program can vary it", f"Use `vary`: --vary {key}=...")
    if key not in searchable:
        what = "changes what scores are measured on, or with how much training: they would not compare"
        raise InputError(where, what, "Search network.*, ppo.* or num_envs; for the rest, compare programmes")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _attempt(config: ProgrammeConfig, values: Values, label: str, score: Score) -> Outcome:
    """Return how a trial ends; what is no InputError ends the search, and the trial will be tried again."""
    try:
        reached = score(with_values(config, values), label)
    except InputError as error:
        return Outcome(label, values, "impossible", None, str(error))
    if not math.isfinite(reached):
        return Outcome(label, values, "failed", None, "its score is not finite")
    return Outcome(label, values, "done", float(reached), None)


def _conclude(config: ProgrammeConfig, folder: Path, outcomes: list[Outcome]) -> ProgrammeConfig:
    """Write search.json and return the configuration with the best values; the first of equals."""
    best = max((each for each in outcomes if each.score is not None), key=lambda each: each.score or 0.0, default=None)
    record = {
        "schema": 1,
        "metric": METRIC,
        **_identity(config),
        "trials": [outcome._asdict() for outcome in outcomes],
        "best": None if best is None else {"label": best.label, "values": best.values, "score": best.score},
    }
    draft = folder / f".{RESULT}"
    draft.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    draft.replace(folder / RESULT)
    if best is None:
        what = f"none of {len(outcomes)} trials has a score; the last: {outcomes[-1].why}"
        raise InputError(folder / RESULT, what, "Change search.space, or what the trials have in common")
    return with_values(config, best.values)


def _identity(config: ProgrammeConfig) -> dict[str, Any]:
    """Return what the trials and their scores follow from, beside the data: a journal belongs to one such search."""
    base = json.dumps(config.model_dump(mode="json", include=set(SCORED)), sort_keys=True)
    space = json.loads(json.dumps(config.search.space))  # as it will be read: tuples are lists
    return {"seed": config.seed, "space": space, "config_sha256": hashlib.sha256(base.encode()).hexdigest()}


def _optuna() -> Any:
    """Import Optuna.

    Raises:
        InputError: It is not installed.
    """
    try:
        import optuna
    except ImportError:
        raise InputError("search.trials", "needs optuna", "pip install 'jaxtrade[search]'") from None
    return optuna


@contextmanager
def _quiet() -> Iterator[Any]:
    """Lend Optuna, which tells only of warnings meanwhile: what there is to tell, `say` is told."""
    optuna = _optuna()
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield optuna
    finally:
        optuna.logging.set_verbosity(before)


def _open_journal(folder: Path, config: ProgrammeConfig) -> Any:
    """Return the study in the folder's journal, whatever a kill may have left there.

    A last line without its end was being written: it never happened. A lock has lost its holder, since the folder is
    ours alone.

    Raises:
        InputError: Optuna is not installed; the journal is damaged, or of another search.
    """
    path = folder / JOURNAL
    with _quiet() as optuna:
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(f"{JOURNAL}.lock*"):
            left.unlink()
        if path.exists():
            written = path.read_bytes()
            with path.open("r+b") as file:
                file.truncate(written.rfind(b"\n") + 1)
        try:
            journal = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))
            study = optuna.create_study(storage=journal, study_name="search", direction="maximize", load_if_exists=True)
            before = study.user_attrs.get("search")
        except (ValueError, KeyError, TypeError, AssertionError) as error:
            raise InputError(path, f"is damaged: {error}", "Delete it to search anew") from None
        if before is None:
            study.set_user_attr("search", _identity(config))
        elif before != _identity(config):
            raise InputError(
                path,
                "is of another search: seed, space or configuration differ",
                "Restore them, or take another --name",
            )
        return study


def _propose(study: Any, settings: list[Values], seed: int, number: int) -> Values:
    """Return what the k-th trial tries: of what was not tried yet, what the sampler draws first.

    The sampler is Optuna's tree-structured Parzen estimator, seeded by (seed, k). It works on a copy of the study: the
    journal never holds a trial that has only begun. Where all its draws were tried before, chance chooses.
    """
    tried = [trial.params for trial in study.trials]
    untried = [values for values in settings if _texts(values) not in tried]
    sequence = np.random.SeedSequence((seed, number))
    with _quiet() as optuna:
        copy = optuna.create_study(
            sampler=optuna.samplers.TPESampler(seed=int(sequence.generate_state(1)[0])), direction="maximize"
        )
        copy.add_trials(study.trials)
        for _ in range(DRAWS):
            drawn = copy.ask(_kinds(settings)).params
            found = next((values for values in untried if _texts(values) == drawn), None)
            if found is not None:
                return found
    return untried[np.random.default_rng(sequence).integers(len(untried))]


def _texts(values: Values) -> dict[str, str]:
    """Return values as Optuna is told them: lists are no choices of its own, and 1 and true are different ones."""
    return {key: _text(value) for key, value in values.items()}


def _kinds(settings: list[Values]) -> dict[str, Any]:
    """Return the choices of each key, as Optuna's distributions."""
    choices = {key: dict.fromkeys(_text(values[key]) for values in settings) for key in settings[0]}
    return {key: _optuna().distributions.CategoricalDistribution(tuple(texts)) for key, texts in choices.items()}


def _record(study: Any, settings: list[Values], outcome: Outcome) -> None:
    """Add a finished trial to the journal, in one line."""
    with _quiet() as optuna:
        states = optuna.trial.TrialState
        trial = optuna.trial.create_trial(
            state={"done": states.COMPLETE, "failed": states.FAIL, "impossible": states.PRUNED}[outcome.state],
            value=outcome.score,
            params=_texts(outcome.values),
            distributions=_kinds(settings),
            user_attrs=outcome._asdict(),
        )
        study.add_trial(trial)


def _outcomes(study: Any) -> list[Outcome]:
    """Return the trials of the journal."""
    return [Outcome(**trial.user_attrs) for trial in study.trials]
