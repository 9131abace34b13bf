"""Odd but valid files load bit-identically to arrays written by hand, and what was understood of them is reported."""

import sqlite3
from datetime import UTC, date, datetime, time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jaxtrade.config.market import LoadConfig
from jaxtrade.market.reading import Reading
from jaxtrade.market.sources import read
from tests.helpers.odd_files import ODD


@pytest.mark.parametrize("what", ODD)
def test_odd_files_are_read_bit_by_bit(tmp_path: Path, what: str) -> None:
    odd = ODD[what]
    path = tmp_path / odd.name
    path.write_bytes(odd.content)
    (reading,) = read(str(path), LoadConfig(**odd.config))
    assert reading.symbol == odd.symbol
    assert reading.frame.index.dtype == np.dtype("datetime64[s]")
    np.testing.assert_array_equal(reading.frame.index.to_numpy(), np.array(odd.times, "datetime64[s]"))
    for name, values in odd.prices.items():
        column = reading.frame[name].to_numpy()
        assert column.dtype == np.float64
        assert column.tobytes() == np.array(values).tobytes(), name
    assert tuple(reading.rows) == odd.rows
    assert reading.has_range == odd.has_range
    assert odd.about.items() <= reading.about.items()
    assert sorted(finding.code for finding in reading.findings) == sorted(odd.notices)


def test_there_are_enough_of_them() -> None:
    assert len(ODD) >= 25


def test_a_reference_that_is_off_by_the_last_bit_is_seen(tmp_path: Path) -> None:
    odd = ODD["semicolon and decimal comma"]
    (tmp_path / odd.name).write_bytes(odd.content)
    (reading,) = read(str(tmp_path / odd.name), LoadConfig())
    off = np.nextafter(np.array(odd.prices["close"]), np.inf)
    assert reading.frame["close"].to_numpy().tobytes() != off.tobytes()


def write(path: Path, **columns: object) -> list[Reading]:
    """Write a Parquet file and read it."""
    pq.write_table(pa.table(columns), path / "prices.parquet")
    return read(str(path / "prices.parquet"), LoadConfig())


PRICES = {"open": [1.0, 2.0], "close": [1.5, 2.5]}
CLOCKS = [time(9, 30), time(16, 0)]
DAY = date(2024, 1, 30)


@pytest.mark.parametrize(
    "columns",
    [
        {"date": [DAY] * 2, "time": CLOCKS},
        {"date": [datetime(2024, 1, 30)] * 2, "time": CLOCKS},
        {"date": ["2024-01-30 00:00:00"] * 2, "time": ["09:30", "16:00"]},
        {"date": [20240130] * 2, "time": [93000, 160000]},
        {"date": ["30.01.2024"] * 2, "time": ["9:30 AM", "4:00 PM"]},
        {"date": ["2024-01-30 09:30", "2024-01-30 16:00"], "time": ["9:30", "16:00"]},
        {"date": [DAY] * 2, "time": [datetime.combine(DAY, clock) for clock in CLOCKS]},
        {"time": [datetime.combine(DAY, clock, UTC) for clock in CLOCKS]},
        {"unix": [1706607000.0, 1706630400.0]},
        {"time": [1706607000_000_000_000, 1706630400_000_000_000]},
    ],
)
def test_times_of_one_column_or_two(tmp_path: Path, columns: dict[str, object]) -> None:
    (reading,) = write(tmp_path, **columns, **PRICES)
    assert [str(each) for each in reading.frame.index] == ["2024-01-30 09:30:00", "2024-01-30 16:00:00"]
    assert reading.frame["close"].tolist() == [1.5, 2.5]
    assert "N-DATA-067" not in {finding.code for finding in reading.findings}


def test_dates_of_parquet_are_not_moved_by_a_zone(tmp_path: Path) -> None:
    write(tmp_path, date=[DAY, date(2024, 1, 31)], **PRICES)
    (reading,) = read(str(tmp_path / "prices.parquet"), LoadConfig(timezone="America/New_York"))
    assert [str(each) for each in reading.frame.index] == ["2024-01-30 00:00:00", "2024-01-31 00:00:00"]


def test_symbols_that_look_like_missing_cells(tmp_path: Path) -> None:
    """National Bank of Canada trades as NA, and Taiwan Semiconductor as 2330."""
    (tmp_path / "bars.csv").write_text("date,ticker,open,close\n2024-01-30,NA,1,NA\n2024-01-30,002330,2,2\n")
    two, one = read(str(tmp_path / "bars.csv"), LoadConfig())
    assert (two.symbol, one.symbol) == ("002330", "NA")
    assert np.isnan(one.frame["close"].iloc[0])
    assert not [finding for finding in one.findings if finding.severe]


def test_a_first_row_without_time_is_no_second_header(tmp_path: Path) -> None:
    (tmp_path / "bars.csv").write_text(",Open,Close\n,1,2\n2024-01-30,3,4\n")
    (reading,) = read(str(tmp_path / "bars.csv"), LoadConfig())
    assert [(finding.code, finding.rows.tolist()) for finding in reading.findings] == [("E-DATA-030", [2])]


def test_a_database_is_known_by_its_first_bytes(tmp_path: Path) -> None:
    path = tmp_path / "100%20 bars?.csv"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE bars (date, open, close)")
        connection.execute("INSERT INTO bars VALUES ('2024-01-30', 1, 2)")
    connection.close()
    (reading,) = read(str(path), LoadConfig())
    assert reading.symbol == "100%20 bars?"
    assert reading.frame["close"].tolist() == [2.0]


@pytest.mark.parametrize(
    ("header", "volume"),
    [
        ("time,open,close,volume,vol", 3.0),
        ("time,open,close,Vol,Volume", 4.0),
        ("time,open,close,tick_volume,real_volume", 4.0),
        ("time,open,close,TICKVOL,VOL", 4.0),
        ("time,open,close,spread,tick_volume", 4.0),
        ("time,open,close,Vol.,Volume USD", 3.0),
    ],
)
def test_the_volume_that_is_read(tmp_path: Path, header: str, volume: float) -> None:
    (tmp_path / "bars.csv").write_text(f"{header}\n2024-01-30,1,2,3,4\n")
    (reading,) = read(str(tmp_path / "bars.csv"), LoadConfig())
    assert reading.frame["volume"].tolist() == [volume]
