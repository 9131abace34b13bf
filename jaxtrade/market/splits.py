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


def resolve_split(time: npt.NDArray[np.datetime64], split: SplitConfig) -> SplitConfig:
    """Fill in the dates that were left to the default shares of the bars.

    Raises:
        InputError: A date that was given and one that was left to its default are in the wrong order.
    """

    def date_at(share: float) -> datetime.date:
        bar = min(int(len(time) * share), len(time) - 1)
        return time[bar].astype("datetime64[D]").item()  # type: ignore[no-any-return]

    train_until = split.train_until or date_at(TRAIN_SHARE)
    validation_until = split.validation_until or date_at(VALIDATION_SHARE)
    if train_until >= validation_until:
        raise InputError(
            "market.split",
            f"train_until {train_until} does not lie before validation_until {validation_until}",
            "Give both dates",
        )
    return SplitConfig(train_until=train_until, validation_until=validation_until)


def make_ranges(time: npt.NDArray[np.datetime64], split: SplitConfig, history: int) -> dict[str, Range]:
    """Return the ranges train, validation, test and all; one that the data does not reach holds no decision.

    Args:
        time: [T] bar times.
        split: Resolved dates, each the last day of its range.
        history: Bars that must lie before the first decision; the look-back of later ranges may reach before them.
    """
    days = time.astype("datetime64[D]")
    train_end = int(np.searchsorted(days, np.datetime64(split.train_until, "D"), side="right")) - 1
    validation_end = int(np.searchsorted(days, np.datetime64(split.validation_until, "D"), side="right")) - 1
    last = len(time) - 1
    return {
        "train": Range(history, train_end),
        "validation": Range(max(train_end + 1, history), validation_end),
        "test": Range(max(validation_end + 1, history), last),
        "all": Range(history, last),
    }


def require_decisions(name: str, span: Range, split: SplitConfig, bars: int, history: int) -> Range:
    """Return the range.

    Raises:
        InputError: It holds no decision.
    """
    if span.decisions >= 1:
        return span
    raise InputError(
        f"range '{name}'",
        f"holds no decision: {bars} bars, {history} of them needed as history, training until {split.train_until}, "
        f"validation until {split.validation_until}",
        "Choose another range, give more bars, move the split dates, or shorten env.window and the feature spans",
    )
