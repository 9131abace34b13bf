"""The audit at the end of a backtest: what was traded, lot by lot, is what was filled."""

import numpy as np
import numpy.typing as npt

from eval_bridge.books.ledger import BY_TIME, TOLERANCE, Ledger, Mismatch

FloatArray = npt.NDArray[np.float64]


def audit(ledger: Ledger) -> None:
    """Compare orders, trades, lots and accounts with each other.

    By symbol: the open lots make up the quantity held, and so do the orders; trades and open lots cost what the orders
    cost, and hold the fees and the spread and slippage that were booked. Altogether: the cash is the capital less what
    the orders and the charges took.

    Raises:
        Mismatch: Two sums differ by more than rounding leaves of the amounts in them.
    """
    _, place, *sizes, _ = ledger.order_columns()
    symbol = np.array(place, np.intp)
    quantity, price, _, fees = (np.array(each, float) for each in sizes)

    def total(values: FloatArray) -> FloatArray:
        return np.bincount(symbol, values, len(ledger.symbols)).astype(float)

    lots, impact = _lots(ledger), np.array(ledger.impact)
    paid, units, money = total(quantity * price), total(np.abs(quantity)), total(np.abs(quantity) * price)
    _compare(ledger, "quantity of the open lots", lots["open"], np.array(ledger.held), units)
    _compare(ledger, "quantity of the orders", total(quantity), np.array(ledger.held), units)
    _compare(ledger, "cost of trades and open lots", lots["paid"], paid, money)
    _compare(ledger, "fees of trades and open lots", lots["fees"], np.array(ledger.fees), money)
    _compare(ledger, "slippage of trades and open lots", lots["slippage"], impact, money)
    _compare(ledger, "fees of the orders", total(fees), np.array(ledger.fees), money)
    by_kind, beside = ledger.spread + ledger.slippage, float(np.sum(impact))
    if not abs(by_kind - beside) <= TOLERANCE * (ledger.capital + beside):
        raise Mismatch(f"spread and slippage are {by_kind:.17g} by kind and {beside:.17g} by symbol")
    cash = ledger.capital - float(np.sum(paid)) - sum(ledger.fees) - sum(ledger.charges[kind] for kind in BY_TIME)
    if not abs(cash - ledger.cash) <= TOLERANCE * (ledger.capital + float(np.sum(money))):
        raise Mismatch(f"cash is {ledger.cash:.17g} in the ledger and {cash:.17g} by its entries")


def _lots(ledger: Ledger) -> dict[str, FloatArray]:
    """Return sums over the lots by symbol, [N]: the quantity of the open ones, and money, fees, slippage of all.

    The money `paid` is net of what closing brought in.
    """
    lots = [(n, *lot) for n, lots in enumerate(ledger.lots) for lot in lots]
    prices, _, *costs = (np.array([*each, 0.0]) for each in ledger.terms())  # the last are the terms of no exit
    symbols, quantities, entries, exits, _ = ledger.trade_columns()
    symbol = np.array([*symbols, *(lot[0] for lot in lots)], np.intp)
    quantity = np.array([*quantities, *(lot[1] for lot in lots)], float)
    entry = np.array([*entries, *(lot[2] for lot in lots)], np.intp)
    leave = np.array([*exits, *(-1 for _ in lots)], np.intp)
    values = {"open": np.where(leave < 0, quantity, 0.0), "paid": quantity * (prices[entry] - prices[leave])}
    for name, cost in zip(("fees", "slippage"), costs, strict=True):
        values[name] = np.abs(quantity) * (cost[entry] + cost[leave])
    return {name: np.bincount(symbol, value, len(ledger.symbols)).astype(float) for name, value in values.items()}


def _compare(ledger: Ledger, what: str, found: FloatArray, booked: FloatArray, scale: FloatArray) -> None:
    for n in np.flatnonzero(~(np.abs(found - booked) <= TOLERANCE * scale)):
        pair = f"{found[n]:.17g}, the ledger holds {booked[n]:.17g}"
        raise Mismatch(f"{ledger.symbols[n]}: the {what} is {pair}")
