"""Bars in databases: SQLite by the standard library and read-only, any other by SQLAlchemy."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, unquote, unquote_plus

import numpy as np
import pyarrow as pa

from jaxtrade.config.market import LoadConfig
from jaxtrade.errors import did_you_mean
from jaxtrade.market.reading import Finding, Reading
from jaxtrade.market.sources.assemble import make_readings
from jaxtrade.market.sources.layout import make_layout
from jaxtrade.market.sources.raw import Raw, shown

SQLITE = b"SQLite format 3\0"
TABLES = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
PIECE = 65_536  # rows fetched together


class Address(NamedTuple):
    """Where in a database the bars are."""

    url: str  # of the database alone
    table: str | None
    query: str | None
    where: str  # for messages, without password


class Rows(NamedTuple):
    """The answer of a database."""

    names: tuple[str, ...]
    columns: list[list[pa.Array]]  # by column, in pieces


def parse_address(source: str) -> Address:
    """Take `table=` or `query=` out of a URL; a query goes to the end of it."""
    url, table, query = source, None, None
    if match := re.search(r"[?&]query=(.*)$", url, re.DOTALL):
        url, query = url[: match.start()], match[1] if " " in match[1] else unquote_plus(match[1])
    if match := re.search(r"(?<=[?&])table=([^&]*)&?", url):
        url, table = url[: match.start()] + url[match.end() :], unquote(match[1])
    shown = re.sub(r"(://[^/:@?]*):[^/]*@", r"\1:***@", source)
    return Address(url.rstrip("?&"), table, query, shown)


def sqlite_files(source: str) -> list[Path]:
    """Return the file of an SQLite URL, and its log of what is not yet in it.

    Raises:
        InputError: There is no such file.
    """
    address = parse_address(source)
    name = unquote(address.url.partition("://")[2].partition("?")[0].removeprefix("/"))
    path = Path(name).expanduser()
    if not name or not path.is_file():
        raise Finding("E-DATA-001", address.where, f"no such file '{name}', which").error()
    log = path.with_name(f"{path.name}-wal")
    return [path, *([log] if log.exists() and log.stat().st_size else [])]


def read_sql(source: str, config: LoadConfig) -> list[Reading]:
    """Read the bars of every symbol of a table or of a query's answer.

    Raises:
        InputError: The database is not there or damaged, or it does not answer with a table of bars.
    """
    address = parse_address(source)
    if address.url.lower().startswith("sqlite:"):
        table, rows = _from_sqlite(address)
    else:
        from jaxtrade.market.sources.alchemy import from_server  # an optional package

        table, rows = from_server(address)
    layout = make_layout(address.where, rows.names)
    columns = {place: pa.chunked_array(_alike(rows.columns[place])) for place in layout.used() if rows.columns[place]}
    if not columns:
        raise Finding("E-DATA-002", address.where, f"{table} holds no rows, which").error()
    count = len(columns[layout.time[0]])
    about = {"format": "database", "table": table}
    raw = Raw(address.where, rows.names, columns, np.arange(1, count + 1), about)
    return make_readings(raw, layout, config, address.table or _stem(address))


def choose_table(address: Address, tables: list[str]) -> str:
    """Return the table to read: the one asked for, or the only one.

    Raises:
        InputError: There is no such table, or it is not clear which.
    """
    if address.table is not None:
        if address.table in tables:
            return address.table
        what = f"there is no table '{address.table}' ({did_you_mean(address.table, tables)}), which"
    elif len(tables) == 1:
        return tables[0]
    else:
        some = ", ".join(sorted(tables)[:12]) or "no table"
        what = f"it holds {some}, and ?table= or ?query= does not say which to read, which"
    raise Finding("E-DATA-011", address.where, what).error()


def fetch(names: tuple[str, ...], cursor: Any) -> Rows:
    """Fetch all rows of a cursor, in pieces, as columns."""
    columns: list[list[pa.Array]] = [[] for _ in names]
    while piece := cursor.fetchmany(PIECE):
        for column, values in zip(columns, zip(*piece, strict=True), strict=True):
            column.append(to_array(values))
    return Rows(names, columns)


def to_array(values: tuple[Any, ...]) -> pa.Array:
    """Return values of a database as an array of their type, or as text where they have several."""
    try:
        found = pa.array(values)
        if not pa.types.is_binary(found.type):
            return found
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        pass
    return pa.array([None if value is None else str(value) for value in values], pa.string())


def _alike(pieces: list[pa.Array]) -> list[pa.Array]:
    """Return pieces of one type: that of all, numbers where some are whole, else text."""
    kinds = {piece.type for piece in pieces if not pa.types.is_null(piece.type)}
    if len(kinds) > 1:
        numbers = all(pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in kinds)
        kinds = {pa.float64() if numbers else pa.string()}
    kind = next(iter(kinds), pa.null())
    return [piece.cast(kind) for piece in pieces]


@contextmanager
def _telling(address: Address) -> Iterator[None]:
    """Turn what SQLite complains of into findings."""
    try:
        yield
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        damaged = any(sign in str(error) for sign in ("not a database", "malformed", "decode"))
        code = "E-DATA-003" if damaged else "E-DATA-011"
        raise Finding(code, address.where, f"SQLite says: {shown(error)}, which").error() from None


def _from_sqlite(address: Address) -> tuple[str, Rows]:
    path = sqlite_files(address.url)[0]
    uri = f"file:{quote(str(path.absolute()))}?mode=ro"
    with _telling(address), closing(sqlite3.connect(uri, uri=True)) as connection:
        query, name = address.query, "query"
        if query is None:
            name = choose_table(address, [str(row[0]) for row in connection.execute(TABLES)])
            query = 'SELECT * FROM "{}"'.format(name.replace('"', '""'))
        cursor = connection.execute(query)
        if cursor.description is None:
            raise Finding("E-DATA-011", address.where, "the query has no answer, which").error()
        return name, fetch(tuple(column[0] for column in cursor.description), cursor)


def _stem(address: Address) -> str:
    return Path(unquote(address.url.partition("?")[0])).stem
