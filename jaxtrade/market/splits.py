"""Training, validation and test by date. A decision belongs to a range only if bars t and t+1 both do."""

import datetime
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from jaxtrade.config import SplitConfig
from jaxtrade.errors import InputError

TRAIN_SHARE, VALIDATION_SHARE = 0.70, 0.85
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
    bar = min(int(len(time) * until), len(time) - 1)
    return time[bar].astype("datetime64[D]").item()  # type: ignore[no-any-return]


def last_bar(time: npt.NDArray[np.datetime64], until: datetime.date) -> int:
    """Return the last of the bars `time`, [T], up to the end of a date; -1 if all are later."""
    days = time.astype("datetime64[D]")
    return int(np.searchsorted(days, np.array(until, "datetime64[D]"), side="right")) - 1


def resolve_split(time: npt.NDArray[np.datetime64], split: SplitConfig) -> SplitConfig:
    """Return the split with dates in place of shares, those that were left out included.

    Raises:
        InputError: The dates are in the wrong order.
    """
    train_until, validation_until = _dates(time, split)
    return split.model_copy(update={"train_until": train_until, "validation_until": validation_until})


def _dates(time: npt.NDArray[np.datetime64], split: SplitConfig) -> tuple[datetime.date, datetime.date]:
    train_until = date_at(time, split.train_until or TRAIN_SHARE)
    validation_until = date_at(time, split.validation_until or VALIDATION_SHARE)
    if train_until < validation_until:
        return train_until, validation_until
    what = f"train_until {train_until} does not lie before validation_until {validation_until}"
    raise InputError("market.split", what, "Give both dates")


def make_ranges(time: npt.NDArray[np.datetime64], split: SplitConfig, history: int) -> dict[str, Range]:
    """Return the ranges train, validation, test and all; one that the data does not reach holds no decision.

    Args:
        time: [T] bar times.
        split: Dates, each the last day of its range, or shares; and the bars that lie unused between the ranges.
        history: Bars that must lie before the first decision; the look-back of later ranges may reach before them.

    Raises:
        InputError: As `resolve_split`.
    """
    train_end, validation_end = (last_bar(time, date) for date in _dates(time, split))
    last = len(time) - 1
    return {
        "train": Range(history, train_end - split.purge),
        "validation": Range(max(train_end + 1 + split.embargo, history), validation_end - split.purge),
        "test": Range(max(validation_end + 1 + split.embargo, history), last),
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
    raise InputError(
        f"range '{name}'",
        f"holds no decision: {bars} bars, {history} of them needed as history, training until {split.train_until}, "
        f"validation until {split.validation_until}{apart}",
        "Choose another range, give more bars, move the split dates, or shorten env.window and the feature spans"
        + (", purge and embargo" if apart else ""),
    )
