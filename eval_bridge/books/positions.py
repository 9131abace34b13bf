"""The tables of positions and of the account, mark by mark."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from eval_bridge.history import Backtest
from jaxtrade.assemble import rule_book

if TYPE_CHECKING:
    import pandas as pd

FloatArray = npt.NDArray[np.float64]
PAID = {  # columns and the fields of the record that they show, in money
    "commission": "commission",
    "stamp_duty": "duty",
    "spread": "spread",
    "slippage": "slippage",
    "borrow": "borrow",
    "interest": "interest",
    "income": "income",
    "exit_loss": "exit_loss",
    "shortfall": "shortfall",
}


def positions_table(result: Backtest) -> "pd.DataFrame":
    """Return one row per mark and symbol that is held there; the columns are those of docs/backtest.md."""
    import pandas as pd

    account, capital, count = result.accounts, result.capital, len(result.history)
    at = np.nonzero(account.position)
    mark = result.table.mark[result.span.first + 1 : result.span.first + 1 + count][at]
    value, basis = account.position[at] * capital, account.basis[at] * capital
    return pd.DataFrame(
        {
            "time": result.time[1:][at[0]],
            "symbol": np.array(result.table.symbols, object)[at[1]],
            "quantity": value / mark,
            "price": mark,
            "value": value,
            "weight": value / result.equity[1:][at[0]],
            "basis": basis,
            "unrealised": value - basis,
            "lots": account.lots[at],
            "idle": account.idle[at].astype(np.int64),
        }
    )


def equity_table(result: Backtest) -> "pd.DataFrame":
    """Return one row per mark, the first before any trade; the columns are those of docs/backtest.md.

    A row holds the account at its mark, what was paid since the mark before, and the action that led there.
    """
    import pandas as pd

    account, record, capital, equity = result.accounts, result.records, result.capital, result.equity
    sizes = account.position * capital / equity[1:, None]
    peak = np.maximum.accumulate(equity)
    columns: dict[str, Any] = {
        "time": result.time,
        "equity": equity,
        "cash": _after(account.cash * capital, capital),
        "gross": _after(np.sum(np.abs(sizes), axis=-1)),
        "net": _after(np.sum(sizes, axis=-1)),
        "drawdown": equity / peak - 1,
        "peak_equity": peak,
        "turnover": _after(record.turnover),
    }
    for name, field in PAID.items():
        source = record.costs if field in record.costs._fields else record
        columns[name] = _after(getattr(source, field) * capital)
    columns |= {"reward": _after(record.reward), "value_estimate": _after(result.history.values, np.nan)}
    columns |= {f"memory_{n}": _after(each, start) for n, (each, start) in enumerate(_memory(result))}
    actions = result.history.actions
    actions = actions.reshape(len(actions), -1) if len(actions) else np.zeros((0, 0))
    columns |= {f"action_{n}": _after(actions[:, n], np.nan) for n in range(actions.shape[1])}
    return pd.DataFrame(columns)


def _after(values: Any, start: float = 0.0) -> FloatArray:
    """Return figures of the bars, [K], with that of the first mark before them, [K + 1]."""
    return np.concatenate([[start], np.asarray(values, np.float64)])


def _memory(result: Backtest) -> list[tuple[FloatArray, float]]:
    """Return each accumulator of the reward, [K], with its first value."""
    return list(zip(result.accounts.memory, rule_book(result.config).memory, strict=True))
