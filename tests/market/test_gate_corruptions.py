"""Random corruptions of one cell of a valid file: rejected, harmless, listed at their row, or true by every rule.

The last is judged here by a statement of the rules in plain Python that shares nothing with the checks. What it calls
true is a value that no rule can tell from a real one, such as another digit inside the range of the bar; these are
counted, and every one changes the data hash.
"""

import datetime
import math
import random
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
import pytest

from jaxtrade.config.market import LoadConfig
from jaxtrade.errors import InputError
from jaxtrade.market import gate
from jaxtrade.market.bars import Bars, Loaded, load
from jaxtrade.market.table import hash_bars
from tests.helpers.bad_files import walk_lines
from tests.helpers.price_files import COLUMNS, HEADER

ROWS = [line.split(",") for line in walk_lines(84, start="2021-01-04") if np.is_busday(line[:10])]
DEFAULT = LoadConfig()
WORDS = [
    "NaN", "nan", "inf", "-inf", "1e999", "null", "None", "n/a", "#REF!", "-", "--", ".", "TRUE", "abc", "?",
    "0", "-0", "0.0", "1e-300", "1e300", "1e39", "NULL", "N/A", "''",
]  # fmt: skip
ENDS = ("32767", "-32768", "65535", "2147483647", "-2147483648", "4294967295", "9223372036854775807")
SIGNS = "0123456789.,;:-+/ eE'\"\t_xAé٣\u00a0"
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
DATE = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})", re.ASCII)


class Corruption(NamedTuple):
    row: int  # of the file, 1-based; the header is row 1
    column: int
    cell: str


def digit_changed(cell: str, dice: random.Random) -> str:
    at = dice.choice([place for place, sign in enumerate(cell) if sign.isdigit()])
    return cell[:at] + dice.choice("0123456789") + cell[at + 1 :]


def sign_replaced(cell: str, dice: random.Random) -> str:
    at = dice.randrange(len(cell))
    return cell[:at] + dice.choice(SIGNS) + cell[at + 1 :]


def sign_added(cell: str, dice: random.Random) -> str:
    at = dice.randrange(len(cell) + 1)
    return cell[:at] + dice.choice(SIGNS) + cell[at:]


def sign_lost(cell: str, dice: random.Random) -> str:
    at = dice.randrange(len(cell))
    return cell[:at] + cell[at + 1 :]


def signs_swapped(cell: str, dice: random.Random) -> str:
    at = dice.randrange(len(cell) - 1)
    return cell[:at] + cell[at + 1] + cell[at] + cell[at + 2 :]


def scaled_cell(cell: str, dice: random.Random) -> str:
    return repr(float(cell) * dice.choice((10, 100, 0.1, 0.01, 2, 0.5, 1000, -1)))


def number_written_otherwise(cell: str, dice: random.Random) -> str:
    whole, _, part = cell.partition(".")
    ways = (
        f"{whole},{part}",
        f"1,{cell}",
        f"1.{whole}",
        f'"{cell}"',
        f" {cell} ",
        f"{cell}0",
        f"{float(cell):.3e}",
        f"${cell}",
    )
    return dice.choice(
        (*ways, f"({cell})", f"{cell}%", f"'{cell}", f"{whole}'{part}", f"{cell} ", f"+{cell}", f"{cell}e0")
    )


def date_written_otherwise(cell: str, dice: random.Random) -> str:
    year, month, day = cell.split("-")
    ways = (f"{year}-{day}-{month}", f"{day}.{month}.{year}", f"{month}/{day}/{year}", f"{year}/{month}/{day}")
    times = (
        f"{cell} 12:00",
        f"{cell}T00:00:00Z",
        f"{cell} 00:00:00+02:00",
        f"{year}{month}{day}",
        f"{cell}T",
        f"{cell} 00:00:00",
    )
    dates = (f"{int(year) + 1}-{month}-{day}", f"{int(year) - 100}-{month}-{day}", f"{year}-02-30", f"{year}-13-01")
    return dice.choice(
        (*ways, *times, *dates, "1609718400", "0000-00-00", f"{year}-{int(month)}-{int(day)}", f"{cell} 24:00")
    )


def other_cell(cell: str, dice: random.Random) -> str:
    return dice.choice(dice.choice(ROWS))


def word(cell: str, dice: random.Random) -> str:
    return dice.choice(WORDS)


ANY: tuple[Callable[[str, random.Random], str], ...] = (
    digit_changed, digit_changed, sign_replaced, sign_added, sign_lost, signs_swapped, other_cell, word,
    lambda cell, dice: "",
)  # fmt: skip
OF_NUMBERS = (*ANY, scaled_cell, scaled_cell, number_written_otherwise, lambda cell, dice: dice.choice(ENDS))
OF_DATES = (*ANY, date_written_otherwise, date_written_otherwise)


def corruption(dice: random.Random) -> Corruption:
    """Return a corruption that changes the text of a cell."""
    while True:
        row, column = dice.randrange(len(ROWS)), dice.randrange(6)
        before = ROWS[row][column]
        cell = dice.choice(OF_NUMBERS if column else OF_DATES)(before, dice)
        if cell != before:
            return Corruption(row + 2, column, cell)


def text_with(change: Corruption) -> str:
    rows = [list(row) for row in ROWS]
    rows[change.row - 2][change.column] = change.cell
    return "\n".join([HEADER, *(",".join(row) for row in rows)]) + "\n"


