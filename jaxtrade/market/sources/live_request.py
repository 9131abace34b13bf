"""What `--data yfinance:...`, `ccxt:...` and `alpaca:...` ask for, checked."""

import datetime
from typing import NamedTuple
from urllib.parse import unquote

from jaxtrade.errors import InputError, did_you_mean
from jaxtrade.market.units import DAY, HOUR, MINUTE, WEEK

SERVICES = ("yfinance", "ccxt", "alpaca")
START = "2000-01-01"
INTERVALS = {  # of each service: its word, and seconds; those that each month or exchange has of its own are left out
    "yfinance": {
        **{f"{n}m": n * MINUTE for n in (1, 2, 5, 15, 30, 60, 90)},
        **{"1h": HOUR, "1d": DAY, "1wk": WEEK},
    },
    "ccxt": {
        **{f"{n}m": n * MINUTE for n in (1, 3, 5, 10, 15, 30, 45)},
        **{f"{n}h": n * HOUR for n in (1, 2, 3, 4, 6, 8, 12)},
        **{"1d": DAY, "3d": 3 * DAY, "1w": WEEK},
    },
    "alpaca": {
        **{f"{n}Min": n * MINUTE for n in range(1, 60)},
        **{f"{n}Hour": n * HOUR for n in range(1, 24)},
        **{"1Day": DAY, "1Week": WEEK},
    },
}
WORDS = {"yfinance": ("interval", "1d"), "ccxt": ("timeframe", "1d"), "alpaca": ("timeframe", "1Day")}
CHOICES = {  # parameters of one service: what they may be, the default first
    "alpaca": {"adjustment": ("all", "raw", "split", "dividend"), "feed": ("default", "iex", "sip", "otc")},
}
Time = datetime.datetime


class Request(NamedTuple):
    """Bars of some symbols in a range of time."""

    service: str
    exchange: str  # of ccxt; empty for the others
    symbols: tuple[str, ...]
    interval: str  # in the service's own words
    seconds: int  # of it
    start: Time  # UTC, included
    end: Time  # UTC, not included
    options: tuple[tuple[str, str], ...]  # what one service alone knows
    refresh: bool  # ask again, whatever is kept

    @property
    def where(self) -> str:
        """The source, for messages."""
        return f"{self.service}:{self.exchange}{':' * bool(self.exchange)}{','.join(self.symbols)}"


def parse_request(source: str, now: Time) -> Request:
    """Return what a source asks for.

    Args:
        source: `yfinance:A,B?...`, `ccxt:EXCHANGE:A/B,C/D?...` or `alpaca:A,B?...`.
        now: The time, UTC. Without `end`, bars until the last midnight are asked for: a range that is over, so that it
            can be kept, and whose bars will not change any more.

    Raises:
        InputError: A parameter is unknown or a value does not fit.
    """
    address, _, query = source.partition("?")
    service, _, rest = address.partition(":")
    exchange, _, names = rest.partition(":") if service == "ccxt" else ("", "", rest)
    symbols = tuple(dict.fromkeys(unquote(name) for name in names.split(",")))
    if not all(symbols) or (service == "ccxt") != bool(exchange):
        form = "ccxt:EXCHANGE:BTC/USDT" if service == "ccxt" else f"{service}:AAPL,MSFT"
        raise InputError(address, "names no symbol", f"Write it like {form}?start=2010-01-01")
    word, default = WORDS[service]
    given = _given(address, query, {word, "start", "end", "refresh", *CHOICES.get(service, {})})
    interval = _choice(address, word, given.get(word, default), tuple(INTERVALS[service]))
    start = _time(address, "start", given.get("start", START))
    end = _time(address, "end", given.get("end", f"{now:%Y-%m-%d}"))
    if start >= end:
        raise InputError(address, f"start {start:%Y-%m-%d} does not lie before end {end:%Y-%m-%d}", "Mend one of them")
    options = {
        name: _choice(address, name, given.get(name, choices[0]), choices)
        for name, choices in CHOICES.get(service, {}).items()
    }
    refresh = _choice(address, "refresh", given.get("refresh", "0"), ("0", "1")) == "1"
    seconds = INTERVALS[service][interval]
    return Request(service, exchange, symbols, interval, seconds, start, end, tuple(options.items()), refresh)


def _given(where: str, query: str, known: set[str]) -> dict[str, str]:
    given: dict[str, str] = {}
    for pair in query.split("&") if query else ():
        name, _, value = pair.partition("=")
        if name not in known:
            raise InputError(where, f"parameter '{name}' is unknown", did_you_mean(name, known))
        if not value or name in given:
            what = "is given twice" if name in given else "has no value"
            raise InputError(where, f"parameter '{name}' {what}", f"Write {name}=VALUE once")
        given[name] = unquote(value)
    return given


def _choice(where: str, name: str, value: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise InputError(where, f"parameter '{name}' cannot be '{value}'", did_you_mean(value, choices))
    return value


def _time(where: str, name: str, text: str) -> Time:
    try:
        time = Time.fromisoformat(text)
    except ValueError:
        raise InputError(where, f"parameter '{name}': '{text}' is no date", "Write it like 2010-01-01") from None
    return time.replace(tzinfo=datetime.UTC) if time.tzinfo is None else time.astimezone(datetime.UTC)
