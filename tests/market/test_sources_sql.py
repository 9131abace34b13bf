"""Databases: SQLite read-only, others by SQLAlchemy; tables, queries, and what is refused."""

import re
import sqlite3
import sys
from pathlib import Path

import numpy as np
import pytest

from jaxtrade.config.market import LoadConfig
from jaxtrade.errors import InputError
from jaxtrade.market.sources import content_hash, read
from jaxtrade.market.sources.sql import parse_address, to_array

ROWS = [("2024-01-02", "A", 10, 11.5, 3), ("2024-01-03", "A", 11, 12.25, None), ("2024-01-02", "B", 20, 21, 7)]


@pytest.fixture
def bars(tmp_path: Path) -> Path:
    """A database of two tables and a view."""
    path = tmp_path / "bars of mine.db"
    with sqlite3.connect(path) as connection:
        connection.execute('CREATE TABLE "daily bars" (date, ticker, open, close, volume)')
        connection.executemany('INSERT INTO "daily bars" VALUES (?, ?, ?, ?, ?)', ROWS)
        connection.execute("CREATE TABLE notes (text)")
        connection.execute("CREATE VIEW late AS SELECT * FROM \"daily bars\" WHERE date > '2024-01-02'")
    connection.close()
    return path


def closes(source: str) -> dict[str, list[float]]:
    return {each.symbol: each.frame["close"].tolist() for each in read(source, LoadConfig())}


BOTH = {"A": [11.5, 12.25], "B": [21.0]}


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        ("?table=daily bars", BOTH),
        ("?table=daily%20bars", BOTH),
        ("?table=late", {"A": [12.25]}),
        ("?query=SELECT * FROM \"daily bars\" WHERE close > 12 AND ticker != 'X&Y'", {"A": [12.25], "B": [21.0]}),
        ("?query=SELECT+*+FROM+%22daily+bars%22+ORDER+BY+close+DESC", {"A": [12.25, 11.5], "B": [21.0]}),
        ("?query=SELECT date, open, close FROM \"daily bars\" WHERE ticker LIKE 'B%'", {"bars of mine": [21.0]}),
    ],
)
def test_tables_views_and_queries(bars: Path, rest: str, expected: dict[str, list[float]]) -> None:
    assert closes(f"sqlite:///{bars}{rest}") == expected


def test_rows_and_types(bars: Path) -> None:
    one, two = read(f"sqlite:///{bars}?table=daily bars", LoadConfig())
    assert one.rows.tolist() == [1, 2]
    assert two.rows.tolist() == [3]
    np.testing.assert_array_equal(one.frame["volume"], [3, np.nan])
    assert one.about["format"] == "database"
    assert one.about["table"] == "daily bars"
    assert not one.has_range


def test_a_cell_that_is_no_number_is_named(bars: Path) -> None:
    with sqlite3.connect(bars) as connection:
        connection.execute('INSERT INTO "daily bars" VALUES (?, ?, ?, ?, ?)', ("2024-01-03", "B", "x", b"\0", 0.1))
    connection.close()
    _, two = read(f"sqlite:///{bars}?table=daily bars", LoadConfig())
    assert [(each.code, each.column, each.rows.tolist()) for each in two.findings] == [
        ("E-DATA-020", "open", [4]),
        ("E-DATA-020", "close", [4]),
    ]
    assert two.frame["volume"].tolist() == [7, 0.1]


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        ("", r"E-DATA-011 .*it holds daily bars, late, notes, and \?table= or \?query= does not say which"),
        ("?table=dialy bars", r"E-DATA-011 .*there is no table 'dialy bars' \(Did you mean 'daily bars'\?\)"),
        ("?table=notes", r"E-DATA-006 .*no time column among 'text'"),
        ("?query=SELECT nil", r"E-DATA-011 .*SQLite says: no such column: nil"),
        ("?query=SELECT * FROM late WHERE 0", r"E-DATA-002 .*query holds no rows"),
        ("?query=DELETE FROM notes", r"E-DATA-011 .*SQLite says: attempt to write a readonly database"),
        ("?query=CREATE TABLE more (a)", r"E-DATA-011 .*readonly"),
    ],
)
def test_what_is_no_table_of_bars_is_refused(bars: Path, rest: str, message: str) -> None:
    before = bars.read_bytes()
    with pytest.raises(InputError, match=message):
        read(f"sqlite:///{bars}{rest}", LoadConfig())
    assert bars.read_bytes() == before


