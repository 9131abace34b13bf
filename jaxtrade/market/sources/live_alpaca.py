"""Bars of US stocks by Alpaca, through alpaca-py."""

import json
import os
import re
from contextlib import suppress
from importlib import import_module

import pandas as pd

from jaxtrade.market.sources.live_redirect import live_url
from jaxtrade.market.sources.live_request import Request
from jaxtrade.market.units import DAY

KEY, SECRET = "APCA_API_KEY_ID", "APCA_API_SECRET_KEY"
COLUMNS = {"o": "open", "h": "high", "l": "low", "c": "close", "v": "volume"}
EXCHANGE = "America/New_York"


def download_alpaca(request: Request) -> pd.DataFrame:
    """Return the bars of one symbol, index in UTC, or New York for days and weeks; any exception is the answer.

    The keys come from the environment, and are neither printed nor kept.
    """
    data = import_module("alpaca.data")
    failure = import_module("alpaca.common.exceptions").APIError
    keys = [os.environ.get(name, "") for name in (KEY, SECRET)]
    if not all(keys):
        raise ValueError(f"{KEY} and {SECRET} must be set in the environment")
    amount, unit = re.fullmatch(r"(\d+)(\w+)", request.interval).groups()  # type: ignore[union-attr]
    options = {name: value for name, value in request.options if value != "default"}
    asked = data.StockBarsRequest(
        symbol_or_symbols=request.symbols[0],
        timeframe=data.TimeFrame(int(amount), data.TimeFrameUnit(unit)),
        start=request.start,
        end=request.end,
        **options,
    )
    client = data.StockHistoricalDataClient(*keys, raw_data=True, url_override=live_url())
    try:
        answer = client.get_stock_bars(asked)
    except failure as error:
        raise RuntimeError(_message(str(error), keys)) from None
    frame = pd.DataFrame(answer.get(request.symbols[0], []), columns=["t", *COLUMNS]).rename(columns=COLUMNS)
    times = pd.DatetimeIndex(pd.to_datetime(frame.pop("t"), utc=True))
    frame.index = times.tz_convert(EXCHANGE) if request.seconds >= DAY else times
    return frame.astype("float64")


def _message(text: str, keys: list[str]) -> str:
    """Return what an answer says, without the keys should it repeat them."""
    with suppress(ValueError, KeyError, TypeError):
        text = str(json.loads(text)["message"])
    for key in keys:
        text = text.replace(key, "***")
    return text
