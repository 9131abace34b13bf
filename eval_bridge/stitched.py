"""The stitched out-of-sample backtest of a programme: one account through the test ranges of all windows."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eval_bridge.evaluation import AS_TRAINED, Evaluation, Options, Watch, check_options, evaluate
from eval_bridge.market import open_range
from eval_bridge.metrics import max_drawdown, periods_per_year, returns_of, sharpe
from eval_bridge.relay import Leg, load_relay
from jaxtrade import trials
from jaxtrade.market.splits import Range

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd


def stitched_evaluation(
    folder: Path, options: Options = AS_TRAINED, watch: Watch = None, ledger: Path | None = None
) -> Evaluation:
    """Trade the relay of a folder, and judge the result as `python -m eval_bridge.backtest` does.

    The opening of the range is recorded once for the same policies, so that a programme that is interrupted here and
    resumed leaves the same ledger and the same figures.

    Args:
        folder: A programme's, with its relay.json.
        options: How it is run.
        watch: Told how far it is.
        ledger: The trial ledger (default: beside the runs).

    Raises:
        InputError: The relay, its data or the options are refused.
        Mismatch: The books and the rules disagree.
    """
    loaded, table = load_relay(folder)
    check_options(options, loaded.bundles[0].manifest.env, len(table.symbols))
    opened = open_range(ledger or trials.ledger_path(loaded.paths[0]), loaded.files, table, "test", once=True)
    return evaluate(loaded.policy, loaded.bundles, table, "test", options, opened, watch)


def leg_figures(evaluation: Evaluation, legs: Sequence[Leg | Range]) -> list[dict[str, Any]]:
    """Return the figures of each leg: log_growth, sharpe, max_drawdown and trades.

    The log growths add up to that of the whole, the trades to its closed trades; a trade belongs to the leg that closed
    it. The Sharpe ratio is annualised by the calendar of the whole, and None where it is not defined. A leg that the
    account did not live to see has traded nothing.

    Args:
        evaluation: The stitched backtest.
        legs: Decisions of each leg, `first` to `last` - 1.
    """
    result, equity = evaluation.result, evaluation.result.equity
    periods, start = periods_per_year(result.time), result.span.first
    traded = _trades_by_leg(evaluation, legs)
    figures = []
    for leg, trades in zip(legs, traded, strict=True):
        first, last = (min(bar - start, len(equity) - 1) for bar in (leg.first, leg.last))
        marks = equity[first : last + 1]
        ratio = float(sharpe(returns_of(marks), periods))
        figures.append(
            {
                "log_growth": float(np.log(marks[-1] / marks[0])),
                "sharpe": ratio if np.isfinite(ratio) else None,
                "max_drawdown": max_drawdown(marks),
                "trades": int(trades),
            }
        )
    return figures


def stitched_curve(evaluation: Evaluation, legs: Sequence[Leg | Range]) -> "pd.DataFrame":
    """Return the account at every mark: time, equity, buy_and_hold, and the number of the leg, 1 and up.

    A mark belongs to the leg whose decision led to it; the first one, before any trade, to the first leg.
    """
    import pandas as pd

    result = evaluation.result
    decided = result.span.first + np.maximum(np.arange(len(result.time)) - 1, 0)
    return pd.DataFrame(
        {
            "time": result.time,
            "equity": result.equity,
            "buy_and_hold": evaluation.baselines["buy_and_hold"].equity,
            "leg": _leg_at(decided, legs) + 1,
        }
    )


def _leg_at(bars: "npt.NDArray[np.intp]", legs: Sequence[Leg | Range]) -> "npt.NDArray[np.intp]":
    """Return the place of the leg that decides at each bar, [n]; the first leg before all, the last after all."""
    return np.searchsorted([leg.first for leg in legs[1:]], bars, side="right")


def _trades_by_leg(evaluation: Evaluation, legs: Sequence[Leg | Range]) -> "npt.NDArray[np.intp]":
    """Return the closed trades of each leg."""
    trades, table = evaluation.tables.trades, evaluation.result.table
    closed = trades[trades["status"] == "closed"]["exit_time"].to_numpy()
    decided = np.searchsorted(table.time, closed.astype(table.time.dtype)) - table.fill_bar
    return np.bincount(_leg_at(decided, legs), minlength=len(legs))
