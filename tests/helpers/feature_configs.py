"""Every feature, with its defaults and with short spans."""

from jaxtrade.config import MarketConfig
from jaxtrade.market.features import FEATURES
from tests.helpers.feature_bars import DAY, make_config

DEFAULT = MarketConfig(interval=DAY)
EVERY = make_config(dict.fromkeys(FEATURES))
SHORT_PARAMETERS = {
    "lagged_returns": [1, 4],
    "ema": [3, 7],
    "sma": [2, 6],
    "macd": [4, 9, 5],
    "rsi": [2, 5],
    "atr": [2, 4],
    "adx": [2, 3],
    "bollinger": [5, 1.5],
    "obv": [1, 6],
    "realized_vol": [2, 8],
    "volume_zscore": [2, 5],
    "stochastic": [5, 1, 4],
    "cci": [3, 9],
}
SHORT = make_config(SHORT_PARAMETERS | dict.fromkeys(FEATURES.keys() - SHORT_PARAMETERS.keys()))
