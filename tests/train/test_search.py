"""The search: what can be searched, what is tried, and that a kill changes nothing."""

import json
import logging
import math
import sys
import time
from pathlib import Path

import pytest

from jaxtrade.errors import InputError
from tests.helpers.planting import ROOT, run_python
from train.programme.config import ProgrammeConfig, with_values
from train.programme.search import JOURNAL, RESULT, possible_settings, search_settings

optuna = pytest.importorskip("optuna")

SPACE = {"network.hidden": [16, 32, 64, 128], "ppo.minibatches": [2, 4, 8], "ppo.gamma": [0.9, 0.99]}


class KillError(Exception):
    """Stands for a kill: nothing that follows is run."""


def programme(trials: int = 14, seed: int = 0, **space: list[object]) -> ProgrammeConfig:
    return ProgrammeConfig.model_validate({"seed": seed, "search": {"trials": trials, "space": space or SPACE}})


def quality(config: ProgrammeConfig, label: str) -> float:
    """A score with one best setting: 64 units, 4 minibatches, gamma 0.99."""
    if config.network.hidden == 16 and config.ppo.minibatches == 8:
        return math.nan
    if config.network.hidden == 128 and config.ppo.minibatches == 2:
        raise InputError("market", "too few bars", "Give more")
    return -abs(math.log2(config.network.hidden / 64)) - abs(config.ppo.minibatches - 4) / 4 + config.ppo.gamma


class Recorder:
    """A score that remembers its calls, and ends the world at one of them."""

    def __init__(self, last: int | None = None) -> None:
        self.calls: list[tuple[str, int, int, float]] = []
        self._last = last

    def __call__(self, config: ProgrammeConfig, label: str) -> float:
        if len(self.calls) == self._last:
            raise KillError
        self.calls.append((label, config.network.hidden, config.ppo.minibatches, config.ppo.gamma))
        return quality(config, label)


def quietly(text: str) -> None:
    pass


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Recorder, ProgrammeConfig]:
    folder, score = tmp_path_factory.mktemp("whole"), Recorder()
    return folder, score, search_settings(programme(), folder, score, quietly)


def test_the_best_setting_is_found_and_chosen(whole: tuple[Path, Recorder, ProgrammeConfig]) -> None:
    folder, score, best = whole
    record = json.loads((folder / RESULT).read_text())
    assert [trial["label"] for trial in record["trials"]] == [f"search-{k:02d}" for k in range(1, 15)]
    assert [call[0] for call in score.calls] == [trial["label"] for trial in record["trials"]]
    assert len({call[1:] for call in score.calls}) == 14  # no setting twice
    done = [trial for trial in record["trials"] if trial["state"] == "done"]
    assert record["best"]["score"] == max(trial["score"] for trial in done)
    assert best == with_values(programme(), record["best"]["values"])
    assert quality(best, "") == record["best"]["score"]
    assert record["space"] == SPACE and record["seed"] == 0


def test_an_impossible_trial_is_pruned_and_a_failed_one_is_no_score(tmp_path: Path) -> None:
    lines: list[str] = []
    search_settings(programme(99), tmp_path, quality, lines.append)  # the whole grid of 24
    trials = json.loads((tmp_path / RESULT).read_text())["trials"]
    assert len(trials) == 24
    found = {state: [each for each in trials if each["state"] == state] for state in ("failed", "impossible")}
    assert [(each["score"], each["why"]) for each in found["failed"]] == [(None, "its score is not finite")] * 2
    assert [each["why"] for each in found["impossible"]] == ["market: too few bars. Give more"] * 2
    assert sum("impossible: market: too few bars" in line for line in lines) == 2
    journal = optuna.storages.journal.JournalFileBackend(str(tmp_path / JOURNAL))
    study = optuna.load_study(study_name="search", storage=optuna.storages.JournalStorage(journal))
    states = [trial.state.name for trial in study.trials]
    assert [states.count(name) for name in ("COMPLETE", "FAIL", "PRUNED", "RUNNING")] == [20, 2, 2, 0]


@pytest.mark.parametrize("at", [0, 1, 7, 13])
def test_a_search_goes_on_where_it_was_cut_off(
    tmp_path: Path, at: int, whole: tuple[Path, Recorder, ProgrammeConfig]
) -> None:
    folder, all_calls, best = whole
    before, after = Recorder(last=at), Recorder()
    with pytest.raises(KillError):
        search_settings(programme(), tmp_path, before, quietly)
    assert search_settings(programme(), tmp_path, after, quietly) == best
    assert before.calls + after.calls == all_calls.calls  # none twice, the one under way with the same values
    assert (tmp_path / RESULT).read_bytes() == (folder / RESULT).read_bytes()


