"""The compilation cache is private or not used; what is compiled is counted."""

import os
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from jaxtrade.errors import InputError
from jaxtrade.private import cache_folder, make_private
from tests.helpers.planting import ROOT, run_python
from tests.helpers.unsafe_folders import UNSAFE
from train.compilation import VARIABLE, Compilations, prune, use_compilation_cache
from train.run import CompilationWatch

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="owners and permission bits of POSIX")


@pytest.fixture
def settings() -> dict[str, object]:
    """The settings that the cache changes; they are put back by `fresh_jax`."""
    names = ("compilation_cache_dir", "persistent_cache_min_compile_time_secs", "persistent_cache_min_entry_size_bytes")
    return {f"jax_{name}": getattr(jax.config, f"jax_{name}") for name in names}


@pytest.fixture(autouse=True)
def fresh_jax(settings: dict[str, object]) -> object:
    yield
    for name, value in settings.items():
        jax.config.update(name, value)


def test_where_the_cache_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder({}, VARIABLE, "xla") == tmp_path / ".cache" / "jaxtrade" / "xla"
    assert cache_folder({"XDG_CACHE_HOME": "/c"}, VARIABLE, "xla") == Path("/c/jaxtrade/xla")
    assert cache_folder({"XDG_CACHE_HOME": "relative"}, VARIABLE, "xla") == tmp_path / ".cache" / "jaxtrade" / "xla"
    assert cache_folder({"JAXTRADE_COMPILATION_CACHE": "off", "XDG_CACHE_HOME": "/c"}, VARIABLE, "xla") is None
    assert cache_folder({"JAXTRADE_COMPILATION_CACHE": "~/mine"}, VARIABLE, "xla") == tmp_path / "mine"


def test_a_new_folder_is_private(tmp_path: Path) -> None:
    folder = tmp_path / "jaxtrade" / "xla"
    make_private(folder, VARIABLE)
    assert [each.stat().st_mode & 0o777 for each in (folder, folder.parent)] == [0o700, 0o700]
    make_private(folder, VARIABLE)  # and stays good


@pytest.mark.parametrize("plant", UNSAFE)
def test_an_unsafe_folder_is_not_used(
    tmp_path: Path, plant: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "here" / "cache"
    folder.parent.mkdir()
    plant(folder)
    monkeypatch.setenv("JAXTRADE_COMPILATION_CACHE", str(folder))
    assert use_compilation_cache() is None
    assert jax.config.jax_compilation_cache_dir is None
    err = capsys.readouterr().err
    assert err.startswith(f"warning: no compilation cache: {folder}: {UNSAFE[plant]}")
    assert len(err.splitlines()) == 1


def test_another_users_folder_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_private(tmp_path / "cache", VARIABLE)
    monkeypatch.setattr(os, "getuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(InputError, match="belongs to another user"):
        make_private(tmp_path / "cache", VARIABLE)


def test_off_and_the_users_own_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert os.environ["JAXTRADE_COMPILATION_CACHE"] == "off"  # in every test
    assert use_compilation_cache() is None
    monkeypatch.setenv("JAXTRADE_COMPILATION_CACHE", str(tmp_path / "ours"))
    jax.config.update("jax_compilation_cache_dir", str(tmp_path / "theirs"))
    assert use_compilation_cache() is None
    assert jax.config.jax_compilation_cache_dir == str(tmp_path / "theirs")
    assert not (tmp_path / "ours").exists()
    jax.config.update("jax_compilation_cache_dir", None)
    assert use_compilation_cache() == tmp_path / "ours"
    assert jax.config.jax_compilation_cache_dir == str(tmp_path / "ours")


def test_the_oldest_entries_go(tmp_path: Path) -> None:
    for age in range(6):
        path = tmp_path / f"{age}-cache"
        path.write_bytes(b"x" * 100)
        os.utime(path, (1000 - age, 1000 - age))
    (tmp_path / "other").write_bytes(b"x" * 1000)
    prune(tmp_path, 600)
    assert len(list(tmp_path.glob("*-cache"))) == 6
    prune(tmp_path, 599)
    assert {path.name for path in tmp_path.iterdir()} == {"0-cache", "1-cache", "other"}


PROGRAM = """
import jax, jax.numpy as jnp
from train.compilation import Compilations, use_compilation_cache
assert use_compilation_cache() is not None
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
with Compilations() as compilations:
    jax.jit(lambda x: jnp.linalg.qr(jnp.sin(x) @ x)).lower(jax.ShapeDtypeStruct((9, 9), "float32")).compile()
print(compilations.fresh, compilations.cached)
"""


def test_the_second_process_reads_what_the_first_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And says nothing: some versions of XLA complain of the machine's features whenever they read an executable."""
    monkeypatch.setenv("JAXTRADE_COMPILATION_CACHE", str(tmp_path / "cache"))
    first, second = (run_python(ROOT, "-c", PROGRAM) for _ in range(2))
    assert [first.stdout, second.stdout] == ["1 0\n", "0 1\n"], (first, second)
    assert [first.stderr, second.stderr] == ["", ""]
    assert any((tmp_path / "cache").glob("*-cache"))


def test_compilations_are_counted() -> None:
    twice = jax.jit(lambda x: x * 2)
    numbers = [jnp.zeros(size) for size in (3, 3, 4)]
    with Compilations() as compilations:
        seen = [(twice(each), compilations.total)[1] for each in numbers]
        assert seen == [1, 1, 2]  # a new shape is a retrace
        assert compilations.fresh == 2
        assert compilations.seconds > 0
        assert str(compilations).startswith("compiled 2 programs in ")
    twice(jnp.zeros(5))
    assert compilations.total == 2  # closed


def test_the_watch_tells_of_compilations_in_the_middle() -> None:
    compilations, said = Compilations(), []
    watch = CompilationWatch(compilations, said.append)
    compilations.total = 5
    watch.after_chunk(1)
    compilations.total = 7  # the first validation and checkpoint
    watch.after_validation(2)
    watch.after_chunk(3)
    watch.after_validation(4)
    assert said == ["compiled 5 programs in 0.0 s"]
    compilations.total = 8
    watch.after_chunk(5)
    compilations.total = 10
    watch.after_validation(6)
    watch.after_chunk(7)
    assert said[1:] == [
        "update 5: 1 more compilations in the middle of the run",
        "update 6: 2 more compilations in the middle of the run",
    ]
