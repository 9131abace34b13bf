"""Coarse bars from fine ones, visible only when complete.

A period of `D` seconds ends at a multiple of D in UTC, weeks on Monday at midnight. A bar belongs to the period in
which it ends, (P, P + D], and a coarse bar is visible from the first row on that ends at P + D or later: at the close
of its last fine bar, or at the symbol's next one if that is missing. No later row can belong to it then, whatever the
grid. The first period of a symbol is left out: where its history begins, a part of it may be missing.
"""

import re
from typing import NamedTuple

import numpy as np

from jaxtrade.errors import InputError
from jaxtrade.market.features.registry import RowArray, SymbolBars
from jaxtrade.market.units import DAY, HOUR, MINUTE, MONDAY, WEEK, epoch_seconds

UNITS = {"min": MINUTE, "h": HOUR, "d": DAY, "w": WEEK}  # seconds


class Coarse(NamedTuple):
    """The complete coarse bars of a symbol, `C` of them, beside its `T` fine ones."""

    bars: SymbolBars  # [C]
    seen: RowArray  # [T] coarse bars that are visible at each fine row


def parse_interval(where: str, text: str, base: int) -> int:
    """Return the seconds of an interval such as 4h.

    Args:
        where: What asks for it, for the message.
        text: A number and one of min, h, d, w.
        base: Seconds of the bars' own interval.

    Raises:
        InputError: It is no interval, or no larger multiple of the bars' own.
    """
    found = re.fullmatch(r"([1-9]\d{0,5})(min|h|d|w)", text)
    if found is None:
        raise InputError(where, f"{text!r} is no interval", "Use a number and min, h, d or w, such as 4h")
    seconds = int(found[1]) * UNITS[found[2]]
    if seconds <= base or seconds % base:
        what = f"the interval {text} ({seconds} s) is no larger multiple of that of the bars ({base} s)"
        raise InputError(where, what, "Give a coarser one, or leave it out for the bars' own")
    return seconds


def coarsen(fine: SymbolBars, seconds: int, base: int) -> Coarse:
    """Return the complete coarse bars of one symbol, and how many of them each fine row sees.

    Args:
        fine: Bars of `base` seconds, `T` > 0, with the times of their starts.
        seconds: Interval of the coarse bars, a multiple of `base`.
        base: Interval of the fine bars.
    """
    end = epoch_seconds(fine.time) + base
    shift = MONDAY if seconds % UNITS["w"] == 0 else 0
    period = (end - shift - 1) // seconds
    first = np.flatnonzero(np.diff(period, prepend=period[:1] - 1))  # rows at which a period begins
    closing = (period[first] + 1) * seconds + shift
    last = np.append(first[1:], len(end)) - 1
    whole = slice(1, int(np.searchsorted(closing, end[-1], side="right")))
    bars = SymbolBars(
        time=(closing - seconds).astype("datetime64[s]"),
        open=fine.open[first],
        high=np.maximum.reduceat(fine.high, first),
        low=np.minimum.reduceat(fine.low, first),
        close=fine.close[last],
        volume=np.add.reduceat(fine.volume, first),
    )
    return Coarse(bars.take(whole), np.searchsorted(closing[whole], end, side="right"))
