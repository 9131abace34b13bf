"""Bars from files: formats, column names, dates, panels and the embedded samples."""

import gzip
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from jaxtrade.envs.synthetic import random_bars
from jaxtrade.market.bars import Bars, load_bars
from tests.helpers.price_files import COLUMNS, GOOD_LINES, GOOD_TEXT, PANEL_TEXT, csv_lines, load_text, write_lines

DAYS = ["2020-01-01", "2020-01-02", "2020-01-03"]


def assert_is_text(bars: Bars, symbol: str = "prices") -> None:
    assert bars.symbols == (symbol,)
    assert bars.time.dtype == np.dtype("datetime64[s]")
    assert [str(day)[:10] for day in bars.time] == DAYS
    numbers = np.array([line.split(",")[1:] for line in GOOD_LINES[1:]], float)
    for place, name in enumerate(COLUMNS):
        column = getattr(bars, name)
        assert column.dtype == np.float64
        np.testing.assert_array_equal(column, numbers[:, place : place + 1])


def write_as(path: Path) -> None:
    if path.suffix.lower() == ".parquet":
        pd.read_csv(io.StringIO(GOOD_TEXT)).to_parquet(path)
    else:
        path.write_bytes(gzip.compress(GOOD_TEXT.encode()) if path.suffix == ".gz" else GOOD_TEXT.encode())


@pytest.mark.parametrize("name", ["prices.csv", "prices.csv.gz", "prices.parquet", "prices.CSV", "prices.PARQUET"])
def test_one_file(tmp_path: Path, name: str) -> None:
    write_as(tmp_path / name)
    assert_is_text(load_bars(str(tmp_path / name)))


@pytest.mark.parametrize("index", ["Date", None])
@pytest.mark.parametrize("zone", [None, "America/New_York"])
def test_parquet_with_the_time_as_index(tmp_path: Path, index: str | None, zone: str | None) -> None:
    frame = pd.read_csv(io.StringIO(GOOD_TEXT)).drop(columns="date")
    frame.index = pd.DatetimeIndex(DAYS, name=index, tz=zone)
    frame.to_parquet(tmp_path / "prices.parquet")
    bars = load_bars(str(tmp_path / "prices.parquet"))
    assert str(bars.time[0]) == ("2020-01-01T00:00:00" if zone is None else "2020-01-01T05:00:00")
    np.testing.assert_array_equal(bars.close[:, 0], [11, 12, 13])


@pytest.mark.parametrize(
    ("times", "first"),
    [
        (["2020-01-30", "2020-01-31"], "2020-01-30T00:00:00"),
        (["2020-01-30 16:00:00", "2020-01-30 17:00:00"], "2020-01-30T16:00:00"),
        (["2020-01-30T16:00:00+01:00", "2020-01-30T17:00:00+01:00"], "2020-01-30T15:00:00"),
        (["2020-01-30T16:00:00Z", "2020-01-30T17:00:00Z"], "2020-01-30T16:00:00"),
        (["20200130", "20200131"], "2020-01-30T00:00:00"),
        (["01/30/2020", "01/31/2020"], "2020-01-30T00:00:00"),
        (["30/01/2020", "31/01/2020"], "2020-01-30T00:00:00"),
        (["1/2/2020", "1/13/2020"], "2020-01-02T00:00:00"),  # one unambiguous date settles the file
        (["30.01.2020", "31.01.2020"], "2020-01-30T00:00:00"),
        (["01.02.2020 22:00:00.000", "02.02.2020 22:00:00.000"], "2020-02-01T22:00:00"),
        (["2020.01.30 16:15", "2020.01.30 16:30"], "2020-01-30T16:15:00"),
    ],
)
def test_date_formats(tmp_path: Path, times: list[str], first: str) -> None:
    bars = load_text(tmp_path, "time,open,close\n" + "".join(f"{time},10,11\n" for time in times))
    assert str(bars.time[0]) == first
    assert len(bars.time) == 2


