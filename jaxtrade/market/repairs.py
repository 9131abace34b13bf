"""The repairs of bars: each mends what the codes say it mends, and counts the bars it changes."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from jaxtrade.amounts import DEFAULT, Amount
from jaxtrade.config.market import LoadConfig, Repair
from jaxtrade.errors import InputError
from jaxtrade.market.checks.prices import points_of, price_cells, whole_numbers
from jaxtrade.market.checks.series import FloatArray, PlaceArray, seconds_of
from jaxtrade.market.checks.times import identical, repeated
from jaxtrade.market.codes import RULES
from jaxtrade.market.reading import Finding, Reading
from jaxtrade.market.units import PRICES

# The gentlest last: what forward-fill or clip mends is not dropped.
ORDER: tuple[Repair, ...] = ("sort", "dedupe-identical", "rescale", "forward-fill", "clip", "drop-row")

Check = Callable[[Reading], list[Finding]]


class Mended(NamedTuple):
    """A reading after a repair."""

    reading: Reading
    bars: int  # bars changed, moved or dropped


def repair(reading: Reading, config: LoadConfig, check: Check) -> tuple[Reading, dict[str, int]]:
    """Make the repairs that were asked for, in their one order, each on what the checks find then.

    Args:
        reading: The bars of one symbol.
        config: The repairs, and the factor of rescale.
        check: Finds what is wrong with a reading.

    Returns:
        The reading, and how many bars each repair changed, those that changed none left out.

    Raises:
        InputError: The factor of rescale is not above 0.
    """
    counts: dict[str, int] = {}
    for name in ORDER:
        if name in config.repair:
            if name == "rescale":
                mended = _rescale(reading, config.rescale)
            else:
                found = [each for each in check(reading) if each.code not in config.accept]
                mended = REPAIRS[name](reading, _mendable(name, found))
            reading = mended.reading
            if mended.bars:
                counts[name] = mended.bars
    return reading, counts


def _mendable(name: str, findings: Sequence[Finding]) -> list[Finding]:
    return [each for each in findings if name in RULES[each.code].repairs and each.rows.size]


def take(reading: Reading, places: PlaceArray) -> Reading:
    """Return a reading of the rows at some places, in that order; what was found in reading goes with its rows."""
    place = np.full(len(reading.frame), -1)
    place[places] = np.arange(len(places))
    findings = []
    for each in reading.findings:
        if each.at.size:
            left = place[each.at] >= 0
            each = each._replace(at=place[each.at[left]], rows=each.rows[left])
            if not left.any():
                continue
        findings.append(each)
    return reading._replace(frame=reading.frame.iloc[places], rows=reading.rows[places], findings=tuple(findings))


def _sort(reading: Reading, findings: list[Finding]) -> Mended:
    """Put the rows in the order of time; rows at one time keep theirs, rows without a time come last."""
    if not findings:
        return Mended(reading, 0)
    seconds, known = seconds_of(reading)
    order = np.argsort(np.where(known, seconds, np.iinfo(np.int64).max), kind="stable")
    return Mended(take(reading, order), int((order != np.arange(len(order))).sum()))


def _dedupe(reading: Reading, findings: list[Finding]) -> Mended:
    """Drop the rows that say again what the first row of their time said."""
    if not findings:
        return Mended(reading, 0)
    seconds, known = seconds_of(reading)
    later, first = repeated(seconds, np.flatnonzero(known))
    return _without(reading, later[identical(reading.frame, later, first)])


def _drop(reading: Reading, findings: list[Finding]) -> Mended:
    """Drop the rows in which anything is wrong that dropping mends; those that name no symbol are in no frame."""
    nameless = [each for each in findings if not each.at.size]
    left = tuple(each for each in reading.findings if not any(each is one for one in nameless))
    mended, count = _without(reading._replace(findings=left), _places(findings))
    return Mended(mended, count + sum(each.rows.size for each in nameless))


def _places(findings: list[Finding]) -> PlaceArray:
    """Return where anything was found, each place once, [K]."""
    return np.unique(np.concatenate([np.zeros(0, np.intp), *(each.at for each in findings)]))


def _without(reading: Reading, places: PlaceArray) -> Mended:
    if not places.size:
        return Mended(reading, 0)
    keep = np.ones(len(reading.frame), np.bool_)
    keep[places] = False
    return Mended(take(reading, np.flatnonzero(keep)), int(places.size))


def _clip(reading: Reading, findings: list[Finding]) -> Mended:
    """Widen high and low to hold open and close."""
    places = _places(findings)
    columns = {name: reading.frame[name].to_numpy(np.float64, copy=True) for name in PRICES}
    body = columns["open"][places], columns["close"][places]
    columns["high"][places] = np.fmax(columns["high"][places], np.fmax(*body))
    columns["low"][places] = np.fmin(columns["low"][places], np.fmin(*body))
    return Mended(reading._replace(frame=reading.frame.assign(**columns)), int(places.size))


def _forward_fill(reading: Reading, findings: list[Finding]) -> Mended:
    """Make bars with a bad price flat bars at the last valid close before them, volume 0; bad volumes become 0.

    Nothing after a bar is used. A bar before the first valid close stays as it is, and is refused.
    """
    columns = {name: reading.frame[name].to_numpy(np.float64, copy=True) for name in reading.frame.columns}
    bad = np.zeros(len(reading.frame), np.bool_)
    bad_volume = bad.copy()
    for each in findings:
        (bad_volume if each.column == "volume" else bad)[each.at] = True
    close = columns["close"]
    valid = np.isfinite(close) & (close > 0) & ~bad
    last = np.maximum.accumulate(np.where(valid, np.arange(len(close)), -1)) if len(close) else np.zeros(0, np.intp)
    filled = np.flatnonzero(bad & (last >= 0))
    for name in columns:
        if name != "volume":
            columns[name][filled] = columns[name][last[filled]] if name == "adj_close" else close[last[filled]]
    zeroed = bad_volume | (bad & (last >= 0))
    columns["volume"][zeroed] = 0.0
    left = _still_found(reading, bad & (last < 0))
    mended = reading._replace(frame=reading.frame.assign(**columns), findings=left)
    return Mended(mended, int(zeroed.sum()))


def _still_found(reading: Reading, unfilled: npt.NDArray[np.bool_]) -> tuple[Finding, ...]:
    """Return what was found in reading, without the cells that were filled."""
    left = []
    for each in reading.findings:
        if "forward-fill" in RULES[each.code].repairs and each.at.size:
            stays = unfilled[each.at] & (each.column != "volume")
            each = each._replace(at=each.at[stays], rows=each.rows[stays])
            if not stays.any():
                continue
        left.append(each)
    return tuple(left)


def _rescale(reading: Reading, factor: Amount | None) -> Mended:
    """Turn points into prices: by a factor given, or by what the name of a currency or metal pair implies."""
    given = factor.get(reading.symbol, factor.get(DEFAULT)) if isinstance(factor, dict) else factor
    if isinstance(given, tuple) or (given is not None and given <= 0):
        raise InputError("market.load.rescale", f"{given} for {reading.symbol} is no factor above 0", "Use 0.00001")
    units = points_of(reading.symbol, price_cells(reading)) if given is None else 1 / given
    if units is None:
        return Mended(reading, 0)
    names = [name for name in reading.frame.columns if name != "volume"]
    cells = reading.frame[names].to_numpy(np.float64)
    points = np.rint(cells) if whole_numbers(price_cells(reading)) else cells  # whole but for the dust of arithmetic
    prices = dict(zip(names, from_points(points, units).T, strict=True))
    return Mended(reading._replace(frame=reading.frame.assign(**prices)), len(reading.frame))


def from_points(points: FloatArray, units: float) -> FloatArray:
    """Return prices from points, any shape, correctly rounded where there is a whole number of points to the unit.

    Division by 100,000 rounds once; multiplication by 0.00001, which no float is, would round twice.
    """
    nearest = float(np.rint(units))
    return np.asarray(points / (nearest if nearest and abs(units - nearest) < 1e-9 * units else units))


REPAIRS: dict[str, Callable[[Reading, list[Finding]], Mended]] = {
    "sort": _sort,
    "dedupe-identical": _dedupe,
    "forward-fill": _forward_fill,
    "clip": _clip,
    "drop-row": _drop,
}
