"""Returns by month and year, and the Sharpe ratio over a moving window."""

from typing import TYPE_CHECKING

import numpy as np

from eval_bridge.metrics.returns import periods_per_year, returns_of
from eval_bridge.metrics.values import ROUNDING, FloatArray, TimeArray

if TYPE_CHECKING:
    import pandas as pd


def monthly_returns(time: TimeArray, equity: FloatArray) -> "pd.DataFrame":
    """Return the return of every calendar month, and of every year.

    A month runs from the last mark of the month before (the first month: from the first mark) to its own last mark, so
    that the months of a year compound to the year, and the years to the total return. The time stamp of a mark says
    which month it belongs to.

    Args:
        time: Times of the marks, [K + 1].
        equity: Equity at the marks, [K + 1].

    Returns:
        One row a year, columns 1 to 12 and "year"; NaN where a month has no mark.
    """
    import pandas as pd

    years, in_year = _compound(time, equity, "datetime64[Y]")
    months, in_month = _compound(time, equity, "datetime64[M]")
    table = pd.DataFrame(np.nan, index=pd.Index(years + 1970, name="year"), columns=[*range(1, 13), "year"])
    for month, change in zip(months.tolist(), in_month.tolist(), strict=True):
        table.loc[month // 12 + 1970, month % 12 + 1] = change
    table["year"] = in_year
    return table


def yearly_returns(time: TimeArray, equity: FloatArray) -> "pd.Series[float]":
    """Return the return of every calendar year, by year, as in `monthly_returns`."""
    import pandas as pd

    years, changes = _compound(time, equity, "datetime64[Y]")
    return pd.Series(changes, index=pd.Index(years + 1970, name="year"), name="return")


def rolling_sharpe(time: TimeArray, equity: FloatArray, bars: int) -> FloatArray:
    """Return the Sharpe ratio of the last `bars` returns at every mark, annualised by the calendar of the whole range.

    Args:
        time: Times of the marks, [K + 1].
        equity: Equity at the marks, [K + 1].
        bars: Length of the window, >= 2.

    Returns:
        [K + 1]; NaN where the window is not full or its returns do not vary.
    """
    import pandas as pd

    window = pd.Series(returns_of(equity)).rolling(bars, min_periods=bars)
    spread = window.std(ddof=1).to_numpy()
    # The range of the window is exact; its running deviation has the rounding of all that passed through.
    varies = (window.max() - window.min() > ROUNDING).to_numpy() & (spread > ROUNDING)
    ratio = np.full(len(equity), np.nan)
    np.divide(window.mean().to_numpy(), spread, out=ratio[1:], where=varies)
    ratio *= np.sqrt(periods_per_year(time))
    return ratio


def _compound(time: TimeArray, equity: FloatArray, unit: str) -> tuple[np.ndarray, FloatArray]:
    """Return the periods that hold a mark after the first, as numbers since 1970, and the return of each."""
    periods = time[1:].astype(unit).astype(np.int64)
    last = np.flatnonzero(np.append(periods[1:] != periods[:-1], True)) if len(periods) else periods
    return periods[last], returns_of(equity[np.append(0, last + 1)])
