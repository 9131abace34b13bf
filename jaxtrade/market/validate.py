"""What makes a frame of bars unusable. Nothing is repaired silently."""

from pathlib import Path

import numpy as np
import pandas as pd

from jaxtrade.errors import InputError

STALE_OPEN_SHARE = 0.05


def check_frame(path: Path, symbol: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame if its times increase strictly and its prices are positive or missing.

    Raises:
        InputError: Naming file, symbol, row (1-based, the header is row 1), time, column, value and count.
    """
    step = np.diff(frame.index.to_numpy())
    zero = np.timedelta64(0, "s")
    if (step < zero).any():
        row = int(np.flatnonzero(step < zero)[0]) + 3
        raise InputError(
            path, f"row {row} symbol {symbol}: time {frame.index[row - 2]} is before the row above", "Sort by time"
        )
    if (step == zero).any():
        row = int(np.flatnonzero(step == zero)[0]) + 3
        raise InputError(
            path, f"row {row} symbol {symbol}: time {frame.index[row - 2]} appears twice", "Remove one of the rows"
        )
    for column in ("open", "close"):
        values = frame[column].to_numpy()
        bad = np.flatnonzero((values <= 0) | np.isinf(values))
        if bad.size:
            at = int(bad[0])
            cell = f"row {at + 2} ({frame.index[at]}) column '{column}' symbol {symbol}"
            what = f"{cell}: {values[at]} is not a positive price"
            raise InputError(
                path, f"{what} (1 of {bad.size} such cells)", "Mend the file; leave the cell empty if unknown"
            )
    if not frame["close"].notna().any():
        raise InputError(path, f"symbol {symbol}: column 'close' holds no number", "Give closing prices")
    return frame


def stale_open_share(open_: np.ndarray, close: np.ndarray) -> float:
    """Return the largest share, over symbols, of opens that equal the previous close, [T, N] each.

    Filling at such an open is filling at the close just observed, which the clock forbids.
    """
    same = (open_[1:] == close[:-1]).sum(axis=0)
    pairs = (np.isfinite(open_[1:]) & np.isfinite(close[:-1])).sum(axis=0)
    return float(np.max(same / np.maximum(pairs, 1)))
