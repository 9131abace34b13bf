"""The account that a recommendation is for: what is held, as money and quantities."""

import csv
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from jaxtrade.errors import InputError, did_you_mean
from jaxtrade.rules import Account, RuleBook, RuleParams, open_account

FloatArray = npt.NDArray[np.float64]
COLUMNS = ("symbol", "quantity", "entry_price", "bars_since_trade")
FIELDS = ("cash", "positions", "peak_equity", "reward_memory")
WRITE = f"Give the columns {', '.join(COLUMNS)}; the last two may be left out"
WHOLE = 1e-6  # share of a lot by which a holding may miss a whole number


@dataclass(frozen=True)
class Position:
    """A holding of one symbol."""

    quantity: float  # units, negative for a short
    entry_price: float | None = None  # money a unit, fees left out; None: the price of the day
    bars_since_trade: float = 0.0  # closes since the last fill


@dataclass(frozen=True)
class Holdings:
    """An account in the currency of the prices."""

    cash: float | None = None  # None: the starting capital of training
    positions: dict[str, Position] = field(default_factory=dict)
    peak_equity: float | None = None  # highest equity so far; None: the equity of the day
    reward_memory: tuple[float, ...] | None = None  # accumulators of the reward; None: those of a fresh account


class Quotes(NamedTuple):
    """What the symbols cost today. `N` symbols."""

    symbols: tuple[str, ...]
    price: FloatArray  # [N] of a unit, in money; NaN where a symbol has none yet
    unit: FloatArray  # [N] units for one of the data's first bar: more than 1 after splits


def parse_positions(text: str) -> dict[str, Position]:
    """Return the positions of a text such as `AAPL=10,MSFT=-5`.

    Raises:
        InputError: It cannot be read.
    """
    pairs = [part.rpartition("=") for part in text.split(",") if part.strip()]
    return _unique("positions", ((name.strip(), _position("positions", name, number)) for name, _, number in pairs))


