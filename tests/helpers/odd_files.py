"""Odd but valid files of the same few bars, each with the arrays, written by hand, that it must load into."""

import gzip
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import NamedTuple

TIMES = tuple(datetime(2024, 1, 30, 22) + timedelta(hours=hour) for hour in range(4))  # across a month's day 31
ROWS = (
    ("1084.2", "1085.1", "1083.9", "1084.53", "1530"),
    ("1084.5", "1084.9", "1082", "1082.07", "980"),
    ("1082.1", "1090.333", "1082.1", "1088.1", "2210"),
    ("1088.15", "1088.2", "1087.70", "1088.0", "875"),
)
PRICES = {
    "open": (1084.2, 1084.5, 1082.1, 1088.15),
    "high": (1085.1, 1084.9, 1090.333, 1088.2),
    "low": (1083.9, 1082.0, 1082.1, 1087.7),
    "close": (1084.53, 1082.07, 1088.1, 1088.0),
    "volume": (1530.0, 980.0, 2210.0, 875.0),
}
HEADER = ("time", "open", "high", "low", "close", "volume")
LINES = (2, 3, 4, 5)
NOTHING: Mapping[str, str] = MappingProxyType({})


class Odd(NamedTuple):
    """A file and what it must load into."""

    content: bytes
    name: str = "prices.csv"
    times: tuple[datetime, ...] = TIMES
    prices: dict[str, tuple[float, ...]] = PRICES
    rows: tuple[int, ...] = LINES
    about: Mapping[str, str] = NOTHING  # some of what must be reported
    notices: tuple[str, ...] = ("N-DATA-063",)
    config: Mapping[str, object] = NOTHING
    symbol: str = "prices"
    has_range: bool = True


def table(
    when: Callable[[datetime], str] | str = "%Y-%m-%d %H:%M:%S",
    delimiter: str = ",",
    header: tuple[str, ...] | None = HEADER,
    cell: Callable[[str], str] = str,
    end: str = "\n",
) -> str:
    """Return the bars as text."""
    shown = [time.strftime(when) if isinstance(when, str) else when(time) for time in TIMES]
    lines = [delimiter.join(header)] if header else []
    lines += [delimiter.join([time, *map(cell, row)]) for time, row in zip(shown, ROWS, strict=True)]
    return end.join(lines) + end


def lines(*rows: str) -> bytes:
    """Return lines of text."""
    return "\n".join(rows).encode() + b"\n"


def comma(number: str) -> str:
    return number.replace(".", ",")


def thousands(number: str) -> str:
    """Return 1,084.5 for 1084.5."""
    whole, _, rest = number.partition(".")
    return f"{int(whole):,}" + ("." + rest if rest else "")


def epoch(parts: int) -> Callable[[datetime], str]:
    return lambda time: str(round((time - datetime(1970, 1, 1)).total_seconds()) * parts)


MT5 = ("<DATE>", "<TIME>", "<OPEN>", "<HIGH>", "<LOW>", "<CLOSE>", "<TICKVOL>", "<VOL>", "<SPREAD>")
TICKS = table("%Y.%m.%d\t%H:%M:%S", "\t", MT5).replace("\n", "\t0\t12\n").replace("SPREAD>\t0\t12", "SPREAD>")
PLAIN = table()
ADJUSTED = {**PRICES, "adj_close": (542.265, 541.035, 544.05, 544.0)}
DAYS = tuple(datetime(2024, 1, day) for day in (2, 3, 4, 5))
DAILY = table(lambda time: str(DAYS[TIMES.index(time)].date()))
ONLY = {
    **{name: PRICES[name] for name in ("open", "close")},
    "high": (1084.53, 1084.5, 1088.1, 1088.15),
    "low": (1084.2, 1082.07, 1082.1, 1088.0),
    "volume": (float("nan"),) * 4,
}
EARLIER = tuple(time - timedelta(hours=1) for time in TIMES)
LATER = tuple(time + timedelta(hours=5, minutes=30) for time in TIMES)
NUMBERS = lines("time,open,close,volume", "2024-01-30 22:00,+1,2., 7 ", "2024-01-30 23:00,.5,1e2,NA", "2024-01-31,2,3,")
STOOQ = ("<TICKER>", "<PER>", "<DATE>", "<TIME>", "<OPEN>", "<HIGH>", "<LOW>", "<CLOSE>", "<VOL>")
BINANCE = table(epoch(1000), header=None).replace("\n", ",1706655599999,1.5,10,0.5,0.25,0\n")
NONE = ()
IGNORED = ("N-DATA-063", "N-DATA-067")
ZONELESS = "none: taken as UTC"

