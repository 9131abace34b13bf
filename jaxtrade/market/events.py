"""Splits and dividends given as events, applied forwards in time: no bar knows of an event after it.

Prices and dividends are carried in units of the share as it was at the first bar: from a 2:1 split on, prices count
twice and volumes half. Returns and scale-free features are those of any other adjustment; but the usual one, backwards
from the last bar, would change every earlier price at every later split.
"""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from jaxtrade.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from jaxtrade.market.bars import Bars

FloatArray = npt.NDArray[np.float64]
COLUMNS = ("symbol", "date", "kind", "value")
KINDS = ("split", "dividend")
REMEDY = f"Give the columns {', '.join(COLUMNS)}, kind one of {' and '.join(KINDS)}"


class Event(NamedTuple):
    """A split or a dividend."""

    symbol: str
    date: pd.Timestamp  # the ex-date
    kind: str
    value: float  # new shares for an old one, or money a share


def read_events(path: str) -> pd.DataFrame:
    """Read splits (new shares for an old one) and dividends (money a share, before tax) from CSV or Parquet.

    Returns:
        Columns symbol, date (datetime64[s], the ex-date), kind, value; in the order of the file.

    Raises:
        InputError: The file is missing or malformed, with its row.
    """
    file = Path(path).expanduser()
    try:
        frame = pd.read_parquet(file) if file.suffix.lower() == ".parquet" else pd.read_csv(file, dtype=str)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(path, f"events cannot be read ({str(error).splitlines()[0]})", REMEDY) from None
    frame.columns = pd.Index([str(name).strip().lower() for name in frame.columns])
    for column in COLUMNS:
        if column not in frame.columns:
            raise InputError(path, f"column '{column}' is missing; found {list(frame.columns)}", REMEDY)
    value = pd.to_numeric(frame["value"], errors="coerce")
    date = pd.to_datetime(frame["date"], format="ISO8601", errors="coerce", utc=True)
    good = {
        "date": date.notna(),
        "kind": frame["kind"].isin(KINDS),
        "value": np.isfinite(value) & (value > 0),
        "symbol": frame["symbol"].notna(),
    }
    for column, sound in good.items():
        if not sound.all():
            row = int(np.flatnonzero(~sound)[0])
            what = f"row {row + 2} column '{column}': {frame[column].iloc[row]!r} is no {column}"
            raise InputError(path, what, REMEDY)
    days = pd.DatetimeIndex(date).tz_localize(None).as_unit("s")
    return pd.DataFrame({"symbol": frame["symbol"].astype(str), "date": days, "kind": frame["kind"], "value": value})


def attach_events(bars: "Bars", path: str | None) -> "Bars":
    """Return the bars with the events of a file; each takes effect at its symbol's first bar on or after its date.

    Raises:
        InputError: The file is malformed or names a symbol that no bar has.
    """
    if path is None:
        return bars
    events = read_events(path)
    known = set(bars.symbols)
    split, dividend = np.ones_like(bars.close), np.zeros_like(bars.close)
    for event in map(Event._make, events.itertuples(index=False, name=None)):
        if event.symbol not in known:
            raise InputError(path, f"symbol '{event.symbol}' is not in the data", did_you_mean(event.symbol, known))
        n = bars.symbols.index(event.symbol)
        priced = np.flatnonzero(np.isfinite(bars.close[:, n]) | np.isfinite(bars.open[:, n]))
        at = int(np.searchsorted(bars.time[priced], np.datetime64(event.date, "s")))
        if 0 < at < len(priced):  # an event before the first bar or after the last changes nothing
            if event.kind == "split":
                split[priced[at], n] *= event.value
            else:
                dividend[priced[at], n] += event.value
    return bars._replace(split=split, dividend=dividend)


def adjust(bars: "Bars") -> "Bars":
    """Return the bars in units of the share at the first bar; without splits, as they are."""
    if bars.split is None:
        return bars
    shares = np.cumprod(bars.split, axis=0)  # [T, N] of now for one of the first bar
    prices = {name: getattr(bars, name) * shares for name in ("open", "high", "low", "close")}
    dividend = None if bars.dividend is None else bars.dividend * shares
    return bars._replace(**prices, volume=bars.volume / shares, dividend=dividend, split=None)
