"""A market for the leak check: two symbols, one with a hole, features on two intervals."""

import numpy as np

from jaxtrade.config import MarketConfig
from jaxtrade.envs.synthetic import random_bars
from jaxtrade.market.bars import Bars
from jaxtrade.market.table import MarketTable, build_table

FEATURES = {"lagged_returns": (1, 5), "rsi": (3,), "realized_vol": (10,), "lagged_returns@1w": (1,)}
BARS, WINDOW = 420, 20


def panel() -> Bars:
    """Two symbols; the second lacks the bars around one of the cuts."""
    bars = random_bars(BARS, symbols=2, seed=5)
    prices = {name: getattr(bars, name).copy() for name in ("open", "high", "low", "close", "volume")}
    for leaf in prices.values():
        leaf[190:240, 1] = np.nan
    return bars._replace(**prices, split=np.ones((BARS, 2)), dividend=np.zeros((BARS, 2)))


def leaky_table() -> MarketTable:
    return build_table(panel(), MarketConfig(features=FEATURES), WINDOW)
