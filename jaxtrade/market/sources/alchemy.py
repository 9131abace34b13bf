"""Bars of any database that SQLAlchemy speaks to; nothing is ever committed there."""

from typing import Any

from jaxtrade.market.reading import Finding
from jaxtrade.market.sources.raw import shown
from jaxtrade.market.sources.sql import Address, Rows, choose_table, fetch


def from_server(address: Address) -> tuple[str, Rows]:
    """Return the name of what was read from a server, and its rows.

    Raises:
        InputError: SQLAlchemy or the driver is not installed, or the server does not answer with a table.
    """
    try:
        import sqlalchemy
    except ModuleNotFoundError:
        what = 'SQLAlchemy is not installed (pip install "jaxtrade[sql]"), which'
        raise Finding("E-DATA-012", address.where, what).error() from None
    try:
        engine = sqlalchemy.create_engine(address.url)
        try:
            with engine.connect() as connection:
                return _read(sqlalchemy, address, connection)
        finally:
            engine.dispose()
    except ModuleNotFoundError as error:
        what = f"the driver {error.name} is not installed (pip install {error.name}), which"
        raise Finding("E-DATA-012", address.where, what).error() from None
    except sqlalchemy.exc.SQLAlchemyError as error:
        cause = shown(getattr(error, "orig", None) or error)
        raise Finding("E-DATA-011", address.where, f"the database says: {cause}, which").error() from None


def _read(sqlalchemy: Any, address: Address, connection: Any) -> tuple[str, Rows]:
    query, name = address.query, "query"
    if query is None:
        inspector = sqlalchemy.inspect(connection)
        schema = (address.table or "").rpartition(".")[0] or None
        found = [*inspector.get_table_names(schema), *inspector.get_view_names(schema)]
        name = choose_table(address, [f"{schema}.{table}" if schema else table for table in found])
        quoted = connection.dialect.identifier_preparer.quote
        query = "SELECT * FROM " + ".".join(quoted(part) for part in name.rsplit(".", 1 if schema else 0))
    answer = connection.exec_driver_sql(query)
    if not answer.returns_rows:
        raise Finding("E-DATA-011", address.where, "the query has no answer, which").error()
    return name, fetch(tuple(answer.keys()), answer)
