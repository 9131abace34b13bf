"""Malformed files: what each holds, the code that refuses it, and pieces of the message."""

import gzip
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxtrade.config.market import LoadConfig
from tests.helpers.price_files import GOOD_LINES, GOOD_TEXT, HEADER

HOUR, DAY = 3600, 86400


class BadFile(NamedTuple):
    code: str
    pieces: str  # of the message, separated by |
    content: str | bytes | None
    name: str = "prices.csv"
    config: LoadConfig = LoadConfig()


def swapped(line: int, text: str) -> str:
    """Return the good text with another line, 1-based; the header is line 1."""
    return "\n".join([*GOOD_LINES[: line - 1], text, *GOOD_LINES[line:]]) + "\n"


def walk_lines(
    count: int, interval: int = DAY, start: str = "2020-01-06", seed: int = 0, scale: float = 1.0
) -> list[str]:
    """Return the lines of a random walk around 100, two decimals, without a header; its volumes are whole."""
    random = np.random.default_rng(seed)
    close = scale * 100 * np.exp(np.cumsum(random.normal(0.0, 0.01, count)))
    opening = np.concatenate([[scale * 100], close[:-1]]) * np.exp(random.normal(0.0, 0.003, count))
    high = np.maximum(opening, close) * np.exp(np.abs(random.normal(0.0, 0.003, count)))
    low = np.minimum(opening, close) / np.exp(np.abs(random.normal(0.0, 0.003, count)))
    volume = random.integers(1000, 2000, count)
    times = np.datetime64(start, "s") + np.arange(count) * np.timedelta64(interval, "s")
    shown = [str(time)[:10] if interval >= DAY else str(time).replace("T", " ") for time in times]
    prices = np.round(np.stack([opening, high, low, close], axis=1), 2)
    prices[:, 1], prices[:, 2] = prices.max(axis=1), prices.min(axis=1)
    rows = zip(shown, prices.tolist(), volume.tolist(), strict=True)
    return [",".join([time, *(repr(price) for price in row), str(amount)]) for time, row, amount in rows]


def text_of(*parts: list[str]) -> str:
    return "\n".join([HEADER, *(line for part in parts for line in part)]) + "\n"


def scaled(lines: list[str], factor: float, decimals: int = 2) -> list[str]:
    """Return lines with all prices multiplied, as text of so many decimals."""
    cells = [line.split(",") for line in lines]
    return [
        ",".join([time, *(f"{float(price) * factor:.{decimals}f}" for price in prices), volume])
        for time, *prices, volume in cells
    ]


def with_time(line: str, time: str) -> str:
    return ",".join([time, *line.split(",")[1:]])


def day_bar(lines: list[str]) -> str:
    """Return the bar of a whole day of hourly lines, at its midnight."""
    cells = [line.split(",") for line in lines]
    prices = np.array([[float(cell) for cell in row[1:]] for row in cells])
    values = [prices[0, 0], prices[:, 1].max(), prices[:, 2].min(), prices[-1, 3]]
    return ",".join(
        [cells[0][0][:10] + " 00:00:00", *(repr(float(value)) for value in values), f"{prices[:, 4].sum():.0f}"]
    )


SYMBOLS = "date,symbol,open,close\n2020-01-01,A,10,11\n2020-01-01,B,20,21\n2020-01-02,A,12,13\n"
NOISE = np.random.default_rng(0).bytes(4000)
ZIPPED = gzip.compress(NOISE + GOOD_TEXT.encode())
HOURLY = walk_lines(72, HOUR)
DAILY = walk_lines(60)
BERLIN = LoadConfig(timezone="Europe/Berlin")
AUTUMN = walk_lines(30, HOUR, start="2021-10-30T12:00")  # the clocks go back on 31 October at 03:00
MIDNIGHT_GAP = [line for line in HOURLY if " 00:00:00" not in line]  # so that a bar of the day can stand there
WEEKDAYS = [line for line in walk_lines(60, start="2021-01-04") if np.is_busday(line[:10])]
HOLIDAYS = ("2021-01-18", "2021-02-15")
SESSIONS = [line for line in WEEKDAYS if line[:10] not in HOLIDAYS]
NEW_YORK = LoadConfig(calendar="XNYS")

