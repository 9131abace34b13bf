"""The table cache: what was stored comes back bit by bit or not at all, and never stops a run."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from jaxtrade.market import cache
from tests.helpers.planting import ROOT, run_python

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="owners and permission bits of POSIX")
KEY, OTHER, THIRD = ("a" * 64, "b" * 64, "c" * 64)
META = {"source": "bars.csv", "symbols": ["A", "B"], "ranges": {"train": [5, 9]}, "stale": 0.1 + 0.2}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache" / "tables"))
    monkeypatch.delenv(cache.LIMIT, raising=False)
    return tmp_path / "cache" / "tables"


def arrays() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {
        "time": np.datetime64("2020-01-01", "s") + np.arange(5) * np.timedelta64(1, "D"),
        "outcome.gap": np.where(random.random((5, 2)) < 0.3, np.nan, random.standard_normal((5, 2))),
        "features": random.standard_normal((5, 2, 3)).astype(np.float32),
        "known/tradable": np.asfortranarray(random.random((5, 2)) < 0.5),
        "names": np.array(["A", "Bé"]),
        "nothing": np.zeros((0, 3)),
        "one": np.array(7.5),
    }


def is_whole(entry: cache.Entry | None) -> bool:
    """Return whether an entry is exactly what `stored` stores."""
    return (
        entry is not None
        and entry.meta == META
        and entry.seconds == 41.5
        and list(entry.arrays) == list(arrays())
        and all(
            entry.arrays[name].dtype == array.dtype
            and entry.arrays[name].shape == array.shape
            and entry.arrays[name].tobytes() == array.tobytes()
            for name, array in arrays().items()
        )
    )


def stored(key: str = KEY) -> bool:
    return cache.store(key, arrays(), META, 41.5)


def test_what_is_stored_comes_back_mapped(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cache.in_use()
    assert cache.open_entry(KEY) is None
    assert stored()
    entry = cache.open_entry(KEY)
    assert is_whole(entry)
    assert cache.open_entry(OTHER) is None
    assert isinstance(entry.arrays["features"], np.memmap)
    assert not entry.arrays["features"].flags.writeable
    assert [each.name for each in folder.iterdir()] == [KEY]
    assert {each.stat().st_mode & 0o777 for each in (folder, folder.parent, folder / KEY)} == {0o700}
    assert stored(), "again"
    assert capsys.readouterr() == ("", "")


def test_objects_are_not_stored(folder: Path) -> None:
    with pytest.raises(ValueError, match="allow_pickle"):
        cache.store(KEY, {"a": np.array([object()])}, {}, 1)
    assert list(folder.iterdir()) == []


def damages(entry: Path, steps: int) -> Iterator[Callable[[], object]]:
    """Yield what damages a stored table, each in another way."""
    for file in sorted(entry.iterdir()):
        content = file.read_bytes()
        for at in range(0, len(content), steps):
            changed = content[:at] + bytes([content[at] ^ (1 << at % 8)]) + content[at + 1 :]
            yield lambda file=file, changed=changed: file.write_bytes(changed)
        for size in (0, len(content) // 2, len(content) - 1):
            yield lambda file=file, size=size: os.truncate(file, size)
        yield lambda file=file, content=content: file.write_bytes(content + b"\0")
        yield file.unlink
    yield lambda: (entry / "0.npy").replace(entry / "1.npy")
    yield lambda: shutil.rmtree(entry) or entry.mkdir()


def served(folder: Path, steps: int) -> int:
    """Return how many damaged tables are served; each that is not must be gone and leave room for a new one."""
    assert stored()
    good, count = folder.parent / "good", 0
    shutil.copytree(folder / KEY, good)
    for damage in list(damages(folder / KEY, steps)):
        damage()
        if cache.open_entry(KEY) is None:
            assert not (folder / KEY).exists()
        else:
            count += 1
            shutil.rmtree(folder / KEY)
        shutil.copytree(good, folder / KEY)
    assert is_whole(cache.open_entry(KEY))
    return count


def test_damage_is_never_served(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert served(folder, steps=11) == 0
    said = capsys.readouterr().err.splitlines()
    assert len(said) > 150
    assert all(line.startswith(f"note: the cached table {KEY[:12]} is damaged (") for line in said)
    assert all(line.endswith("); it is built again") for line in said)


@pytest.mark.nightly
def test_no_flipped_byte_is_served(folder: Path) -> None:
    assert served(folder, steps=1) == 0


def test_without_checksums_damage_would_be_served(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_checksum", lambda _: 0)
    stored()
    file = folder / KEY / f"{list(arrays()).index('features')}.npy"
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    entry = cache.open_entry(KEY)
    assert entry is not None
    assert not is_whole(entry)


def test_a_table_under_the_name_of_another_is_not_served(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stored()
    (folder / KEY).rename(folder / OTHER)
    assert cache.open_entry(OTHER) is None
    assert "its manifest is that of another table" in capsys.readouterr().err


def test_who_has_it_mapped_keeps_it_when_it_is_deleted(folder: Path) -> None:
    stored()
    entry = cache.open_entry(KEY)
    count, size = cache.clear()
    assert count == 1
    assert size > sum(array.nbytes for array in arrays().values())
    assert list(folder.iterdir()) == []
    assert is_whole(entry)
    assert cache.clear() == (0, 0)


def test_the_list(folder: Path) -> None:
    assert cache.list_entries() == []
    stored()
    cache.store(OTHER, {"a": np.zeros(1000)}, {}, 2.0)
    stored(THIRD)
    os.truncate(folder / THIRD / cache.MANIFEST, 100)
    for age, key in enumerate((OTHER, KEY, THIRD)):
        os.utime(folder / key / cache.MANIFEST, (1000 - age, 1000 - age))
    first, second, third = cache.list_entries()
    assert (first.key, first.source, first.seconds) == (OTHER, "", 2.0)
    assert first.size == sum(file.stat().st_size for file in (folder / OTHER).iterdir()) > 8000
    assert (second.key, second.source, second.seconds) == (KEY, "bars.csv", 41.5)
    assert 0 <= second.age < 60
    assert (third.key, third.source) == (THIRD, "damaged: its manifest does not match its hash")


def store_big(key: str, megabytes: float = 1) -> bool:
    return cache.store(key, {"a": np.zeros(int(megabytes * 1e6), np.uint8)}, {}, 1)


def keys() -> set[str]:
    return {each.key for each in cache.list_entries()}


def test_the_least_recently_used_go(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cache.LIMIT, "0.0035")
    fourth = "d" * 64
    for age, key in enumerate((KEY, OTHER, THIRD)):
        store_big(key)
        os.utime(folder / key / cache.MANIFEST, (1000 + age, 1000 + age))
    assert keys() == {KEY, OTHER, THIRD}
    assert cache.open_entry(KEY) is not None, "used just now"
    store_big(fourth)
    assert keys() == {KEY, THIRD, fourth}
    monkeypatch.setenv(cache.LIMIT, "0.0015")
    store_big(OTHER)
    assert keys() == {OTHER}


def test_a_table_beyond_the_limit_is_not_stored(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store_big(KEY)
    monkeypatch.setenv(cache.LIMIT, "0.0015")
    assert not store_big(OTHER, megabytes=2)
    assert "its 0.0 GB are more than JAXTRADE_TABLE_CACHE_GB allows" in capsys.readouterr().err
    assert keys() == {KEY}


def test_what_the_user_keeps_there_stays(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored()
    (folder / "thesis").mkdir()
    (folder / "thesis" / "chapter").write_text("1")
    (folder / "notes.txt").write_text("2")
    monkeypatch.setenv(cache.LIMIT, "0")
    store_big(OTHER)
    cache.clear()
    assert {each.name for each in folder.iterdir()} == {"thesis", "notes.txt"}


def test_leftovers_of_dead_writers_go(folder: Path) -> None:
    stored()
    for name, age in ((".new-old", 90_000), (".new-live", 10), (".old-old", 90_000)):
        (folder / name / KEY).mkdir(parents=True)
        (folder / name / KEY / "0.npy").write_bytes(b"x" * 100)
        os.utime(folder / name, (time.time() - age,) * 2)
    stored(OTHER)
    assert {each.name for each in folder.iterdir()} == {KEY, OTHER, ".new-live"}
    assert cache.clear()[0] == 2
    assert list(folder.iterdir()) == []


WRITER = """
import contextlib, os, sys
from test_cache import KEY, OTHER, is_whole, stored
from jaxtrade.market import cache
for turn in range(int(sys.argv[1])):
    for key in (KEY, OTHER):
        entry = cache.open_entry(key)
        assert entry is None or is_whole(entry)
        assert stored(key)
        if turn % 3 == 0:
            with contextlib.suppress(FileNotFoundError):
                os.truncate(cache._place().folder / key / cache.MANIFEST, 10)
"""


def test_writers_at_once(folder: Path) -> None:
    """Some store, open and damage the same tables at once; none sees half of one."""
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests' / 'market'}"}
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, "20"], env=environment, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    said = [writer.communicate(timeout=120)[1] for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0, 0], said
    assert stored()
    assert is_whole(cache.open_entry(KEY))
    assert not any(each.name.startswith(".") for each in folder.iterdir())


FULL = """
import resource
import numpy as np
from jaxtrade.market import cache
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
print(cache.store("a" * 64, {"small": np.zeros(3), "big": np.zeros(100_000)}, {}, 1.0), cache.list_entries())
"""


def test_a_full_disk_is_a_warning(folder: Path) -> None:
    said = run_python(ROOT, "-c", FULL)
    assert (said.returncode, said.stdout) == (0, "False []\n"), said
    assert said.stderr.startswith(f"warning: the table is not cached: {folder}: ")
    assert len(said.stderr.splitlines()) == 1
    assert list(folder.iterdir()) == []
