"""What a backtest held: the weights that it ordered and held, and what its account did, as plain arrays."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from eval_bridge.backtester import Backtest
from eval_bridge.metrics import returns_of
from eval_bridge.metrics.values import FloatArray
from jaxtrade.market.splits import Range


@dataclass(frozen=True)
class Path:
    """The positions of a backtest. `K` decisions, `S` symbols."""

    span: Range  # the decisions that were taken: shorter than what was asked for after a ruin
    returns: FloatArray  # [K] of equity
    intended: FloatArray  # [K, S] weight at the close of t that the fill led to; NaN where nothing was traded
    held: FloatArray  # [K, S] weight at the close of t + 1
    turnover: FloatArray  # [K] value traded / equity before
    ruined: bool

    @property
    def traded(self) -> npt.NDArray[np.bool_]:
        """Where an order was filled, [K, S]."""
        return np.isfinite(self.intended)


def path_of(result: Backtest) -> Path:
    """Return the positions of a backtest.

    The intended weight at the close of t is (position + fill / (1 + gap)) / equity: what was held, and the quantity
    that was bought at the next open, at the price of the close. So a fill that was cut by a limit counts as cut.
    """
    bars, symbols = len(result.history), len(result.table.symbols)
    span = Range(result.span.first, result.span.first + bars)
    after, fill = result.accounts.position, result.records.fill_value
    equity = result.equity / result.capital
    before = np.concatenate([np.zeros((1, symbols)), after[:-1]])
    gap = np.asarray(result.table.outcome.gap)[span.first : span.last]
    intended = (before + fill / (1 + gap)) / equity[:-1, None]
    return Path(
        span=span,
        returns=returns_of(result.equity),
        intended=np.where(fill != 0, intended, np.nan),
        held=after / equity[1:, None],
        turnover=result.records.turnover,
        ruined=bool(np.any(result.records.ruined)),
    )
