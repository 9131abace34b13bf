"""Checkpoints: what comes back, what is kept, what is refused, and disks that fail."""

import errno
import json
import math
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxtrade.errors import InputError
from tests.helpers.checkpoint_states import FACTS, State, assert_bitwise, make_state, save_updates
from train import checkpoint, saved
from train.checkpoint import Checkpoints, kept, load, saved_updates
from train.compilation import Compilations
from train.config import CheckpointConfig


def reopened(run: Path, facts: Any = FACTS) -> Checkpoints:
    return Checkpoints(run, CheckpointConfig(), facts)


def test_what_was_saved_comes_back_bitwise(tmp_path: Path) -> None:
    """Every dtype, keys, NaN and minus zero; on the devices of shapes, and without compiling anything."""
    save_updates(tmp_path, {7: 0.5})
    here = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    shapes = jax.eval_shape(lambda: make_state(0))
    like = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=here), shapes)
    with Compilations() as compilations, reopened(tmp_path) as saves:
        restored = saves.restore(like)
    assert compilations.total == 0
    assert restored.update == 7
    assert restored.host == {"callbacks": {"Evaluation": {"best": 7}}}
    assert_bitwise(restored.state, make_state(7))
    assert all(leaf.committed and leaf.sharding == here for leaf in jax.tree.leaves(restored.state))
    with pytest.raises(AssertionError):
        assert_bitwise(restored.state, make_state(7)._replace(update=jnp.int32(8)))


def test_a_restored_state_can_be_donated(tmp_path: Path) -> None:
    """The learner consumes its state; what was restored must not be memory of someone else."""
    save_updates(tmp_path, {7: 0.5})
    with reopened(tmp_path) as saves:
        state = saves.restore(make_state(0)).state
    add = jax.jit(lambda tree: jax.tree.map(lambda leaf: leaf + leaf, tree), donate_argnums=0)
    assert_bitwise(add(state.opt_state), jax.tree.map(lambda leaf: leaf + leaf, make_state(7).opt_state))


def test_opening_a_run_without_checkpoints(tmp_path: Path) -> None:
    assert saved_updates(tmp_path) == []
    with pytest.raises(InputError, match="holds no checkpoint"):
        load(tmp_path, "best", make_state(0))
    assert not list(tmp_path.iterdir())
    with reopened(tmp_path) as saves:
        assert saves.restore(make_state(0)) is None
        assert saves.best() is None
        assert saves.updates() == []


def test_leftovers_of_a_killed_process_are_removed(tmp_path: Path) -> None:
    save_updates(tmp_path, {1: None})
    shutil.copytree(tmp_path / "checkpoints" / "1", tmp_path / "checkpoints" / ".partial-2")
    assert saved_updates(tmp_path) == [1]
    with reopened(tmp_path):
        assert [each.name for each in (tmp_path / "checkpoints").iterdir()] == ["1"]


def test_a_save_is_done_once(tmp_path: Path) -> None:
    with reopened(tmp_path) as saves:
        saves.save(1, make_state(1), 0.5, {})
        saves.save(1, make_state(2), 0.7, {})
        assert saves.best() == (1, 0.5)
    assert_bitwise(load(tmp_path, "1", make_state(0))[1], make_state(1))


NUMBERS = st.one_of(st.none(), st.sampled_from([math.nan, math.inf, -math.inf, -1.0, 0.0, 0.5]), st.floats(-2, 2))


@given(st.lists(st.tuples(st.integers(1, 3), NUMBERS), max_size=25), st.integers(1, 4), st.integers(0, 5))
@settings(max_examples=200, deadline=None)
def test_what_is_kept_is_what_a_plain_model_keeps(steps: list, latest: int, every: int) -> None:
    """One save after another; the model looks at all checkpoints that ever were, at each save."""
    config = CheckpointConfig(keep_latest=latest, keep_every=every)
    metrics, history, update = {}, [], 0
    for gap, metric in steps:
        update += gap
        metrics[update] = metric
        metrics = {each: metrics[each] for each in kept(metrics, config)}
        history.append((update, metric))
        best = None
        for each in history:
            if each[1] is not None and math.isfinite(each[1]) and (best is None or each[1] > best[1]):
                best = each
        wanted = [each for each, _ in history[-latest:]] + ([best[0]] if best else [])
        wanted += [each for each, _ in history if every and each % every == 0]
        assert sorted(metrics) == sorted(set(wanted))
        assert saved.best_of(metrics) == best