@pytest.mark.parametrize(
    "header",
    [
        "Date,Open,High,Low,Close,Volume",
        " DATE , OPEN , HIGH , LOW , CLOSE , VOLUME ",
        "<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOLUME>",
        "timestamp,open,high,low,close,volume",
        "Datetime,open,high,low,close,volume",
        ",Open,High,Low,Close,Volume",
        "\ufeffdate,open,high,low,close,volume",
    ],
)
def test_column_names(tmp_path: Path, header: str) -> None:
    assert_is_text(load_text(tmp_path, "\n".join([header, *GOOD_LINES[1:]])))


def test_open_and_close_suffice(tmp_path: Path) -> None:
    bars = load_text(tmp_path, "adjusted,close,open,date\n1,11,10,2020-01-01\n1,12,13,2020-01-02\n")
    np.testing.assert_array_equal(bars.high[:, 0], [11, 13])
    np.testing.assert_array_equal(bars.low[:, 0], [10, 12])
    assert np.isnan(bars.volume).all()


def test_missing_cells_stay_missing(tmp_path: Path) -> None:
    bars = load_text(tmp_path, GOOD_TEXT.replace(",12,14,11,13,300", ",,14,11,,"))
    assert np.isnan([bars.open[2, 0], bars.close[2, 0], bars.volume[2, 0]]).all()
    assert bars.high[2, 0] == 14


def test_numbers_survive_the_text(tmp_path: Path) -> None:
    bars = random_bars(200, seed=4)
    read = load_bars(str(write_lines(tmp_path / "S0.csv", csv_lines(bars))))
    np.testing.assert_array_equal(read.time, bars.time)
    for name in COLUMNS:
        np.testing.assert_allclose(getattr(read, name), getattr(bars, name), rtol=1e-15)


@pytest.mark.parametrize("name", ["symbol", "Ticker", "Name", "tic"])
def test_symbol_column_and_union_of_times(tmp_path: Path, name: str) -> None:
    bars = load_text(tmp_path, PANEL_TEXT.format(name))
    assert bars.symbols == ("A", "B")
    assert [str(day)[:10] for day in bars.time] == DAYS
    np.testing.assert_array_equal(bars.close, [[21, 11], [23, np.nan], [np.nan, 13]])
    np.testing.assert_array_equal(bars.open, [[20, 10], [22, np.nan], [np.nan, 12]])


def test_folder_with_one_file_per_symbol(tmp_path: Path) -> None:
    (tmp_path / "BRK.B.csv").write_text("\n".join(GOOD_LINES), encoding="utf-8")
    (tmp_path / "A.csv.gz").write_bytes(gzip.compress("\n".join(GOOD_LINES[:3]).encode()))
    pd.read_csv(tmp_path / "BRK.B.csv")[1:].to_parquet(tmp_path / "C.parquet")
    (tmp_path / "notes.txt").write_text("no bars", encoding="utf-8")
    bars = load_bars(str(tmp_path))
    assert bars.symbols == ("A", "BRK.B", "C")
    np.testing.assert_array_equal(bars.close, [[11, 11, np.nan], [12, 12, 12], [np.nan, 13, 13]])


@pytest.mark.parametrize("symbols", [("B", "A"), ("B",), ("A", "B")])
def test_symbols_are_chosen_in_the_order_asked_for(tmp_path: Path, symbols: tuple[str, ...]) -> None:
    bars = load_text(tmp_path, PANEL_TEXT.format("symbol"), symbols=symbols)
    assert bars.symbols == symbols
    assert bars.close[0].tolist() == [{"A": 21, "B": 11}[symbol] for symbol in symbols]
    assert len(bars.time) == (2 if symbols == ("B",) else 3), "times of symbols left out must go with them"


@pytest.mark.parametrize(("name", "symbols"), [("nasdaq",) * 2, ("sp500",) * 2, ("both", "nasdaq sp500")])
def test_embedded_samples(name: str, symbols: str) -> None:
    bars = load_bars(f"sample:{name}")
    assert bars.symbols == tuple(symbols.split())
    assert bars.close.shape == (5031, len(bars.symbols))
    assert str(bars.time[0])[:10] == "1999-01-04"
    assert (np.diff(bars.time) > np.timedelta64(0, "s")).all()
    for column in COLUMNS[:4]:
        assert (getattr(bars, column) > 0).all()
    if "nasdaq" in bars.symbols:
        assert (bars.open[0, 0], bars.close[0, 0]) == (2207.540039, 2208.050049)
