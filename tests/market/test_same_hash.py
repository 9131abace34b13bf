"""The same bars are the same data, however they are stored: one hash from text, Parquet, SQLite, and shuffled rows."""

import gzip
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from jaxtrade.config import LoadConfig
from jaxtrade.envs.synthetic import random_bars
from jaxtrade.errors import InputError
from jaxtrade.market.bars import load_bars
from jaxtrade.market.table import hash_bars
from tests.helpers.price_files import HEADER, csv_lines

BARS = random_bars(300, seed=9)
LINES = csv_lines(BARS)
FRAME = pd.DataFrame({"date": BARS.time} | {name: getattr(BARS, name)[:, 0] for name in HEADER.split(",")[1:]})


def shuffled(folder: Path) -> str:
    order = np.random.default_rng(0).permutation(len(LINES) - 1)
    return text(folder, [LINES[0], *(LINES[1 + at] for at in order)])


def text(folder: Path, lines: list[str], comma: str = ",", point: str = ".") -> str:
    written = [
        line.replace(".", point) if comma == ";" else line for line in (each.replace(",", comma) for each in lines)
    ]
    (folder / "A.csv").write_text("\n".join(written) + "\n", encoding="utf-8")
    return str(folder / "A.csv")


def zipped(folder: Path) -> str:
    (folder / "A.csv.gz").write_bytes(gzip.compress("\n".join(LINES).encode()))
    return str(folder / "A.csv.gz")


def parquet(folder: Path) -> str:
    FRAME.to_parquet(folder / "A.parquet")
    return str(folder / "A.parquet")


def sqlite(folder: Path) -> str:
    with sqlite3.connect(folder / "bars.db") as connection:
        FRAME.assign(date=FRAME["date"].astype(str)).to_sql("A", connection, index=False)
    connection.close()
    return f"sqlite:///{folder}/bars.db?table=A"


WAYS: dict[str, Callable[[Path], str]] = {
    "CSV": lambda folder: text(folder, LINES),
    "semicolons": lambda folder: text(folder, LINES, ";", ","),
    "gzip": zipped,
    "Parquet": parquet,
    "SQLite": sqlite,
    "shuffled rows": shuffled,
}


@pytest.mark.parametrize("way", WAYS)
def test_one_hash(tmp_path: Path, way: str) -> None:
    bars = load_bars(WAYS[way](tmp_path), config=LoadConfig(repair=("sort",)))
    assert bars.symbols == ("A",)
    assert hash_bars(bars) == hash_bars(BARS._replace(symbols=("A",)))


def test_it_can_fail(tmp_path: Path) -> None:
    """Unsorted rows are refused without the repair, and one bit more is another hash."""
    with pytest.raises(InputError, match="E-DATA-035"):
        load_bars(shuffled(tmp_path))
    close = BARS.close.copy()
    close[200] = np.nextafter(close[200], 0)
    assert hash_bars(BARS._replace(close=close)) != hash_bars(BARS)
