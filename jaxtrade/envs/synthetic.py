"""Small made-up markets of the host, for default parameters, tests and benchmarks.

Those of the compiled program are next door: `processes` (key to bars) and `markets` (bars to an environment).
"""

import numpy as np

from jaxtrade.config import MarketConfig
from jaxtrade.market.bars import Bars
from jaxtrade.market.table import MarketTable, build_table


def random_bars(bars: int, symbols: int = 1, seed: int = 0, volatility: float = 0.01) -> Bars:
    """Return daily bars of driftless geometric random walks that start at 100, `bars` x `symbols`."""
    rng = np.random.default_rng(seed)
    overnight, intraday = rng.normal(0.0, volatility / np.sqrt(2), (2, bars, symbols))
    log_close = np.cumsum(overnight + intraday, axis=0)
    close, opening = 100 * np.exp(log_close), 100 * np.exp(log_close - intraday)
    wick = np.exp(np.abs(rng.normal(0.0, volatility / 4, (2, bars, symbols))))
    return Bars(
        time=np.datetime64("2000-01-03", "s") + np.arange(bars) * np.timedelta64(1, "D"),
        symbols=tuple(f"S{n}" for n in range(symbols)),
        open=opening,
        high=np.maximum(opening, close) * wick[0],
        low=np.minimum(opening, close) / wick[1],
        close=close,
        volume=rng.lognormal(10.0, 0.5, (bars, symbols)),
    )


def synthetic_table(window: int, symbols: int = 1, bars: int | None = None, seed: int = 0) -> MarketTable:
    """Return the table of random bars, by default just long enough for a window and a few hundred decisions."""
    return build_table(random_bars(bars or window + 600, symbols, seed), MarketConfig(), window)