def cut_journals(whole: tuple[Path, Recorder, ProgrammeConfig], tmp_path: Path, sizes: range) -> None:
    """Resume from a journal cut after any byte; all must end as the whole one."""
    written, result = ((whole[0] / name).read_bytes() for name in (JOURNAL, RESULT))
    for size in sizes:
        folder = tmp_path / str(size)
        folder.mkdir()
        (folder / JOURNAL).write_bytes(written[:size])
        score = Recorder()
        search_settings(programme(), folder, score, quietly)
        assert (folder / RESULT).read_bytes() == result
        assert len(score.calls) == 14 - max(0, written[:size].count(b"\n") - 2)


def test_half_a_line_in_the_journal_never_happened(
    tmp_path: Path, whole: tuple[Path, Recorder, ProgrammeConfig]
) -> None:
    size = (whole[0] / JOURNAL).stat().st_size
    cut_journals(whole, tmp_path, range(0, size, size // 8))


@pytest.mark.nightly
def test_the_journal_may_be_cut_anywhere(tmp_path: Path, whole: tuple[Path, Recorder, ProgrammeConfig]) -> None:
    size = (whole[0] / JOURNAL).stat().st_size
    cut_journals(whole, tmp_path, range(0, size, 53))


KILLING = """
import os, random, signal, sys, time
from pathlib import Path
sys.path.insert(0, "")
from tests.train.test_search import programme, quality, quietly
from train.programme.search import search_settings

def slowly(config, label):
    time.sleep(0.01)
    return quality(config, label)

random.seed(8)
folder, kills = Path(sys.argv[1]), 0
while True:
    child = os.fork()
    if child == 0:
        search_settings(programme(), folder, slowly, quietly)
        os._exit(0)
    time.sleep(random.uniform(0.02, 0.12))
    os.kill(child, signal.SIGKILL)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0:
        break
    kills += 1
print(kills)
"""


@pytest.mark.nightly
def test_kills_at_random_moments_change_nothing(tmp_path: Path, whole: tuple[Path, Recorder, ProgrammeConfig]) -> None:
    started = time.monotonic()
    done = run_python(ROOT, "-c", KILLING, str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 3 and time.monotonic() - started < 60
    assert (tmp_path / RESULT).read_bytes() == (whole[0] / RESULT).read_bytes()


def test_a_lock_that_was_left_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / f"{JOURNAL}.lock").symlink_to(tmp_path / JOURNAL)
    (tmp_path / f"{JOURNAL}.lock-uuid.rename").symlink_to("nowhere")
    started = time.monotonic()
    search_settings(programme(2), tmp_path, quality, quietly)
    assert time.monotonic() - started < 10  # Optuna waits for 30 seconds
    assert sorted(path.name for path in tmp_path.iterdir()) == [RESULT, JOURNAL]


def test_more_trials_go_on_and_a_seed_of_its_own_goes_another_way(tmp_path: Path) -> None:
    first, more, other = Recorder(), Recorder(), Recorder()
    search_settings(programme(4), tmp_path, first, quietly)
    search_settings(programme(6), tmp_path, more, quietly)
    assert [call[0] for call in more.calls] == ["search-05", "search-06"]
    search_settings(programme(4, seed=1), tmp_path / "other", other, quietly)
    assert other.calls != first.calls


def test_a_journal_of_another_search_is_refused(tmp_path: Path) -> None:
    search_settings(programme(2), tmp_path, quality, quietly)
    longer = programme(3).model_copy(update={"total_timesteps": 1000})
    for config in (programme(3, seed=1), programme(3, **{"ppo.gamma": [0.9]}), longer):
        with pytest.raises(InputError, match=r"search.log: is of another search: seed, space or configuration differ"):
            search_settings(config, tmp_path, quality, quietly)
    (tmp_path / JOURNAL).write_text("no journal\n")
    with pytest.raises(InputError, match=r"search.log: is damaged"):
        search_settings(programme(2), tmp_path, quality, quietly)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("ppo.learning_rate", r"one compiled program can vary it. Use `vary`: --vary ppo.learning_rate="),
        ("env.costs.buy_percent", "Use `vary`"),
        ("env.reward.log_return", "Use `vary`"),
        ("network.hiden", r"unknown key. Did you mean 'network.hidden'\?"),
        ("ppo.learning_rate_schedule", r"unknown key. Did you mean 'ppo.learning_rate_schedule"),
        ("data", "they would not compare"),
        ("market.split.purge", "they would not compare"),
        ("env.action", "they would not compare"),
        ("total_timesteps", "they would not compare"),
        ("windows.test_bars", "they would not compare"),
        ("candidates", "they would not compare"),
        ("search.trials", "unknown key"),
    ],
)
def test_what_cannot_be_searched_is_refused_with_the_way_out(tmp_path: Path, key: str, message: str) -> None:
    with pytest.raises(InputError, match=rf"^search.space {key}: .*{message}") as caught:
        search_settings(programme(2, **{key: [1, 2]}), tmp_path, quality, quietly)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_settings_that_do_not_go_together_are_left_out_and_told() -> None:
    lines: list[str] = []
    config = programme(9, **{"ppo.rollout_length": [32, 48], "ppo.minibatches": [4, 32, 4], "num_envs": [128, 100]})
    settings = possible_settings(config, lines.append)
    assert settings == [
        {"ppo.rollout_length": 32, "ppo.minibatches": 4, "num_envs": 128},
        {"ppo.rollout_length": 32, "ppo.minibatches": 32, "num_envs": 128},
        {"ppo.rollout_length": 48, "ppo.minibatches": 4, "num_envs": 128},
    ]
    assert len(lines) == 1
    assert lines[0].startswith("search: 5 of 8 settings are impossible and left out, such as ppo.rollout_length=32")
    with pytest.raises(InputError, match=r"no setting is possible, such as ppo.minibatches=3: rollout_length 128"):
        possible_settings(programme(2, **{"ppo.minibatches": [3]}), quietly)
    with pytest.raises(InputError, match=r"has 20000 combinations, more than 10000"):
        possible_settings(programme(2, **{"ppo.epochs": [*range(1, 20001)]}), quietly)


