"""What makes a frame of bars unusable. Nothing is repaired silently."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from jaxtrade.errors import InputError

STALE_OPEN_SHARE = 0.05


def check_frame(path: Path, symbol: str, frame: pd.DataFrame, rows: npt.NDArray[np.intp]) -> pd.DataFrame:
    """Return the frame if its times increase strictly, its prices are positive and no volume is negative or infinite.

    Args:
        path: The file, for the message.
        symbol: The symbol, for the message.
        frame: Bars of one symbol; missing cells are allowed.
        rows: Where each bar stands in the file, 1-based; the header is row 1.

    Raises:
        InputError: Naming file, symbol, row, time, column, value and count.
    """
    _check_times(path, symbol, frame, rows)
    for column, rule in (("open", "a positive price"), ("close", "a positive price"), ("volume", "a volume")):
        values = frame[column].to_numpy()
        bad = np.flatnonzero(np.isinf(values) | (values < 0 if column == "volume" else values <= 0))
        if bad.size:
            at = int(bad[0])
            cell = f"row {rows[at]} ({frame.index[at]}) column '{column}' symbol {symbol}"
            what = f"{cell}: {values[at]} is not {rule}"
            raise InputError(
                path, f"{what} (1 of {bad.size} such cells)", "Mend the file; leave the cell empty if unknown"
            )
    if not frame["close"].notna().any():
        raise InputError(path, f"symbol {symbol}: column 'close' holds no number", "Give closing prices")
    return frame


def _check_times(path: Path, symbol: str, frame: pd.DataFrame, rows: npt.NDArray[np.intp]) -> None:
    """Raise unless the times increase strictly."""
    step = np.diff(frame.index.to_numpy())
    zero = np.timedelta64(0, "s")
    for wrong, what, remedy in (
        (step < zero, "is before the row above", "Sort by time"),
        (step == zero, "appears twice", "Remove one of the rows"),
    ):
        if wrong.any():
            at = int(np.flatnonzero(wrong)[0]) + 1
            raise InputError(path, f"row {rows[at]} symbol {symbol}: time {frame.index[at]} {what}", remedy)


def stale_open_share(open_: np.ndarray, close: np.ndarray) -> float:
    """Return the largest share, over symbols, of opens that equal the previous close, [T, N] each.

    Filling at such an open is filling at the close just observed, which the clock forbids.
    """
    same = (open_[1:] == close[:-1]).sum(axis=0)
    pairs = (np.isfinite(open_[1:]) & np.isfinite(close[:-1])).sum(axis=0)
    return float(np.max(same / np.maximum(pairs, 1)))
