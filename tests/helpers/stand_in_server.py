"""A local server that answers as Yahoo, Binance and Alpaca do: made-up bars, in pages, forming bars included."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
STEPS = {"1d": 86_400, "1Day": 86_400, "1h": 3600, "1Hour": 3600, "60m": 3600}
ALPACA_PAGE = 7  # bars of a page, so that a short range takes several


class Service(ThreadingHTTPServer):
    """The server, what it was asked, and how it shall fail."""

    daemon_threads = True

    def __init__(self, now: datetime) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.now = now
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.fail: tuple[int, str] | None = None  # status and body of every answer
        self.level = 100.0  # of prices; a vendor who rewrites history changes it

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Service

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.server.headers.append(dict(self.headers))
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        status, body = self.server.fail or answer(self.server, parts.path, query)
        data = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def stand_in(now: datetime) -> Iterator[Service]:
    """Serve in a thread."""
    service = Service(now)
    thread = threading.Thread(target=service.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield service
    finally:
        service.shutdown()
        thread.join()
        service.server_close()


def answer(service: Service, path: str, query: dict[str, str]) -> tuple[int, Any]:
    if path.startswith("/v8/finance/chart/"):
        return yahoo(service, path.rsplit("/", 1)[1], query)
    if path.endswith("/klines"):
        return binance(service, query)
    if path.endswith("/exchangeInfo"):
        return 200, {"symbols": [market("BTC"), market("ETH")] if "/api/" in path else []}
    if path == "/v2/stocks/bars":
        return alpaca(service, query)
    if path == "/v1/test/getcrumb":
        return 200, "crumb"
    return (200, "") if path in ("/", "/consent") else (404, {"message": f"no such path: {path}"})


def bar(service: Service, time: datetime) -> tuple[float, float, float, float, float]:
    """Return open, high, low, close and volume, as a function of the time alone."""
    step = int(time.timestamp()) // 3600 % 97
    opening, close = service.level + step / 8, service.level + step / 8 + (step % 5 - 2) / 4
    return opening, max(opening, close) + 0.5, min(opening, close) - 0.5, close, 1000.0 + step


def midnights(service: Service, start: datetime, end: datetime) -> list[datetime]:
    """Return the New York midnights of weekdays in a range that have begun."""
    day = start.astimezone(NEW_YORK).date()
    found = []
    while (time := datetime(day.year, day.month, day.day, tzinfo=NEW_YORK)) < min(end, service.now):
        if time >= start and day.weekday() < 5:
            found.append(time)
        day += timedelta(days=1)
    return found


def starts(service: Service, start: datetime, end: datetime, step: int) -> list[datetime]:
    """Return the multiples of a step in a range that have begun, in UTC."""
    first = -(-int(start.timestamp()) // step) * step
    last = min(end, service.now).timestamp()
    return [datetime.fromtimestamp(second, UTC) for second in range(first, int(last + 0.5), step) if second < last]


def yahoo(service: Service, symbol: str, query: dict[str, str]) -> tuple[int, Any]:
    if symbol not in ("AAPL", "MSFT"):
        error = {"code": "Not Found", "description": "No data found, symbol may be delisted"}
        return 404, {"chart": {"result": None, "error": error}}
    interval = query["interval"]
    start, end = (datetime.fromtimestamp(int(query.get(name, 0)), UTC) for name in ("period1", "period2"))
    daily = STEPS[interval] == 86_400
    times = midnights(service, start, end) if daily else starts(service, start, end, STEPS[interval])
    times = [time.replace(hour=9, minute=30) for time in times] if daily else times  # as Yahoo names a day
    bars = [bar(service, time) for time in times]
    names = ("open", "high", "low", "close", "volume")
    columns = {name: [values[n] for values in bars] for n, name in enumerate(names)}
    period = {"start": 0, "end": 2**31, "timezone": "EST", "gmtoffset": -18000}
    meta = {
        **{"currency": "USD", "symbol": symbol, "exchangeName": "NMS", "instrumentType": "EQUITY"},
        **{"gmtoffset": -18000, "timezone": "EST", "exchangeTimezoneName": "America/New_York", "priceHint": 2},
        **{"dataGranularity": interval, "range": "", "validRanges": ["1d", "max"], "firstTradeDate": 345479400},
        "currentTradingPeriod": {"pre": period, "regular": period, "post": period},
        "tradingPeriods": [[trading_period(day)] for day in sorted({t.astimezone(NEW_YORK).date() for t in times})],
    }
    adjusted = [{"adjclose": [close * 0.5 for close in columns["close"]]}]
    indicators = {"quote": [columns]} | ({"adjclose": adjusted} if daily else {})
    result = {"meta": meta, "timestamp": [int(t.timestamp()) for t in times], "indicators": indicators}
    return 200, {"chart": {"result": [result], "error": None}}


def trading_period(day: date) -> dict[str, Any]:
    """Return a day in New York as one long session."""
    days = [day, day + timedelta(days=1)]
    start, end = (datetime(each.year, each.month, each.day, tzinfo=NEW_YORK).timestamp() for each in days)
    return {"timezone": "EST", "start": int(start), "end": int(end), "gmtoffset": -18000}


def market(base: str) -> dict[str, Any]:
    """Return a market as Binance lists it."""
    return {
        **{"symbol": f"{base}USDT", "status": "TRADING", "baseAsset": base, "quoteAsset": "USDT"},
        **{"baseAssetPrecision": 8, "quotePrecision": 8, "quoteAssetPrecision": 8, "isSpotTradingAllowed": True},
        **{"isMarginTradingAllowed": False, "orderTypes": ["LIMIT"], "filters": [], "permissions": ["SPOT"]},
        **{"permissionSets": [["SPOT"]]},
    }


def binance(service: Service, query: dict[str, str]) -> tuple[int, Any]:
    step = STEPS[query["interval"]]
    start = datetime.fromtimestamp(int(query["startTime"]) / 1000, UTC)
    times = starts(service, start, service.now, step)[: min(int(query.get("limit", 500)), 1000)]
    rows = []
    for time in times:
        opened = int(time.timestamp() * 1000)
        prices = [str(value) for value in bar(service, time)]
        rows.append([opened, *prices, opened + step * 1000 - 1, "0", 1, "0", "0", "0"])
    return 200, rows


def zulu(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def alpaca(service: Service, query: dict[str, str]) -> tuple[int, Any]:
    symbol, step = query["symbols"], STEPS[query["timeframe"]]
    if symbol != "AAPL":
        return 400, {"message": f"invalid symbol: {symbol}"}
    start, end = (datetime.fromisoformat(query[name]) for name in ("start", "end"))
    times = midnights(service, start, end) if step == 86_400 else starts(service, start, end, step)
    first = int(query.get("page_token", 0))
    page, more = times[first : first + ALPACA_PAGE], first + ALPACA_PAGE < len(times)
    bars = [dict(zip("ohlcv", bar(service, time), strict=True)) | {"t": zulu(time)} for time in page]
    return 200, {"bars": {symbol: bars} if bars else {}, "next_page_token": str(first + ALPACA_PAGE) if more else None}
