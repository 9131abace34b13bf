"""The ledger of runs inside a programme: where it lies, that a resumed one records nothing twice, what counts."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from jaxtrade import trials
from jaxtrade.errors import InputError
from jaxtrade.trials import append, count_trials, ledger_path, read, read_trials, record_once

DATA, OTHER = "ab" * 32, "cd" * 32


def make_run(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True)
    for name in names or ("config.yaml", "fingerprint.json", "policy.npz"):
        (folder / name).write_text("")
    return folder


def test_runs_of_a_programme_share_the_ledger_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = tmp_path / "runs" / trials.NAME
    programme = make_run(tmp_path / "runs" / "programme", "config.yaml", "fingerprint.json")
    inside = programme / "iteration-01"
    assert ledger_path(inside) == expected, "before it has its configuration"
    make_run(inside)
    deeper = make_run(inside / "again")
    places = (programme, programme / "relay.json", inside, inside / "policy.npz", inside / "other.npz", deeper)
    (programme / "relay.json").write_text("{}")
    assert {ledger_path(place) for place in places} == {expected}
    (tmp_path / "link").symlink_to(inside)
    monkeypatch.chdir(inside)
    assert ledger_path(tmp_path / "link") == ledger_path(Path()) == ledger_path(Path("policy.npz")) == expected


@pytest.mark.parametrize("names", [("config.yaml",), ("fingerprint.json",), ("trials.jsonl",)])
def test_a_folder_that_is_no_run_ends_the_way_up(tmp_path: Path, names: tuple[str, ...]) -> None:
    """A project with a config.yaml of its own keeps the ledger that lies in it."""
    make_run(tmp_path / "project", *names)
    run = make_run(tmp_path / "project" / "a")
    assert ledger_path(run) == ledger_path(run / "policy.npz") == tmp_path / "project" / trials.NAME


def test_an_entry_is_recorded_once(tmp_path: Path) -> None:
    path = tmp_path / trials.NAME
    about = {"run": "p/iteration-01", "data_sha256": DATA, "config_sha256": "1" * 64, "detail": {"candidate": 0, 1: 2}}
    assert record_once(path, "early-stop", **about)
    before = path.read_bytes()
    assert not record_once(path, "early-stop", **about)
    assert not record_once(path, "early-stop", **about, split="validation"), "the same of the same"
    assert path.read_bytes() == before
    others = [
        {"run": "p/iteration-02"},
        {"data_sha256": OTHER},
        {"config_sha256": "2" * 64},
        {"detail": {"candidate": 1, 1: 2}},
    ]
    assert [record_once(path, "early-stop", **about | other) for other in others] == [True] * 4
    assert record_once(path, "train", **about)
    assert [record_once(path, "early-stop", **about | other) for other in others] == [False] * 4
    assert append(path, "early-stop", **about).n == len(read(path)) == 7, "append always does"
    assert record_once(path, "note")
    assert not record_once(path, "note")


@pytest.mark.skipif(sys.platform == "win32", reason="locks of POSIX")
def test_once_among_many(tmp_path: Path) -> None:
    """Whether it is there is asked under the lock: two that ask at once do not both write."""
    path = tmp_path / trials.NAME
    with ThreadPoolExecutor(8) as pool:
        added = list(pool.map(lambda k: record_once(path, "train", run="a", detail={"k": k % 5}), range(40)))
    assert sum(added) == len(read(path)) == 5


def test_a_damaged_ledger_is_not_written_to(tmp_path: Path) -> None:
    path = tmp_path / trials.NAME
    record_once(path, "train", run="a")
    damaged = path.read_bytes().replace(b'"a"', b'"b"')
    path.write_bytes(damaged)
    with pytest.raises(InputError, match="does not match its hash"):
        record_once(path, "train", run="a")
    assert path.read_bytes() == damaged


def test_every_early_stop_is_a_trial(tmp_path: Path) -> None:
    path = tmp_path / trials.NAME
    for run in ("p/iteration-01", "p/iteration-02"):
        for candidate in range(3):
            append(path, "train", run=run, data_sha256=DATA, config_sha256=str(candidate) * 64)
            append(path, "warm-start", run=run, data_sha256=DATA, config_sha256=str(candidate) * 64)
    assert count_trials(read(path), DATA) == 6
    for candidate in range(2):
        about = {"run": "p/iteration-02", "data_sha256": DATA, "config_sha256": "0" * 64}
        record_once(path, "early-stop", **about, detail={"candidate": candidate, "update": 7})
    append(path, "early-stop", run="p/iteration-02", data_sha256=OTHER)
    append(path, "validate", run="p/iteration-02", data_sha256=DATA)
    assert count_trials(read(path), DATA) == read_trials(path, DATA, (0, 9)).count == 8
    assert count_trials(read(path), OTHER) == 1
