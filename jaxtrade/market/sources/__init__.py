"""Where bars come from: files, folders, databases, the embedded sample, downloads and synthetic markets."""

import hashlib
import re
from pathlib import Path

from jaxtrade.config.market import LoadConfig
from jaxtrade.errors import did_you_mean
from jaxtrade.market.reading import Finding, Reading
from jaxtrade.market.sources.files import files_of, in_threads, read_file, read_files
from jaxtrade.market.sources.sample import sample_files
from jaxtrade.market.sources.sql import parse_address, read_sql, sqlite_files

LIVE = ("yfinance", "ccxt", "alpaca")


def read(source: str, config: LoadConfig, symbols: tuple[str, ...] = ()) -> list[Reading]:
    """Read the bars of a source as they stand there, one reading per symbol.

    Args:
        source: A file (delimited text, plain or gzip, Parquet or SQLite), a folder with one per symbol, the URL of a
            database (`sqlite:///bars.db?table=daily`, or any of SQLAlchemy), `sample:nasdaq`, `synthetic:...`, or
            `yfinance:...`, `ccxt:...`, `alpaca:...`.
        config: How times are read.
        symbols: Symbols to keep, in this order; all of them, in the order of the source, when empty.

    Raises:
        InputError: With a code of docs/data-errors.md, for what is wrong with the source as a whole.
    """
    found = _read(source, config, symbols)
    known = {reading.symbol: reading for reading in found}
    for symbol in symbols:
        if symbol not in known:
            what = f"symbol '{symbol}' is not in the data ({did_you_mean(symbol, known)}), which"
            raise Finding("E-DATA-009", hidden(source), what).error()
    return [known[symbol] for symbol in symbols] or found


def content_hash(source: str, config: LoadConfig) -> str | None:
    """Return the SHA-256 of the names and bytes of the files that a source consists of, events included.

    None where the content is not a file's: servers, downloads, synthetic markets.

    Raises:
        InputError: There is no such file.
    """
    scheme, rest = split_scheme(source)
    if scheme == "sample":
        files = [path for path, _ in sample_files(rest)]
    elif scheme == "sqlite":
        files, asked = sqlite_files(source), parse_address(source)
        rest = f"{asked.table}\0{asked.query}"
    elif scheme:
        return None
    else:
        files = files_of(source)
    found = [*files, *(files_of(config.events) if config.events else [])]
    digest = hashlib.sha256(rest.encode() if scheme else b"")
    for path, (size, content) in zip(found, in_threads(_hash, found), strict=True):
        digest.update(f"{path.name}\0{size}\0{content}\0".encode())
    return digest.hexdigest()


def _hash(path: Path) -> tuple[int, str]:
    """Return the size and the SHA-256 of a file."""
    with path.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
        return file.tell(), content


def split_scheme(source: str) -> tuple[str, str]:
    """Return the scheme of a source and the rest; the scheme is empty for a path."""
    match = re.match(r"(sample|synthetic|yfinance|ccxt|alpaca):|([A-Za-z][\w+.-]*)://", source)
    if match is None:
        return "", source
    return (match[1] or match[2]).lower(), source[match.end() :]


def hidden(source: str) -> str:
    """Return a source without the password in it."""
    return re.sub(r"(://[^/:@?]*):[^/]*@", r"\1:***@", source)


def _read(source: str, config: LoadConfig, symbols: tuple[str, ...]) -> list[Reading]:
    scheme, rest = split_scheme(source)
    if scheme == "sample":
        return [reading for path, symbol in sample_files(rest) for reading in read_file(path, config, symbol)]
    if scheme == "synthetic":
        from jaxtrade.market.sources import synthetic

        return synthetic.read(rest, config)
    if scheme in LIVE:
        from jaxtrade.market.sources import live

        return live.read(source, config)
    return read_sql(source, config) if scheme else read_files(source, config, symbols)
