"""The small parts of a programme: who is asked to stop, what is remembered, what is added up."""

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from jaxtrade.errors import InputError
from tests.helpers.programmes import SMALL, without_timing
from train.compilation import Compilations
from train.figures import Figures
from train.programme.candidates import Contest, together
from train.programme.config import Candidate, ProgrammeConfig
from train.programme.iteration import CURVES, Incumbent, candidate_record, read_result, run_iteration, write_json
from train.programme.loop import Programme, best_round, read_clock
from train.programme.summary import Clock, make_summary, scores_of, validation_returns
from train.programme.watch import REASON, AllStopped, Spent, read_spent
from train.run import Outcome

SAMPLES = 256
ITERATION = "train.programme.iteration"


def config_of(**changes: Any) -> ProgrammeConfig:
    return ProgrammeConfig.model_validate(SMALL | changes)


def result(number: int, scores: list[float | None], **changes: Any) -> dict[str, Any]:
    """Return the result of an iteration, from 1."""
    candidates = [{"validation": {"log_growth": score, "update": 1, "validations": 2}} for score in scores]
    found = [score for score in scores if score is not None]
    return {
        "iteration": number,
        "folder": f"iteration-{number:02d}",
        "from_iteration": None,
        "spans": {"test": [0, 1]},
        "updates": {"plain": 6, "planned": 5, "done": 4},
        "steps": {"plain": 6 * SAMPLES, "planned": 5 * SAMPLES, "done": 4 * SAMPLES, "saved": 2 * SAMPLES},
        "early_stopped": number,
        "warm_started": number > 1,
        "candidates": candidates,
        "winner": {"candidate": 0, "update": 1, "log_growth": max(found, default=-math.inf)},
        "timing": {"seconds": 3.0, "training_seconds": 2.0, "validation_seconds": 0.5, "setup_seconds": 0.5},
        **changes,
    }


# While it trains -----------------------------------------------------------------------------------------------------


def step_of(running: float | None, asked: list[str]) -> Any:
    validation = None if running is None else {"running": running, "validation_log_growth": 0.0}
    return SimpleNamespace(validation=validation, stop=asked.append)


def test_an_iteration_ends_when_all_have_stopped_and_stays_so_after_a_resume() -> None:
    watch, asked = AllStopped(), list[str]()
    watch.on_start(SimpleNamespace(stop=asked.append))
    for running in (None, 2.0, 1.0, None):
        watch.on_chunk(step_of(running, asked))
    assert asked == []
    assert watch.saved() == {"stopped": False}
    watch.on_chunk(step_of(0.0, asked))
    assert asked == [REASON]
    again = AllStopped()
    again.restore(json.loads(json.dumps(watch.saved())))
    again.on_start(SimpleNamespace(stop=asked.append))
    assert asked == [REASON, REASON]


def test_seconds_add_up_over_starts(tmp_path: Path) -> None:
    nothing = {"training_seconds": 0.0, "validation_seconds": 0.0}
    assert read_spent(tmp_path) == nothing
    for chunk, validation in ((2.0, 1.0), (3.0, 0.5)):
        about = {"seconds": {"chunk": chunk, "validation": validation}}
        Spent().on_end(SimpleNamespace(folder=tmp_path, about=about))
    assert read_spent(tmp_path) == {"training_seconds": 5.0, "validation_seconds": 1.5}
    (tmp_path / "spent.json").write_text('{"training_sec')
    assert read_spent(tmp_path) == nothing
    assert read_clock(tmp_path) == {"seconds": 0.0, "starts": 0}
    (tmp_path / "spent.json").write_text('{"seconds": 7, "starts": 2}')
    assert read_clock(tmp_path) == {"seconds": 7.0, "starts": 2}


