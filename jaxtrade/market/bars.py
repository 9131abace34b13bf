"""Bars from files: CSV (plain or gzip), Parquet, folders of them, and the embedded sample."""

import importlib.util
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from jaxtrade.errors import InputError, did_you_mean
from jaxtrade.market.validate import check_frame

FloatArray = npt.NDArray[np.float64]
RowArray = npt.NDArray[np.intp]
SAMPLES = {"nasdaq": ("nasdaq",), "sp500": ("sp500",), "both": ("nasdaq", "sp500")}
PRICES = ("open", "high", "low", "close")
TIME_NAMES = ("time", "timestamp", "datetime", "date", "unnamed: 0", "index")
SYMBOL_NAMES = ("symbol", "ticker", "name", "tic")
DATE_FORMATS = ("ISO8601", "%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%d.%m.%Y %H:%M:%S.%f", "%Y%m%d", "%Y.%m.%d %H:%M")
SUFFIXES = (".csv", ".csv.gz", ".parquet")


class Bars(NamedTuple):
    """A panel of bars on one time axis; NaN marks what a symbol lacks. `T` bars, `N` symbols."""

    time: npt.NDArray[np.datetime64]  # [T] datetime64[s], strictly increasing
    symbols: tuple[str, ...]
    open: FloatArray  # [T, N]
    high: FloatArray  # [T, N]
    low: FloatArray  # [T, N]
    close: FloatArray  # [T, N]
    volume: FloatArray  # [T, N], NaN throughout for a symbol without volume


def load_bars(source: str, symbols: tuple[str, ...] = ()) -> Bars:
    """Load a panel of bars.

    Args:
        source: `sample:nasdaq`, `sample:sp500`, `sample:both`, a CSV (plain or gzip) or Parquet file with one symbol
            or a symbol column, or a folder with one such file per symbol.
        symbols: Symbols to keep, in this order; all when empty.

    Raises:
        InputError: A file is missing, empty or malformed, or a symbol is not there.
    """
    frames: dict[str, pd.DataFrame] = {}
    for path, name in _files_of(source):
        for symbol, frame in _read_file(path, name).items():
            if symbol in frames:
                raise InputError(path, f"symbol '{symbol}' appears in more than one file", "Keep one file per symbol")
            frames[symbol] = frame
    for symbol in symbols:
        if symbol not in frames:
            raise InputError(source, f"symbol '{symbol}' is not in the data", did_you_mean(symbol, frames))
    return _panel({symbol: frames[symbol] for symbol in symbols or frames})


def _files_of(source: str) -> list[tuple[Path, str | None]]:
    """Return (file, symbol or None) pairs for a source."""
    if source.startswith("sample:"):
        return _sample_files(source.removeprefix("sample:"))
    path = Path(source).expanduser()
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.name.lower().endswith(SUFFIXES))
        if not files:
            raise InputError(
                path, "no .csv, .csv.gz or .parquet file in this folder", "Name a folder with one per symbol"
            )
        return [(file, None) for file in files]
    if not path.exists():
        raise InputError(path, "no such file or folder", "Check the path, or use --data sample:nasdaq")
    return [(path, None)]


def _sample_files(name: str) -> list[tuple[Path, str | None]]:
    if name not in SAMPLES:
        raise InputError(f"sample:{name}", "no such sample", did_you_mean(name, SAMPLES))
    spec = importlib.util.find_spec("arch")  # found, not imported: importing arch.data takes seconds
    if spec is None or spec.origin is None:
        raise InputError(
            f"sample:{name}", "the package arch, which ships the sample, is not installed", "pip install arch"
        )
    root = Path(spec.origin).parent / "data"
    return [(root / symbol / f"{symbol}.csv.gz", symbol) for symbol in SAMPLES[name]]


def _read_file(path: Path, symbol: str | None) -> dict[str, pd.DataFrame]:
    """Read one file into {symbol: frame with a time index and the columns open, high, low, close, volume}."""
    raw = _read_table(path)
    if raw.empty:
        raise InputError(path, "the file holds no rows", "Give at least a few hundred bars")
    names = [str(column).strip().strip("<>").lower() for column in raw.columns]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(path, f"column '{twice}' appears more than once; found {names}", "Keep one of them")
    time_column = next((name for name in TIME_NAMES if name in names), None)
    if time_column is None:
        raise InputError(path, f"no time column among {names}", f"Name one of them {TIME_NAMES[0]} or date")
    for column in ("open", "close"):
        if column not in names:
            raise InputError(path, f"column '{column}' is missing; found {names}", f"Add or rename '{column}'")
    raw.columns = pd.Index(names)
    raw.index = _parse_time(path, raw[time_column])
    symbol_column = next((name for name in SYMBOL_NAMES if name in raw.columns), None)
    groups = {symbol or _stem(path): np.arange(len(raw))}
    if symbol is None and symbol_column is not None:
        groups = _by_symbol(path, raw[symbol_column])
    return {
        name: check_frame(path, name, _numbers(path, raw.iloc[at], at + 2), at + 2)  # the header is row 1
        for name, at in groups.items()
    }


