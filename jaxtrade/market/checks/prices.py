"""What a series of prices cannot be, or seldom is: points, splits, spikes, prices that stand still."""

import re

import numpy as np
import numpy.typing as npt

from jaxtrade.market.checks.series import FloatArray, IntArray, Series, findings, whole
from jaxtrade.market.reading import Finding, Reading
from jaxtrade.market.units import PRICES

STALE_OPEN_SHARE = 0.05
STALE_RUN = 5  # bars with one and the same price
METALS = {"XAU": 100, "XAG": 1000, "XPT": 100, "XPD": 100}  # points to the unit
CURRENCIES = "EUR|GBP|AUD|NZD|USD|CAD|CHF|JPY|SEK|NOK|DKK|SGD|HKD|PLN|CZK|HUF|TRY|ZAR|MXN|CNH"
PAIR = re.compile(rf"({CURRENCIES}|{'|'.join(METALS)})[/_.-]?({CURRENCIES})", re.IGNORECASE)
RATIOS = (1.5, *range(2, 11), 15, 20, 25, 30, 50, 100)  # shares for one; prices jump by one of these, or its inverse
EXCITED = 4  # times the usual volume, after a jump that is no split
AROUND = 20  # bars that show what is usual before a jump
WHOLE = 1e-6  # what a point may miss a whole number by: the dust of arithmetic in the file


def check_prices(series: Series, adjusted: bool, events: IntArray) -> list[Finding]:
    """Return points, splits that nobody declared, spikes and stale prices.

    Args:
        series: The bars.
        adjusted: True if prices are scaled by the column adj_close before use.
        events: Times of declared splits, in seconds.
    """
    if adjusted and "adj_close" not in series.reading.frame.columns:
        return whole(
            series.reading, "E-DATA-007", "no column adj_close, which market.load.adjusted names,", "adj_close"
        )
    return [
        *_check_points(series),
        *_check_splits(series, adjusted, events),
        *_stale(series),
        *_check_spikes(series),
    ]


def points_of(symbol: str, prices: FloatArray) -> int | None:
    """Return how many points make the unit of a currency or metal pair whose prices are given in points, or None.

    Args:
        symbol: Any text that holds the pair's name, such as EURUSDh1.
        prices: Of any shape.
    """
    pair = PAIR.search(symbol)
    if pair is None or not whole_numbers(prices):
        return None
    base, quote = pair.group(1).upper(), pair.group(2).upper()
    units = METALS.get(base) or (1000 if quote == "JPY" else 100_000)
    least = 20_000 if base in METALS else units / 100  # below, whole numbers are prices: gold at 4,000 dollars
    return units if float(np.nanmedian(prices)) >= least else None


def whole_numbers(prices: FloatArray) -> bool:
    """Return True if all prices are whole, dust aside, and not all the same."""
    finite = prices[np.isfinite(prices)]
    if finite.size < 2 or abs(finite[0] - np.rint(finite[0])) > WHOLE:
        return False
    return bool((np.abs(finite - np.rint(finite)) <= WHOLE).all()) and bool((finite != finite[0]).any())


def price_cells(reading: Reading) -> FloatArray:
    """Return the prices that the source holds, [T, 2 or 4]."""
    return reading.frame[list(PRICES if reading.has_range else ("open", "close"))].to_numpy(np.float64)


def _check_points(series: Series) -> list[Finding]:
    reading = series.reading
    cells = np.stack([series.open, series.close], axis=1)
    if not whole_numbers(cells):
        return []
    units = points_of(reading.symbol, price_cells(reading))
    if units is None:
        return whole(reading, "N-DATA-071", f"whole numbers only, such as {series.close[0]:g},", "close")
    pair = "".join(PAIR.search(reading.symbol).groups()).upper()  # type: ignore[union-attr]
    what = f"whole numbers, such as {series.close[0]:.0f} for {pair}, which has {units:,} points to 1,"
    return whole(reading, "E-DATA-043", what, "close")


def _check_splits(series: Series, adjusted: bool, events: IntArray) -> list[Finding]:
    """Return the bars at whose open the price jumps by the ratio of a split, and trading goes on as if nothing were.

    A crash by half comes with a range and a volume of its own, and most are not at a ratio. Trading goes on when the
    range of the bar is within what the bars before it had, relative to the price, and the price stays where it jumped.
    """
    if len(series.close) < AROUND:
        return []
    scale = _adjustment(series) if adjusted else np.ones_like(series.close)
    jump = np.log(series.open[1:] * scale[1:] / (series.close[:-1] * scale[:-1]))
    bars = np.flatnonzero(np.abs(jump) > np.log(1.4)) + 1
    bars = bars[~np.isin(bars, np.searchsorted(series.time, events))]
    ratios = {
        int(bar): ratio for bar in bars if (ratio := _split_at(series, int(bar), float(jump[bar - 1]))) is not None
    }
    if not ratios:
        return []
    first, ratio = next(iter(ratios.items()))
    text = "3:2" if ratio == 1.5 else f"{ratio:g}:1"
    word = f"split {text}" if jump[first - 1] < 0 else f"reverse split 1:{ratio:g}"
    what = f"open {series.open[first]:g} after close {series.close[first - 1]:g}, as by a {word},"
    return findings(series.reading, "E-DATA-044", series.at[list(ratios)], what, "open")


