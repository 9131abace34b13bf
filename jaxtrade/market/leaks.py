"""Does anything that is known at a bar hang on later bars? Change the future, build the table again, and compare.

Bitwise: features, masks and statistics up to a bar must stay as they were, whatever is done to the bars after it.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from jaxtrade.market import features as feature_room
from jaxtrade.market.bars import Bars
from jaxtrade.market.events import adjust
from jaxtrade.market.scales import scaler_record
from jaxtrade.market.table import MarketTable, build_table, drop_impossible
from jaxtrade.market.units import PRICES

FloatArray = npt.NDArray[np.float64]
COLUMNS = (*PRICES, "volume", "split", "dividend")
HOWS = ("noise", "nothing", "cut")  # later bars are multiplied by noise, emptied, or cut off
RECURSION_LIMIT = 1e-2  # of a feature's standard deviation
FAR = 1e9  # standard deviations: how far a feature is that has no value


class Leak(NamedTuple):
    """Something that changed although it was known before."""

    what: str  # "feature 'rsi_14'", "statistics of feature 'rsi_14'", "fill price"
    bar: int  # the bar that knew it
    how: str  # what was done to later bars
    columns: tuple[str, ...] = ()  # input columns of which each alone shows it


def change_after(bars: Bars, last: int, how: str, columns: Iterable[str] = COLUMNS, seed: int = 0) -> Bars:
    """Return the bars with everything after bar `last` changed.

    Args:
        bars: The panel.
        last: The last bar that stays.
        how: noise: prices and volumes are multiplied at random, a 2:1 split is put in, and a dividend where the panel
            has any. nothing: prices and volumes are empty. cut: the bars are gone.
        columns: Columns to change; a cut takes all.
        seed: Of the noise.
    """
    if how == "cut":
        return bars._replace(**_rows(bars, 0, last + 1))
    later = slice(last + 1, None)
    changed: dict[str, Any] = {name: leaf.copy() for name in columns if (leaf := _column(bars, name)) is not None}
    random = np.random.default_rng(seed)
    level = random.lognormal(0.0, 0.3, bars.close[later].shape)
    for name, leaf in changed.items():
        if name in ("split", "dividend"):
            leaf[last + 1 : last + 2] = 2.0 if how == "noise" else leaf[last + 1 : last + 2]
        elif how == "nothing":
            leaf[later] = np.nan
        else:
            stretch = {"high": 1.1, "low": 1 / 1.1}.get(name, 1.0)
            leaf[later] *= level * stretch * random.uniform(0.99, 1.01, level.shape)
    return bars._replace(**changed)


def _column(bars: Bars, name: str) -> FloatArray | None:
    leaf: FloatArray | None = getattr(bars, name)
    if leaf is None and name == "split":
        return np.ones_like(bars.close)
    return leaf


def rebuild(table: MarketTable, bars: Bars, fit: bool = False) -> MarketTable:
    """Return the table of other bars, configured and (unless `fit`) normalised as this one."""
    return build_table(bars, table.config, table.window, None if fit else table.scaler)


def differences(table: MarketTable, other: MarketTable, last: int, outcomes: bool = True) -> list[str]:
    """Return what two tables do not agree on bitwise: what is known up to a bar, and outcomes before it."""
    one, two = table.features[: last + 1], other.features[: last + 1]
    found = [f"feature '{name}'" for n, name in enumerate(table.feature_names) if not _same(one[..., n], two[..., n])]
    for name, leaf in table.known._asdict().items():
        if leaf is not None and not _same(leaf[: last + 1], getattr(other.known, name)[: last + 1]):
            found.append({"close": "mark"}.get(name, name))
    for name in ("gap", "move", "can_fill", "fill_price", "mark", "years") if outcomes else ():
        if not _same(getattr(table.outcome, name)[:last], getattr(other.outcome, name)[:last]):
            found.append(f"outcome '{name}' of earlier bars")
    return found


def _same(one: Any, two: Any) -> bool:
    return bool(np.array_equal(one, two, equal_nan=np.asarray(one).dtype.kind == "f"))


def market_leaks(table: MarketTable, cuts: Sequence[int]) -> Iterator[tuple[int, MarketTable, list[Leak]]]:
    """Yield, for every cut and way of changing what follows it, the table of the changed bars and what it betrays.

    Args:
        table: The market.
        cuts: Bars after which everything is changed.
    """
    columns = dict[str, tuple[str, ...]]()  # guilty of each thing that leaks, found out once
    for number, cut in enumerate(cuts):
        for how in HOWS:
            other = rebuild(table, change_after(table.bars, cut, how, seed=number))
            # Who is missing for good counts as delisted, a fact of the future: outcomes differ where bars vanish.
            found = differences(table, other, cut, outcomes=how == "noise")
            for what in found:
                columns[what] = columns.get(what) or guilty(table, cut, what)
            yield cut, other, [Leak(what, cut, how, columns[what]) for what in found]


def guilty(table: MarketTable, cut: int, what: str) -> tuple[str, ...]:
    """Return the input columns each of which, changed alone after a bar, changes something known at it."""
    alone = ((name, rebuild(table, change_after(table.bars, cut, "noise", (name,)))) for name in COLUMNS)
    return tuple(name for name, other in alone if what in differences(table, other, cut))


def statistics_leaks(table: MarketTable, own: bool = True) -> list[Leak]:
    """Return the features whose statistics are not those of the training range, or change with what follows it.

    Args:
        table: The market.
        own: Whether its statistics were fitted on its own training range, and not on other data.
    """
    last = table.ranges["train"].last
    stored, fitted = scaler_record(table.scaler), scaler_record(rebuild(table, table.bars, fit=True).scaler)
    found = [("as stored", name) for name in _unlike(table, stored, fitted)] if own else []
    for how in HOWS:
        # Purged bars are counted back from the end of training's last day, which a cut must leave where it is.
        kept = last + table.config.split.purge if how == "cut" else last
        other = rebuild(table, change_after(table.bars, kept, how), fit=True)
        found += [(how, name) for name in _unlike(table, fitted, scaler_record(other.scaler))]
    return [Leak(f"statistics of feature '{name}'", last, how) for how, name in found]


def _unlike(table: MarketTable, one: dict[str, Any], two: dict[str, Any]) -> list[str]:
    """Return the features of which two records of statistics differ."""
    rows = [(one[key], two[key]) for key in one if isinstance(one[key], list | tuple)]
    unlike = [
        n for n in range(len(table.feature_names)) if any(list(a[n : n + 1]) != list(b[n : n + 1]) for a, b in rows)
    ]
    return [table.feature_names[n] for n in unlike]


def fill_leaks(table: MarketTable, cuts: Sequence[int]) -> list[Leak]:
    """Return what is wrong with the fills of orders: they may hang on the open that follows, and on no other price.

    A fill that changes with the close of the bar that decides fills at a price already seen; one that changes with
    the close, range or volume of the bar in which it happens knows how that bar ends.
    """
    found: list[Leak] = []
    rest = tuple(name for name in (*PRICES, "volume") if name != "open")
    for cut in cuts:
        if cut + 2 >= len(table.time):
            continue
        for bar, told in ((cut, "the close observed"), (cut + 1, "how its bar ends")):
            if bar == cut and table.config.fill == "same_close":
                continue  # declared, and stamped on everything
            changed = {name: getattr(table.bars, name).copy() for name in rest}
            for leaf in changed.values():
                leaf[bar] *= 1.07
            other = rebuild(table, table.bars._replace(**changed))
            for name in ("fill_price", "can_fill"):
                if not _same(getattr(table.outcome, name)[cut], getattr(other.outcome, name)[cut]):
                    found.append(Leak(f"fill: {name} hangs on {told}", cut, f"bar {bar - cut:+d} scaled"))
    return found


def recursion(table: MarketTable, bars: Sequence[int]) -> dict[str, float]:
    """Return how far each feature moves when its history is cut to its warm-up, in standard deviations; the worst.

    A feature that remembers more than its warm-up says has another value in live use than in training.
    """
    clean = drop_impossible(adjust(table.bars))
    full = feature_room.compute(clean, table.config)
    spread = np.nanstd(np.where(full.ready[..., None], full.raw, np.nan), axis=(0, 1))
    worst = np.zeros(len(table.feature_names))
    for bar in bars:
        length = feature_room.warm_up(table.config) + 1
        while True:
            start = max(0, bar + 1 - length)
            part = feature_room.compute(clean._replace(**_rows(clean, start, bar + 1)), table.config)
            ready = part.ready[-1] & full.ready[bar]
            if start == 0 or np.array_equal(ready, full.ready[bar]):
                break
            length *= 2  # a symbol with gaps needs more
        if ready.any():
            apart = np.abs(part.raw[-1] - full.raw[bar])[ready] / np.where(spread > 0, spread, 1.0)
            worst = np.maximum(worst, np.nan_to_num(apart, nan=FAR, posinf=FAR).max(axis=0))
    return dict(zip(table.feature_names, worst.tolist(), strict=True))


def _rows(bars: Bars, first: int, end: int) -> dict[str, Any]:
    return {
        name: None if leaf is None else leaf[first:end] for name, leaf in bars._asdict().items() if name != "symbols"
    }


def pick_cuts(table: MarketTable, count: int) -> list[int]:
    """Return bars spread over all decisions, with the first and the ends of the ranges among them."""
    whole = table.ranges["all"]
    edges = {whole.first, *(span.last for span in table.ranges.values() if span.decisions >= 1)}
    spread = np.linspace(whole.first, whole.last - 1, max(2, count), dtype=int).tolist()
    return sorted(bar for bar in {*edges, *spread} if whole.first <= bar < whole.last)


def leak_texts(table: MarketTable, leaks: Iterable[Leak]) -> list[str]:
    """Return one line for each thing that leaks: what, when first, how it shows, which columns are guilty."""
    grouped: dict[str, list[Leak]] = {}
    for leak in leaks:
        grouped.setdefault(leak.what, []).append(leak)
    texts = []
    for what, each in grouped.items():
        hows = ", ".join(dict.fromkeys(leak.how for leak in each))
        columns = ", ".join(dict.fromkeys(name for leak in each for name in leak.columns))
        when = np.datetime_as_string(table.time[each[0].bar], unit="s")
        guilt = f"; guilty columns: {columns}" if columns else ""
        texts.append(f"{what} known at {when} changes with later bars ({hows}; {len(each)} times){guilt}")
    return texts