ODD = {
    "plain": Odd(PLAIN.encode(), about={"delimiter": "comma", "decimal": "point", "zone": ZONELESS}),
    "ISO with T": Odd(table("%Y-%m-%dT%H:%M:%S").encode()),
    "no seconds": Odd(table("%Y-%m-%d %H:%M").encode()),
    "Z": Odd(table("%Y-%m-%dT%H:%M:%SZ").encode(), about={"zone": "UTC, from the times"}, notices=NONE),
    "offset": Odd(table("%Y-%m-%d %H:%M:%S+01:00").encode(), times=EARLIER, notices=NONE),
    "offset and fraction": Odd(table("%Y-%m-%dT%H:%M:%S.250+0100").encode(), times=EARLIER, notices=NONE),
    "fractions": Odd(table("%Y-%m-%d %H:%M:%S.000000").encode()),
    "CRLF": Odd(table(end="\r\n").encode()),
    "lines end in CR": Odd(table(end="\r").encode()),
    "UTF-8 with mark": Odd(PLAIN.encode("utf-8-sig"), about={"encoding": "UTF-8 with its mark"}),
    "UTF-16": Odd(PLAIN.encode("utf-16"), about={"encoding": "UTF-16 with its mark"}),
    "big-endian UTF-16": Odd(b"\xfe\xff" + PLAIN.encode("utf-16-be")),
    "no last line end": Odd(PLAIN[:-1].encode(), notices=("N-DATA-066", "N-DATA-063")),
    "blank lines": Odd(
        ("\n" + PLAIN.replace("875\n", "875\n\n").replace("980", "980\n  \r")).encode(), rows=(3, 4, 6, 7)
    ),
    "blank line inside": Odd(PLAIN.replace("980\n", "980\n\n").encode(), rows=(2, 3, 5, 6)),
    "semicolon": Odd(table(delimiter=";").encode(), about={"delimiter": "semicolon"}),
    "semicolon and decimal comma": Odd(table(delimiter=";", cell=comma).encode(), about={"decimal": "comma"}),
    "tab": Odd(table(delimiter="\t").encode(), "prices.tsv", about={"delimiter": "tab"}),
    "bar": Odd(table(delimiter="|").encode(), about={"delimiter": "bar"}),
    "blanks": Odd(table("%Y-%m-%dT%H:%M", "   ").encode(), "prices.txt", about={"delimiter": "blanks"}),
    "MetaTrader 4": Odd(table("%Y.%m.%d,%H:%M", header=None).encode(), rows=(1, 2, 3, 4), about={"header": "none"}),
    "HistData": Odd(table("%Y%m%d %H%M%S", ";", header=None).encode(), rows=(1, 2, 3, 4)),
    "MetaTrader 5": Odd(
        TICKS.encode(), about={"volume": "tick volume (the real one is zero in 100% of bars)"}, notices=IGNORED
    ),
    "MetaTrader 5, no brackets": Odd(TICKS.replace("<", "").replace(">", "").encode(), notices=IGNORED),
    "Dukascopy": Odd(table("%d.%m.%Y %H:%M:%S.000", header=("Gmt time", *HEADER[1:])).encode()),
    "Dukascopy, local": Odd(table("%d.%m.%Y %H:%M:%S.000 GMT+0100").encode(), times=EARLIER, notices=NONE),
    "Dukascopy, west": Odd(table("%d.%m.%Y %H:%M:%S.000 GMT-0530").encode(), times=LATER, notices=NONE),
    "month first, AM and PM": Odd(
        table("%m/%d/%Y %I:%M:%S %p").encode(), about={"dates": "%m/%d/%Y [%H:%M:%S] (detected)"}
    ),
    "day first": Odd(table("%d/%m/%Y %H:%M").encode(), about={"dates": "%d/%m/%Y [%H:%M:%S] (detected)"}),
    "points": Odd(table("%Y.%m.%d %H:%M").encode()),
    "digits": Odd(table("%Y%m%d%H%M%S").encode()),
    "month's name": Odd(table("%d-%b-%Y %H:%M").encode()),
    "unix s": Odd(table(epoch(1)).encode(), about={"dates": "unix s (detected)"}, notices=NONE),
    "unix ms": Odd(table(epoch(1000)).encode(), about={"dates": "unix ms (detected)"}, notices=NONE),
    "unix us": Odd(table(epoch(10**6)).encode(), about={"dates": "unix us (detected)"}, notices=NONE),
    "unix ns": Odd(table(epoch(10**9)).encode(), about={"dates": "unix ns (detected)"}, notices=NONE),
    "unix, decimals": Odd(table(lambda time: epoch(1)(time) + ".0").encode(), notices=NONE),
    "format given": Odd(table("%d.%m.%y %H.%M").encode(), config={"date_format": "%d.%m.%y %H.%M"}),
    "format given, ambiguous": Odd(
        table(lambda time: time.replace(month=5, day=time.day - 24).strftime("%d/%m/%Y %H:%M")).encode(),
        times=tuple(time.replace(month=5, day=time.day - 24) for time in TIMES),
        config={"date_format": "%d/%m/%Y %H:%M"},
    ),
    "zone given": Odd(PLAIN.encode(), times=EARLIER, config={"timezone": "Europe/Berlin"}, notices=NONE),
    "dates": Odd(DAILY.encode(), times=DAYS, about={"zone": "none: dates"}, notices=NONE),
    "dates in a zone": Odd(DAILY.encode(), times=DAYS, config={"timezone": "Asia/Tokyo"}, notices=NONE),
    "quoted": Odd(table(cell='"{}"'.format, header=tuple(f'"{name}"' for name in HEADER)).encode()),
    "thousands": Odd(table(delimiter=";", cell=thousands).encode(), about={"decimal": "point, thousands by comma"}),
    "quoted thousands": Odd(table(cell=lambda number: f'"{thousands(number)}"').encode()),
    "continental thousands": Odd(
        table(delimiter=";", cell=lambda number: thousands(number).translate(str.maketrans(",.", ".,"))).encode(),
        about={"decimal": "comma, thousands by point"},
    ),
    "gzip": Odd(gzip.compress(PLAIN.encode()), "prices.csv.gz", about={"compression": "gzip"}),
    "gzip by another name": Odd(gzip.compress(PLAIN.encode())),
    "names in capitals and blanks": Odd(table(header=(" Date ", "OPEN", " High", "Low", "Close ", "Volume")).encode()),
    "unnamed index": Odd(table(header=("", *HEADER[1:])).encode()),
    "title": Odd(b"https://www.example.com\n" + PLAIN.encode(), rows=(3, 4, 5, 6), about={"header": "line 2"}),
    "Binance": Odd(BINANCE.encode(), rows=(1, 2, 3, 4), notices=("N-DATA-067",)),
    "Stooq": Odd(
        table("EURUSD,60,%Y%m%d,%H%M%S", header=STOOQ).encode(), "eurusd.txt", symbol="EURUSD", notices=IGNORED
    ),
    "adjusted close": Odd(
        "".join(
            f"{line},{'Adj Close' if not place else ADJUSTED['adj_close'][place - 1]}\n"
            for place, line in enumerate(PLAIN.splitlines())
        ).encode(),
        prices=ADJUSTED,
        notices=("N-DATA-063", "N-DATA-072"),
    ),
    "open and close alone": Odd(
        "".join(",".join(line.split(",")[place] for place in (4, 0, 1)) + "\n" for line in PLAIN.splitlines()).encode(),
        prices=ONLY,
        has_range=False,
    ),
    "newest first": Odd(
        lines(PLAIN.splitlines()[0], *PLAIN.splitlines()[:0:-1]),
        times=TIMES[::-1],
        prices={name: values[::-1] for name, values in PRICES.items()},
    ),
    "numbers as people write them": Odd(
        NUMBERS,
        times=(*TIMES[:2], datetime(2024, 1, 31)),
        prices={"open": (1.0, 0.5, 2.0), "close": (2.0, 100.0, 3.0), "volume": (7.0, float("nan"), float("nan"))},
        rows=LINES[:3],
        has_range=False,
    ),
}
