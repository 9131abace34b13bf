"""Ranges by date, what a range may see of the table, and what is stamped on the data."""

import datetime
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxtrade.config import MarketConfig, SplitConfig
from jaxtrade.envs.synthetic import random_bars
from jaxtrade.errors import InputError
from jaxtrade.market.bars import Bars
from jaxtrade.market.checks.prices import stale_open_share
from jaxtrade.market.loading import load_table
from jaxtrade.market.splits import Range, date_at, last_bar, make_ranges, require_decisions, resolve_split
from jaxtrade.market.table import MarketTable, build_table, hash_bars
from tests.helpers.price_files import COLUMNS, cut

DAYS = np.datetime64("2020-01-01", "s") + np.arange(100) * np.timedelta64(1, "D")
MIDDLE = SplitConfig(train_until="2020-02-29", validation_until="2020-03-20")  # bars 59 and 79


@pytest.fixture(scope="module")
def table() -> MarketTable:
    return build_table(random_bars(600, symbols=2, seed=3), MarketConfig(), 30)


def test_dates_are_inclusive() -> None:
    ranges = make_ranges(DAYS, MIDDLE, history=10)
    assert ranges == {
        "train": Range(10, 59),
        "validation": Range(60, 79),
        "test": Range(80, 99),
        "all": Range(10, 99),
    }
    assert str(DAYS[ranges["train"].last])[:10] == "2020-02-29"


def test_the_last_day_is_included_to_its_last_bar() -> None:
    hours = np.datetime64("2020-01-01", "s") + np.arange(24 * 100) * np.timedelta64(1, "h")
    ranges = make_ranges(hours, MIDDLE, history=10)
    assert str(hours[ranges["train"].last]) == "2020-02-29T23:00:00"
    assert str(hours[ranges["validation"].first]) == "2020-03-01T00:00:00"
    assert str(hours[ranges["test"].first]) == "2020-03-21T00:00:00"


def test_dates_between_bars_end_at_the_bar_before() -> None:
    weekdays = DAYS[np.is_busday(DAYS.astype("datetime64[D]"))]
    saturday = SplitConfig(train_until="2020-02-29", validation_until="2020-03-22")
    ranges = make_ranges(weekdays, saturday, history=10)
    assert str(weekdays[ranges["train"].last])[:10] == "2020-02-28"
    assert str(weekdays[ranges["validation"].first])[:10] == "2020-03-02"


def bars_of(span: Range) -> set[int]:
    """Return the bars whose close is decided on and those whose open and close pay for it."""
    return {bar for decision in range(span.first, span.last) for bar in (decision, decision + 1)}


@pytest.mark.parametrize("split", [MIDDLE, SplitConfig()], ids=["dates", "default"])
def test_ranges_share_no_bar(split: SplitConfig) -> None:
    ranges = make_ranges(DAYS, resolve_split(DAYS, split), history=10)
    train, validation, test = (bars_of(ranges[name]) for name in ("train", "validation", "test"))
    assert not train & validation
    assert not validation & test
    assert not train & test
    assert train | validation | test == bars_of(ranges["all"]) == set(range(10, 100))
    for name, span in ranges.items():
        assert span.decisions == len(bars_of(span)) - 1 > 0, name


def test_shares_are_dates_of_the_bars_there() -> None:
    assert resolve_split(DAYS, SplitConfig(train_until=0.7, validation_until=0.85)) == resolve_split(
        DAYS, SplitConfig()
    )
    half = resolve_split(DAYS, SplitConfig(train_until=0.5, purge=3, embargo=4))
    assert half == SplitConfig(train_until="2020-02-20", validation_until="2020-03-26", purge=3, embargo=4)
    mixed = SplitConfig(train_until=0.5, validation_until="2020-03-20")
    assert make_ranges(DAYS, mixed, 10) == make_ranges(DAYS, resolve_split(DAYS, mixed), 10)
    assert make_ranges(DAYS, mixed, 10)["validation"] == Range(51, 79)
    hours = np.datetime64("2020-01-01T12", "s") + np.arange(24 * 100) * np.timedelta64(1, "h")
    assert resolve_split(hours, SplitConfig(train_until=0.5)).train_until == datetime.date(2020, 2, 20)


def test_dates_and_ends_of_dates() -> None:
    assert date_at(DAYS, datetime.date(1999, 1, 1)) == datetime.date(1999, 1, 1)
    assert date_at(DAYS, 0.999) == datetime.date(2020, 4, 9)
    assert [last_bar(DAYS, datetime.date(2019, 12, 31)), last_bar(DAYS, datetime.date(2031, 1, 1))] == [-1, 99]


