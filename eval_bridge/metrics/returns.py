"""Returns of an equity curve, and the calendar that annualises them."""

import numpy as np

from eval_bridge.metrics.values import FloatArray, TimeArray, Undefined, deviation

YEAR = np.timedelta64(31_556_952, "s")  # the mean Gregorian year, 365.2425 days
SHORTEST = 0.25  # years; a return over less is not compounded to a year
TOO_SHORT = "the range is shorter than a quarter of a year, which is not extrapolated to a year"
FEW_BARS = "there are fewer than two bars"


def years_of(time: TimeArray) -> float:
    """Return the years between the first and the last mark, by the calendar: weekends, nights and gaps count."""
    return float((time[-1] - time[0]) / YEAR)


def periods_per_year(time: TimeArray) -> float:
    """Return bars a year = bars / years elapsed; NaN where no time passes.

    About 252 for daily bars of an exchange, 8,766 for hourly bars round the clock. A gap in the data makes it smaller.

    Args:
        time: Times of the marks, [K + 1].
    """
    years = years_of(time) if len(time) else 0.0
    return (len(time) - 1) / years if years > 0 else Undefined("no time passes")


def returns_of(equity: FloatArray) -> FloatArray:
    """Return simple returns, equity[i + 1] / equity[i] - 1, [K].

    Debt counts as nothing: the loss of everything is -1, and after it every return is 0.

    Args:
        equity: Equity at the marks, [K + 1].
    """
    before, after = np.maximum(equity[:-1], 0), np.maximum(equity[1:], 0)
    return np.divide(after, before, out=np.ones_like(before), where=before > 0) - 1


def total_return(equity: FloatArray) -> float:
    """Return last / first - 1."""
    return float(max(equity[-1], 0) / equity[0] - 1)


def annual_return(total: float, years: float) -> float:
    """Return (1 + total return) ** (1 / years) - 1, the compound annual growth rate (CAGR).

    Not defined below a quarter of a year: 10 % in a day is no growth of 10^15 a year. (GIPS, the standard of
    investment firms, does not annualise less than a year.)
    """
    return float((1 + total) ** (1 / years) - 1) if years >= SHORTEST else Undefined(TOO_SHORT)


def annual_volatility(returns: FloatArray, periods: float) -> float:
    """Return the standard deviation (ddof 1) of simple returns * sqrt(bars a year)."""
    return deviation(returns) * float(np.sqrt(periods)) if len(returns) > 1 else Undefined(FEW_BARS)