def _by_symbol(path: Path, column: "pd.Series[str]") -> dict[str, RowArray]:
    """Return the positions of each symbol's rows, by symbol in order."""
    if column.isna().any():
        row = int(np.flatnonzero(column.isna())[0]) + 2
        raise InputError(path, f"row {row} column '{column.name}' is empty", "Name the symbol of every row")
    names = column.astype(str)
    return {str(name): np.asarray(at) for name, at in sorted(names.groupby(names).indices.items())}


def _read_table(path: Path) -> pd.DataFrame:
    try:
        if path.suffix.lower() != ".parquet":
            return pd.read_csv(path, low_memory=False)  # in one piece: chunks of mixed types would warn
        frame = pd.read_parquet(path)
        return frame if isinstance(frame.index, pd.RangeIndex) else frame.reset_index()
    except pd.errors.EmptyDataError:
        raise InputError(path, "the file is empty", "Give a header line and at least a few hundred bars") from None
    except (OSError, EOFError, ValueError) as error:  # pandas and pyarrow raise ValueError subclasses
        text = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
        raise InputError(path, f"cannot be read as a table ({text})", "Save it again as CSV or Parquet") from None


def _parse_time(path: Path, column: "pd.Series[str]") -> pd.DatetimeIndex:
    """Parse times, to the second, by the one format that fits every row."""
    if column.isna().any():
        row = int(np.flatnonzero(column.isna())[0]) + 2
        raise InputError(path, f"row {row} column '{column.name}' is empty", "Give every bar its time")
    if pd.api.types.is_datetime64_any_dtype(column):
        parsed = pd.DatetimeIndex(column)
        return (parsed.tz_convert("UTC").tz_localize(None) if parsed.tz else parsed).as_unit("s")
    text = column.astype(str)
    first = [pattern for pattern in DATE_FORMATS if _times(text[:1], pattern).notna().all()]
    tried = [_times(text, pattern) for pattern in first]
    fits = [times for times in tried if times.notna().all()]
    if not fits:
        row = max((int(np.argmax(times.isna())) for times in tried), default=0)
        what = f"row {row + 2} column '{column.name}': time '{text.iloc[row]}' is in no known format"
        what += " or not in that of the rows above" if row else ""
        raise InputError(path, what, "Use 2024-12-31 or 2024-12-31 16:00:00")
    if any(not fits[0].equals(other) for other in fits[1:]):
        raise InputError(path, f"times like '{text.iloc[0]}' can be read in two ways", "Use 2024-12-31")
    return pd.DatetimeIndex(fits[0]).tz_localize(None).as_unit("s")


def _times(text: "pd.Series[str]", pattern: str) -> "pd.Series[pd.Timestamp]":
    return pd.to_datetime(text, format=pattern, utc=True, errors="coerce")


def _stem(path: Path) -> str:
    """Return the symbol that a file is named after: BRK.B.csv holds BRK.B."""
    suffix = next((suffix for suffix in SUFFIXES if path.name.lower().endswith(suffix)), path.suffix)
    return path.name[: len(path.name) - len(suffix)]


def _numbers(path: Path, frame: pd.DataFrame, rows: RowArray) -> pd.DataFrame:
    """Keep the OHLCV columns as float64; high and low default to the open/close range, volume to NaN."""
    columns = {}
    for name in (*PRICES, "volume"):
        if name in frame.columns:
            values = pd.to_numeric(frame[name], errors="coerce")
            bad = values.isna() & frame[name].notna()
            if bad.any():
                row = rows[np.flatnonzero(bad.to_numpy())[0]]
                raise InputError(
                    path, f"row {row} column '{name}': '{frame[name][bad].iloc[0]}' is not a number", "Mend it"
                )
            columns[name] = values.astype(np.float64)
    result = pd.DataFrame(columns, index=frame.index)
    result["high"] = result.get("high", result[["open", "close"]].max(axis=1))
    result["low"] = result.get("low", result[["open", "close"]].min(axis=1))
    result["volume"] = result.get("volume", np.nan)
    return result


def _panel(frames: dict[str, pd.DataFrame]) -> Bars:
    """Lay the symbols on the union of their times."""
    index = pd.DatetimeIndex(sorted(set().union(*(frame.index for frame in frames.values()))))
    columns = {
        name: np.stack([frame[name].reindex(index).to_numpy(np.float64) for frame in frames.values()], axis=1)
        for name in (*PRICES, "volume")
    }
    return Bars(time=index.to_numpy().astype("datetime64[s]"), symbols=tuple(frames), **columns)
