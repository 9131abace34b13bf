"""Training, validation and test by date; a decision belongs to a range only if bars t and t+1 both do."""

import datetime
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from jaxtrade.config import SplitConfig
from jaxtrade.config.market import ENDS
from jaxtrade.errors import InputError

SHARES = {"train_until": 0.70, "validation_until": 0.85}  # where nothing else is asked for
SPLITS = ("train", "validation", "test", "all")


class Range(NamedTuple):
    """Bars first..last; decisions are taken at first..last-1, so that each is filled and marked inside the range."""

    first: int
    last: int

    @property
    def decisions(self) -> int:
        """Number of decisions."""
        return self.last - self.first


def date_at(time: npt.NDArray[np.datetime64], until: datetime.date | float) -> datetime.date:
    """Return a date as it is, and a share of the bars `time`, [T], as the date of the bar there."""
    if isinstance(until, datetime.date):
        return until
    return date_at_bar(time, min(int(len(time) * until), len(time) - 1))


def date_at_bar(time: npt.NDArray[np.datetime64], bar: int) -> datetime.date:
    """Return the date of one of the bars `time`, [T]."""
    return time[bar].astype("datetime64[D]").item()  # type: ignore[no-any-return]


def last_bar(time: npt.NDArray[np.datetime64], until: datetime.date) -> int:
    """Return the last of the bars `time`, [T], up to the end of a date; -1 if all are later."""
    days = time.astype("datetime64[D]")
    return int(np.searchsorted(days, np.array(until, "datetime64[D]"), side="right")) - 1


def first_bar(time: npt.NDArray[np.datetime64], date: datetime.date) -> int:
    """Return the first of the bars `time`, [T], from the beginning of a date on; T if all are earlier."""
    return int(np.searchsorted(time.astype("datetime64[D]"), np.array(date, "datetime64[D]"), side="left"))


def resolve_split(time: npt.NDArray[np.datetime64], split: SplitConfig) -> SplitConfig:
    """Return the split with dates in place of shares, the defaults of training and validation included.

    Where training begins, and test ends, stays open if it was: then more history, and later bars, are used.

    Args:
        time: [T] bar times.
        split: Dates or shares.

    Raises:
        InputError: The dates are in the wrong order.
    """
    ends = {name: getattr(split, name) or SHARES.get(name) for name in ENDS}
    dates = {name: None if end is None else date_at(time, end) for name, end in ends.items()}
    resolved = split.model_copy(update=dates)
    for one, two in resolved.misplaced:
        raise InputError("market.split", f"{one} does not lie before {two}", "Give both dates")
    return resolved


def make_ranges(time: npt.NDArray[np.datetime64], split: SplitConfig, history: int) -> dict[str, Range]:
    """Return the ranges train, validation, test and all; one that the data does not reach holds no decision.

    Args:
        time: [T] bar times.
        split: Dates, the first day of training and the last of each range, or shares; and the bars that lie unused
            between the ranges.
        history: Bars that must lie before the first decision; the look-back of later ranges may reach before them.

    Raises:
        InputError: As `resolve_split`.
    """
    train_from, *untils = (getattr(resolve_split(time, split), name) for name in ENDS)
    last = len(time) - 1
    train_first = history if train_from is None else max(first_bar(time, train_from), history)
    train_end, validation_end, test_end = (last if until is None else last_bar(time, until) for until in untils)
    return {
        "train": Range(train_first, train_end - split.purge),
        "validation": Range(max(train_end + 1 + split.embargo, history), validation_end - split.purge),
        "test": Range(max(validation_end + 1 + split.embargo, history), test_end),
        "all": Range(history, last),
    }


def require_decisions(name: str, span: Range, split: SplitConfig, bars: int, history: int) -> Range:
    """Return the range.

    Raises:
        InputError: It holds no decision.
    """
    if span.decisions >= 1:
        return span
    apart = f", purge {split.purge} and embargo {split.embargo} bars" if split.purge or split.embargo else ""
    begin = "" if split.train_from is None else f"from {split.train_from} "
    end = "" if split.test_until is None else f", test until {split.test_until}"
    raise InputError(
        f"range '{name}'",
        f"holds no decision: {bars} bars, {history} of them needed as history, training {begin}until "
        f"{split.train_until}, validation until {split.validation_until}{end}{apart}",
        "Choose another range, give more bars, move the split dates, or shorten env.window and the feature spans"
        + (", purge and embargo" if apart else ""),
    )
