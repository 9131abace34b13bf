"""Features of one's own: `--market.features rsi=14 examples.my_feature:from_the_high=50 examples.my_feature:wicks`.

A feature gets the bars of one symbol, without gaps, and the numbers of the config; it returns one value a bar, or a
tuple of such columns with a name for each. Row t may use the bars up to t and nothing later: when the market is loaded
the function is also called on the data cut off at three places, and must give the very same numbers. Give something
without a unit, such as a ratio of prices: it is normalised for you, by statistics of the training range.
"""

import numpy as np
import numpy.typing as npt
import talib

from jaxtrade.market.features import SymbolBars, feature

Column = npt.NDArray[np.float64]


@feature(warm_up=lambda span: span - 1)  # bars that must lie before the first one with the feature
def from_the_high(bars: SymbolBars, span: int = 50) -> Column:
    """log(close / highest high of `span` bars): how far the price has come down."""
    return np.asarray(np.log(bars.close / talib.MAX(bars.high, span)))


# A recursive average forgets its start slowly: five spans leave exp(-10), and need no more.
@feature(warm_up=lambda span: 5 * span, names=lambda span: (f"upper_wick_{span}", f"lower_wick_{span}"))
def wicks(bars: SymbolBars, span: int = 10) -> tuple[Column, Column]:
    """Exponential averages of what lies above and below the body of a bar, in multiples of the close."""
    upper = (bars.high - np.maximum(bars.open, bars.close)) / bars.close
    lower = (np.minimum(bars.open, bars.close) - bars.low) / bars.close
    return talib.EMA(upper, span), talib.EMA(lower, span)
