"""Symbols of one panel that trade at other times than the rest."""

import numpy as np

from jaxtrade.market.checks.series import Series, whole
from jaxtrade.market.reading import Finding

SHARE = 0.9  # of the panel's bars that a symbol has within its own life


def check_panel(panel: list[Series]) -> list[Finding]:
    """Return a notice of each symbol that lacks many of the bars that others have between its first and its last."""
    panel = [series for series in panel if series.time.size]
    if len(panel) < 2 or all(np.array_equal(panel[0].time, series.time) for series in panel[1:]):
        return []
    union = np.unique(np.concatenate([series.time for series in panel]))
    found = []
    for series in panel:
        life = np.searchsorted(union, series.time[-1]) - np.searchsorted(union, series.time[0]) + 1
        if len(series.time) < SHARE * life:
            what = f"{len(series.time)} of {life} bars of the panel ({len(series.time) / life:.0%}) within its life"
            found += whole(series.reading, "N-DATA-065", what)
    return found
