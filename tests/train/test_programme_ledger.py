"""Every start of a candidate and every early stop is a trial, recorded once however often a programme is resumed."""

from pathlib import Path
from typing import Any

import pytest

from jaxtrade import trials
from jaxtrade.market.splits import Range
from tests.helpers.programmes import SMALL
from train.config import TrainConfig
from train.programme.config import Candidate
from train.programme.ledger import Trial, about, record_starts, record_stops

DATA = "ab" * 32
LINEUP = (
    Candidate(0, {"ppo.clip": 0.1}),
    Candidate(0, {"ppo.clip": 0.2}),
    Candidate(1, {"ppo.clip": 0.1}),
    Candidate(1, {"ppo.clip": 0.2}),
)
STOPPED = (3, None, 5, 3)


def trial(number: int) -> Trial:
    """Return an iteration, from 1."""
    config = TrainConfig.model_validate({key: SMALL[key] for key in SMALL if key in TrainConfig.model_fields})
    own = config.model_copy(update={"name": f"iteration-{number:02d}", "total_timesteps": 1000 - number})
    return Trial(f"p/iteration-{number:02d}", own, DATA, Range(100 * number, 100 * number + 50))


def result(stopped: tuple[int | None, ...] = STOPPED) -> dict[str, Any]:
    validations = [{"log_growth": 0.1 * k, "update": k + 1, "validations": 4} for k in range(len(stopped))]
    validations[1] |= {"log_growth": None, "update": None}
    return {
        "candidates": [{"validation": each, "stopped_at": at} for each, at in zip(validations, stopped, strict=True)]
    }


def run_programme(path: Path, until: int = 3) -> None:
    """Record so many iterations."""
    for number in range(1, until + 1):
        record_starts(path, LINEUP, trial(number), cold=number == 1)
        record_stops(path, LINEUP, trial(number), result())


def test_trials_are_starts_and_early_stops(tmp_path: Path) -> None:
    path = tmp_path / trials.NAME
    record_starts(path, LINEUP, trial(1), cold=True)
    assert trials.count_trials(trials.read(path), DATA) == 4, "they count before anything is known of them"
    run_programme(path)
    entries = trials.read(path)
    events = [entry.event for entry in entries]
    assert {event: events.count(event) for event in events} == {"train": 12, "validate": 12, "early-stop": 9}
    assert trials.count_trials(entries, DATA) == 12 + 9
    assert trials.count_trials(entries, "cd" * 32) == 0


@pytest.mark.parametrize("until", [1, 2, 3])
def test_a_resume_records_nothing_twice(tmp_path: Path, until: int) -> None:
    """Cut off after an iteration, or between what is recorded of one, and repeated from there."""
    path = tmp_path / trials.NAME
    run_programme(path, until - 1)
    record_starts(path, LINEUP, trial(until), cold=until == 1)
    record_stops(path, LINEUP[:2], trial(until), {"candidates": result()["candidates"][:2]})
    run_programme(path)
    once = path.read_bytes()
    run_programme(path)
    assert path.read_bytes() == once
    assert trials.count_trials(trials.read(path), DATA) == 12 + 9


def test_every_training_is_another_configuration(tmp_path: Path) -> None:
    """Twins too: the same seed and settings, twice in the line-up or in another iteration."""
    twins = (*LINEUP, LINEUP[0])
    hashes = {about(trial(number), k, each)["config_sha256"] for number in (1, 2) for k, each in enumerate(twins)}
    assert len(hashes) == 10
    assert about(trial(1), 0, LINEUP[0]) == about(trial(1), 0, LINEUP[0])


def test_entries_say_what_happened(tmp_path: Path) -> None:
    path = tmp_path / trials.NAME
    run_programme(path, 2)
    entries = trials.read(path)
    starts = [entry for entry in entries if entry.event == "train"]
    assert [entry.run for entry in starts] == ["p/iteration-01"] * 4 + ["p/iteration-02"] * 4
    assert [entry.detail["start"] for entry in starts] == ["cold"] * 4 + ["warm"] * 4
    assert [(entry.detail["candidate"], entry.detail["seed"]) for entry in starts[:4]] == [
        (0, 0),
        (1, 0),
        (2, 1),
        (3, 1),
    ]
    assert starts[1].detail["settings"] == {"ppo.clip": 0.2}
    seen = [entry for entry in entries if entry.event == "validate"]
    assert {(entry.split, entry.range) for entry in seen[:4]} == {("validation", (100, 150))}
    assert seen[1].detail == {"candidate": 1, "log_growth": None, "update": None, "validations": 4}
    stops = [entry.detail for entry in entries if entry.event == "early-stop"]
    assert stops[:3] == [{"candidate": k, "update": STOPPED[k]} for k in (0, 2, 3)]
    both = {entry.config_sha256 for entry in starts[:4]} == {entry.config_sha256 for entry in seen[:4]}
    assert both, "an entry names the training that it is about"
