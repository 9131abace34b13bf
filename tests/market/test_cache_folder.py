"""Where the table cache lies, who may write there, and what its keys hang on."""

import importlib.metadata
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from jaxtrade.market import cache
from tests.helpers.planting import ROOT
from tests.helpers.unsafe_folders import UNSAFE

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="owners and permission bits of POSIX")
KEY = "a" * 64


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache" / "tables"))
    monkeypatch.delenv(cache.LIMIT, raising=False)
    return tmp_path / "cache" / "tables"


def stored() -> bool:
    return cache.store(KEY, {"a": np.zeros(3)}, {}, 1.0)


def test_where_the_cache_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv(cache.VARIABLE, "")
    stored()
    assert (tmp_path / "xdg" / "jaxtrade" / "tables" / KEY / cache.MANIFEST).exists()
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    stored()
    assert (tmp_path / "home" / ".cache" / "jaxtrade" / "tables" / KEY).exists()


@pytest.mark.parametrize("word", ["off", "OFF", "none", "0"])
def test_off(word: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv(cache.VARIABLE, word)
    assert not cache.in_use()
    assert cache.open_entry(KEY) is None
    assert not stored()
    assert (cache.list_entries(), cache.clear()) == ([], (0, 0))
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("plant", UNSAFE)
def test_an_unsafe_folder_is_not_used(
    folder: Path, plant: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    folder.parent.mkdir()
    plant(folder)
    assert not cache.in_use()
    err = capsys.readouterr().err
    assert err.startswith(f"warning: no table cache: {folder}: {UNSAFE[plant]}")
    assert len(err.splitlines()) == 1
    assert not stored()
    assert cache.open_entry(KEY) is None


def test_another_users_folder_is_not_used(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stored()
    monkeypatch.setattr(os, "getuid", lambda: folder.stat().st_uid + 1)
    assert cache.open_entry(KEY) is None
    assert "belongs to another user" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["many", "-1", "nan"])
def test_a_limit_that_is_none(text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv(cache.LIMIT, text)
    assert not cache.in_use()
    expected = f"JAXTRADE_TABLE_CACHE_GB: must be a number of gigabytes, got '{text}'. Set JAXTRADE_TABLE_CACHE_GB=10"
    assert capsys.readouterr().err == f"warning: no table cache: {expected}\n"


def test_the_key_hangs_on_parts_code_and_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = {"content": "x", "config": {"features": {"ema": [10, 20]}}, "window": 260}
    found = [cache.cache_key(parts)]
    assert cache.KEY.fullmatch(found[0])
    assert cache.cache_key(dict(reversed(parts.items()))) == found[0]
    found += [cache.cache_key(parts | {"window": 261}), cache.cache_key(parts | {"config": {}})]
    version = importlib.metadata.version
    for changed in cache.PACKAGES:
        with monkeypatch.context() as patch:
            patch.setattr(
                importlib.metadata, "version", lambda name, new=changed: "9" if name == new else version(name)
            )
            found.append(cache.cache_key(parts))
    house = tmp_path / "jaxtrade"
    for name in cache.SOURCES:
        shutil.copytree(ROOT / "jaxtrade" / name, house / name, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(cache, "__file__", str(house / "market" / "cache.py"))
    assert cache.cache_key(parts) == found[0]
    for name in ("market/table.py", "market/bars.py", "config/market.py", "rules/types.py"):
        with (house / name).open("a") as file:
            file.write("\n")
        found.append(cache.cache_key(parts))
    (house / "market" / "table.py").rename(house / "market" / "tables.py")
    found.append(cache.cache_key(parts))
    assert len(set(found)) == len(found) == 12
