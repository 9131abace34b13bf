"""Bars of any interval for the tests of the features, without JAX."""

import numpy as np

from jaxtrade.config import MarketConfig
from jaxtrade.market.bars import Bars

FIELDS = ("open", "high", "low", "close", "volume")
DAY = 86400


def walk(
    count: int,
    symbols: int = 1,
    seed: int = 0,
    interval: int = DAY,
    start: str = "2000-01-03",
    volatility: float = 0.02,
) -> Bars:
    """Return random walks from 100 on a full grid; the opens have gaps, the volume is whole and sometimes 0."""
    random = np.random.default_rng(seed)
    overnight, intraday = random.normal(0.0, volatility / np.sqrt(2), (2, count, symbols))
    log_close = np.cumsum(overnight + intraday, axis=0)
    close, opening = 100 * np.exp(log_close), 100 * np.exp(log_close - intraday)
    wick = np.exp(np.abs(random.normal(0.0, volatility / 3, (2, count, symbols))))
    volume = np.floor(random.lognormal(8.0, 1.0, (count, symbols))) * (random.random((count, symbols)) > 0.05)
    return Bars(
        np.datetime64(start, "s") + np.arange(count) * np.timedelta64(interval, "s"),
        tuple(f"S{n}" for n in range(symbols)),
        opening,
        np.maximum(opening, close) * wick[0],
        np.minimum(opening, close) / wick[1],
        close,
        volume,
    )


def make_config(features: object, interval: int = DAY, label: str = "start", **more: object) -> MarketConfig:
    return MarketConfig.model_validate({"features": features, "interval": interval, "load": {"label": label}, **more})


def single(name: str, values: object = None) -> MarketConfig:
    return make_config({name: values})


def rows_of(bars: Bars, rows: object) -> Bars:
    """Return some bars: a slice or an index."""
    return bars._replace(time=bars.time[rows], **{name: getattr(bars, name)[rows] for name in FIELDS})


def with_holes(bars: Bars, share: float, seed: int = 0) -> Bars:
    """Return the bars with a share of the cells and of whole bars missing, in every column for itself."""
    random = np.random.default_rng(seed)
    whole = random.random(bars.close.shape) < share
    holes = {name: whole | (random.random(whole.shape) < share) for name in FIELDS}
    return bars._replace(**{name: np.where(holes[name], np.nan, getattr(bars, name)) for name in FIELDS})
