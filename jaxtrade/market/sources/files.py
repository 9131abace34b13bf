"""Bars in files: one of them, or a folder with one per symbol."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import pandas as pd

from jaxtrade.config.market import LoadConfig
from jaxtrade.market.reading import Finding, Reading
from jaxtrade.market.sources.assemble import make_readings
from jaxtrade.market.sources.delimited import read_text
from jaxtrade.market.sources.parquet import read_parquet
from jaxtrade.market.sources.sql import SQLITE, read_sql

SUFFIXES = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet")
NOTES = (".txt", ".txt.gz")  # bars if a folder holds nothing else: a README would stand beside them
PARQUET = b"PAR1"
Result = TypeVar("Result")


def files_of(source: str) -> list[Path]:
    """Return the files that a path stands for.

    Raises:
        InputError: There is none.
    """
    path = Path(source).expanduser()
    if not path.exists():
        raise Finding("E-DATA-001", str(path), "no such file or folder, which").error()
    if not path.is_dir():
        return [path]
    inside = sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
    for suffixes in (SUFFIXES, NOTES):
        files = [file for file in inside if file.name.lower().endswith(suffixes)]
        if files:
            return files
    what = f"no {', '.join((*SUFFIXES, NOTES[0]))} file in this folder, which"
    raise Finding("E-DATA-002", str(path), what).error()


def symbol_of(path: Path) -> str:
    """Return the symbol that a file is named after: BRK.B.csv holds BRK.B."""
    suffix = next((each for each in (*SUFFIXES, *NOTES) if path.name.lower().endswith(each)), path.suffix)
    return path.name[: len(path.name) - len(suffix)]


def read_file(path: Path, config: LoadConfig, symbol: str | None = None) -> list[Reading]:
    """Read the bars of every symbol of one file.

    Args:
        path: The file; its first bytes tell Parquet and SQLite from text.
        config: Time zone and format of the times.
        symbol: The symbol, whatever the file says (default: its symbol column, else its name).

    Raises:
        InputError: It cannot be read as a table of bars.
    """
    try:
        with path.open("rb") as file:
            magic = file.read(len(SQLITE))
    except OSError as error:
        raise Finding("E-DATA-001", str(path), f"it cannot be opened ({error.strerror}), which").error() from None
    if magic == SQLITE:
        return read_sql(f"sqlite:///{quote(str(path))}", config)
    parquet = magic.startswith(PARQUET) or path.suffix.lower() in (".parquet", ".pq")
    raw, layout = read_parquet(path) if parquet else read_text(path, config)
    return make_readings(raw, layout, config, symbol or symbol_of(path), named=symbol is not None)


def read_files(source: str, config: LoadConfig, symbols: tuple[str, ...]) -> list[Reading]:
    """Read a file or a folder; of a folder only what the symbols need, if files are named after all of them.

    Raises:
        InputError: A file cannot be read, or two hold the same symbol.
    """
    files = files_of(source)
    wanted = [file for file in files if symbol_of(file) in symbols]
    if len(wanted) == len(set(symbols)) > 0:
        found = _read_all(wanted, config)
        if set(symbols) <= {reading.symbol for reading in found}:
            return found
    return _read_all(files, config)


def _read_all(files: list[Path], config: LoadConfig) -> list[Reading]:
    found: dict[str, Reading] = {}
    index = pd.DatetimeIndex([])
    for readings in in_threads(partial(read_file, config=config), files):
        for reading in readings:
            if reading.symbol in found:
                other = Path(found[reading.symbol].where).name
                what = f"symbol '{reading.symbol}' appears in {other} too, which"
                raise Finding("E-DATA-010", reading.where, what).error()
            found[reading.symbol] = reading
            if index.equals(reading.frame.index):
                reading.frame.index = index  # symbols mostly trade at the same times: these are held once
            index = pd.DatetimeIndex(reading.frame.index)
    return list(found.values())


def in_threads(work: Callable[[Path], Result], files: list[Path]) -> Iterable[Result]:
    """Yield the work on every file in their order; Arrow and hashlib work outside of Python's lock."""
    if len(files) == 1:
        yield work(files[0])
        return
    with ThreadPoolExecutor(min(len(files), os.cpu_count() or 1)) as pool:
        yield from pool.map(work, files)
