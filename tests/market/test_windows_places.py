"""Where walk-forward windows lie: by hand, by brute force over many plans, and the errors when they do not fit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxtrade.config import SplitConfig
from jaxtrade.errors import InputError
from jaxtrade.market.folds import Kind
from jaxtrade.market.splits import Range, make_ranges
from jaxtrade.market.windows import Sizes, walk_forward_splits
from tests.helpers.windows import assert_windows, daily, intraday

SIZE = st.none() | st.integers(1, 60)
PLANS = st.builds(Sizes, SIZE, SIZE, SIZE)


@settings(max_examples=300, deadline=None)
@given(
    time=st.builds(daily, st.integers(60, 900)) | st.builds(intraday, st.integers(60, 900), st.just(120), st.just(0)),
    history=st.integers(0, 60),
    iterations=st.integers(1, 7),
    sizes=PLANS,
    kind=st.sampled_from(["rolling", "expanding"]),
    purge=st.integers(0, 6),
    embargo=st.integers(0, 6),
)
def test_windows_by_brute_force(
    time: np.ndarray, history: int, iterations: int, sizes: Sizes, kind: Kind, purge: int, embargo: int
) -> None:
    span = Range(history, len(time) - 1)
    try:
        found = walk_forward_splits(time, span, iterations, sizes, kind, purge, embargo)
    except InputError as error:
        assert "\n" not in str(error)
        for key in ("iterations", "windows.train_bars", "windows.validation_bars", "windows.test_bars"):
            assert key in str(error)
        return
    assert len(found) == iterations
    assert_windows(time, span, found, purge, embargo)
    assert found[-1].test_until == time[-1].astype("datetime64[D]").item(), "the last bar is used"
    if kind == "expanding":
        assert {split.train_from for split in found} == {found[0].train_from}


@pytest.mark.parametrize("kind", ["rolling", "expanding"])
def test_sizes_are_kept_on_daily_bars(kind: Kind) -> None:
    time, span = daily(700), Range(40, 699)
    found = walk_forward_splits(time, span, 3, Sizes(200, 60, 80), kind, 5, 7)
    ranges = [make_ranges(time, split, span.first) for split in found]
    assert [each["test"] for each in ranges] == [Range(467, 539), Range(547, 619), Range(627, 699)]
    assert [each["validation"] for each in ranges] == [Range(407, 454), Range(487, 534), Range(567, 614)]
    first = [200, 200, 200] if kind == "expanding" else [200, 280, 360]
    assert [each["train"] for each in ranges] == [Range(a, b) for a, b in zip(first, (394, 474, 554), strict=True)]


def test_sizes_left_out() -> None:
    """The tests share the second half, validation is as long as a test, and training is what is left."""
    time, span = daily(1040), Range(40, 1039)
    found = [make_ranges(time, split, 40) for split in walk_forward_splits(time, span, 5, Sizes())]
    assert found[0] == {
        "train": Range(40, 439),
        "validation": Range(440, 539),
        "test": Range(540, 639),
        "all": Range(40, 1039),
    }
    assert (found[-1]["train"], found[-1]["test"]) == (Range(440, 839), Range(940, 1039))
    given = [make_ranges(time, split, 40) for split in walk_forward_splits(time, span, 5, Sizes(test=50))]
    assert given[0]["train"] == Range(40, 739), "with shorter tests training has more"
    assert given[0]["validation"] == Range(740, 789)


def test_intraday_windows_end_with_a_day() -> None:
    time = np.datetime64("2015-01-01", "s") + np.arange(24 * 40) * np.timedelta64(1, "h")
    (split,) = walk_forward_splits(time, Range(30, 24 * 40 - 10), 1, Sizes())
    assert split == SplitConfig(
        train_from="2015-01-03",  # the first whole day after the history
        train_until="2015-01-10",
        validation_until="2015-01-20",
        test_until="2015-02-08",  # the last whole day within the span
    )


@pytest.mark.parametrize(
    ("iterations", "sizes", "apart", "pieces"),
    [
        (3, Sizes(500, 100, 100), (0, 0), "windows: 500 bars of training, 100 of validation and 3 x 100 of test do"),
        (8, Sizes(None, 100, 50), (0, 0), "windows: training, 100 of validation and 8 x 50 of test do not fit in 500"),
        (400, Sizes(), (0, 0), "do not fit in 500 bars"),
        (2, Sizes(5, 50, 50), (5, 0), "windows: train of iteration 1: holds no decision: 5 bars of whole days, purge"),
        (2, Sizes(50, 12, 50), (5, 7), "windows: validation of iteration 1: holds no decision: 12 bars of whole days"),
        (25, Sizes(), (5, 9), "windows: validation of iteration 1: holds no decision: 10 bars of whole days"),
        (25, Sizes(None, 50, None), (5, 9), "windows: test of iteration 1: holds no decision: 10 bars of whole days"),
    ],
)
def test_windows_that_do_not_fit(iterations: int, sizes: Sizes, apart: tuple[int, int], pieces: str) -> None:
    with pytest.raises(InputError) as caught:
        walk_forward_splits(daily(540), Range(40, 539), iterations, sizes, "rolling", *apart)
    text = str(caught.value)
    assert pieces in text
    assert "Give more bars, fewer iterations, or other windows.train_bars, windows.validation_bars or wind" in text
    assert "\n" not in text


def test_too_short_for_whole_days() -> None:
    hours = np.datetime64("2015-01-01", "s") + np.arange(24 * 40) * np.timedelta64(1, "h")
    with pytest.raises(InputError, match="windows: test of iteration 1: holds no decision: 0 bars of whole days"):
        walk_forward_splits(hours, Range(0, 24 * 40 - 1), 2, Sizes(test=10, validation=100))