def read_account(path: Path) -> Holdings:
    """Read an account from JSON (cash, positions, peak_equity, reward_memory) or positions from CSV.

    Raises:
        InputError: The file is missing or cannot be understood.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() == ".csv":
            return Holdings(positions=positions_of(path, csv.DictReader(text.splitlines())))
        return holdings_of(path, json.loads(text))
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror})", "Check the path and its permissions") from None
    except (ValueError, csv.Error) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(path, f"is no account ({error})", f"Write JSON with {', '.join(FIELDS)}, or a CSV") from None


def holdings_of(where: object, record: Any) -> Holdings:
    """Return the account of a record as JSON has it.

    Raises:
        InputError: A field is unknown or no number.
    """
    if not isinstance(record, dict):
        raise InputError(where, "is no account", f"Write a mapping of {', '.join(FIELDS)}")
    for name in record:
        if name not in FIELDS:
            raise InputError(where, f"unknown field '{name}'", did_you_mean(name, FIELDS))
    memory = record.get("reward_memory")
    money = {name: record.get(name) for name in ("cash", "peak_equity")}
    return Holdings(
        positions=positions_of(where, record.get("positions") or []),
        reward_memory=None if memory is None else tuple(_number(where, "reward_memory", each) for each in memory),
        **{name: None if value is None else _number(where, name, value) for name, value in money.items()},
    )


def positions_of(where: object, rows: Any) -> dict[str, Position]:
    """Return the positions of rows, or of a mapping of symbols to quantities.

    Raises:
        InputError: A column is unknown or missing, a value no number, a symbol named twice.
    """
    if isinstance(rows, dict):
        rows = [{"symbol": symbol, "quantity": quantity} for symbol, quantity in rows.items()]
    found = []
    for row in rows:
        given = {str(name).strip(): value for name, value in dict(row).items() if value not in (None, "")}
        for name in given:
            if name not in COLUMNS:
                raise InputError(where, f"unknown column '{name}'", f"{did_you_mean(name, COLUMNS)} {WRITE}")
        if "symbol" not in given or "quantity" not in given:
            raise InputError(where, "a position lacks its symbol or quantity", WRITE)
        symbol = str(given.pop("symbol")).strip()
        found.append((symbol, _position(where, symbol, **given)))
    return _unique(where, found)


def _position(
    where: object, symbol: str, quantity: Any, entry_price: Any = None, bars_since_trade: Any = 0.0
) -> Position:
    """Return a position of what stands in a file."""
    price = None if entry_price is None else _number(where, f"entry_price of {symbol}", entry_price)
    bars = _number(where, f"bars_since_trade of {symbol}", bars_since_trade)
    if (price is not None and price <= 0) or bars < 0:
        raise InputError(where, f"{symbol}: entry_price must be above 0, bars_since_trade at least 0", WRITE)
    return Position(_number(where, f"quantity of {symbol or 'a position'}", quantity), price, bars)


def _number(where: object, name: str, value: Any) -> float:
    try:
        number = float("nan" if isinstance(value, bool) else value)
    except (TypeError, ValueError):
        number = float("nan")
    if not np.isfinite(number):
        raise InputError(where, f"{name} is {value!r}, no number", "Write AAPL=10,MSFT=-5, or numbers in a file")
    return number


def _unique(where: object, pairs: Iterable[tuple[str, Position]]) -> dict[str, Position]:
    found: dict[str, Position] = {}
    for symbol, position in pairs:
        if symbol in found:
            raise InputError(where, f"names {symbol} twice", "Give each symbol once")
        found[symbol] = position
    return found


def open_holdings(holdings: Holdings, book: RuleBook, params: RuleParams, quotes: Quotes) -> Account:
    """Return the rule book's account of what is held.

    Raises:
        InputError: A symbol is unknown or has no price, or the rules do not allow such an account.
    """
    symbols, price, unit = quotes
    capital = float(params.capital)
    fresh = open_account(np, book, np.zeros(len(symbols)))
    quantity, basis, idle = np.zeros(len(symbols)), np.zeros(len(symbols)), fresh.idle.copy()
    for symbol, position in holdings.positions.items():
        n = _place(symbol, symbols, price)
        entry = price[n] if position.entry_price is None else position.entry_price
        quantity[n], idle[n] = position.quantity, position.bars_since_trade
        basis[n] = position.quantity * entry / capital
    cash = capital if holdings.cash is None else holdings.cash
    value = np.where(quantity != 0, quantity * price, 0.0) / capital
    equity = cash / capital + float(value.sum())
    peak = equity if holdings.peak_equity is None else max(holdings.peak_equity / capital, equity)
    account = fresh._replace(
        cash=np.asarray(cash / capital),
        position=value,
        lots=_lots(quantity / unit, params, symbols),
        basis=basis,
        peak_equity=np.asarray(peak),
        idle=idle,
        memory=_memory(holdings, fresh),
    )
    _require_sound(account, equity, book, params, symbols)
    return account


def _place(symbol: str, symbols: tuple[str, ...], price: FloatArray) -> int:
    if symbol not in symbols:
        raise InputError("positions", f"symbol '{symbol}' is not in the data", did_you_mean(symbol, symbols))
    n = symbols.index(symbol)
    if not np.isfinite(price[n]):
        raise InputError("positions", f"{symbol} has no price until then", "Leave it out, or give data that have one")
    return n


def _lots(quantity: FloatArray, params: RuleParams, symbols: tuple[str, ...]) -> FloatArray:
    """Return the whole lots of quantities, 0 where a symbol has no lot size."""
    size = np.broadcast_to(params.lot_size, quantity.shape)
    lots = np.where(size > 0, quantity / np.where(size > 0, size, 1.0), 0.0)
    odd = np.abs(lots - np.rint(lots)) > WHOLE
    if odd.any():
        n = int(np.argmax(odd))
        what = f"{symbols[n]}: {quantity[n]:g} are no whole number of lots of {size[n]:g}"
        raise InputError("positions", what, "The policy trades whole lots: round the position")
    return np.rint(lots)


def _memory(holdings: Holdings, fresh: Account) -> tuple[Any, ...]:
    if holdings.reward_memory is None:
        return fresh.memory
    if len(holdings.reward_memory) != len(fresh.memory):
        what = f"{len(holdings.reward_memory)} numbers, the reward keeps {len(fresh.memory)}"
        raise InputError("reward_memory", what, "Leave it out for a fresh start")
    return tuple(np.asarray(value) for value in holdings.reward_memory)


def _require_sound(
    account: Account, equity: float, book: RuleBook, params: RuleParams, symbols: tuple[str, ...]
) -> None:
    """Refuse accounts that the rules would never have let come about, or would liquidate at once."""
    short = account.position < 0
    if short.any() and not book.allow_short:
        what = f"{symbols[int(np.argmax(short))]} is held short, the policy trades long only"
        raise InputError("positions", what, "Close it, or leave it out")
    if equity <= float(params.ruin_floor):
        money, least = (float(each * params.capital) for each in (equity, params.ruin_floor))
        raise InputError("account", f"an equity of {money:.2f} is ruin", f"The rules need more than {least:g}")