def test_missing_damaged_and_cut_files_are_refused(bars: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"E-DATA-001 .*no such file"):
        read(f"sqlite:///{tmp_path}/none.db?table=daily", LoadConfig())
    assert not (tmp_path / "none.db").exists()
    whole = bars.read_bytes()
    for name, content in {"text.db": b"date,open\n" * 20, "cut.db": whole[: len(whole) - 4096]}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=f"E-DATA-003 .*{re.escape(name)}"):
            read(f"sqlite:///{tmp_path / name}?table=daily bars", LoadConfig())
    garbled = bytearray(whole)
    garbled[4096:8192] = b"\xff" * 4096
    (tmp_path / "garbled.db").write_bytes(garbled)
    with pytest.raises(InputError, match=r"E-DATA-003 .*malformed"):
        read(f"sqlite:///{tmp_path}/garbled.db?table=daily bars", LoadConfig())


def test_the_hash_holds_the_query_and_the_bytes(bars: Path) -> None:
    seen = [content_hash(f"sqlite:///{bars}?table={name}", LoadConfig()) for name in ("late", "daily bars")]
    with sqlite3.connect(bars) as connection:
        connection.execute("INSERT INTO notes VALUES ('x')")
    connection.close()
    seen.append(content_hash(f"sqlite:///{bars}?table=late", LoadConfig()))
    assert len(set(seen)) == 3


def test_parts_of_an_address() -> None:
    address = parse_address("postgresql+psycopg://me:secret@host/db?sslmode=require&table=daily&x=1")
    assert address.url == "postgresql+psycopg://me:secret@host/db?sslmode=require&x=1"
    assert address.table == "daily"
    assert "secret" not in address.where


def test_columns_of_several_types_become_text() -> None:
    assert to_array((1, 2.5, None)).to_pylist() == [1.0, 2.5, None]
    assert to_array((0.1, "x", 2)).to_pylist() == ["0.1", "x", "2"]


def test_other_databases_need_sqlalchemy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    with pytest.raises(InputError, match=r'E-DATA-012 .*pip install "jaxtrade\[sql\]"') as caught:
        read("postgresql+psycopg://me:secret@host/db?table=daily", LoadConfig())
    assert "secret" not in str(caught.value)


def test_sqlalchemy_reads_the_same(bars: Path) -> None:
    """Its SQLite dialect stands for the servers: all that is told apart is the scheme."""
    pytest.importorskip("sqlalchemy", reason="SQLAlchemy is not installed (pip install 'jaxtrade[sql]')")
    from jaxtrade.market.sources.alchemy import from_server

    before = bars.read_bytes()
    for rest in ("?table=daily bars", '?query=SELECT * FROM "daily bars"'):
        _, rows = from_server(parse_address(f"sqlite+pysqlite:///{bars}{rest}"))
        assert rows.names == ("date", "ticker", "open", "close", "volume")
        assert [piece.to_pylist() for piece in rows.columns[3]] == [[11.5, 12.25, 21.0]]
    for rest, message in {
        "?table=dialy": "E-DATA-011 .*there is no table 'dialy'",
        "?query=SELECT nil": "E-DATA-011 .*no such column",
        "?query=DELETE FROM notes": "E-DATA-011 .*no answer",
    }.items():
        with pytest.raises(InputError, match=message):
            from_server(parse_address(f"sqlite+pysqlite:///{bars}{rest}"))
    assert bars.read_bytes() == before


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nosuch://me:secret@host/db?table=daily", r"E-DATA-011 nosuch://me:\*\*\*@host.*nosuch"),
        ("postgresql+nodriver://me:secret@host/db?table=daily", "E-DATA-011"),
        ("postgresql+psycopg2://me:secret@host/db?table=daily", r"E-DATA-01[12] "),
        ("http://example.com/bars.csv", "E-DATA-011"),
    ],
)
def test_wrong_addresses_are_refused(url: str, message: str) -> None:
    pytest.importorskip("sqlalchemy", reason="SQLAlchemy is not installed (pip install 'jaxtrade[sql]')")
    with pytest.raises(InputError, match=message) as caught:
        read(url, LoadConfig())
    assert "secret" not in str(caught.value)
