"""Bars of Yahoo Finance, by yfinance."""

import datetime
from importlib import import_module
from typing import Any

import pandas as pd

from jaxtrade.market.sources.live_redirect import live_url, redirect
from jaxtrade.market.sources.live_request import Request
from jaxtrade.market.units import DAY

COLUMNS = {"Open": "open", "High": "high", "Low": "low", "Close": "close", "Adj Close": "adj_close", "Volume": "volume"}


def download_yfinance(request: Request) -> pd.DataFrame:
    """Return the bars of one symbol, index in the exchange's zone; any exception is the service's answer.

    Prices are those that Yahoo shows, adjusted for splits; adj_close is beside them.
    """
    yfinance, data = import_module("yfinance"), import_module("yfinance.data")
    yfinance.config.debug.hide_exceptions = False
    data.YfData.cache_get.cache_clear()  # our own cache decides what is kept
    symbol = request.symbols[0]
    try:
        frame: pd.DataFrame = yfinance.Ticker(symbol, session=_session()).history(
            interval=request.interval,
            start=_bound(request.start, request.seconds),
            end=_bound(request.end, request.seconds),
            auto_adjust=False,
            actions=False,
        )
    except Exception as error:
        if getattr(getattr(error, "response", None), "status_code", None) == 404:
            raise LookupError(f"Yahoo has no symbol {symbol}") from None  # its own words are about a page
        raise
    return frame.rename(columns=COLUMNS)[list(COLUMNS.values())].astype("float64")


def _bound(time: datetime.datetime, seconds: int) -> datetime.date:
    """Return an end of the range: for bars of days a date, which is one of the exchange."""
    return time.date() if seconds >= DAY else time


def _session() -> Any:
    """Return a session that asks another address, None for the library's own."""
    to = live_url()
    if to is None:
        return None
    session = import_module("requests").Session()
    ask = session.request
    session.request = lambda method, url, **rest: ask(method, redirect(url, to), **rest)
    return session