def found_at(loaded: Loaded, rows: tuple[int, ...]) -> set[tuple[str, str, int]]:
    """Return what is reported at some rows, and what is reported of the file as a whole (row 0)."""
    found = set()
    for each in loaded.report.findings:
        at = set(each.rows.tolist()) & set(rows) if each.rows.size else {0}
        found |= {(each.code, each.column, row) for row in at}
    return found


def same_bars(some: Bars, others: Bars) -> bool:
    return all(np.array_equal(getattr(some, name), getattr(others, name), equal_nan=True) for name in COLUMNS) and (
        np.array_equal(some.time, others.time) and some.symbols == others.symbols
    )


def broken_rule(change: Corruption, bars: Bars) -> str:
    """Return the rule that a file breaks which was loaded in silence, or nothing; in plain Python, from its text."""
    rows = [list(row) for row in ROWS]
    rows[change.row - 2][change.column] = change.cell
    values: list[list[float]] = []
    days: list[datetime.date] = []
    for place, row in enumerate([[bare(cell) for cell in row] for row in rows]):
        date = DATE.fullmatch(row[0])
        if not date or not all(NUMBER.fullmatch(cell) for cell in row[1:]):
            return f"{row} holds something that is no date or number"
        values.append([float(cell) for cell in row[1:]])
        days.append(datetime.date(*(int(part) for part in date.groups())))
        stored = [float(getattr(bars, name)[place, 0]) for name in COLUMNS]
        if str(bars.time[place]) != f"{days[-1]}T00:00:00" or stored != values[-1]:
            return f"{row} was read as {bars.time[place]}, {stored}"
    return next((rule for rule in broken_by_values(values, days)), "")


def bare(cell: str) -> str:
    """Return a cell without the blanks and quotes around it, which mean nothing."""
    cell = cell.strip()
    return cell[1:-1] if len(cell) > 1 and cell[0] == cell[-1] == '"' else cell


def broken_by_values(rows: list[list[float]], days: list[datetime.date]) -> Iterator[str]:
    """Yield the rules that values break."""
    most = max(row[4] for row in rows)
    for at, (opening, high, low, close, volume) in enumerate(rows):
        if not all(0 < price < 3.4e38 for price in (opening, high, low, close)) or not 0 <= volume < 3.4e38:
            yield "price > 0, volume >= 0"
        if not low <= min(opening, close) <= max(opening, close) <= high:
            yield "low <= open, close <= high"
        if at and (days[at] - days[at - 1]).days != (1 if days[at].weekday() else 3):
            yield "every weekday, once and in order"
        if days[at].weekday() > 4 or days[at] > datetime.date.today():
            yield "sessions of the past"
        ends = [float(end) for end in ENDS]
        if volume in ends[3:] or (volume == most and volume in ends):
            yield "no end of an integer type"
    yield from spikes(rows)


def spikes(rows: list[list[float]]) -> Iterator[str]:
    """Yield a rule for each price far from the closes before and after it, while these are close to each other."""
    closes = [math.log(row[3]) for row in rows]
    limit = max(0.02, 25 * median(abs(one - two) for one, two in pairwise(closes)))
    for at in range(1, len(rows) - 1):
        before, after = closes[at - 1], closes[at + 1]
        away = max(min(abs(math.log(price) - before), abs(math.log(price) - after)) for price in rows[at][:4])
        if abs(after - before) < limit / 4 and away > limit * 1.000001:
            yield "no spike"


def outcome(path: Path, change: Corruption, clean: Loaded) -> str:
    """Return what becomes of a corruption: rejected, harmless, listed, or true; AssertionError for anything else."""
    path.write_text(text_with(change), encoding="utf-8")
    try:
        loaded = load(str(path), DEFAULT)
    except InputError as error:
        text = str(error)
        assert text.startswith("E-DATA-"), f"{change}: {text}"
        assert text.endswith("Nothing was written"), f"{change}: {text}"
        return "rejected"
    if same_bars(loaded.bars, clean.bars):
        return "harmless"
    rows = (0, change.row, change.row + 1)  # a gap is told of the row after it
    if found_at(loaded, rows) - found_at(clean, rows):
        return "listed"
    broken = broken_rule(change, loaded.bars)
    assert not broken, f"{change} went through in silence: {broken}"
    assert hash_bars(loaded.bars) != hash_bars(clean.bars)
    return "true by every rule"


def outcomes(folder: Path, count: int, seed: int) -> Counter[str]:
    path = folder / "prices.csv"
    path.write_text(text_with(Corruption(2, 0, ROWS[0][0])), encoding="utf-8")
    clean = load(str(path))
    assert not [each for each in clean.report.findings if each.severe]
    dice = random.Random(seed)
    return Counter(outcome(path, corruption(dice), clean) for _ in range(count))


def test_corruptions_of_one_cell(tmp_path: Path) -> None:
    seen = outcomes(tmp_path, 600, seed=1)
    assert seen.total() == 600
    assert seen["rejected"] > 250
    assert min(seen.values()) > 5
    assert seen["true by every rule"] < 150


@pytest.mark.nightly
@pytest.mark.parametrize("part", range(10))
def test_a_hundred_thousand_corruptions(tmp_path: Path, part: int) -> None:
    seen = outcomes(tmp_path, 10_000, seed=100 + part)
    sys.stdout.write(f"{dict(seen)}\n")  # for docs/data-errors.md; shown by pytest -s
    assert seen.total() == 10_000
    assert seen["true by every rule"] < 2500


def test_a_gate_that_checks_nothing_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "check_readings", lambda readings, terms: [])
    with pytest.raises(AssertionError, match="went through in silence"):
        outcomes(tmp_path, 200, seed=1)
