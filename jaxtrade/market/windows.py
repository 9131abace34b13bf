"""Walk-forward windows: where each trains, validates and is tested, and its table from bars that were read once.

A window is a split with four ends. Each lies on a whole day, so that it can be written down as dates.
"""

import datetime
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from jaxtrade.config import MarketConfig, SplitConfig
from jaxtrade.config.market import ENDS
from jaxtrade.errors import InputError
from jaxtrade.market.bars import load
from jaxtrade.market.folds import Kind, walk_forward
from jaxtrade.market.splits import Range, date_at_bar, first_bar
from jaxtrade.market.table import Prepared, prepare_bars, window_table

__all__ = ["Prepared", "Sizes", "prepare", "walk_forward_splits", "window_table"]

Times = npt.NDArray[np.datetime64]
REMEDY = "Give more bars, fewer iterations, or other windows.train_bars, windows.validation_bars or windows.test_bars"


class Sizes(NamedTuple):
    """Bars of a window's ranges, purged and embargoed ones included; None: as `walk_forward_splits` says."""

    train: int | None = None
    validation: int | None = None
    test: int | None = None


class Cuts(NamedTuple):
    """The bars at which the ranges of a window begin; each ends before the next."""

    train: int
    validation: int
    test: int
    end: int

    def ranges(self, purge: int, embargo: int) -> dict[str, Range]:
        """Return what `make_ranges` will say of them."""
        return {
            "train": Range(self.train, self.validation - 1 - purge),
            "validation": Range(self.validation + embargo, self.test - 1 - purge),
            "test": Range(self.test + embargo, self.end - 1),
        }


def prepare(source: str, config: MarketConfig, window: int) -> Prepared:
    """Read a source and compute its features once, for the tables of many windows.

    Args:
        source: What `load_table` reads.
        config: How it is read, and its features.
        window: Bars of history that every decision has, its own included.

    Raises:
        InputError: The data is refused, or a feature is wrong.
    """
    loaded = load(source, config.load, config.symbols)
    return prepare_bars(loaded.bars, config, window)._replace(report=loaded.report.record())


def walk_forward_splits(
    time: Times, span: Range, iterations: int, sizes: Sizes, kind: Kind = "rolling", purge: int = 0, embargo: int = 0
) -> list[SplitConfig]:
    """Return the splits of windows whose tests follow one another up to the last bar.

    Training begins with the first whole day, and every range ends with the last whole day, within so many bars.

    Args:
        time: [T] bar times.
        span: The bars to use; its first is the first that has its history. See `Prepared.span`.
        iterations: Windows.
        sizes: Bars of the ranges. Left out, the tests share the second half of the bars, validation has as many as
            a test but no more than the first training, which has all that is left before.
        kind: rolling: training has the same length in every window. expanding: it begins where that of the first does.
        purge: Bars left out at the end of training and of validation.
        embargo: Bars left out at the beginning of validation and of test.

    Raises:
        InputError: The windows do not fit, or one of their ranges holds no decision.
    """
    train, validation, test = _fill_in(span, iterations, sizes)
    used = Range(span.last + 1 - train - validation - iterations * test, span.last)
    splits = []
    for number, fold in enumerate(walk_forward(used, train + validation, test, kind=kind), start=1):
        (training,), (tested,) = fold.train, fold.test
        cuts = (_day_start(time, bar) for bar in (tested.first - validation, tested.first, tested.last + 1))
        window = Cuts(_next_day_start(time, training.first), *cuts)
        _require_decisions(number, window, purge, embargo)
        dates = [date_at_bar(time, bar) for bar in (window.train, *(cut - 1 for cut in window[1:]))]
        splits.append(SplitConfig(**dict(zip(ENDS, dates, strict=True)), purge=purge, embargo=embargo))
    return splits


def _fill_in(span: Range, iterations: int, sizes: Sizes) -> tuple[int, int, int]:
    """Return the bars of training (of the first window), validation and test; InputError if they do not fit."""
    bars = max(span.last + 1 - span.first, 0)
    test = bars // 2 // iterations if sizes.test is None else sizes.test
    before = bars - iterations * test
    validation = min(test, before // 2) if sizes.validation is None else sizes.validation
    left = before - validation
    train = left if sizes.train is None else sizes.train
    if min(train, validation) >= 1 and test >= 2 and train <= left:
        return train, validation, test
    needed = "training" if sizes.train is None else f"{train} bars of training"
    what = f"{needed}, {validation} of validation and {iterations} x {test} of test do not fit in {bars} bars"
    raise InputError("windows", what, REMEDY)


def _day_start(time: Times, bar: int) -> int:
    """Return the first bar of the day that a bar lies in; T for T."""
    return bar if bar == len(time) else first_bar(time, date_at_bar(time, bar))


def _next_day_start(time: Times, bar: int) -> int:
    """Return the first bar, not before `bar`, with which a day begins; T if none does."""
    is_start = _day_start(time, bar) == bar
    return bar if is_start else first_bar(time, date_at_bar(time, bar) + datetime.timedelta(days=1))


def _require_decisions(number: int, window: Cuts, purge: int, embargo: int) -> None:
    """Refuse a window of which a range holds no decision."""
    for place, (name, span) in enumerate(window.ranges(purge, embargo).items()):
        if span.decisions < 1:
            bars = max(window[place + 1] - window[place], 0)
            what = f"holds no decision: {bars} bars of whole days, purge {purge} and embargo {embargo}"
            remedy = f"{REMEDY}, or less windows.purge and windows.embargo"
            raise InputError(f"windows: {name} of iteration {number}", what, remedy)
