"""A user's own features, `package.module:function`: loaded, held to their shape, and to what they may see."""

import numpy as np

from jaxtrade.errors import InputError
from jaxtrade.importing import import_object, told
from jaxtrade.market.features.registry import Feature, FloatArray, SymbolBars

REMEDY = "Give a function (bars, *parameters) -> [T] with @feature(warm_up=...); see examples/my_feature.py"
CUTS = (0.25, 0.5, 0.75)  # shares of a symbol's bars with the feature, after which the data is cut off


def load_feature(where: str, name: str) -> Feature:
    """Return a user's feature.

    Raises:
        InputError: It cannot be imported, or declares no warm-up.
    """
    found = import_object(where, name, REMEDY)
    if not isinstance(found, Feature):
        raise InputError(where, "declares no warm-up" if callable(found) else "is no feature", REMEDY)
    return found


def compute_own(where: str, call: Feature, values: tuple[float, ...], bars: SymbolBars) -> FloatArray:
    """Return the columns of a user's feature, [T, K], once it has shown that it does not see the future.

    It is not asked about a series that ends within its warm-up.

    Raises:
        InputError: It fails, gives the wrong shape, is missing or infinite after its warm-up, or changes when later
            bars are cut off.
    """
    for field in bars:
        field.flags.writeable = False  # a function that changed its input would change that of others
    names, warm_up, length = call.names(*values), call.warm_up(*values), len(bars.time)
    if length <= warm_up:
        return np.full((length, len(names)), np.nan)
    found = _columns(where, call, values, bars)
    for share in CUTS:
        count = warm_up + 1 + int(share * (length - warm_up - 1))
        cut, whole = _columns(where, call, values, bars.take(slice(count)))[warm_up:], found[warm_up:count]
        changed = np.argwhere((cut != whole) & ~(np.isnan(cut) & np.isnan(whole)))
        if len(changed):
            row, column = changed[0]
            time = bars.time[warm_up + row]
            what = f"sees the future: column {names[column]} at {time} changes when later bars are cut off"
            numbers = f"(from {whole[row, column]!s} to {cut[row, column]!s})"
            raise InputError(where, f"{what} {numbers}", "Compute row t from bars up to t alone, always in one order")
    bad = np.argwhere(~np.isfinite(found[warm_up:]))
    if len(bad):
        row, column = warm_up + bad[0, 0], bad[0, 1]
        what = f"column {names[column]} at {bars.time[row]} is {found[row, column]} after the warm-up of {warm_up} bars"
        raise InputError(where, what, "Give a number there, or declare a longer warm-up")
    return found


def _columns(where: str, call: Feature, values: tuple[float, ...], bars: SymbolBars) -> FloatArray:
    """Return what the function gives, [T, K]."""
    shape = (len(bars.time), len(call.names(*values)))
    try:
        found = call.compute(bars, *values)
        result = np.asarray(np.column_stack(found) if isinstance(found, tuple) else found, np.float64)
    except Exception as error:  # whatever a user's function raises is the user's to mend
        raise InputError(where, f"fails on {shape[0]} bars: {told(error)}", REMEDY) from None
    result = result[:, None] if result.ndim == 1 else result
    if result.shape != shape:
        what = f"gives an array of shape {list(result.shape)} for {shape[0]} bars and {shape[1]} names"
        raise InputError(where, what, "Return [T], [T, K] or a tuple of [T], and name every column")
    return result