def test_purge_and_embargo_lie_unused_between_the_ranges() -> None:
    apart = MIDDLE.model_copy(update={"purge": 5, "embargo": 7})
    assert make_ranges(DAYS, apart, history=10) == {
        "train": Range(10, 54),
        "validation": Range(67, 74),
        "test": Range(87, 99),
        "all": Range(10, 99),
    }


def distances(split: SplitConfig, history: int) -> list[int]:
    """Return the bars between the last reward of a range and the first of the next."""
    ranges = make_ranges(DAYS, split, history)
    bars = [sorted(bars_of(ranges[name])) for name in ("train", "validation", "test")]
    return [second[0] - first[-1] - 1 for first, second in pairwise(bars)]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 8), st.integers(0, 8), st.integers(0, 30))
def test_they_add_up_and_are_missed_when_they_are_not_there(purge: int, embargo: int, history: int) -> None:
    apart = MIDDLE.model_copy(update={"purge": purge, "embargo": embargo})
    assert distances(apart, history) == [purge + embargo] * 2
    assert distances(MIDDLE, history) == [0, 0]
    ranges = make_ranges(DAYS, apart, history)
    for name, span in make_ranges(DAYS, MIDDLE, history).items():
        assert bars_of(ranges[name]) <= bars_of(span), "nothing is won"


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"purge": 50}, "train"),
        ({"purge": 19}, "validation"),
        ({"embargo": 19}, "validation"),
        ({"embargo": 19}, "test"),
    ],
)
def test_ranges_that_they_eat_up_are_refused(changes: dict[str, int], name: str) -> None:
    split = MIDDLE.model_copy(update=changes)
    with pytest.raises(InputError) as caught:
        require_decisions(name, make_ranges(DAYS, split, 10)[name], split, len(DAYS), 10)
    assert f"purge {split.purge} and embargo {split.embargo} bars. Choose another range" in str(caught.value)
    assert str(caught.value).endswith("or shorten env.window and the feature spans, purge and embargo")


def test_default_shares() -> None:
    ranges = make_ranges(DAYS, resolve_split(DAYS, SplitConfig()), history=10)
    assert (ranges["train"].last, ranges["validation"].last) == (70, 85)


@pytest.mark.parametrize(
    ("split", "history", "name"),
    [
        (SplitConfig(train_until="2020-01-05", validation_until="2020-03-20"), 10, "train"),
        (SplitConfig(train_until="2019-01-05", validation_until="2020-03-20"), 10, "train"),
        (SplitConfig(train_until="2020-02-29", validation_until="2020-03-01"), 10, "validation"),
        (SplitConfig(train_until="2020-02-29", validation_until="2020-04-08"), 10, "test"),
        (SplitConfig(train_until="2020-02-29", validation_until="2031-01-01"), 10, "test"),
        (MIDDLE, 59, "train"),
        (MIDDLE, 500, "train"),
    ],
)
def test_a_range_without_a_decision_is_refused(split: SplitConfig, history: int, name: str) -> None:
    span = make_ranges(DAYS, split, history)[name]
    with pytest.raises(InputError) as caught:
        require_decisions(name, span, split, len(DAYS), history)
    for piece in (f"range '{name}': holds no decision", "100 bars", f"{history} of them needed", "give more bars"):
        assert piece in str(caught.value)
    assert str(split.train_until) in str(caught.value)


def test_a_date_beyond_the_default_of_the_other_is_refused() -> None:
    with pytest.raises(
        InputError, match=r"train_until 2020-03-30 does not lie before validation_until 2020-03-26. Give"
    ):
        resolve_split(DAYS, SplitConfig(train_until="2020-03-30"))
    with pytest.raises(
        InputError, match=r"train_until 2020-03-11 does not lie before validation_until 2020-02-01. Give"
    ):
        resolve_split(DAYS, SplitConfig(validation_until="2020-02-01"))


def test_too_little_data_is_refused() -> None:
    with pytest.raises(InputError, match=r"range 'train': holds no decision: 180 bars, 159 of them needed as history"):
        build_table(random_bars(180), MarketConfig(), 30)
    shortest = next(count for count in range(200, 300) if _is_enough(count))
    assert build_table(random_bars(shortest), MarketConfig(), 30).ranges["train"].decisions == 1


def _is_enough(count: int) -> bool:
    try:
        build_table(random_bars(count), MarketConfig(), 30)
    except InputError:
        return False
    return True


