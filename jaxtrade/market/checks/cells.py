"""What a single cell, or the cells of one bar, cannot be."""

import numpy as np
import numpy.typing as npt

from jaxtrade.market.checks.series import FloatArray, findings, whole
from jaxtrade.market.reading import Finding, Reading
from jaxtrade.market.units import PRICES

BoolArray = npt.NDArray[np.bool_]
WIDE_ENDS = np.array([2.0**31 - 1, -(2.0**31), 2.0**32 - 1, 2.0**63, -(2.0**63), 2.0**64])  # as float64 holds them
NARROW_ENDS = np.array([2.0**15 - 1, -(2.0**15), 2.0**16 - 1])  # ordinary numbers unless the column stops there
FLOAT32_MAX = float(np.finfo(np.float32).max)
DUST = 1e-12  # relative: what a price may miss another by and still be it, for numbers written by arithmetic


def check_cells(reading: Reading) -> list[Finding]:
    """Return the cells that are infinite, overflown, not positive or missing, and bars outside their own range."""
    columns = {name: reading.frame[name].to_numpy(np.float64) for name in (*PRICES, "volume")}
    if "adj_close" in reading.frame.columns:
        columns["adj_close"] = reading.frame["adj_close"].to_numpy(np.float64)
    found = [each for name, values in columns.items() for each in _check_column(reading, name, values)]
    if not (np.isfinite(columns["close"]) & (columns["close"] > 0)).any():
        found += whole(reading, "E-DATA-026", "no closing price", "close")
    return found + _check_range(reading, columns) + _missing(reading, columns)


def _check_column(reading: Reading, name: str, values: FloatArray) -> list[Finding]:
    """Return what is wrong with the cells of one column, each cell under one code."""
    if name not in ("open", "close", "volume", "adj_close") and not reading.has_range:
        return []  # made of open and close, which are judged
    infinite, over = np.isinf(values), overflown(values)
    low = ~infinite & ~over & ((values < 0) if name == "volume" else (values <= 0))
    sign = "E-DATA-023" if name == "volume" else "E-DATA-022"
    found = []
    for code, bad in (("E-DATA-021", infinite), ("E-DATA-025", over), (sign, low)):
        at = np.flatnonzero(bad)
        found += findings(reading, code, at, f"value {values[at[0]]}" if at.size else "", name)
    return found


def overflown(values: FloatArray) -> BoolArray:
    """Return True, [T], for values that only a full integer type or a number too large for float32 explains.

    The ends of 16-bit types are ordinary prices and volumes: they count where nothing in the column lies beyond them.
    """
    finite = values[np.isfinite(values)]
    most, least = (finite.max(), finite.min()) if finite.size else (0.0, 0.0)
    narrow = [end for end in NARROW_ENDS if end == (most if end > 0 else least)]
    ends = np.concatenate([WIDE_ENDS, narrow])
    if not (most > FLOAT32_MAX or np.isin(ends, (most, least)).any() or most >= 2.0**31 - 1 or least <= -(2.0**31)):
        return np.zeros(values.shape, np.bool_)
    return np.isin(values, ends) | (np.isfinite(values) & (np.abs(values) > FLOAT32_MAX))


def _check_range(reading: Reading, columns: dict[str, FloatArray]) -> list[Finding]:
    """Return the bars whose open or close lies outside low and high; missing and impossible cells are left out."""
    if not reading.has_range:
        return []
    clean = {name: np.where(np.isfinite(columns[name]) & (columns[name] > 0), columns[name], np.nan) for name in PRICES}
    found = []
    top = np.fmax(np.fmax(clean["open"], clean["close"]), clean["low"])
    bottom = np.fmin(np.fmin(clean["open"], clean["close"]), clean["high"])
    for name, bad, bound in (
        ("high", clean["high"] < top * (1 - DUST), top),
        ("low", clean["low"] > bottom * (1 + DUST), bottom),
    ):
        at = np.flatnonzero(bad)
        if at.size:
            first = at[0]
            other = next(each for each in ("open", "close", "low", "high") if clean[each][first] == bound[first])
            side = "below" if name == "high" else "above"
            what = f"{name} {columns[name][first]} {side} {other} {bound[first]}"
            found += findings(reading, "E-DATA-024", at, what, name)
    return found


def _missing(reading: Reading, columns: dict[str, FloatArray]) -> list[Finding]:
    """Return notices of empty cells, and of bars without volume."""
    unreadable = {each.column: each.at for each in reading.findings if each.code == "E-DATA-020"}
    found = []
    for name, values in columns.items():
        empty = np.isnan(values)
        empty[unreadable.get(name, np.zeros(0, np.intp))] = False
        made = not reading.has_range and name in ("high", "low")
        if made or (name == "volume" and empty.all()):
            continue
        found += findings(reading, "N-DATA-070", np.flatnonzero(empty), "an empty cell", name)
    if np.isnan(columns["volume"]).all():
        return found + whole(reading, "N-DATA-068", "no volume at all", "volume")
    return found + findings(reading, "N-DATA-068", np.flatnonzero(columns["volume"] == 0), "volume 0", "volume")
