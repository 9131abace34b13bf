"""The first date of training and the last of test: ranges by hand and by brute force, errors, what stays as it was."""

import datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from jaxtrade.config import MarketConfig, SplitConfig
from jaxtrade.envs.synthetic import random_bars
from jaxtrade.errors import InputError
from jaxtrade.market.leaks import statistics_leaks
from jaxtrade.market.splits import Range, first_bar, make_ranges, require_decisions, resolve_split
from jaxtrade.market.table import build_table
from tests.helpers.tables import assert_same_table

DAYS = np.datetime64("2020-01-01", "s") + np.arange(100) * np.timedelta64(1, "D")
HOURS = np.datetime64("2020-01-01", "s") + np.arange(24 * 100) * np.timedelta64(1, "h")
WEEKDAYS = DAYS[np.is_busday(DAYS.astype("datetime64[D]"))]
MIDDLE = {"train_until": "2020-02-29", "validation_until": "2020-03-20"}  # bars 59 and 79


def ranges_of(time: np.ndarray, history: int = 10, **ends: Any) -> dict[str, Range]:
    return make_ranges(time, SplitConfig(**MIDDLE | ends), history)


def test_both_dates_are_included() -> None:
    found = ranges_of(DAYS, train_from="2020-01-20", test_until="2020-03-30", purge=2, embargo=3)
    assert found == {
        "train": Range(19, 57),
        "validation": Range(63, 77),
        "test": Range(83, 89),
        "all": Range(10, 99),  # everything, in the window or not
    }


def test_whole_days_belong() -> None:
    found = ranges_of(HOURS, train_from="2020-01-20", test_until="2020-03-30")
    assert str(HOURS[found["train"].first]) == "2020-01-20T00:00:00"
    assert str(HOURS[found["test"].last]) == "2020-03-30T23:00:00"


def test_dates_between_bars() -> None:
    found = ranges_of(WEEKDAYS, train_from="2020-02-01", test_until="2020-03-29")  # a Saturday and a Sunday
    assert str(WEEKDAYS[found["train"].first])[:10] == "2020-02-03"
    assert str(WEEKDAYS[found["test"].last])[:10] == "2020-03-27"


def test_dates_beyond_the_data_are_its_ends() -> None:
    plain = ranges_of(DAYS)
    assert ranges_of(DAYS, train_from="1999-01-01", test_until="2031-01-01") == plain
    assert ranges_of(DAYS, train_from="2020-01-05")["train"].first == 10, "before it there is no history"
    assert [first_bar(DAYS, datetime.date(*date)) for date in ((1999, 1, 1), (2020, 1, 2), (2031, 1, 1))] == [0, 1, 100]


def test_shares_are_dates_of_the_bars_there() -> None:
    shares = SplitConfig(train_from=0.2, train_until=0.5, validation_until=0.6, test_until=0.75)
    dates = SplitConfig(
        train_from="2020-01-21", train_until="2020-02-20", validation_until="2020-03-01", test_until="2020-03-16"
    )
    assert resolve_split(DAYS, shares) == dates == resolve_split(DAYS, dates)
    assert make_ranges(DAYS, shares, 10) == make_ranges(DAYS, dates, 10)


def test_ends_left_out_stay_open() -> None:
    """A resolved split has no first and last date unless they were asked for: later bars are test bars, as before."""
    resolved = resolve_split(DAYS, SplitConfig())
    assert (resolved.train_from, resolved.test_until) == (None, None)
    assert make_ranges(DAYS[:90], resolved, 10)["test"].last == 89
    assert SplitConfig.model_validate({"train_until": "2010-06-30", "purge": 1}).test_until is None, "as in old bundles"


@settings(max_examples=150, deadline=None)
@given(
    ends=st.lists(st.integers(-5, 110), min_size=4, max_size=4, unique=True).map(sorted),
    open_ends=st.tuples(st.booleans(), st.booleans()),
    purge=st.integers(0, 5),
    embargo=st.integers(0, 5),
    history=st.integers(0, 30),
)
def test_ranges_by_brute_force(
    ends: list[int], open_ends: tuple[bool, bool], purge: int, embargo: int, history: int
) -> None:
    """A range's bars: those of its days, less the purged and the embargoed, of those that have their history."""
    begin, train, validation, test = (datetime.date(2020, 1, 1) + datetime.timedelta(days=end) for end in ends)
    first, last = (None if each else end for each, end in zip(open_ends, (begin, test), strict=True))
    split = SplitConfig(
        train_from=first,
        train_until=train,
        validation_until=validation,
        test_until=last,
        purge=purge,
        embargo=embargo,
    )
    found = make_ranges(DAYS, split, history)
    day = [DAYS[bar].astype("datetime64[D]").item() for bar in range(100)]
    learned = [bar for bar in range(100) if day[bar] <= train]
    chosen = [bar for bar in range(100) if train < day[bar] <= validation]
    judged = [bar for bar in range(100) if validation < day[bar] and (last is None or day[bar] <= last)]
    expected = {
        "train": [bar for bar in learned[: len(learned) - purge] if first is None or day[bar] >= first],
        "validation": chosen[embargo : max(len(chosen) - purge, 0)],
        "test": judged[embargo:],
    }
    for name, bars in expected.items():
        bars = [bar for bar in bars if bar >= history]
        assert found[name].decisions == len(bars) - 1 if len(bars) > 1 else found[name].decisions < 1, name
        if len(bars) > 1:
            assert found[name] == Range(bars[0], bars[-1])


