"""Sources by name: as they are found from any folder, and as a run's folder is called after them."""

import re
from pathlib import Path


def absolute(source: str) -> str:
    """Return the source as it is found from any folder: paths resolved, also of SQLite and of a bootstrap's source."""
    if source.startswith("sqlite:///"):
        path, mark, query = source.removeprefix("sqlite:///").partition("?")
        return f"sqlite:///{Path(path).expanduser().resolve()}{mark}{query}"
    if source.startswith("synthetic:"):
        return re.sub(r"(?<=[?&]of=)[^&]+", lambda found: absolute(found[0]), source)
    if re.match(r"(sample|yfinance|ccxt|alpaca):|[A-Za-z][\w+.-]*://", source):
        return source
    return str(Path(source).expanduser().resolve())


def name_of(source: str) -> str:
    """Return a short name: nasdaq, prices, bars, ou."""
    text = source.partition("?")[0] or source
    if re.match(r"(sample|synthetic|yfinance|ccxt|alpaca):", text):
        text = text.partition(":")[2]
    name = re.sub(r"[^\w-]+", "-", Path(text).name.split(".")[0]).strip("-")
    return name or "data"
