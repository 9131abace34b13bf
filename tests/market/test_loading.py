"""A table from the cache is the table that was built, for training, export and backtest alike; and nothing stale."""

from pathlib import Path

import numpy as np
import pytest

from jaxtrade.config import MarketConfig
from jaxtrade.envs.synthetic import random_bars
from jaxtrade.market import loading
from jaxtrade.market.loading import load_table
from jaxtrade.market.table import MarketTable
from tests.helpers.price_files import csv_lines, scale_cell, write_lines

WINDOW = 20


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("JAXTRADE_TABLE_CACHE", str(tmp_path / "tables"))
    return write_lines(tmp_path / "prices.csv", csv_lines(random_bars(400)))


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows with every table that is built."""
    real, counts = loading.build_table, list[int]()

    def build_table(*arguments: object) -> MarketTable:
        counts.append(1)
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(loading, "build_table", build_table)
    return counts


def assert_same(one: MarketTable, two: MarketTable) -> None:
    for name in ("time", "features", "mark"):
        np.testing.assert_array_equal(vars(one)[name], vars(two)[name])
    for name in ("known", "outcome", "bars", "scaler"):
        for mine, theirs in zip(vars(one)[name], vars(two)[name], strict=True):
            np.testing.assert_array_equal(mine, theirs)  # None is equal to None
    for name in ("symbols", "feature_names", "ranges", "config", "window", "data_hash", "stale_opens", "sealed"):
        assert vars(one)[name] == vars(two)[name], name
    assert one.report["repairs"] == two.report["repairs"]


def test_the_second_table_is_the_first(
    source: Path, built: list[int], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "WORTH_TELLING", -1.0)
    first = load_table(str(source), MarketConfig(), WINDOW)
    again = load_table(str(source), MarketConfig(), WINDOW)
    assert len(built) == 1
    assert "s saved" in capsys.readouterr().err
    assert_same(first, again)
    assert isinstance(again.features, np.memmap)


def test_export_and_backtest_find_the_table_of_training(source: Path, built: list[int]) -> None:
    first = load_table(str(source), MarketConfig(), WINDOW)
    for scaler in (None, first.scaler):
        assert_same(first, load_table(str(source), first.config, WINDOW, scaler))
    assert len(built) == 1


def test_whatever_changes_builds_anew(source: Path, built: list[int]) -> None:
    table = load_table(str(source), MarketConfig(), WINDOW)
    load_table(str(source), MarketConfig(features={"rsi": 5}), WINDOW)
    load_table(str(source), MarketConfig(), WINDOW + 1)
    load_table(str(source), MarketConfig(load={"repair": ["clip"]}), WINDOW)
    load_table(str(source), MarketConfig(), WINDOW, table.scaler._replace(center=table.scaler.center + 1))
    write_lines(source, scale_cell(csv_lines(random_bars(400)), 100, "volume", 1.5))
    changed = load_table(str(source), MarketConfig(), WINDOW)
    assert len(built) == 6
    assert changed.data_hash != table.data_hash


def test_a_users_feature_is_never_cached(
    source: Path, tmp_path: Path, built: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its code may change unseen."""
    for _ in range(2):
        load_table(str(source), MarketConfig(features={"examples.my_feature:from_the_high": 10}), WINDOW)
    assert len(built) == 2
