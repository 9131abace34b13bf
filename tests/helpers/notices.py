"""Files that are let through with a notice: what each holds, its code, and pieces of what is said."""

import io

import numpy as np
import pandas as pd

from tests.helpers.bad_files import DAILY, HOURLY, BadFile, text_of
from tests.helpers.price_files import GOOD_TEXT


def with_cell(line: str, column: int, cell: str) -> str:
    cells = line.split(",")
    return ",".join([*cells[:column], cell, *cells[column + 1 :]])


def opening_at_the_close(lines: list[str]) -> list[str]:
    """Return lines whose opens equal the close before."""
    closes = [line.split(",")[4] for line in lines]
    return [lines[0], *(with_cell(line, 1, close) for line, close in zip(lines[1:], closes, strict=False))]


def wide(lines: list[str]) -> list[str]:
    """Return lines whose high and low leave room for other opens."""
    cells = [line.split(",") for line in lines]
    return [
        ",".join([time, opening, str(float(high) + 10), str(float(low) - 10), close, volume])
        for time, opening, high, low, close, volume in cells
    ]


def zone_change() -> list[str]:
    """Return three years of hours, busiest at ten, of which the last half is told an hour too late."""
    hours = np.datetime64("2018-01-01", "h") + np.arange(3 * 365 * 24)
    busy = 0.2 + 3 * np.exp(-0.5 * ((hours.astype(int) % 24 - 10) / 1.5) ** 2)
    moved = hours + (np.arange(len(hours)) >= len(hours) // 2)
    times = [str(time).replace("T", " ") for time in moved]
    return [f"{time}:00,100.5,{101 + size:.3f},99,100,7" for time, size in zip(times, busy, strict=True)]


def short_floats() -> bytes:
    """Return a Parquet file of 32-bit prices."""
    memory = io.BytesIO()
    frame = pd.read_csv(io.StringIO(text_of(DAILY)))
    frame.astype({"open": np.float32, "close": np.float32}).to_parquet(memory)
    return memory.getvalue()


WITH_SPREAD = GOOD_TEXT.replace("volume\n", "volume,spread\n").replace("00\n", "00,1\n")
STILL = [f"{line.split(',')[0]},100,100,100,100,5" for line in DAILY[30:36]]
PANEL = ["date,symbol,open,close"]
PANEL += [f"{line.split(',')[0]},A,{line.split(',')[1]},{line.split(',')[4]}" for line in DAILY]
PANEL += [f"{line.split(',')[0]},B,{line.split(',')[1]},{line.split(',')[4]}" for line in DAILY[::2]]
NOTICES = {
    "stale opens": BadFile("N-DATA-060", "100.0% of all", text_of(opening_at_the_close(wide(DAILY)))),
    "stale run": BadFile("N-DATA-061", "one price for 5 bars", text_of(wide(DAILY[:30]), STILL, wide(DAILY[36:]))),
    "gap": BadFile("N-DATA-062", "row 12 |3 bars missing before this one", text_of(DAILY[:10], DAILY[13:])),
    "no zone": BadFile("N-DATA-063", "taken as UTC", text_of(HOURLY)),
    "zone change": BadFile("N-DATA-064", "1 h later", text_of(zone_change())),
    "calendars": BadFile("N-DATA-065", "symbol B|30 of 59 bars of the panel (51%)", "\n".join(PANEL) + "\n"),
    "open end": BadFile("N-DATA-066", "no line end", GOOD_TEXT.rstrip("\n")),
    "ignored": BadFile("N-DATA-067", "spread", WITH_SPREAD),
    "zero volume": BadFile("N-DATA-068", "row 3 |volume 0", GOOD_TEXT.replace("12,200", "12,0")),
    "no volume": BadFile("N-DATA-068", "no volume at all", "date,open,close\n2020-01-01,10,11.5\n2020-01-02,10,11\n"),
    "spike": BadFile("N-DATA-069", "row 22 |'high'", text_of(DAILY[:20], [with_cell(DAILY[20], 2, "250")], DAILY[21:])),
    "empty": BadFile("N-DATA-070", "row 3 |'open'|an empty cell", GOOD_TEXT.replace("2020-01-02,11", "2020-01-02,")),
    "whole": BadFile("N-DATA-071", "whole numbers only, such as 11", GOOD_TEXT),
    "adjusted": BadFile(
        "N-DATA-072", "adjusted close 5.5", "date,open,close,adj close\n2020-01-01,10,11,5.5\n2020-01-02,10,11,11\n"
    ),
    "precision": BadFile("N-DATA-073", "32 bits", short_floats(), "prices.parquet"),
}
