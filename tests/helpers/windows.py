"""Walk-forward windows, checked bar by bar, and times to lay them on."""

from itertools import pairwise

import numpy as np

from jaxtrade.config import SplitConfig
from jaxtrade.market.splits import Range, make_ranges, resolve_split

NAMES = ("train", "validation", "test")


def bars_of(span: Range) -> set[int]:
    """Return the bars of the decisions of a range and of their rewards."""
    return {bar for decision in range(span.first, span.last) for bar in (decision, decision + 1)}


def assert_windows(time: np.ndarray, span: Range, found: list[SplitConfig], purge: int, embargo: int) -> None:
    """Check the ranges that the dates make, bar by bar."""
    days = time.astype("datetime64[D]")
    whole = [make_ranges(time, split, span.first) for split in found]
    for split, ranges in zip(found, whole, strict=True):
        assert resolve_split(time, split) == split == SplitConfig.model_validate_json(split.model_dump_json())
        bars = [bars_of(ranges[name]) for name in NAMES]
        for before, after in pairwise(bars):
            assert min(after) - max(before) - 1 == purge + embargo
        assert bars[0] | bars[1] | bars[2] <= set(range(span.first, span.last + 1))
        for name, date in zip(NAMES, (split.train_until, split.validation_until, split.test_until), strict=True):
            assert ranges[name].decisions >= 1
            last = ranges[name].last + (0 if name == "test" else purge)
            assert days[last].item() == date
            assert last + 1 == len(time) or days[last + 1] > days[last], "a range ends with a day"
        first = ranges["train"].first
        assert days[first].item() == split.train_from
        assert first == span.first or days[first - 1] < days[first]
    for before, after in pairwise(whole):
        assert after["test"].first == before["test"].last + 1 + embargo, "tests follow one another"
        assert not bars_of(before["test"]) & bars_of(after["test"])
        assert after["train"].first >= before["train"].first


def daily(count: int) -> np.ndarray:
    """Return times of weekdays."""
    days = np.datetime64("2015-01-01", "D") + np.arange(count * 2)
    return np.asarray(days[np.is_busday(days)][:count].astype("datetime64[s]"))


def intraday(count: int, minutes: int, seed: int) -> np.ndarray:
    """Return times of bars of some minutes, a third of which are missing."""
    random = np.random.default_rng(seed)
    steps = np.flatnonzero(random.uniform(size=2 * count) < 2 / 3)[:count]
    return np.asarray(np.datetime64("2015-01-01", "s") + steps * np.timedelta64(minutes * 60, "s"))
