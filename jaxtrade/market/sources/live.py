"""Downloads as a source, through yfinance, ccxt and alpaca-py: `SERVICE:SYMBOLS?param=value&...`.

A download is kept, one Parquet file for each symbol and range, so that a range that is over is never asked for twice.
"""

import datetime
import hashlib
import importlib
import importlib.metadata
import importlib.util
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd

from jaxtrade.config import LoadConfig
from jaxtrade.market.reading import Finding, Reading
from jaxtrade.market.sources.keep import kept_folder, write_whole
from jaxtrade.market.sources.live_alpaca import download_alpaca
from jaxtrade.market.sources.live_ccxt import download_ccxt
from jaxtrade.market.sources.live_request import Request, parse_request
from jaxtrade.market.sources.live_yfinance import download_yfinance
from jaxtrade.market.units import DAY

VARIABLE = "JAXTRADE_DOWNLOAD_CACHE"
PACKAGES = {"yfinance": ("yfinance", "yfinance"), "ccxt": ("ccxt", "ccxt"), "alpaca": ("alpaca", "alpaca-py")}
DOWNLOADS = {"yfinance": download_yfinance, "ccxt": download_ccxt, "alpaca": download_alpaca}
ADJUSTED = {"yfinance": "for splits; adj_close for dividends too", "ccxt": "there is nothing to adjust"}
MESSAGE = 200  # most characters of what a service says


def read(source: str, config: LoadConfig) -> list[Reading]:
    """Return the bars that a service has, one reading for each symbol.

    Args:
        source: What to download, scheme included; docs/live-data.md.
        config: Not used: the services say which zone their times are in.

    Raises:
        InputError: The request is wrong, a package is missing, or the service answers with an error or nothing.
    """
    del config
    request = parse_request(source, now())
    return [_reading(request, symbol) for symbol in request.symbols]


def now() -> datetime.datetime:
    """Return the time, UTC."""
    return datetime.datetime.now(datetime.UTC)


def _reading(request: Request, symbol: str) -> Reading:
    one = request._replace(symbols=(symbol,))
    path = _path(one)
    frame = None if path is None or request.refresh else _kept(path)
    if frame is None:
        frame, final = _downloaded(one)
        if path is not None and final:
            write_whole(path, frame.to_parquet)
    about = {str(name): str(value) for name, value in frame.attrs.items()}
    return Reading(one.where, symbol, frame, np.arange(1, len(frame) + 1), about)


def _path(request: Request) -> Path | None:
    """Return where the bars of a request are kept, None for nowhere."""
    folder = kept_folder("downloads", VARIABLE)
    asked = json.dumps(request._replace(refresh=False)._asdict(), default=str, sort_keys=True)
    return folder / f"{hashlib.sha256(asked.encode()).hexdigest()}.parquet" if folder else None


def _kept(path: Path) -> pd.DataFrame | None:
    """Return the bars of a file; None where there is none, or a damaged one."""
    if not path.exists():
        return None
    try:
        frame = pd.read_parquet(path)
        return frame.set_index(pd.DatetimeIndex(frame.index).as_unit("s"))
    except (OSError, ValueError):
        path.unlink(missing_ok=True)
        return None


def _downloaded(request: Request) -> tuple[pd.DataFrame, bool]:
    """Ask the service; return the bars that are complete, and whether they are all that the range will ever hold."""
    module, package = PACKAGES[request.service]
    if importlib.util.find_spec(module) is None:
        what = f'the package {package} is not installed: pip install "jaxtrade[live]", which'
        raise Finding("E-DATA-012", request.where, what).error()
    asked_at = now()
    try:
        with _silence():
            importlib.import_module(module)  # first: it may set filters of its own
        with _silence():
            frame = DOWNLOADS[request.service](request)
    except Exception as error:  # whatever the library raises is what the service or the network said
        said = " ".join(str(error).split()) or type(error).__name__
        raise Finding("E-DATA-013", request.where, f"the answer is '{said[:MESSAGE]}', which").error() from None
    asked_for, complete = _asked_for(frame, request, asked_at)
    if complete.empty:
        why = f"the answer is {len(frame)} bars, none of them complete and in the range, which"
        raise Finding("E-DATA-013", request.where, why).error()
    complete.attrs = {
        "format": " ".join(["download", request.service, request.exchange]).strip(),
        "downloaded": f"{asked_at:%Y-%m-%d %H:%M:%S} UTC by {package} {importlib.metadata.version(package)}",
        "range": f"{request.start:%Y-%m-%d %H:%M} to {request.end:%Y-%m-%d %H:%M} UTC by {request.interval}",
        "zone": f"dates of {frame.index.tz}" if request.seconds >= DAY else "UTC",  # type: ignore[attr-defined]
        "adjusted": ADJUSTED.get(request.service) or dict(request.options)["adjustment"],
        "unfinished": f"{asked_for - len(complete)} bars left out",
    }
    return complete, request.end <= asked_at and asked_for == len(complete)


@contextmanager
def _silence() -> Iterator[None]:
    """Ignore warnings and what is logged: the libraries tell in an exception what the user must know."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _asked_for(frame: pd.DataFrame, request: Request, asked_at: datetime.datetime) -> tuple[int, pd.DataFrame]:
    """Return how many bars lie in the range, and those of them that are complete, their times without zone.

    A bar of a day or more is named after its date at the exchange, any other after its start in UTC. A bar that has
    not ended when the service was asked is left out: what it says will change.
    """
    index = pd.DatetimeIndex(frame.index)
    names = (index if request.seconds >= DAY else index.tz_convert("UTC")).tz_localize(None).as_unit("s")
    start, end = (pd.Timestamp(time.replace(tzinfo=None)) for time in (request.start, request.end))
    inside = (names >= start) & (names < end)
    ended = index + pd.Timedelta(seconds=request.seconds) <= pd.Timestamp(asked_at)
    return int(inside.sum()), frame.set_index(pd.DatetimeIndex(names.to_numpy(), name="time"))[inside & ended]