def _split_at(series: Series, bar: int, jump: float) -> float | None:
    """Return the ratio of the split that explains a jump (log) best, or None if none does."""
    ratios = np.array(RATIOS[1:] if jump > 0 else RATIOS)  # no one merges three shares into two
    before, after = slice(max(0, bar - AROUND), bar), slice(bar, bar + AROUND)
    usual = np.log(series.high[before] / series.low[before])
    own = np.log(series.high[bar] / series.low[bar])
    stays = np.log(series.close[after] / series.open[bar])
    if not np.isfinite(usual).any() or not np.isfinite(stays).any():
        return None
    spread = float(np.nanmedian(usual))
    distance = np.abs(np.log(ratios) - abs(jump))
    nearest = int(np.argmin(distance))
    calm = own <= max(4 * spread, 0.02) and abs(float(np.nanmedian(stays))) < abs(jump) / 3
    close = distance[nearest] <= min(0.06, max(0.02, 2 * spread))
    shares = ratios[nearest] ** -np.sign(jump)
    return float(ratios[nearest]) if calm and close and not _excited(series, bar, before, shares) else None


def _excited(series: Series, bar: int, before: slice, shares: float) -> bool:
    """Return True if a bar trades far more, at `shares` new ones for an old one, than those before: there is news."""
    usual = series.volume[before][np.isfinite(series.volume[before])]
    return bool(usual.size and series.volume[bar] > EXCITED * max(1.0, shares) * np.median(usual) > 0)


def _adjustment(series: Series) -> FloatArray:
    """Return what prices are multiplied by to be adjusted, [T]."""
    adjusted = series.reading.frame["adj_close"].to_numpy(np.float64)[series.at]
    return np.asarray(adjusted / series.close)


def stale_open_share(open_: FloatArray, close: FloatArray) -> float:
    """Return the largest share, over symbols, of opens that equal the previous close, [T, N] each.

    Filling at such an open is filling at the close just observed, which the clock forbids.
    """
    same = (open_[1:] == close[:-1]).sum(axis=0)
    pairs = (np.isfinite(open_[1:]) & np.isfinite(close[:-1])).sum(axis=0)
    return float(np.max(same / np.maximum(pairs, 1)))


def _stale(series: Series) -> list[Finding]:
    """Return notices of opens that equal the close before, and of runs of bars with one price."""
    found = []
    same = np.flatnonzero(series.open[1:] == series.close[:-1]) + 1
    share = stale_open_share(series.open[:, None], series.close[:, None]) if len(series.open) > 1 else 0.0
    if share > STALE_OPEN_SHARE:
        what = f"an open equal to the close before, as {share:.1%} of all,"
        found = findings(series.reading, "N-DATA-060", series.at[same], what, "open")
    still = np.ones(len(series.close), np.bool_)
    for values in (series.open, series.high, series.low, series.close):
        still[1:] &= values[1:] == series.close[:-1]
    still[:1] = False
    starts = _long_runs(still)
    return found + findings(series.reading, "N-DATA-061", series.at[starts], f"one price for {STALE_RUN} bars or more")


def _long_runs(still: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """Return where runs of True begin that make, with the bar before, at least as many bars as a stale run."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], still.astype(np.int8), [0]])))
    return edges[::2][np.diff(edges)[::2] >= STALE_RUN - 1]


def _check_spikes(series: Series) -> list[Finding]:
    """Return prices that leave the neighbourhood of the closes before and after by far more than these usually move."""
    close = series.close
    if len(close) < AROUND:
        return []
    logs = {name: np.log(getattr(series, name)) for name in PRICES}
    moves = np.abs(np.diff(logs["close"]))
    usual = float(np.nanmedian(moves)) if np.isfinite(moves).any() else 0.0
    limit = max(0.02, 25 * usual)
    found = []
    around = (logs["close"][:-2], logs["close"][2:])
    quiet = np.abs(around[1] - around[0]) < limit / 4
    for name in PRICES if series.reading.has_range else ("open", "close"):
        off = np.minimum(np.abs(logs[name][1:-1] - around[0]), np.abs(logs[name][1:-1] - around[1]))
        bars = np.flatnonzero(quiet & (off > limit)) + 1
        if bars.size:
            first = bars[0]
            what = f"value {getattr(series, name)[first]:g}"
            what += f" between closes of {close[first - 1]:g} and {close[first + 1]:g}"
            found += findings(series.reading, "N-DATA-069", series.at[bars], what, name)
    return found