SOURCES = {
    "missing": BadFile("E-DATA-001", "no such file or folder|Check the path, or use --data sample:nasdaq", None),
    "empty": BadFile("E-DATA-002", "the file is empty|'the source holds bars'", ""),
    "blank lines": BadFile("E-DATA-002", "the file is empty", "\n\n"),
    "only a header": BadFile("E-DATA-002", "the file holds no rows", GOOD_LINES[0] + "\n"),
    "half a .gz": BadFile("E-DATA-003", "ended before", ZIPPED[: len(ZIPPED) // 2], "prices.csv.gz"),
    "no .gz": BadFile("E-DATA-003", "Not a gzipped file", GOOD_TEXT, "prices.csv.gz"),
    "no Parquet": BadFile("E-DATA-003", "Parquet magic bytes not found", NOISE, "prices.parquet"),
    "empty Parquet": BadFile("E-DATA-002", "the file is empty", b"", "prices.parquet"),
    "binary": BadFile("E-DATA-004", "row 1|is not UTF-8", NOISE),
    "Latin-1": BadFile(
        "E-DATA-004", "row 3|0xa0|is not UTF-8", swapped(3, "2020-01-02,11,13,10,1\xa0200,200").encode("latin-1")
    ),
    "row too long": BadFile("E-DATA-005", "row 3 has 9 cells and others 6", swapped(3, GOOD_LINES[2] + ",1,2,3")),
    "no time": BadFile("E-DATA-006", "no time column among|'day'|Name one", swapped(1, HEADER.replace("date", "day"))),
    "no close": BadFile("E-DATA-007", "'close' is missing|'clse'", swapped(1, HEADER.replace("close", "clse"))),
    "no open": BadFile(
        "E-DATA-007", "'open' is missing|'opn'|Add or rename", swapped(1, HEADER.replace("open", "opn"))
    ),
    "no adjusted close": BadFile(
        "E-DATA-007", "no column adj_close", GOOD_TEXT, config=LoadConfig(adjusted="adj_close")
    ),
    "close twice": BadFile("E-DATA-008", "'close' appears more than once", swapped(1, HEADER.replace("low", "Close"))),
    "no symbol": BadFile(
        "E-DATA-014", "row 5 column 'symbol'|Name the symbol of every", SYMBOLS + "2020-01-02,,22,23\n"
    ),
}
CELLS = {
    "text": BadFile("E-DATA-020", "row 3 (2020-01-02|'close'|'n.v.t.'", swapped(3, "2020-01-02,11,13,10,n.v.t.,200")),
    "text in high": BadFile("E-DATA-020", "row 4 |column 'high'|'?'", swapped(4, "2020-01-03,12,?,11,13,300")),
    "symbol's text": BadFile("E-DATA-020", "row 5 |'open'|symbol B|'x'", SYMBOLS + "2020-01-02,B,x,22\n"),
    "infinite": BadFile("E-DATA-021", "row 3 |'close'|value inf", swapped(3, "2020-01-02,11,13,10,inf,200")),
    "minus infinite": BadFile("E-DATA-021", "'volume'|value -inf", swapped(3, "2020-01-02,11,13,10,12,-inf")),
    "beyond float64": BadFile("E-DATA-021", "row 3 |'open'|value inf", swapped(3, "2020-01-02,1e999,13,10,12,200")),
    "zero": BadFile(
        "E-DATA-022", "row 2 (2020-01-01|'open'|value 0.0|'price > 0'", swapped(2, "2020-01-01,0,12,9,11,100")
    ),
    "zero low": BadFile("E-DATA-022", "row 2 |'low'|value 0.0", swapped(2, "2020-01-01,10,12,0,11,100")),
    "negative": BadFile("E-DATA-022", "row 3 (|'close'|value -12.0", swapped(3, "2020-01-02,11,13,10,-12,200")),
    "two zeros": BadFile(
        "E-DATA-022", "(1 of 2: rows 2, 4)", swapped(2, "2020-01-01,0,12,9,11,100").replace(",12,14", ",0,14")
    ),
    "symbol's row": BadFile("E-DATA-022", "row 5 |'close' symbol B: value 0.0", SYMBOLS + "2020-01-02,B,22,0\n"),
    "volume": BadFile(
        "E-DATA-023", "row 4 |'volume'|value -300.0|'volume >= 0'", swapped(4, "2020-01-03,12,14,11,13,-300")
    ),
    "high too low": BadFile(
        "E-DATA-024", "'high'|high 11.5 below close 12.0", swapped(3, "2020-01-02,11,11.5,10,12,200")
    ),
    "low too high": BadFile("E-DATA-024", "'low'|low 11.5 above open 11.0", swapped(3, "2020-01-02,11,13,11.5,12,200")),
    "high below low": BadFile("E-DATA-024", "high 9.0 below low 10.0", swapped(3, "2020-01-02,,9,10,,200")),
    "full int32": BadFile("E-DATA-025", "'volume'|2147483647.0", swapped(3, "2020-01-02,11,13,10,12,2147483647")),
    "full int16": BadFile("E-DATA-025", "'volume'|value 32767.0", swapped(3, "2020-01-02,11,13,10,12,32767")),
    "empty int64": BadFile(
        "E-DATA-025", "'close'|-9.223372036854776e+18", swapped(3, "2020-01-02,11,13,10,-9223372036854775808,1")
    ),
    "beyond float32": BadFile("E-DATA-025", "'high'|value 1e+39", swapped(3, "2020-01-02,11,1e39,10,12,200")),
    "no closes": BadFile("E-DATA-026", "no closing price|Give closing", "date,open,close\n2020-01-01,1,\n"),
}
TIMES = {
    "no date": BadFile("E-DATA-030", "row 3 column 'date'|the time is empty", swapped(3, ",11,13,10,12,200")),
    "31 June": BadFile("E-DATA-031", "row 3 column 'date'|'2020-06-31'", swapped(3, "2020-06-31,11,13,10,12,200")),
    "mixed dates": BadFile("E-DATA-031", "row 4 column 'date'|'03.01.2020'", swapped(4, "03.01.2020,12,14,11,13,300")),
    "two readings": BadFile(
        "E-DATA-032", "1/2/2020|--market.load.date-format", "date,open,close\n1/2/2020,1,2\n1/3/2020,1,2\n"
    ),
    "mixed zones": BadFile(
        "E-DATA-033",
        "row 2 |names a zone, and others do not",
        text_of([f"{HOURLY[0][:19]}+01:00{HOURLY[0][19:]}"], HOURLY[1:]),
    ),
    "an hour that is not": BadFile(
        "E-DATA-034", "2021-03-28 02:00:00", text_of(walk_lines(30, HOUR, start="2021-03-27T12:00")), config=BERLIN
    ),
    "unsorted": BadFile(
        "E-DATA-035", "row 4 |before that of the row above", text_of(DAILY[:1], DAILY[2:3], DAILY[1:2])
    ),
    "newest first": BadFile("E-DATA-035", "(1 of 59: rows 3, 4, 5, ...)|repair sort", text_of(DAILY[::-1])),
    "twice": BadFile("E-DATA-036", "row 4 |the time of row 3 again, with the same values", swapped(4, GOOD_LINES[2])),
    "symbol's order": BadFile("E-DATA-036", "row 5 |symbol B|row 3 again", SYMBOLS + "2020-01-01,B,20,21\n"),
    "conflict": BadFile("E-DATA-037", "row 4 |other values", swapped(4, GOOD_LINES[2].replace("200", "201"))),
    "same second": BadFile("E-DATA-037", "row 3 |of row 2 again", GOOD_TEXT.replace("-02,", "-01T00:00:00.5,")),
    "an hour twice": BadFile(
        "E-DATA-037",
        "clocks are set back|--market.load.timezone",
        text_of(AUTUMN[:15], [with_time(AUTUMN[15], "2021-10-31 02:00:00")], AUTUMN[16:]),
    ),
    "future": BadFile("E-DATA-038", "row 4 (2999-01-03|a time to come", GOOD_TEXT.replace("2020-01-03", "2999-01-03")),
}
SERIES = {
    "daily, then hourly": BadFile(
        "E-DATA-040",
        "row 32 (2020-02-05|bars 1 day apart before this one and 1 h apart after it",
        text_of(DAILY[:30], walk_lines(72, HOUR, start="2020-02-05")),
    ),
    "hourly, then daily": BadFile(
        "E-DATA-040",
        "bars 1 h apart before this one and 1 day apart",
        text_of(HOURLY, walk_lines(30, start="2020-01-09")),
    ),
    "a day among hours": BadFile(
        "E-DATA-041",
        "row 25 (2020-01-07T00:00:00Z)|the first bar of its day",
        text_of(MIDNIGHT_GAP[:23], [day_bar(MIDNIGHT_GAP[23:46])], MIDNIGHT_GAP[23:]),
    ),
    "off the grid": BadFile(
        "E-DATA-042",
        "row 12 |a bar 30 min after the last, among bars of 1 h",
        text_of(HOURLY[:10], [with_time(HOURLY[10], "2020-01-06 09:30:00")], HOURLY[11:]),
    ),
    "points": BadFile(
        "E-DATA-043", "EURUSD|100,000 points to 1|repair rescale", text_of(scaled(DAILY, 1100, 0)), "EURUSD.csv"
    ),
    "split 2:1": BadFile(
        "E-DATA-044", "row 32 |split 2:1|market.load.events", text_of(scaled(DAILY[:30], 2), DAILY[30:])
    ),
    "split 3:2": BadFile("E-DATA-044", "row 32 |split 3:2", text_of(scaled(DAILY[:30], 1.5), DAILY[30:])),
    "reverse split": BadFile("E-DATA-044", "reverse split 1:10", text_of(scaled(DAILY[:30], 0.1, 4), DAILY[30:])),
    "session missing": BadFile(
        "E-DATA-045",
        "got 41 sessions, expected 42 of XNYS; 1 missing: 2021-01-11",
        text_of(SESSIONS[:5], SESSIONS[6:]),
        config=NEW_YORK,
    ),
    "session extra": BadFile("E-DATA-045", "2 extra: 2021-01-18, 2021-02-15", text_of(WEEKDAYS), config=NEW_YORK),
}
BAD_FILES = SOURCES | CELLS | TIMES | SERIES


def write_bad(folder: Path, bad: BadFile) -> Path:
    path = folder / bad.name
    if bad.content is not None:
        path.write_bytes(bad.content if isinstance(bad.content, bytes) else bad.content.encode())
    return path
