"""Bars of crypto exchanges, by ccxt."""

import datetime
from functools import cache
from importlib import import_module
from typing import Any

import pandas as pd

from jaxtrade.errors import did_you_mean
from jaxtrade.market.sources.live_redirect import live_url, redirect
from jaxtrade.market.sources.live_request import Request

COLUMNS = ["open", "high", "low", "close", "volume"]
PAGE = 1000  # bars; an exchange that gives fewer at a time is asked more often


def download_ccxt(request: Request) -> pd.DataFrame:
    """Return the bars of one symbol, index in UTC; any exception is the service's answer."""
    exchange = _exchange(request.exchange, live_url())
    if request.interval not in (exchange.timeframes or {request.interval: ""}):
        raise ValueError(f"{request.exchange} has no timeframe {request.interval}: {', '.join(exchange.timeframes)}")
    since, end = (int(time.timestamp() * 1000) for time in (request.start, request.end))
    bars: list[list[float]] = []
    while since < end:
        page = exchange.fetch_ohlcv(request.symbols[0], request.interval, since=since, limit=PAGE)
        page = [bar for bar in page if bar[0] >= since]
        if not page:
            break
        bars += page
        since = int(page[-1][0]) + request.seconds * 1000
    frame = pd.DataFrame([bar[1:6] for bar in bars], columns=COLUMNS, dtype="float64")
    times = [datetime.datetime.fromtimestamp(bar[0] / 1000, datetime.UTC) for bar in bars]
    return frame.set_index(pd.DatetimeIndex(times, tz="UTC"))


@cache  # its list of markets is long, and the same for all symbols
def _exchange(name: str, url: str | None) -> Any:
    ccxt = import_module("ccxt")  # untyped, and missing where live data are not wanted
    if name not in ccxt.exchanges:
        raise ValueError(f"no exchange is called {name}. {did_you_mean(name, ccxt.exchanges)}")
    exchange = getattr(ccxt, name)()
    if url is not None:
        exchange.urls["api"] = redirect(exchange.urls["api"], url)
    return exchange