def test_values_of_all_kinds_are_searched(tmp_path: Path) -> None:
    space = {"network.branches": [[1, 5], [1, 20]], "ppo.normalize_reward": [True, False], "network.kind": ["mlp"]}
    seen: list[tuple[object, ...]] = []

    def score(config: ProgrammeConfig, label: str) -> float:
        seen.append((config.network.branches, config.ppo.normalize_reward, config.network.kind))
        return float(len(seen))

    best = search_settings(programme(9, **space), tmp_path, score, quietly)
    assert sorted(seen) == [((1, a), b, "mlp") for a in (5, 20) for b in (False, True)]
    assert (best.network.branches, best.ppo.normalize_reward, best.network.kind) == seen[-1]


def test_no_trials_are_no_search_and_need_no_optuna(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    config = programme(0)
    assert search_settings(config, tmp_path / "none", quality, quietly) is config
    with pytest.raises(InputError, match=r"^search.trials: needs optuna. pip install 'jaxtrade\[search\]'$"):
        search_settings(programme(2), tmp_path, quality, quietly)
    with pytest.raises(InputError, match=r"^search.space: is empty"):
        search_settings(ProgrammeConfig.model_validate({"search": {"trials": 2}}), tmp_path, quality, quietly)


def test_if_all_fail_there_is_a_record_and_no_choice(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"search.json: none of 3 trials has a score; the last: its score is not"):
        search_settings(programme(3), tmp_path, lambda config, label: math.nan, quietly)
    record = json.loads((tmp_path / RESULT).read_text())
    assert record["best"] is None and len(record["trials"]) == 3


def test_equals_go_to_the_first_and_a_score_of_zero_is_one(tmp_path: Path) -> None:
    scores = iter([-1.0, 0.0, 0.0])
    search_settings(programme(3), tmp_path, lambda config, label: next(scores), quietly)
    assert json.loads((tmp_path / RESULT).read_text())["best"]["label"] == "search-02"


def test_optuna_is_quiet_and_left_as_it_was(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    optuna.logging.set_verbosity(logging.INFO)
    told: list[str] = []

    def score(config: ProgrammeConfig, label: str) -> float:
        assert optuna.logging.get_verbosity() == logging.INFO
        return quality(config, label)

    search_settings(programme(2), tmp_path, score, told.append)
    search_settings(programme(2), tmp_path, score, told.append)
    assert capfd.readouterr() == ("", "")
    assert len(told) == 3 and told[0].startswith("search-01 of 2: network.hidden=")
    assert told[2] == "search: 2 of 2 trials are done already"
