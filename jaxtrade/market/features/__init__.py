"""Causal features by name and parameters: row t depends on bars up to t and on nothing else. See docs/features.md."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from jaxtrade.config import MarketConfig
from jaxtrade.market.bars import Bars
from jaxtrade.market.features.calls import Call, base_interval, calls_of
from jaxtrade.market.features.indicators import FEATURES
from jaxtrade.market.features.intervals import coarsen
from jaxtrade.market.features.registry import Feature, FloatArray, RowArray, SymbolBars, feature
from jaxtrade.market.features.user import compute_own

__all__ = ["FEATURES", "Computed", "Feature", "SymbolBars", "compute", "feature", "feature_names", "warm_up"]


class Computed(NamedTuple):
    """Features of a panel. `T` bars, `N` symbols, `F` features."""

    raw: FloatArray  # [T, N, F] not normalised; NaN where not ready
    ready: npt.NDArray[np.bool_]  # [T, N] whether the symbol has had the warm-up of every feature


def feature_names(config: MarketConfig) -> tuple[str, ...]:
    """Return the names of the features, in the order of their columns.

    Raises:
        InputError: A feature is not known, its parameters are wrong, or two columns have one name.
    """
    return tuple(name for call in calls_of(config) for name in call.names)


def warm_up(config: MarketConfig) -> int:
    """Return after how many bars a symbol without gaps has every feature, whenever it begins.

    Of a coarse interval that is its warm-up, the period that the history begins in and the one that ends it.
    """
    base = base_interval(config)
    return max(
        call.warm_up if call.seconds == base else (call.warm_up + 2) * (call.seconds // base)
        for call in calls_of(config)
    )


def compute(bars: Bars, config: MarketConfig) -> Computed:
    """Return raw features and where they may be used.

    Each symbol is computed on its own bars: those with a close; a missing open is the previous close, missing high and
    low are the range of open and close, and missing volume is 0. A bar that a symbol lacks repeats its last features.

    Args:
        bars: The panel; its prices are positive and finite, or NaN.
        config: Features and interval.

    Raises:
        InputError: As in `feature_names`, or a user's function fails or sees the future.
    """
    calls, base = calls_of(config), base_interval(config)
    raw = np.full((*bars.close.shape, sum(len(call.names) for call in calls)), np.nan)
    ready = np.zeros(bars.close.shape, bool)
    for n in range(len(bars.symbols)):
        rows = np.flatnonzero(np.isfinite(bars.close[:, n]))
        if len(rows):
            found = _one_symbol(_symbol_bars(bars, rows, n), calls, base)
            last = np.searchsorted(rows, np.arange(len(ready)), side="right") - 1  # [T] the symbol's last bar; -1: none
            ready[:, n] = found.ready[last] & (last >= 0)
            raw[ready[:, n], n] = found.raw[last[ready[:, n]]]
    return Computed(raw, ready)


def _one_symbol(fine: SymbolBars, calls: tuple[Call, ...], base: int) -> Computed:
    """Return the features of one symbol on its own `T` bars, [T, F] and [T]."""
    ready = np.ones(len(fine.time), bool)
    coarse = {seconds: coarsen(fine, seconds, base) for seconds in {call.seconds for call in calls} - {base}}
    columns = []
    for call in calls:
        if call.seconds == base:
            found, last = _columns(call, fine), np.arange(len(ready))
        else:
            bars, seen = coarse[call.seconds]
            found, last = _columns(call, bars), seen - 1
            found = found[last] if len(found) else np.full((len(last), len(call.names)), np.nan)
        ready &= last >= call.warm_up  # before its first coarse bar a row has -1, and is never ready
        columns.append(found)
    return Computed(np.concatenate(columns, axis=1), ready)


def _columns(call: Call, bars: SymbolBars) -> FloatArray:
    """Return the columns of one call on the bars of its interval, [T, K]."""
    if not len(bars.time):
        return np.empty((0, len(call.names)))
    if call.own:
        return compute_own(call.where, call.feature, call.values, bars)
    found = call.feature.compute(bars, *call.values)
    return np.column_stack(found if isinstance(found, tuple) else (found,))


def _symbol_bars(bars: Bars, rows: RowArray, n: int) -> SymbolBars:
    """Return the bars of one symbol at some rows, its holes filled from what was known."""
    columns = (field[rows, n] for field in (bars.open, bars.high, bars.low, bars.close, bars.volume))
    part = SymbolBars(bars.time[rows], *columns)
    opening = np.where(np.isfinite(part.open), part.open, np.concatenate([part.close[:1], part.close[:-1]]))
    return part._replace(
        open=opening,
        high=np.where(np.isfinite(part.high), part.high, np.maximum(opening, part.close)),
        low=np.where(np.isfinite(part.low), part.low, np.minimum(opening, part.close)),
        volume=np.where(np.isfinite(part.volume) & (part.volume > 0), part.volume, 0.0),
    )
