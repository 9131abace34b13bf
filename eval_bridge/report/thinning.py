"""Long series made short enough for a page: the points kept are true ones, and no extreme is lost."""

import math
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
POINTS = 2000  # of a chart, whatever the number of bars


def rows_to_keep(columns: Iterable[Any], limit: int = POINTS) -> npt.NDArray[np.intp]:
    """Return the rows of a chart that are drawn, in order.

    The rows are cut into buckets of equal length. Of every bucket, the rows are kept in which any column is smallest or
    largest; the first and the last row are kept too. So every column keeps all its peaks and troughs, and all columns
    share their times.

    Args:
        columns: Series over the same rows, [K] each; NaN is never an extreme.
        limit: Largest number of rows that may be kept. Up to that many rows, all are.
    """
    series = [np.asarray(column, float) for column in columns]
    count = len(series[0])
    if count <= limit:
        return np.arange(count)
    buckets = max(1, (limit - 2) // (2 * len(series)))
    edges = np.linspace(0, count, buckets + 1).astype(int)
    kept = {0, count - 1}
    for column in series:
        low, high = np.where(np.isnan(column), np.inf, column), np.where(np.isnan(column), -np.inf, column)
        for start, stop in pairwise(edges):
            kept.add(int(start + np.argmin(low[start:stop])))
            kept.add(int(start + np.argmax(high[start:stop])))
    return np.array(sorted(kept), np.intp)


def short(values: Any, digits: int = 6) -> list[float | int | None]:
    """Return numbers in few characters: `digits` significant ones; None where there is no finite number."""
    return [_short(value, digits) for value in np.asarray(values, float).ravel().tolist()]


def _short(value: float, digits: int) -> float | int | None:
    if not math.isfinite(value):
        return None
    rounded = float(f"{value:.{digits}g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 1e15 else rounded


def pack_time(time: Any) -> dict[str, Any]:
    """Return times as start, unit (both in milliseconds) and whole steps of that unit; report.js adds them up."""
    moments = np.asarray(time).astype("datetime64[ms]").astype(np.int64)
    steps = np.diff(moments)
    unit = int(np.gcd.reduce(steps)) if len(steps) else 0
    unit = unit or 1
    return {"start": int(moments[0]) if len(moments) else 0, "unit": unit, "steps": (steps // unit).tolist()}