def test_the_folder_holds_what_is_kept(tmp_path: Path) -> None:
    """No number and infinity never displace the best; neither does a second run of the process."""
    metrics = {1: math.nan, 2: 0.5, 3: math.inf, 4: -0.1, 5: math.nan, 6: None}
    save_updates(tmp_path, metrics, keep_every=3)
    assert saved_updates(tmp_path) == [2, 3, 5, 6]
    save_updates(tmp_path, {7: 0.5, 8: 0.1}, keep_every=3)
    assert saved_updates(tmp_path) == [2, 3, 6, 7, 8]
    assert_bitwise(load(tmp_path, "best", make_state(0))[1], make_state(2))
    assert load(tmp_path, "latest", make_state(0))[0] == 8
    assert load(tmp_path, "3", make_state(0))[0] == 3
    with pytest.raises(InputError, match=r"no checkpoint '4'. Choose best, latest or one of \[2, 3, 6, 7, 8\]"):
        load(tmp_path, "4", make_state(0))


def test_nothing_is_deleted_before_the_new_one_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    real = checkpoint.Checkpoints._remove

    def remove(saves: Checkpoints, update: int) -> None:
        seen.append((update, saved_updates(tmp_path)))
        real(saves, update)

    monkeypatch.setattr(checkpoint.Checkpoints, "_remove", remove)
    save_updates(tmp_path, {1: 0.1, 2: 0.2, 3: 0.3}, keep_latest=1)
    assert seen == [(1, [1, 2]), (2, [2, 3])]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_parameters_that_are_not_finite_are_not_saved(
    bad: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_updates(tmp_path, {1: 0.1})
    state = make_state(2)
    kernel = state.params["encoder"]["kernel"].at[2, 1].set(bad)
    with reopened(tmp_path) as saves:
        saves.save(2, state._replace(params={"encoder": {"kernel": kernel}}), 0.5, {})
        assert saves.updates() == [1]
    assert capsys.readouterr().err == "warning: update 2 is not saved: params/encoder/kernel is not finite\n"


def without(state: State, part: str) -> State:
    return state._replace(env_state={name: leaf for name, leaf in state.env_state.items() if name != part})


REFUSED = {
    "shape": (make_state(0, hidden=7), r"1: encoder/kernel is \(6, 3\) in the checkpoint and \(7, 3\) here \(and 1 mo"),
    "dtype": (make_state(0, dtype=jnp.bfloat16), "encoder/kernel is float32 in the checkpoint and bfloat16 here"),
    "missing": (without(make_state(0), "lots"), "env_state/lots is in the checkpoint and not here. Use the network"),
    "new": (make_state(0)._replace(env_state={"fees": jnp.zeros(3)}), "env_state/fees is not in the checkpoint"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_another_network_is_refused_by_name_without_fallback(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Orbax would cast dtypes; it is not asked."""
    save_updates(tmp_path, {1: 0.1})
    monkeypatch.setattr(saved, "read_state", None)
    like, message = REFUSED[case]
    with reopened(tmp_path) as saves, pytest.raises(InputError, match=message):
        saves.restore(like)
    with pytest.raises(InputError, match=message):
        load(tmp_path, "best", like)
    assert saved_updates(tmp_path) == [1]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("data_sha256", 'made with data_sha256 "abc", and here it is "other"'),
        ("features", r'made with features \["returns", "rsi"\], and here'),
        ("added", 'made with added null, and here it is "other"'),
    ],
)
def test_other_facts_are_refused_by_name(name: str, message: str, tmp_path: Path) -> None:
    save_updates(tmp_path, {1: 0.1, 2: 0.2})
    with reopened(tmp_path, FACTS | {name: "other"}) as saves, pytest.raises(InputError, match=message):
        saves.restore(make_state(0))
    with pytest.raises(InputError, match=message):
        load(tmp_path, "latest", make_state(0), {name: "other"})
    assert saved_updates(tmp_path) == [1, 2]


def test_what_callbacks_remember_must_be_json(tmp_path: Path) -> None:
    with reopened(tmp_path) as saves:
        with pytest.raises(InputError, match="what the callbacks remember is not JSON"):
            saves.save(1, make_state(1), None, {"callbacks": {"Mine": np.float32(3)}})
        assert saves.updates() == []


def test_another_schema_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "SCHEMA", 9)
    save_updates(tmp_path, {1: 0.1})
    with pytest.raises(InputError, match="has schema 9, not 1"):
        load(tmp_path, "1", make_state(0))


def assert_told(run: Path, reason: str) -> None:
    """A save fails in one line; what was there is intact, and nothing else is."""
    names = sorted(each.name for each in (run / "checkpoints").iterdir())
    with Checkpoints(run, CheckpointConfig(), FACTS) as saves:
        with pytest.raises(InputError) as raised:
            saves.save(9, make_state(9), 0.9, {})
        text = str(raised.value)
        assert f"checkpoints: update 9 cannot be saved ({reason}). Free space or make it writable" in text
        assert "intact are the checkpoints of updates 1, 2" in text
        assert "\n" not in text
        assert saves.updates() == [1, 2]
    assert sorted(each.name for each in (run / "checkpoints").iterdir()) == names == ["1", "2"]
    assert_bitwise(load(run, "latest", make_state(0))[1], make_state(2))


def full(*arguments: Any, **named: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("step", ["write_state", "write_manifest", "Path.write_text", "Path.rename", "Path.mkdir"])
def test_a_disk_that_fails_at_any_step(step: str, tmp_path: Path) -> None:
    save_updates(tmp_path, {1: 0.1, 2: 0.2})
    with pytest.MonkeyPatch.context() as patch, Checkpoints(tmp_path, CheckpointConfig(), FACTS) as saves:
        where, name = (Path, step[5:]) if step.startswith("Path") else (checkpoint, step)
        patch.setattr(where, name, full)
        with pytest.raises(InputError, match=r"update 9 cannot be saved \(No space left on device\)"):
            saves.save(9, make_state(9), 0.9, {})
    assert sorted(each.name for each in (tmp_path / "checkpoints").iterdir()) == ["1", "2"]
    assert load(tmp_path, "best", make_state(0))[0] == 2


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB, where the system lets us mount one."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(tmp_path)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


@pytest.mark.parametrize("room", [0, 4096, 12_000, 20_000])
def test_a_full_disk(room: int, small_disk: Path) -> None:
    """A real one, which Orbax meets at some step of its own; with room again, the run goes on."""
    save_updates(small_disk, {1: 0.1, 2: 0.2})
    (small_disk / "other").write_bytes(b"x" * (shutil.disk_usage(small_disk).free - room))
    assert_told(small_disk, "No space left on device")
    (small_disk / "other").unlink()
    save_updates(small_disk, {10: 0.9})
    assert load(small_disk, "latest", make_state(0))[0] == 10


def test_a_read_only_disk(small_disk: Path) -> None:
    save_updates(small_disk, {1: 0.1, 2: 0.2})
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert_told(small_disk, "Read-only file system")


def test_a_folder_that_is_read_only(tmp_path: Path) -> None:
    save_updates(tmp_path, {1: 0.1, 2: 0.2})
    (tmp_path / "checkpoints").chmod(0o500)
    try:
        if os.access(tmp_path / "checkpoints", os.W_OK):
            pytest.skip("this user may write everywhere")
        assert_told(tmp_path, "Permission denied")
    finally:
        (tmp_path / "checkpoints").chmod(0o700)


def test_a_folder_that_is_removed_does_not_come_back(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    with reopened(run) as saves:
        saves.save(1, make_state(1), 0.1, {})
        shutil.rmtree(run)
        with pytest.raises(InputError, match=r"update 2 cannot be saved \(No such file or directory\)"):
            saves.save(2, make_state(2), 0.2, {})
    assert not run.exists()
    with pytest.raises(InputError, match="the folder cannot be opened"):
        reopened(run).__enter__()


def test_meta_is_json_that_people_can_read(tmp_path: Path) -> None:
    save_updates(tmp_path, {1: 0.25})
    meta = json.loads((tmp_path / "checkpoints" / "1" / "meta.json").read_text())
    assert (meta["update"], meta["metric"], meta["facts"]) == (1, 0.25, FACTS)
    assert meta["leaves"]["params/encoder/kernel"] == ["float32", [6, 3]]
    assert len(meta["parameters_sha256"]) == 64
