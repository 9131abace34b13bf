"""Sources damaged at random: each is read, with every odd cell named, or refused in one line; never a traceback."""

import io
import sqlite3
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from jaxtrade.config.market import LoadConfig
from jaxtrade.errors import InputError
from jaxtrade.market.sources import read
from tests.helpers.odd_files import ODD

BYTES = b"0123456789,;:.-/ \t\r\n\"'eExZ+|\0\xff\xc3%abcAPM<>()"


def good_files(folder: Path) -> list[tuple[str, bytes, dict[str, object]]]:
    """Return name, content and configuration of files of every format."""
    frame = pd.read_csv(io.BytesIO(ODD["plain"].content))
    frame.to_parquet(folder / "bars.parquet")
    with sqlite3.connect(folder / "bars.db") as connection:
        frame.to_sql("bars", connection)
    connection.close()
    long = pd.concat([frame.assign(symbol=symbol) for symbol in "AB"])
    wide = frame.rename(columns={name: f"A_{name}" for name in ("open", "high", "low", "close", "volume")})
    made = {"long.csv": long.to_csv(index=False).encode(), "wide.csv": wide.to_csv(index=False).encode()}
    made |= {name: (folder / name).read_bytes() for name in ("bars.parquet", "bars.db")}
    odd = [(each.name, each.content, dict(each.config)) for each in ODD.values()]
    return odd + [(name, content, {}) for name, content in made.items()]


def damaged(content: bytes, random: np.random.Generator) -> bytes:
    """Return a content with some of its bytes changed, added, removed or repeated."""
    data = bytearray(content)
    for _ in range(random.choice([1, 1, 1, 2, 5])):
        at, kind = int(random.integers(len(data) + 1)), random.integers(4)
        if kind == 0:
            data[at : at + 1] = bytes([random.choice(list(BYTES))])
        elif kind == 1:
            data[at:at] = bytes([random.choice(list(BYTES))])
        elif kind == 2:
            del data[at : at + int(random.choice([1, 2, 10, 100]))]
        else:
            data[at:at] = data[at // 2 : at // 2 + int(random.choice([1, 5, 30]))]
    return bytes(data)


@pytest.mark.parametrize("count", [150, pytest.param(20_000, marks=pytest.mark.nightly)])
def test_damage_is_read_named_or_refused(tmp_path: Path, count: int) -> None:
    random = np.random.default_rng(count)
    files = good_files(tmp_path)
    outcomes = {"read": 0, "named": 0, "refused": 0}
    for _ in range(count):
        name, content, config = files[random.integers(len(files))]
        path = tmp_path / f"damaged_{name}"
        path.write_bytes(damaged(content, random))
        try:
            readings = read(str(path), LoadConfig(**config))
        except InputError as error:
            outcomes["refused"] += 1
            assert "\n" not in str(error)
            assert str(error).startswith("E-DATA-")
            continue
        found = [finding for reading in readings for finding in reading.findings if finding.severe]
        assert all("\n" not in finding.text() for finding in found)
        outcomes["named" if found else "read"] += 1
    assert min(outcomes.values()) > 0
