"""Bars that are refused: each message names the file, row or column where there is one, and a remedy."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from jaxtrade.envs.synthetic import random_bars
from jaxtrade.errors import InputError
from jaxtrade.market.bars import load_bars
from tests.helpers.price_files import GOOD_LINES, GOOD_TEXT, PANEL_TEXT, load_text


def test_ambiguous_dates_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"times like '1/2/2020' can be read in two ways. Use 2024-12-31"):
        load_text(tmp_path, "date,open,close\n1/2/2020,10,11\n1/3/2020,10,11\n")


def test_the_same_symbol_in_two_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "A.csv").write_text(GOOD_TEXT, encoding="utf-8")
    (tmp_path / "b.csv").write_text(PANEL_TEXT.format("symbol"), encoding="utf-8")
    with pytest.raises(InputError, match=r"b\.csv: symbol 'A' appears in more than one file. Keep one file"):
        load_bars(str(tmp_path))


def test_unknown_symbols_and_samples_are_refused_with_a_suggestion(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"prices.csv: symbol 'prise' is not in the data. Did you mean 'prices'\?"):
        load_text(tmp_path, GOOD_TEXT, symbols=("prise",))
    with pytest.raises(InputError, match=r"sample:nasdak: no such sample. Did you mean 'nasdaq'\?"):
        load_bars("sample:nasdak")
    with pytest.raises(InputError, match=r"sample:: no such sample. Known: both, nasdaq, sp500"):
        load_bars("sample:")


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"{tmp_path.name}: no .csv, .csv.gz or .parquet file in this folder. Name a"):
        load_bars(str(tmp_path))


def swapped(line: int, text: str) -> str:
    """Return the good text with another line, 1-based; the header is line 1."""
    return "\n".join([*GOOD_LINES[: line - 1], text, *GOOD_LINES[line:]]) + "\n"


SYMBOLS = "date,symbol,open,close\n2020-01-01,A,10,11\n2020-01-01,B,20,21\n2020-01-02,A,12,13\n"
ZIPPED = gzip.compress(random_bars(50).close.tobytes() + GOOD_TEXT.encode())
NOISE = np.random.default_rng(0).bytes(4000)

BAD = {  # what: (file name, content, pieces of the message)
    "missing": ("prices.csv", None, "no such file or folder. Check the path, or use --data sample:nasdaq"),
    "empty": ("prices.csv", "", "the file is empty. Give a header line"),
    "only blank lines": ("prices.csv", "\n\n", "the file is empty. Give a header line"),
    "only a header": ("prices.csv", GOOD_LINES[0] + "\n", "the file holds no rows. Give at least"),
    "no close": (
        "prices.csv",
        swapped(1, GOOD_LINES[0].replace("close", "clse")),
        "column 'close' is missing; |'clse'|Add or",
    ),
    "no open": (
        "prices.csv",
        swapped(1, GOOD_LINES[0].replace("open", "opn")),
        "column 'open' is missing; |'opn'|Add or",
    ),
    "no time": (
        "prices.csv",
        swapped(1, GOOD_LINES[0].replace("date", "day")),
        "no time column among|'day'|Name one of them",
    ),
    "close twice": (
        "prices.csv",
        swapped(1, GOOD_LINES[0].replace("low", "Close")),
        "'close' appears more than once|Keep one",
    ),
    "semicolons": (
        "prices.csv",
        GOOD_TEXT.replace(",", ";"),
        "no time column among|'date;open;high;low;close;volume'|Name one",
    ),
    "text": (
        "prices.csv",
        swapped(3, "2020-01-02,11,13,10,n.v.t.,200"),
        "row 3 column 'close': 'n.v.t.' is not a number. ",
    ),
    "text in high": (
        "prices.csv",
        swapped(4, "2020-01-03,12,?,11,13,300"),
        "row 4 column 'high': '?' is not a number. ",
    ),
    "zero": (
        "prices.csv",
        swapped(2, "2020-01-01,0,12,9,11,100"),
        "row 2 (2020-01-01 00:00:00) column 'open'|0.0 is not a",
    ),
    "negative": (
        "prices.csv",
        swapped(3, "2020-01-02,11,13,10,-12,200"),
        "row 3 (2020-01-02|column 'close'|-12.0 is not a",
    ),
    "infinite": (
        "prices.csv",
        swapped(3, "2020-01-02,11,13,10,inf,200"),
        "row 3 (|'close' symbol prices: inf is not a|Mend",
    ),
    "overflow": (
        "prices.csv",
        swapped(3, "2020-01-02,1e999,13,10,12,200"),
        "row 3 (|column 'open'|inf is not a positive",
    ),
    "two zeros": (
        "prices.csv",
        swapped(2, "2020-01-01,0,12,9,11,100").replace(",12,14", ",0,14"),
        "row 2 |(1 of 2 such cells)",
    ),
    "volume": (
        "prices.csv",
        swapped(4, "2020-01-03,12,14,11,13,-300"),
        "row 4 (|column 'volume'|-300.0 is not a volume",
    ),
    "no closes": (
        "prices.csv",
        "date,open,close\n2020-01-01,1,\n",
        "symbol prices: column 'close' holds no number. Give",
    ),
    "unsorted": (
        "prices.csv",
        swapped(4, GOOD_LINES[1].replace("-01,", "-01 12:00:00,")),
        "row 4 |2020-01-01 12:00:00 is before|Sort",
    ),
    "twice": (
        "prices.csv",
        swapped(4, GOOD_LINES[2]),
        "row 4 symbol prices: time 2020-01-02 00:00:00 appears twice. Remove one",
    ),
    "same second": (
        "prices.csv",
        GOOD_TEXT.replace("-02,", "-01T00:00:00.5,"),
        "row 3 |2020-01-01 00:00:00 appears twice|Remove",
    ),
    "no date": ("prices.csv", swapped(3, ",11,13,10,12,200"), "row 3 column 'date' is empty. Give every bar its time"),
    "31 June": (
        "prices.csv",
        swapped(3, "2020-06-31,11,13,10,12,200"),
        "row 3 column 'date': time '2020-06-31' is in no",
    ),
    "mixed dates": (
        "prices.csv",
        swapped(4, "03.01.2020,12,14,11,13,300"),
        "row 4 column 'date': time '03.01.2020'|Use 2024",
    ),
    "seconds": (
        "prices.csv",
        "time,open,close\n1577836800,1,1\n",
        "row 2 column 'time': time '1577836800' is in no known format",
    ),
    "symbol's row": (
        "prices.csv",
        SYMBOLS + "2020-01-02,B,22,0\n",
        "row 5 (2020-01-02|column 'close' symbol B: 0.0 is not",
    ),
    "symbol's text": ("prices.csv", SYMBOLS + "2020-01-02,B,x,22\n", "row 5 column 'open': 'x' is not a number"),
    "symbol's order": (
        "prices.csv",
        SYMBOLS + "2020-01-01,B,20,21\n",
        "row 5 symbol B: time 2020-01-01 00:00:00 appears",
    ),
    "no symbol": (
        "prices.csv",
        SYMBOLS + "2020-01-02,,22,23\n",
        "row 5 column 'symbol' is empty. Name the symbol of every",
    ),
    "a row too long": (
        "prices.csv",
        swapped(3, GOOD_LINES[2] + ",1,2,3"),
        "cannot be read as a table (|line 3|Save it again as CSV",
    ),
    "half a .gz": (
        "prices.csv.gz",
        ZIPPED[: len(ZIPPED) // 2],
        "cannot be read as a table (Compressed file ended before",
    ),
    "no .gz": (
        "prices.csv.gz",
        GOOD_TEXT,
        "cannot be read as a table (Not a gzipped file|Save it again as CSV or Parquet",
    ),
    "binary": ("prices.csv", NOISE, "cannot be read as a table (|Save it again as CSV or Parquet"),
    "UTF-16": (
        "prices.csv",
        GOOD_TEXT.encode("utf-16"),
        "cannot be read as a table ('utf-8' codec can't decode byte|Save it",
    ),
    "no Parquet": ("prices.parquet", NOISE, "cannot be read as a table (|Parquet magic bytes not found|Save it again"),
    "empty Parquet": ("prices.parquet", b"", "cannot be read as a table (|Parquet file size is 0 bytes|Save it again"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_files_are_refused(tmp_path: Path, what: str) -> None:
    name, content, pieces = BAD[what]
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError) as caught:
        load_bars(str(path))
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert text.endswith(caught.value.remedy)
    assert len(caught.value.remedy) > 5
    assert "\n" not in text
    for piece in pieces.split("|"):
        assert piece in text


def test_a_long_column_of_mixed_types_warns_of_nothing(tmp_path: Path) -> None:
    """Pandas guesses types in pieces of some 130,000 rows, and warns on stderr where two pieces differ."""
    minutes = np.datetime64("2020-01-01T00:00", "m") + np.arange(140_000)
    rows = [f"{minute},10,11,5\n" for minute in minutes]
    with pytest.raises(InputError, match="row 140001 column 'volume': 'x' is not a number"):
        load_text(tmp_path, "date,open,close,volume\n" + "".join(rows)[:-2] + "x\n")
