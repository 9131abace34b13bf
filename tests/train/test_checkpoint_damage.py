"""Flipped bits, cut and missing files: never a wrong state, and each damage is told by the name of its file."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from jaxtrade.errors import InputError
from tests.helpers.checkpoint_damage import LIKE, all_files, assert_noticed, cut, damaged, flip_a_bit
from tests.helpers.checkpoint_states import FACTS, assert_bitwise, make_state, save_updates
from train import manifest, saved
from train.checkpoint import Checkpoints, load, saved_updates
from train.config import CheckpointConfig

METRICS = {1: 0.9, 2: 0.1, 3: 0.2}  # the first is the best
Change = Callable[[bytes, np.random.Generator], bytes]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    save_updates(folder, METRICS)
    return folder


def damage_many(run: Path, change: Change, count: int, capture: pytest.CaptureFixture[str], only: str = "") -> None:
    """Damage files in turn, so that small ones, of which each bit matters, are hit as often as large ones."""
    rng = np.random.default_rng(count)
    files = [path for path in all_files(run) if only in str(path)]
    for number in range(count):
        path = files[number % len(files)]
        before = path.read_bytes()
        with damaged(path, partial(change, rng=rng)):
            assert path.read_bytes() != before
            assert_noticed(run, path, capture)


@pytest.mark.parametrize("count", [36, pytest.param(300, marks=pytest.mark.nightly)])
@pytest.mark.parametrize("change", [flip_a_bit, cut])
def test_damage_is_noticed(change: Change, count: int, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damage_many(run, change, count, capsys)


def test_each_missing_file_is_noticed(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in all_files(run):
        with damaged(path, None):
            assert_noticed(run, path, capsys)


def test_without_the_manifest_damage_passes(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Planted: files are not compared with the manifest."""
    monkeypatch.setattr(saved, "verify", lambda *_, **__: None)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        damage_many(run, flip_a_bit, 1, capsys, "1/state/_METADATA")


def test_orbax_alone_does_not_notice_a_flipped_bit(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: neither the files nor the arrays are hashed. Why the manifest exists."""
    monkeypatch.setattr(saved, "verify", lambda *_, **__: None)
    monkeypatch.setattr(saved, "sha256", lambda data: saved.read_meta(run / "checkpoints" / "3")["state_sha256"])
    rng, wrong = np.random.default_rng(0), 0
    (path,) = [each for each in all_files(run) if str(each).endswith("3/state/state/0")]
    for _ in range(20):
        with damaged(path, partial(flip_a_bit, rng=rng)):
            try:
                assert_bitwise(load(run, "3", LIKE)[1], make_state(3))
            except AssertionError:
                wrong += 1
            except InputError:
                pass
    assert wrong > 0


def test_arrays_that_are_not_those_saved_are_noticed(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Files that are as they were written, but do not hold what was to be saved."""
    real = saved.read_state
    monkeypatch.setattr(saved, "read_state", lambda folder: real(folder) ^ np.uint8(folder.name == "3"))
    assert load(run, "latest", LIKE)[0] == 2
    assert "3: state does not hold the arrays that were saved" in capsys.readouterr().err


def test_a_resumed_run_sets_damaged_checkpoints_aside(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And so it can save those updates again; they are not counted among the latest."""
    save_updates(tmp_path, METRICS)
    path = tmp_path / "checkpoints" / "3" / "state" / "state" / "0"
    path.write_bytes(path.read_bytes()[:-1])
    with Checkpoints(tmp_path, CheckpointConfig(), FACTS) as saves:
        restored = saves.restore(LIKE)
        assert restored.update == 2
        assert_bitwise(restored.state, make_state(2))
        told = capsys.readouterr().err
        assert told.endswith("3: state/state/0 holds 249 bytes, not 250; update 2 is used instead\n")
        assert saves.updates() == [1, 2]
        saves.save(3, make_state(3), 0.2, {})
    names = sorted(each.name for each in (tmp_path / "checkpoints").iterdir())
    assert names == ["1", "2", "3", "3.damaged"]
    assert load(tmp_path, "latest", LIKE)[0] == 3


def test_a_run_none_of_whose_checkpoints_verifies(tmp_path: Path) -> None:
    save_updates(tmp_path, METRICS)
    for path in all_files(tmp_path):
        if path.name == manifest.NAME:
            path.unlink()
    message = "none is intact .3: manifest.json is missing; 2: manifest.json is missing; 1: manifest.json is missing."
    with Checkpoints(tmp_path, CheckpointConfig(), FACTS) as saves, pytest.raises(InputError, match=message):
        saves.restore(LIKE)
    with pytest.raises(InputError, match=message):
        load(tmp_path, "latest", LIKE)
    assert saved_updates(tmp_path) == [1, 2, 3]


def test_what_cannot_be_read_is_never_deleted(tmp_path: Path) -> None:
    """It may be the best; the disk may be to blame."""
    save_updates(tmp_path, METRICS)
    (tmp_path / "checkpoints" / "1" / "meta.json").write_text("{}")
    save_updates(tmp_path, {4: 0.0, 5: 0.0})
    assert saved_updates(tmp_path) == [1, 3, 4, 5]
