"""The order log: what was asked for, what the limits allowed, what was filled, and which constraint bound."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from eval_bridge.books.constraints import CONSTRAINTS, bound, moments_of
from eval_bridge.books.ledger import LIQUIDATION, ORDER
from eval_bridge.history import Backtest

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    *("decided", "filled_at", "symbol", "side", "asked", "allowed", "filled", "quantity", "price", "reference_price"),
    *("fees", "slippage", "status", "constraints"),
)
Columns = dict[str, npt.NDArray[Any]]


def orders_table(result: Backtest) -> "pd.DataFrame":
    """Return one row per order, and per position that was liquidated or delisted, by time.

    The columns are those of docs/backtest.md. Values are signed money: `asked` and `allowed` at the close of the
    decision, `filled` at the price quoted at the fill.
    """
    import pandas as pd

    parts = [_decided(result), _forced(result)] if len(result.history) else [_forced(result)]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[-1]}
    rows = np.lexsort((columns["number"], columns["forced"], columns["bar"]))
    columns = {name: values[rows] for name, values in columns.items()}
    signed = np.where(np.isfinite(columns["filled"]) & (columns["filled"] != 0), columns["filled"], columns["asked"])
    columns["side"] = np.where(signed > 0, "buy", np.where(signed < 0, "sell", "")).astype(object)
    columns["symbol"] = np.array(result.table.symbols, object)[columns["number"]]
    columns["decided"] = result.table.time[columns["bar"]]
    at, never = columns["filled_bar"], np.datetime64("NaT", "s")
    columns["filled_at"] = np.where(at >= 0, result.table.time[at], never)
    return pd.DataFrame({name: columns[name] for name in COLUMNS})


def constraint_counts(orders: "pd.DataFrame") -> dict[str, int]:
    """Return how many orders each constraint bound, by its name, all of them."""
    found = ",".join(orders["constraints"]).split(",")
    return {name: found.count(name) for name in CONSTRAINTS}


def _decided(result: Backtest) -> Columns:
    """Return the orders of the decisions."""
    moments, record, capital = moments_of(result), result.records, result.capital
    with np.errstate(all="ignore"):  # prices of what is not listed yet
        orders = bound(moments)
    flags = orders.flags | {"no_open": record.blocked}
    fills = _fills(result, record.blocked.shape)
    traded = np.isfinite(fills["price"])
    rows = np.any(list(flags.values()), axis=0) | traded | (np.abs(orders.asked) > moments.dust)
    at = np.nonzero(rows)
    constraints = _named({name: flags[name][at] for name in CONSTRAINTS})
    status = np.where(traded[at], np.where(constraints == "", "filled", "partly"), "not_traded")
    status = np.where(record.blocked[at], "blocked", np.where(record.rejected[at], "rejected", status))
    bar = result.span.first + at[0]
    own = {"bar": bar, "number": at[1], "filled_bar": np.where(traded[at], bar + result.table.fill_bar, -1)}
    own |= {name: getattr(orders, name)[at] * capital for name in ("asked", "allowed")}
    own |= {"status": status.astype(object), "constraints": constraints, "forced": np.zeros(len(bar), bool)}
    return own | {name: column[at] for name, column in fills.items()}


def _fills(result: Backtest, shape: tuple[int, ...]) -> Columns:
    """Return what the ledger booked for the orders, [K, N]; no price and zeros where nothing was filled."""
    bar, number, *amounts, kind = map(np.array, result.ledger.order_columns())
    mine, (quantity, price, quoted, fees) = kind == ORDER, amounts
    bar, number = bar[mine].astype(np.intp), number[mine].astype(np.intp)
    at = (bar - result.table.fill_bar - result.span.first, number)
    quantity, price, quoted, fees = (each[mine] for each in (quantity, price, quoted, fees))
    found = {"quantity": np.abs(quantity), "price": price, "reference_price": quoted, "fees": fees}
    found |= {"slippage": np.abs(quantity * (price - quoted)), "filled": quantity * quoted}
    columns = {name: np.full(shape, np.nan if "price" in name else 0.0) for name in found}
    for name, values in found.items():
        columns[name][at] = values
    return columns


def _named(flags: dict[str, npt.NDArray[np.bool_]]) -> npt.NDArray[Any]:
    """Return the names of the flags that are set, with commas between them, [rows]."""
    said = np.full(len(next(iter(flags.values()))), "", object)
    for name, flag in flags.items():
        said[flag] = [f"{text},{name}" if text else name for text in said[flag]]
    return said


def _forced(result: Backtest) -> Columns:
    """Return the positions that were liquidated or delisted; nobody asked for that, and no limit applies."""
    last, symbols = result.span.first + len(result.history) - 1, result.table.symbols
    orders = [order for order in result.ledger.orders if order.kind != ORDER]
    value = np.array([order.quantity * order.reference for order in orders], float)
    columns: Columns = dict.fromkeys(("asked", "allowed", "filled"), value)
    columns |= {
        "bar": np.array([last if order.kind == LIQUIDATION else order.bar - 1 for order in orders], np.intp),
        "number": np.array([symbols.index(order.symbol) for order in orders], np.intp),
        "filled_bar": np.array([order.bar for order in orders], np.intp),
        "quantity": np.abs(np.array([order.quantity for order in orders], float)),
        "status": np.array([order.kind for order in orders], object),
        "constraints": np.full(len(orders), "", object),
        "forced": np.ones(len(orders), bool),
    }
    names = {"price": "price", "reference_price": "reference", "fees": "fees", "slippage": "slippage"}
    return columns | {key: np.array([getattr(each, name) for each in orders], float) for key, name in names.items()}
