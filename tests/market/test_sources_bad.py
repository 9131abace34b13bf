"""Bad sources: each is refused with its own code, in one line that names the place."""

import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jaxtrade.config.market import LoadConfig
from jaxtrade.errors import InputError
from jaxtrade.market.reading import Reading
from jaxtrade.market.sources import read
from tests.helpers.odd_files import PLAIN, lines, table

LINES = PLAIN.splitlines()
PANEL = ("date,symbol,open,close", "2020-01-01,A,10,11", "2020-01-01,B,20,21", "2020-01-02,A,12,13")
ZIPPED = gzip.compress(PLAIN.encode())
NOISE = np.random.default_rng(0).bytes(4000)
BERLIN = {"timezone": "Europe/Berlin"}


def swapped(line: int, old: str, new: str) -> bytes:
    """Return the plain file with one line changed, 1-based."""
    assert old in LINES[line - 1]
    return lines(*LINES[: line - 1], LINES[line - 1].replace(old, new), *LINES[line:])


def parquet(**columns: object) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue().to_pybytes()


WHOLE = parquet(date=["2020-01-01"] * 2000, open=list(range(2000)), close=list(range(2000)))

BAD = {  # what: (file name, content, pieces of the message)
    "missing": ("prices.csv", None, "E-DATA-001|no such file"),
    "empty": ("prices.csv", b"", "E-DATA-002|the file is empty"),
    "blank": ("prices.csv", b"\n \n\n", "E-DATA-002|the file is empty"),
    "header only": ("prices.csv", lines(LINES[0]), "E-DATA-002|holds no rows"),
    "empty .gz": ("prices.csv.gz", gzip.compress(b""), "E-DATA-002|the file is empty"),
    "half a .gz": ("prices.csv.gz", ZIPPED[: len(ZIPPED) // 2], "E-DATA-003|cannot be unpacked"),
    "wrong checksum": ("prices.csv.gz", ZIPPED[:-8] + b"\0" * 4 + ZIPPED[-4:], "E-DATA-003|CRC"),
    "no .gz": ("prices.csv.gz", PLAIN.encode(), "E-DATA-003|Not a gzipped file"),
    "noise": ("prices.csv", NOISE, "E-DATA-004|is not UTF-8"),
    "Latin-1": ("prices.csv", PLAIN.replace("volume", "Stück").encode("latin-1"), "E-DATA-004|row 1: the byte 0xfc"),
    "UTF-16 without mark": ("prices.csv", PLAIN.encode("utf-16-le"), "E-DATA-004|row 1: a zero byte"),
    "zeros at the end": ("prices.csv", PLAIN.encode() + b"\0" * 512, "E-DATA-004|row 6: a zero byte"),
    "zip": ("prices.csv", b"PK\x03\x04" + NOISE, "E-DATA-004|it looks like a zip archive"),
    "Excel": ("prices.csv", b"\xd0\xcf\x11\xe0\xa1\xb1" + NOISE, "E-DATA-004|an old Excel workbook"),
    "a row too long": (
        "prices.csv",
        swapped(3, "980", "980,1,2"),
        "E-DATA-005|row 3 has 8 cells and others 6: '2024-01",
    ),
    "a row too short": ("prices.csv", swapped(5, ",875", ""), "E-DATA-005|row 5 has 5 cells and others 6"),
    "a quote too many": ("prices.csv", swapped(3, "980", '"980'), "E-DATA-005|"),
    "prose": ("prices.csv", b"There is no table here.\nNone at all.\n", "E-DATA-006|'there'"),
    "words": ("prices.csv", b"one\ntwo\nthree\n", "E-DATA-005|no delimiter among tab, semicolon"),
    "no time": ("prices.csv", swapped(1, "time", "day"), "E-DATA-006|'day'"),
    "no open": ("prices.csv", swapped(1, "open", "opn"), "E-DATA-007|column 'open' is missing; found 'time', 'opn'"),
    "no close": ("prices.csv", swapped(1, "close", "clse"), "E-DATA-007|column 'close' is missing"),
    "no header, too narrow": (
        "prices.csv",
        b"2020-01-01,1,2,3\n2020-01-02,1,2,3\n",
        "E-DATA-007|4 columns without a header",
    ),
    "wide, closes alone": ("prices.csv", b"date,A_close,B_close\n2020-01-01,1,2\n", "E-DATA-007|'open' is missing"),
    "column twice": ("prices.csv", swapped(1, "low", "Close"), "E-DATA-008|column 'close' appears more than once"),
    "no symbol at all": ("prices.csv", lines(PANEL[0], "2020-01-01,,10,11"), "E-DATA-014|row 2|the symbol is empty"),
    "no time at all": ("prices.csv", lines("time,open,close", ",1,1", ",1,1"), "E-DATA-030|row 2|the time is empty"),
    "no format": ("prices.csv", lines("time,open,close", "soon,1,1", "later,1,1"), "E-DATA-031|row 2|time 'soon'"),
    "row numbers for times": ("prices.csv", lines(",open,close", "0,1,1", "1,1,1"), "E-DATA-031|row 2|time '0'"),
    "other format given": (
        "prices.csv",
        PLAIN.encode(),
        "E-DATA-031|%d.%m.%Y (as configured)",
        {"date_format": "%d.%m.%Y"},
    ),
    "two readings": (
        "prices.csv",
        lines("date,open,close", "1/2/2020,1,1", "1/3/2020,1,1"),
        "E-DATA-032|row|'1/2/2020'",
    ),
    "two readings of numbers": (
        "prices.csv",
        lines("date;open;close", "2020-01-01;1,234;1,235", "2020-01-02;1,236;1,237"),
        "E-DATA-020|'1,234' can be read with a decimal comma",
    ),
    "unknown zone": (
        "prices.csv",
        PLAIN.encode(),
        "market.load.timezone: there is no time zone",
        {"timezone": "Mars/X"},
    ),
    "unknown directive": ("prices.csv", PLAIN.encode(), "market.load.date_format: holds '%Q'", {"date_format": "%Q"}),
    "no Parquet": ("prices.parquet", NOISE, "E-DATA-003|cannot be read"),
    "empty Parquet": ("prices.parquet", b"", "E-DATA-002|the file is empty"),
    "Parquet without rows": ("prices.parquet", parquet(date=[], open=[], close=[]), "E-DATA-002|holds no rows"),
    "half a Parquet": ("prices.parquet", WHOLE[: len(WHOLE) // 2], "E-DATA-003|cannot be read"),
    "Parquet, no close": ("prices.parquet", parquet(date=["2020-01-01"], open=[1.0]), "E-DATA-007|'close'"),
    "half a database": ("bars.db", b"SQLite format 3\0" + NOISE[:50], "E-DATA-003|"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_sources_are_refused_with_their_code(tmp_path: Path, what: str) -> None:
    name, content, pieces, *config = BAD[what]
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read(str(path), LoadConfig(**(config[0] if config else {})))
    text = str(caught.value)
    assert "\n" not in text
    assert len(caught.value.remedy) > 5
    assert path.name in text or "market.load" in text
    for piece in pieces.split("|"):
        assert piece in text


def found(tmp_path: Path, content: bytes, name: str = "prices.csv", **config: object) -> list[Reading]:
    (tmp_path / name).write_bytes(content)
    return read(str(tmp_path / name), LoadConfig(**config))


def odd_times(*times: str) -> bytes:
    return lines("time,open,close", *(f"{time},1,1" for time in times))


CELLS = {  # what: (content, code, column, positions, rows, pieces of the text)
    "text": (
        swapped(3, "1082.07", "n.v.t."),
        "E-DATA-020",
        "close",
        [1],
        [3],
        "row 3 (2024-01-30T23:00:00Z)|'n.v.t.' is no",
    ),
    "two texts": (
        swapped(3, "1084.9,1082", "x,1082").replace(b"1088.2,", b"y,"),
        "E-DATA-020",
        "high",
        [1, 3],
        [3, 5],
        "1 of 2",
    ),
    "letter O": (swapped(4, "1082.1,1090", "1O82.1,1090"), "E-DATA-020", "open", [2], [4], "'1O82.1' is no number"),
    "underscore": (swapped(4, "2210", "2_210"), "E-DATA-020", "volume", [2], [4], "'2_210'"),
    "a comma for a point": (
        table(delimiter=";").replace("1082.07", "1082,07").encode(),
        "E-DATA-020",
        "close",
        [1],
        [3],
        "'1082,07'",
    ),
    "a point for a comma": (
        table(delimiter=";", cell=lambda number: number.replace(".", ",")).replace("1082,07", "1082.07").encode(),
        "E-DATA-020",
        "close",
        [1],
        [3],
        "'1082.07'",
    ),
    "one comma among thousands": (swapped(3, "1082.07", '"10,523"'), "E-DATA-020", "close", [1], [3], "'10,523'"),
    "one comma among prices below 1000": (
        lines("time;open;close", "2024-01-30;105.2;105.1", "2024-01-31;105.1;10,523", "2024-02-01;105.3;105.4"),
        "E-DATA-020",
        "close",
        [1],
        [3],
        "'10,523'",
    ),
    "below a blank line": (
        swapped(4, "1088.1", "?").replace(b"time", b"\n\ntime").replace(b"980\n", b"980\n\n"),
        "E-DATA-020",
        "close",
        [2],
        [7],
        "row 7",
    ),
    "no time": (odd_times("2020-01-01", "", "2020-01-03"), "E-DATA-030", "time", [1], [3], "the time is empty"),
    "31 June": (odd_times("2020-06-29", "2020-06-30", "2020-06-31"), "E-DATA-031", "time", [2], [4], "'2020-06-31'"),
    "another format": (
        odd_times("2020-06-29", "30.06.2020", "2020-07-01"),
        "E-DATA-031",
        "time",
        [1],
        [3],
        "'30.06.2020'",
    ),
    "hour 24": (odd_times("2020-06-29 23:00", "2020-06-29 24:00"), "E-DATA-031", "time", [1], [3], "24:00"),
    "first time wrong": (odd_times("x", "2020-06-29", "2020-06-30"), "E-DATA-031", "time", [0], [2], "'x'"),
    "seconds among milliseconds": (
        odd_times("1577836800000", "1577840400000", "1577844000"),
        "E-DATA-031",
        "time",
        [2],
        [4],
        "'1577844000'",
    ),
    "mixed zones": (
        odd_times("2020-01-01 10:00Z", "2020-01-01 11:00", "2020-01-01 12:00Z"),
        "E-DATA-033",
        "time",
        [1],
        [3],
        "11:00'",
    ),
}


@pytest.mark.parametrize("what", CELLS)
def test_bad_cells_are_named_and_the_rest_is_kept(tmp_path: Path, what: str) -> None:
    content, code, column, at, rows, pieces = CELLS[what]
    (reading,) = found(tmp_path, content)
    (finding,) = [each for each in reading.findings if each.severe]
    assert (finding.code, finding.column, finding.symbol) == (code, column, "prices")
    assert finding.at.tolist() == at
    assert finding.rows.tolist() == rows
    for piece in pieces.split("|"):
        assert piece in finding.text()
    bad = np.isnat(reading.frame.index.to_numpy()) if column == "time" else np.isnan(reading.frame[column].to_numpy())
    assert np.flatnonzero(bad).tolist() == at
    others = reading.frame.drop(columns=[column, "volume"], errors="ignore")
    assert np.isfinite(others.to_numpy()).all()


@pytest.mark.parametrize(("time", "row"), [("2024-03-31 02:30", 3), ("2024-10-27 02:30", 3)])
def test_local_times_that_do_not_exist_or_twice_are_named(tmp_path: Path, time: str, row: int) -> None:
    (reading,) = found(tmp_path, odd_times("2024-03-30 10:00", time, "2024-12-01 10:00"), timezone="Europe/Berlin")
    (finding,) = reading.findings
    assert finding.code == "E-DATA-034"
    assert finding.rows.tolist() == [row]
    assert time in finding.text()
    assert [str(each) for each in reading.frame.index[[0, 2]]] == ["2024-03-30 09:00:00", "2024-12-01 09:00:00"]


def test_findings_of_a_panel_stand_with_their_symbol(tmp_path: Path) -> None:
    content = lines(*PANEL, "2020-01-02,B,22,x", ",A,14,15", "2020-01-03,,14,15", "2020-01-03,B,y,15")
    one, two = found(tmp_path, content)
    assert [(each.code, each.symbol, each.at.tolist(), each.rows.tolist()) for each in one.findings] == [
        ("E-DATA-014", "", [], [7]),
        ("E-DATA-030", "A", [2], [6]),
    ]
    assert [(each.code, each.column, each.at.tolist(), each.rows.tolist()) for each in two.findings] == [
        ("E-DATA-020", "open", [2], [8]),
        ("E-DATA-020", "close", [1], [5]),
    ]
    assert one.rows.tolist() == [2, 4, 6]
    assert two.rows.tolist() == [3, 5, 8]


def test_a_name_that_is_almost_one_of_a_field(tmp_path: Path) -> None:
    """`A_volu` is no volume (a dot in an alias once stood for any letter), and nothing else."""
    (tmp_path / "a.csv").write_text("time,A_open,A_close,A_volu\n2020-01-01,1,2,3\n", encoding="utf-8")
    (found,) = read(str(tmp_path / "a.csv"), LoadConfig())
    assert found.frame["volume"].isna().all()
    assert any(each.code == "N-DATA-067" and "A_volu" in each.what for each in found.findings)
