"""The table of trades: every lot from its entry to its exit, and how far the price went for and against it."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from eval_bridge.books.ledger import DELISTING, LIQUIDATION, Trade
from eval_bridge.history import Backtest
from jaxtrade.market.events import adjust

if TYPE_CHECKING:
    import pandas as pd

FloatArray = npt.NDArray[np.float64]
Bars = npt.NDArray[np.intp]
COLUMNS = (
    *("symbol", "side", "quantity", "entry_time", "exit_time", "bars_held", "entry_price", "exit_price"),
    *("fees", "slippage", "profit", "return", "mae", "mfe", "closed_by", "status"),
)


def trades_table(result: Backtest) -> "pd.DataFrame":
    """Return one row per lot, or part of one: those closed in the order of their exits, then the open ones.

    The columns are those of docs/backtest.md. Profit is net of fees; an open lot is valued at the last mark, without
    the costs of selling it.
    """
    import pandas as pd

    last = result.span.first + len(result.history)
    closed, ledger = result.ledger.trades, result.ledger
    trades = closed + ledger.open_trades(result.table.mark[last].tolist(), last)
    names = ("symbol", "quantity", "entry_bar", "exit_bar", "entry_price", "exit_price", "fees", "slippage", "profit")
    frame = pd.DataFrame({name: [getattr(trade, name) for trade in trades] for name in (*names, "closed_by")})
    frame = frame.astype(dict.fromkeys(names[1:], "float64") | dict.fromkeys(names[2:4], "int64"))
    is_open = np.arange(len(trades)) >= len(closed)
    signed, entry = frame["quantity"].to_numpy(), frame["entry_price"].to_numpy()
    frame["side"] = np.where(signed > 0, "long", "short")
    frame["quantity"] = np.abs(signed)
    frame["bars_held"] = frame["exit_bar"] - frame["entry_bar"]
    frame["entry_time"] = result.table.time[frame["entry_bar"].to_numpy()]
    frame["exit_time"] = frame["entry_time"].mask(is_open, pd.NaT)
    frame.loc[~is_open, "exit_time"] = result.table.time[frame["exit_bar"].to_numpy()[~is_open]]
    frame["return"] = frame["profit"] / (frame["quantity"] * entry)
    frame["mae"], frame["mfe"] = excursions(result, trades)
    frame["status"] = np.where(is_open, "open", "closed")
    return frame[list(COLUMNS)]


def excursions(result: Backtest, trades: list[Trade]) -> tuple[FloatArray, FloatArray]:
    """Return the largest moves against (<= 0) and for (>= 0) each trade, as fractions of its entry price.

    The prices are highs and lows of the bars, events adjusted, while the lot was held, and the price of its exit: a
    lot bought at the open has the whole of its first bar before it; of the bar at whose open it is sold it sees
    nothing. A lot bought or sold at the close sees nothing of its first bar and the whole of its last one.
    """
    high, low = ranges(result)
    number = {symbol: n for n, symbol in enumerate(result.table.symbols)}
    column = np.array([number[trade.symbol] for trade in trades], np.intp)
    called = bool(len(result.history)) and bool(result.records.called[-1])
    seen = np.array([_seen(result.table.fill_bar, called, trade) for trade in trades], np.intp).reshape(-1, 2)
    entry, leave, signed = (
        np.array([getattr(trade, name) for trade in trades], float)
        for name in ("entry_price", "exit_price", "quantity")
    )
    top, bottom = leave.copy(), leave.copy()
    for n in np.unique(column):
        mine = column == n
        first, last = seen[mine].T
        top[mine] = np.fmax(leave[mine], _largest(high[:, n], first, last))
        bottom[mine] = np.fmin(leave[mine], -_largest(-low[:, n], first, last))
    up, down = top / entry - 1, bottom / entry - 1
    adverse, favourable = np.where(signed > 0, down, -up), np.where(signed > 0, up, -down)
    return np.minimum(adverse, 0.0), np.maximum(favourable, 0.0)


def ranges(result: Backtest) -> tuple[FloatArray, FloatArray]:
    """Return highs and lows of all bars, [T, N], events adjusted; the mark where there is none."""
    bars, mark = adjust(result.table.bars), result.table.mark
    high, low = (np.where(np.isfinite(price) & (price > 0), price, mark) for price in (bars.high, bars.low))
    return high, low


def _seen(fill_bar: int, called: bool, trade: Trade) -> tuple[int, int]:
    """Return the first bar of which a trade saw the whole range, and the one after the last of them.

    Args:
        fill_bar: Bars from a decision to its fill; 0: fills are at the close.
        called: Was the account liquidated at the open, and not at the mark?
        trade: The trade.
    """
    at_close = fill_bar == 0
    whole = {DELISTING: False, LIQUIDATION: at_close or not called, "": True}.get(trade.closed_by, at_close)
    return trade.entry_bar + at_close, trade.exit_bar + whole


def _largest(values: FloatArray, first: Bars, last: Bars) -> FloatArray:
    """Return the largest of values[first:last], [n], NaN where there is none: from the maxima of 1, 2, 4, ... bars."""
    length = np.maximum(last - first, 0)
    found, span, power = np.full(len(first), np.nan), values, 1
    while np.any(length >= power):
        mine = (length >= power) & (length < 2 * power)
        found[mine] = np.fmax(span[first[mine]], span[last[mine] - power])
        span, power = np.fmax(span[:-power], span[power:]), 2 * power
    return found