@pytest.mark.parametrize(
    ("ends", "text"),
    [
        ({"train_from": "2020-02-01", "train_until": "2020-01-31"}, "train_from 2020-02-01 must lie before train_unti"),
        ({"train_from": "2020-02-01", "validation_until": "2020-02-01"}, "must lie before validation_until 2020-02-01"),
        ({"validation_until": 0.9, "test_until": 0.9}, "validation_until 0.9 must lie before test_until 0.9"),
        ({"train_until": 0.9, "test_until": 0.8}, "train_until 0.9 must lie before test_until 0.8"),
        ({"train_from": 1.5}, "must lie between 0 and 1 as a share"),
        ({"test_until": "tomorrow"}, "must be a date such as 2015-12-31, or a share"),
    ],
)
def test_ends_in_the_wrong_order_are_refused(ends: dict[str, Any], text: str) -> None:
    with pytest.raises(ValidationError) as caught:
        SplitConfig(**ends)
    assert text in str(caught.value)


def test_one_day_of_training_is_some() -> None:
    one = SplitConfig(train_from="2020-02-01", train_until="2020-02-01", validation_until="2020-03-01")
    assert make_ranges(HOURS, one, 10)["train"].decisions == 23
    with pytest.raises(InputError, match="range 'train': holds no decision"):
        require_decisions("train", make_ranges(DAYS, one, 10)["train"], one, 100, 10)


def test_dates_beyond_the_defaults_of_others_are_refused() -> None:
    for ends, text in (
        ({"test_until": "2020-03-26"}, "validation_until 2020-03-26 does not lie before test_until 2020-03-26. Give"),
        ({"train_from": "2020-03-12"}, "train_from 2020-03-12 does not lie before train_until 2020-03-11. Give both"),
        ({"train_from": 0.8}, "train_from 2020-03-21 does not lie before train_until 2020-03-11. Give both dates"),
    ):
        with pytest.raises(InputError) as caught:
            resolve_split(DAYS, SplitConfig(**ends))
        assert str(caught.value).startswith(f"market.split: {text}")


def test_a_range_without_a_decision_names_the_ends() -> None:
    split = SplitConfig(**MIDDLE, train_from="2020-02-29", test_until="2020-03-21")
    for name in ("train", "test"):
        with pytest.raises(InputError) as caught:
            require_decisions(name, make_ranges(DAYS, split, 10)[name], split, 100, 10)
        said = "training from 2020-02-29 until 2020-02-29, validation until 2020-03-20, test until 2020-03-21. Choose"
        assert said in str(caught.value)


def test_bars_after_a_dated_test_move_nothing_but_the_length() -> None:
    long = random_bars(700, symbols=2, seed=3)
    short = long._replace(time=long.time[:600], **{name: getattr(long, name)[:600] for name in long._fields[2:7]})
    split = SplitConfig(train_from=0.4, train_until=0.6, validation_until=0.7, test_until=0.8)
    first = build_table(short, MarketConfig(split=split), 30)
    later = build_table(long, first.config, 30)
    assert {name: later.ranges[name] for name in ("train", "validation", "test")} == {
        name: first.ranges[name] for name in ("train", "validation", "test")
    }
    np.testing.assert_array_equal(later.features[:600], first.features)
    assert_same_table(build_table(short, first.config, 30, first.scaler), first)


@pytest.mark.parametrize("purge", [0, 5])
@pytest.mark.parametrize("train_from", [None, 0.35])
def test_the_leak_check_of_statistics_holds(purge: int, train_from: float | None) -> None:
    """A cut that takes purged bars away would move the end of training: it is made after them."""
    split = SplitConfig(train_from=train_from, purge=purge, embargo=purge)
    assert statistics_leaks(build_table(random_bars(700, symbols=2, seed=3), MarketConfig(split=split), 30)) == []