def test_ranges_that_the_data_does_not_reach_are_refused_when_asked_for(table: MarketTable) -> None:
    for name, span in table.ranges.items():
        assert table.span(name) == span
    later = build_table(random_bars(300), table.config, 30, table.scaler)  # ends before the training range does
    assert later.ranges["train"].decisions > 0
    for name in ("validation", "test"):
        with pytest.raises(InputError, match=f"range '{name}': holds no decision: 300 bars, 159 of them needed"):
            later.span(name)


@pytest.mark.parametrize("name", ["train", "validation", "test", "all"])
def test_a_restricted_table_hides_what_follows(table: MarketTable, name: str) -> None:
    last = table.ranges[name].last
    features, known, outcome = table.restricted(table.ranges[name])
    np.testing.assert_array_equal(features[: last + 1], table.features[: last + 1])
    np.testing.assert_array_equal(known.tradable[: last + 1], table.known.tradable[: last + 1])
    assert np.isnan(features[last + 1 :]).all()
    assert not known.tradable[last + 1 :].any()
    for hidden, shown in zip(outcome[:2], table.outcome[:2], strict=True):
        np.testing.assert_array_equal(hidden[:last], shown[:last])
        assert np.isnan(hidden[last:]).all(), "the last decision is at last - 1"
    assert outcome.can_fill[:last].all()
    assert not outcome.can_fill[last:].any()


def test_the_hash_sees_every_cell() -> None:
    bars = random_bars(20, symbols=2, seed=1)
    hashes = {hash_bars(bars), hash_bars(cut(bars, 1)), hash_bars(bars._replace(symbols=("S0", "T1")))}
    hashes.add(hash_bars(bars._replace(symbols=("S1", "S0"))))
    for name in COLUMNS:
        for bar, symbol in ((0, 0), (7, 1), (19, 1)):
            for value in (np.nextafter(getattr(bars, name)[bar, symbol], np.inf), np.nan):
                changed = getattr(bars, name).copy()
                changed[bar, symbol] = value
                hashes.add(hash_bars(bars._replace(**{name: changed})))
    time = bars.time.copy()
    time[3] += np.timedelta64(1, "s")
    hashes.add(hash_bars(bars._replace(time=time)))
    assert len(hashes) == 5 + 5 * 3 * 2
    assert hash_bars(bars) == hash_bars(bars._replace(close=np.asfortranarray(bars.close)))


def test_stale_opens_are_flagged_on_one_sample_and_not_on_the_other() -> None:
    flagged, clean = (load_table(f"sample:{name}", MarketConfig(), 260) for name in ("sp500", "nasdaq"))
    assert flagged.stale_opens == pytest.approx(0.40, abs=0.02)
    assert flagged.warning is not None
    assert flagged.warning.startswith("40% of opens equal the previous close")
    assert clean.stale_opens < 0.01
    assert clean.warning is None


def test_stale_opens_are_counted_over_bars_that_have_both() -> None:
    def share(opens: list[float], closes: list[float]) -> float:
        return stale_open_share(np.array([opens]).T, np.array([closes]).T)

    nan = np.nan
    assert share([9, 1, 5, 3, 7], [1, 2, 3, 4, 5]) == 0.5
    assert share([9, 1, nan, 4, nan], [1, 2, 3, nan, 5]) == 1 / 2
    assert share([9, 1, 7, nan, 4], [1, 2, nan, 4, 5]) == 2 / 3
    assert share([9, nan, nan], [1, nan, 3]) == 0
    opens, closes = np.array([[9, 9], [1, 9], [2, 9.0]]), np.array([[1, 1], [2, 1], [3, 1.0]])
    assert stale_open_share(opens, closes) == 1, "the worst symbol counts"


def test_the_limit_of_stale_opens(table: MarketTable) -> None:
    assert replace(table, stale_opens=0.05).warning is None
    assert replace(table, stale_opens=0.051).warning is not None


def test_the_resolved_dates_travel_with_the_table(table: MarketTable) -> None:
    again = build_table(_longer(random_bars(600, symbols=2, seed=3)), table.config, 30)
    assert again.ranges["train"] == table.ranges["train"], "more data must not move a resolved split"
    assert table.config.symbols == ("S0", "S1")


def _longer(bars: Bars) -> Bars:
    more = random_bars(100, symbols=2, seed=9)
    time = bars.time[-1] + np.arange(1, 101) * np.timedelta64(1, "D")
    rows = {name: np.concatenate([getattr(bars, name), getattr(more, name)]) for name in COLUMNS}
    return bars._replace(time=np.concatenate([bars.time, time]), **rows)
