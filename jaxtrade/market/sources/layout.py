"""Which column is what: long tables, panels with a symbol column, and wide panels with one column per symbol."""

import ast
import re
from collections.abc import Iterable
from typing import NamedTuple

from jaxtrade.market.reading import Finding

TIME_NAMES = (
    *("time", "timestamp", "datetime", "date time", "date", "gmt time", "local time", "open time"),
    *("unnamed: 0", "", "index", "unix", "unix timestamp", "epoch"),
)
SYMBOL_NAMES = ("symbol", "ticker", "name", "tic")
ALIASES = {
    "open": ("open", "o"),
    "high": ("high", "h"),
    "low": ("low", "l"),
    "close": ("close", "c"),
    "volume": ("volume", "vol", "vol.", "real volume", "v"),
    "tick_volume": ("tick volume", "tickvol", "tickvolume"),
    "adj_close": ("adj close", "adjclose", "adjusted close"),
}
FIELD_OF = {alias: field for field, aliases in ALIASES.items() for alias in aliases}
LONG = sorted((re.escape(alias).replace(r"\ ", "[ _]") for alias in FIELD_OF if len(alias) > 2), key=len)
WIDE = "|".join(reversed(LONG))
ORDERS = (
    re.compile(rf"(?P<field>{WIDE})[ _.:/|-]+(?P<symbol>.+)", re.IGNORECASE),
    re.compile(rf"(?P<symbol>.+?)[ _.:/|-]+(?P<field>{WIDE})", re.IGNORECASE),
)
Fields = dict[str, int]  # the place of each field's column


class Layout(NamedTuple):
    """The places of the columns, counted from 0."""

    time: tuple[int, ...]  # one column, or the date and the time of day
    symbol: int | None
    fields: dict[str, Fields]  # by symbol; "" where the rows or the source name it

    def used(self) -> set[int]:
        """Return the places of the columns that something is read from."""
        places = {place for fields in self.fields.values() for place in fields.values()}
        return places | set(self.time) | ({self.symbol} if self.symbol is not None else set())


def normal(name: str) -> str:
    """Return a column name without blanks around it, brackets of MetaTrader, case and underscores."""
    return " ".join(name.strip().strip("<>").replace("_", " ").lower().split())


def is_field(name: str) -> bool:
    """Return whether a name stands for a column of bars, of one symbol or of several."""
    known = normal(name) in (*FIELD_OF, *(each for each in TIME_NAMES if each), *SYMBOL_NAMES)
    return known or any(order.fullmatch(_flat(name)) for order in ORDERS)


def make_layout(where: str, names: tuple[str, ...]) -> Layout:
    """Find the columns of time, symbol, prices and volumes.

    Raises:
        InputError: There is no time, open or close, or one of the columns is there twice.
    """
    known = [normal(name) for name in names]
    time = _time(where, known)
    fields: dict[str, Fields] = {"": _fields(known)}
    if not {"open", "close"} & set(fields[""]):
        fields = _wide(names) or fields
    for symbol, found in fields.items():
        for field in ("open", "close"):
            if field not in found:
                raise _missing(where, names, field, symbol)
    symbol_at = next((known.index(name) for name in SYMBOL_NAMES if name in known), None)
    layout = Layout(time, symbol_at if "" in fields else None, fields)
    twice = next((known[place] for place in sorted(layout.used()) if known.count(known[place]) > 1), None)
    if twice is not None:
        raise Finding("E-DATA-008", where, f"column '{twice}' appears more than once; found {_list(names)}").error()
    return layout


def positional(where: str, columns: int, timed: bool) -> tuple[str, ...]:
    """Return the names of columns without a header: time, or date and time, open, high, low, close and volume."""
    names = ["date", "time"] if timed else ["time"]
    names += ["open", "high", "low", "close", "volume"]
    if columns < len(names) - 1:
        what = f"{columns} columns without a header are not {', '.join(names[:-1])}"
        raise Finding("E-DATA-007", where, what).error()
    return (*names, *(f"column {place + 1}" for place in range(len(names), columns)))[:columns]


def describe(names: tuple[str, ...], layout: Layout) -> str:
    """Return which column is read as what."""
    fields = next(iter(layout.fields.values()))
    found = {"time": " + ".join(names[place].strip() or "(unnamed)" for place in layout.time)}
    found |= {"symbol": names[layout.symbol].strip()} if layout.symbol is not None else {}
    found |= {field: names[place].strip() for field, place in fields.items()}
    wide = f" and so on, wide, for {len(layout.fields)} symbols" if "" not in layout.fields else ""
    return ", ".join(f"{field}: {name}" for field, name in found.items()) + wide


def _time(where: str, known: list[str]) -> tuple[int, ...]:
    if "date" in known and "time" in known:
        return known.index("date"), known.index("time")
    for name in TIME_NAMES:
        if name in known and (name or known[0] == ""):  # an index without a name stands first
            return (known.index(name),)
    raise Finding("E-DATA-006", where, f"no time column among {_list(known)}").error()


def _fields(known: list[str]) -> Fields:
    return {
        field: known.index(alias)
        for field, aliases in ALIASES.items()
        for alias in aliases[::-1]  # the first of them wins
        if alias in known
    }


def _wide(names: tuple[str, ...]) -> dict[str, Fields]:
    """Return the fields of each symbol, in the order of its part of the name that explains the more symbols."""
    found = [_split(names, order) for order in ORDERS]
    whole = [sum({"open", "close"} <= set(fields) for fields in each.values()) for each in found]
    return found[0] if whole[0] > whole[1] or (whole[0] == whole[1] and len(found[0]) >= len(found[1])) else found[1]


def _split(names: tuple[str, ...], order: re.Pattern[str]) -> dict[str, Fields]:
    fields: dict[str, Fields] = {}
    for place, name in enumerate(names):
        match = order.fullmatch(_flat(name))
        if match:
            fields.setdefault(match["symbol"].strip(), {}).setdefault(FIELD_OF[normal(match["field"])], place)
    return dict(sorted(fields.items()))


def _flat(name: str) -> str:
    """Return a name in which ('Close', 'AAPL'), as pandas writes a column of two levels, is Close|AAPL."""
    if re.fullmatch(r"\(.*\)", name.strip()):
        try:
            return "|".join(str(part) for part in ast.literal_eval(name.strip()))
        except (ValueError, SyntaxError, TypeError):
            return name
    return name.strip().strip("<>")


def _missing(where: str, names: tuple[str, ...], field: str, symbol: str) -> Exception:
    return Finding("E-DATA-007", where, f"column '{field}' is missing; found {_list(names)}", symbol).error()


def _list(names: Iterable[str]) -> str:
    some = [f"'{' '.join(str(name).split())}'" for name in names]
    return ", ".join(some[:12]) + (f" and {len(some) - 12} more" if len(some) > 12 else "")