def test_a_signal_in_the_last_update_ends_the_programme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The iteration is trained, and its export is for the resume."""
    for name in ("record_starts", "trial_of", "create_run", "fingerprint", "make_job"):
        monkeypatch.setattr(f"{ITERATION}.{name}", lambda *given, **named: None)
    monkeypatch.setattr(f"{ITERATION}.train", lambda *given, **named: Outcome(True, "all is done", False, "SIGTERM"))
    task: Any = SimpleNamespace(folder=tmp_path, config=None, table=None, from_iteration=None)
    fleet: Any = SimpleNamespace(lineup=())
    outcome = run_iteration(config_of(), fleet, task, tmp_path / "trials.jsonl", Compilations(), [])
    assert not outcome.finished
    assert outcome.reason == "SIGTERM after the last update; everything is saved"


def test_figures_of_candidates_are_means_and_sums_of_what_is_counted() -> None:
    scalars = {
        "loss": np.array([1.0, 3.0]),
        "episode_count": np.array([4.0, 6.0]),
        "episode_return": np.array([1.0, 2.0]),
    }
    checks = {"price": np.array([-1, -1]), "reward": np.array([-1, 3])}
    found = together(np, Figures(scalars, {"head": np.array([2.0, 4.0])}, checks, {}, np.array([5, 7])))
    assert found.scalars == {"loss": 2.0, "episode_count": 10.0, "episode_return": 3.0}
    assert (found.gradients, found.checks) == ({"head": 3.0}, {"price": -1, "reward": 3})
    assert (found.episodes, found.episode_rows) == ({}, 12)


# What an iteration leaves --------------------------------------------------------------------------------------------


def test_what_a_candidate_did() -> None:
    """One that would have stopped with the last update was not stopped early."""
    score, counts = np.array([0.5, -np.inf]), np.array([3, 4])
    best = Contest(None, None, score, np.array([2, 0]), score, counts, counts, np.array([0, 6]))  # type: ignore[arg-type]
    assert candidate_record(0, Candidate(7, {"ppo.clip": 0.1}), best, 7) == {
        "candidate": 0,
        "seed": 7,
        "settings": {"ppo.clip": 0.1},
        "validation": {"log_growth": 0.5, "update": 2, "validations": 3},
        "stopped_at": None,
    }
    failed = candidate_record(1, Candidate(8, {}), best, 7)
    assert failed["validation"] == {"log_growth": None, "update": None, "validations": 4}
    assert failed["stopped_at"] == 6
    assert candidate_record(1, Candidate(8, {}), best, 6)["stopped_at"] is None


def test_a_result_is_whole_or_not_there(tmp_path: Path) -> None:
    assert read_result(tmp_path) is None
    write_json(tmp_path / "result.json", {"iteration": 1})
    assert read_result(tmp_path) == {"iteration": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]
    (tmp_path / "result.json").write_text("{")
    with pytest.raises(InputError, match=r"result\.json: cannot be read .* Delete it"):
        read_result(tmp_path)


def test_who_is_started_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest winner; on a fixed window the best of all, the first of several."""
    results = [result(1, [0.1, 0.3]), result(2, [0.4, None]), result(3, [0.4, 0.2])]
    assert best_round(results) == 1
    monkeypatch.setattr("train.programme.loop.make_task", lambda *given: given[4])
    monkeypatch.setattr("train.programme.loop.load_incumbent", lambda *given: Incumbent(given[2], 0, None, None))
    for changes, wanted in (({}, 2), ({"windows": {"kind": "fixed"}}, 1), ({"warm_start": False}, None)):
        programme = Programme(config_of(**changes), tmp_path, Compilations(), 0.0)
        programme._ground = programme._fleet = object()  # type: ignore[assignment]
        assert programme._best_so_far([]) is None
        found = programme._best_so_far(results)
        assert (None if found is None else found.iteration) == wanted


# What is added up ----------------------------------------------------------------------------------------------------


def test_scores_are_a_table_of_candidates_and_iterations() -> None:
    table = scores_of([result(1, [0.1, None]), result(2, [0.2, 0.3]), result(3, [0.0, 0.5])])
    np.testing.assert_array_equal(table, [[0.1, 0.2, 0.0], [math.nan, 0.3, 0.5]])


def test_the_summary_adds_up() -> None:
    results = [result(1, [0.1, 0.2]), result(2, [0.3, 0.4])]
    summary = make_summary(config_of(), ("A",), results, Clock(20.0, 3, 4.0, 5))
    totals = summary["totals"]
    assert totals["steps"] == {name: 2 * value for name, value in results[0]["steps"].items()}
    assert (totals["early_stops"], totals["warm_starts"], totals["starts"]) == (3, 2, 4)
    assert totals["validation"]["iqm"] == pytest.approx(0.25)
    assert (totals["timing"]["resumed"], totals["timing"]["compilations"]) == (2, 5)
    assert (summary["finished"], summary["honesty"], summary["planned_iterations"]) == (False, None, 3)
    assert [row["validation"]["iqm"] for row in summary["iterations"]] == pytest.approx([0.15, 0.35])
    assert [row["out_of_sample"] for row in summary["iterations"]] == [None, None]
    slower = make_summary(config_of(), ("A",), results, Clock(99.0, 1, 9.0, 7))
    assert without_timing(slower) == without_timing(summary), "the clock speaks under `timing` alone"


@pytest.mark.parametrize(("kind", "axis"), [("rolling", 0), ("fixed", 1)])
def test_returns_of_candidates_follow_one_another(tmp_path: Path, kind: str, axis: int) -> None:
    """Window after window; the rounds on a fixed window are other candidates on the same bars."""
    curves = [np.array([[1.1, 1.0], [1.21, 0.5]]), np.array([[0.9, 2.0], [0.9, 2.0]])]
    for number, curve in enumerate(curves, start=1):
        (tmp_path / f"iteration-{number:02d}").mkdir()
        np.save(tmp_path / f"iteration-{number:02d}" / CURVES, curve)
    config = config_of(windows={"kind": kind})
    found = validation_returns(config, tmp_path, [result(1, [0.1, 0.2]), result(2, [0.1, 0.2])])
    wanted = [[0.1, 0.0], [0.1, -0.5]], [[-0.1, 1.0], [0.0, 0.0]]
    np.testing.assert_allclose(found, np.concatenate(wanted, axis=axis), atol=1e-12)
