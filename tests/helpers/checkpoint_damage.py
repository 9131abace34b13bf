"""Damage to checkpoints, one file at a time, and what must then happen."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from jaxtrade.errors import InputError
from tests.helpers.checkpoint_states import assert_bitwise, make_state
from train.checkpoint import load, saved_updates

LIKE = make_state(0)


def all_files(run: Path) -> list[Path]:
    return sorted(path for path in (run / "checkpoints").rglob("*") if path.is_file())


def flip_a_bit(data: bytes, rng: np.random.Generator) -> bytes:
    at = int(rng.integers(len(data)))
    return data[:at] + bytes([data[at] ^ 1 << int(rng.integers(8))]) + data[at + 1 :]


def cut(data: bytes, rng: np.random.Generator) -> bytes:
    return data[: int(rng.integers(len(data)))]


@contextmanager
def damaged(path: Path, change: Callable[[bytes], bytes] | None) -> Iterator[None]:
    """Change a file, or remove it, for the time of the block."""
    data = path.read_bytes()
    if change is None:
        path.unlink()
    else:
        path.write_bytes(change(data))
    try:
        yield
    finally:
        path.write_bytes(data)


def assert_noticed(run: Path, path: Path, capture: pytest.CaptureFixture[str]) -> None:
    """No load gives anything but what was saved at the update that it claims, and the damage is told by name."""
    parts = path.relative_to(run / "checkpoints").parts
    hit, name = int(parts[0]), "/".join(parts[1:])
    saved = saved_updates(run)
    newest, second = saved[-1], saved[-2]
    capture.readouterr()
    update, state = load(run, "latest", LIKE)
    assert_bitwise(state, make_state(update))
    told = capture.readouterr().err
    if hit == newest:
        assert update == second
        assert told.count("\n") == 1
        assert told.startswith(f"warning: {(run / 'checkpoints' / str(hit)).absolute()}: {name} ")
        assert told.endswith(f"; update {second} is used instead\n")
    else:
        assert update == newest
        assert told == ""
    with pytest.raises(InputError) as raised:
        load(run, str(hit), LIKE)
    assert f"{hit}: {name} " in str(raised.value)
    assert f"Use --checkpoint with one of {[each for each in saved if each != hit]}" in str(raised.value)
    assert_the_best(run, hit, name, capture)


def assert_the_best(run: Path, hit: int, name: str, capture: pytest.CaptureFixture[str]) -> None:
    """The first checkpoint is the best; another is taken only where that is told."""
    try:
        update, state = load(run, "best", LIKE)
    except InputError as error:
        assert hit == saved_updates(run)[0]
        assert f"{hit}: {name} " in str(error)
        return
    assert_bitwise(state, make_state(update))
    told = capture.readouterr().err
    assert bool(told) == (name in ("meta.json", "manifest.json"))
    if update != saved_updates(run)[0]:
        assert f"{hit}: {name} " in told
        assert told.endswith("; the best is sought among the others\n")
