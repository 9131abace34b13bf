"""Coarse bars: by hand, by brute force at every row, and blind to what is still forming."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from jaxtrade.config import MarketConfig
from jaxtrade.market import features as feature_room
from jaxtrade.market.bars import Bars, load_bars
from jaxtrade.market.features import compute, feature_names, intervals, warm_up
from jaxtrade.market.features.intervals import Coarse, coarsen
from jaxtrade.market.features.registry import SymbolBars
from jaxtrade.market.table import build_table
from tests.helpers.feature_bars import DAY, FIELDS, make_config, rows_of, walk, with_holes
from tests.helpers.plain_features import PLAIN, Series
from tests.helpers.price_files import csv_lines, write_lines

HOUR, WEEK = 3600, 7 * DAY
MONDAY = 4 * DAY
FEATURES = {
    **{"gap": None, "lagged_returns@4h": [1, 3], "bar_range@4h": None, "volume_zscore@4h": 4, "rsi@4h": 2},
    **{"close_location@1d": None, "ema@6h": 2, "obv@3h": 2, "macd@2h": [2, 3, 2], "day_of_week@1d": None},
}


def drop(bars: Bars, share: float, seed: int = 0) -> Bars:
    """Return the bars without some rows of the time axis, and with holes in what is left."""
    random = np.random.default_rng(seed)
    return with_holes(rows_of(bars, random.random(len(bars.time)) > share), share / 2, seed)


def symbol_bars(bars: Bars) -> SymbolBars:
    return SymbolBars(bars.time, *(getattr(bars, name)[:, 0] for name in FIELDS))


def plain_coarse(ends: list[int], rows: list[tuple[float, ...]], seconds: int, shift: int) -> list[tuple[float, ...]]:
    """Return (start, open, high, low, close, volume) of the bars that are over with the last row, but the first."""
    groups: dict[int, list[tuple[float, ...]]] = {}
    for end, row in zip(ends, rows, strict=True):
        start = shift
        while not start < end <= start + seconds:
            start += seconds * max(1, (end - start) // seconds - 1)
        groups.setdefault(start, []).append(row)
    return [
        (start, part[0][0], max(r[1] for r in part), min(r[2] for r in part), part[-1][3], sum(r[4] for r in part))
        for start, part in groups.items()
        if start + seconds <= ends[-1]
    ][1:]


def filled(bars: Bars, n: int) -> tuple[list[int], list[tuple[float, ...]]]:
    """Return the rows of one symbol that have a close, with holes filled, and where they are."""
    rows, places = [], []
    for t in range(len(bars.time)):
        o, h, low, c, v = (float(getattr(bars, name)[t, n]) for name in FIELDS)
        if np.isnan(c):
            continue
        o = (rows[-1][3] if rows else c) if np.isnan(o) else o
        rows.append(
            (o, max(o, c) if np.isnan(h) else h, min(o, c) if np.isnan(low) else low, c, 0.0 if np.isnan(v) else v)
        )
        places.append(t)
    return places, rows


@pytest.mark.parametrize("start", ["2000-01-03", "2000-01-05T22:00"])
def test_every_row_equals_plain_loops_over_the_data_until_then(start: str) -> None:
    bars = drop(walk(220, seed=1, interval=HOUR, start=start), share=0.05)
    config = make_config(FEATURES, HOUR)
    found = compute(bars, config)
    places, rows = filled(bars, 0)
    ends = [int(second) + HOUR for second in bars.time.astype(np.int64)[places]]
    checked = 0
    for i in np.flatnonzero(found.ready[places, 0])[::2]:
        expected = []
        for key, given in config.features.items():
            name, _, interval = key.partition("@")
            seconds = {"": HOUR, "2h": 2 * HOUR, "3h": 3 * HOUR, "4h": 4 * HOUR, "6h": 6 * HOUR, "1d": DAY}[interval]
            part = [(end - HOUR, *row) for end, row in zip(ends[: i + 1], rows[: i + 1], strict=True)]
            if interval:
                part = plain_coarse(ends[: i + 1], rows[: i + 1], seconds, 0)
            entry = feature_room.FEATURES[name]
            for call in [(value,) for value in given] if entry.each else [given]:
                expected += [column[-1] for column in PLAIN[name](Series(*zip(*part, strict=True)), *call)]
        np.testing.assert_allclose(found.raw[places[i], 0], expected, rtol=0, atol=1e-12)
        checked += 1
    assert checked > 50


def cases() -> list[object]:
    """Return bars and configs: hours and days, gaps, a grid that is off, one that starts within a period."""
    hours = walk(200, symbols=2, seed=2, interval=HOUR, start="2000-01-05T22:00")
    days = walk(200, symbols=2, seed=3)
    minutes = walk(240, seed=4, interval=300, start="2000-01-03T09:35")
    off = rows_of(hours, slice(None))._replace(
        time=hours.time + np.random.default_rng(5).integers(0, 3000, 200) * np.timedelta64(1, "s")
    )
    on_days = {
        "ema@1w": 2,
        "bar_range@1w": None,
        "close_location@2d": None,
        "obv@3d": 2,
        "gap": None,
        "return@2w": None,
    }
    on_days.pop("return@2w")
    on_minutes = {"rsi@15min": 2, "gap@1h": None, "bar_range@10min": None, "volume_zscore@2h": 2}
    return [
        pytest.param(hours, make_config(FEATURES, HOUR), id="hours"),
        pytest.param(drop(hours, 0.1), make_config(FEATURES, HOUR), id="hours with gaps"),
        pytest.param(drop(off, 0.1), make_config(FEATURES, HOUR), id="hours off the grid"),
        pytest.param(drop(days, 0.1), make_config(on_days), id="days"),
        pytest.param(drop(minutes, 0.1), make_config(on_minutes, 300), id="minutes"),
    ]


def assert_blind(bars: Bars, config: MarketConfig) -> None:
    """Cut off after any row, the data gives bitwise the same features up to it."""
    full = compute(bars, config)
    assert full.ready.any()
    for end in range(1, len(bars.time) + 1):
        head = compute(rows_of(bars, slice(0, end)), config)
        np.testing.assert_array_equal(head.ready, full.ready[:end], err_msg=f"cut at {end}")
        np.testing.assert_array_equal(head.raw, full.raw[:end], err_msg=f"cut at {end}")


@pytest.mark.parametrize(("bars", "config"), cases())
def test_truncation_at_every_row_changes_nothing(bars: Bars, config: MarketConfig) -> None:
    assert_blind(bars, config)


def labelled_by_its_start(fine: SymbolBars, seconds: int, base: int) -> Coarse:
    """Every row sees the bar of its own period, from the period's start on."""
    bars, _ = coarsen(fine, seconds, base)
    return Coarse(bars, np.searchsorted(bars.time, fine.time, side="right"))


def a_row_early(fine: SymbolBars, seconds: int, base: int) -> Coarse:
    """A bar is seen at the start of its last fine bar: one row before it is over."""
    bars, _ = coarsen(fine, seconds, base)
    over = bars.time + np.timedelta64(seconds, "s")
    return Coarse(bars, np.searchsorted(over, fine.time + np.timedelta64(2 * base, "s"), side="right"))


def forming(fine: SymbolBars, seconds: int, base: int) -> Coarse:
    """The last bar counts before it is over, and every row sees its own period's."""
    later = fine.time[-1:] + np.timedelta64(seconds, "s")
    longer = SymbolBars(
        *(np.concatenate([a, b]) for a, b in zip(fine, (later, *(x[-1:] for x in fine[1:])), strict=True))
    )
    bars, seen = coarsen(longer, seconds, base)
    return Coarse(bars, np.minimum(seen[:-1] + 1, len(bars.time)))


@pytest.mark.parametrize("fault", [labelled_by_its_start, a_row_early, forming])
def test_planted_faults_are_caught(fault: Callable[..., Coarse], monkeypatch: pytest.MonkeyPatch) -> None:
    bars = walk(200, symbols=2, seed=2, interval=HOUR, start="2000-01-05T22:00")
    monkeypatch.setattr(feature_room, "coarsen", fault)
    with pytest.raises(AssertionError):
        assert_blind(bars, make_config(FEATURES, HOUR))


def test_a_bar_that_starts_in_the_period_and_ends_after_it_is_not_of_it() -> None:
    """By its start it would belong to a bar that an earlier row, ending with the period, has seen."""
    time = np.array(["2000-01-03T09:00", "2000-01-03T10:00", "2000-01-03T10:30", "2000-01-03T12:00"], "datetime64[s]")
    price = np.array([1.0, 2.0, 3.0, 4.0])
    found = coarsen(SymbolBars(time, price, price, price, price, price), 2 * HOUR, HOUR)
    assert found.seen.tolist() == [0, 0, 0, 1]
    assert found.bars.close.tolist() == [3.0]
    assert found.bars.time.astype(str).tolist() == ["2000-01-03T10:00:00"]


def test_four_hours_by_hand() -> None:
    """Hours from 02:00; the period that begins before the data is left out, and 11:00 to 12:00 is missing."""
    hours = np.array([2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13, 14, 15, 16])
    time = np.datetime64("2000-01-03", "s") + hours * np.timedelta64(1, "h")
    price = hours.astype(float)
    found = coarsen(SymbolBars(time, price, price + 0.5, price - 0.5, price, price), 4 * HOUR, HOUR)
    assert found.bars.time.astype(str).tolist() == ["2000-01-03T04:00:00", "2000-01-03T08:00:00", "2000-01-03T12:00:00"]
    assert found.bars.open.tolist() == [4, 8, 12]
    assert found.bars.high.tolist() == [7.5, 10.5, 15.5]
    assert found.bars.low.tolist() == [3.5, 7.5, 11.5]
    assert found.bars.close.tolist() == [7, 10, 15]
    assert found.bars.volume.tolist() == [22, 27, 54]
    assert dict(zip(hours.tolist(), found.seen.tolist(), strict=True)) == {
        **{2: 0, 3: 0, 4: 0, 5: 0, 6: 0, 7: 1, 8: 1, 9: 1, 10: 1},
        **{12: 2, 13: 2, 14: 2, 15: 3, 16: 3},
    }


def test_weeks_begin_on_monday() -> None:
    days = walk(40, start="1999-12-29")  # from a Wednesday to a Sunday; no bars on Mondays and Tuesdays
    bars = rows_of(days, np.arange(40) % 7 < 5)
    found = coarsen(symbol_bars(bars), WEEK, DAY)
    mondays = np.arange("2000-01-03", "2000-02-01", 7, dtype="datetime64[D]")
    np.testing.assert_array_equal(found.bars.time, mondays)
    first_seen = bars.time[np.searchsorted(found.seen, 1)]
    assert str(first_seen) == "2000-01-09T00:00:00"  # the Sunday, at whose close the week is over
    weekdays = rows_of(walk(40), np.arange(40) % 7 < 5)
    seen = coarsen(symbol_bars(weekdays), WEEK, DAY).seen
    assert (
        str(weekdays.time[np.searchsorted(seen, 1)]) == "2000-01-17T00:00:00"
    )  # Monday: Friday's close is not the end


def test_both_labels_tell_the_same(tmp_path: Path) -> None:
    """Bars that bear the time of their end are moved when they are read; those of a day bear their date."""
    for interval, moved in ((HOUR, HOUR), (DAY, 0)):
        bars, tables = walk(300, seed=6, interval=interval), []
        features = {"time_of_day": None, "day_of_week": None, "gap": None} | (FEATURES if moved else {"ema@1w": 2})
        for label, late in (("start", 0), ("end", moved)):
            lines = csv_lines(bars._replace(time=bars.time + np.timedelta64(late, "s")))
            config = make_config(features, interval, label)
            path = write_lines(tmp_path / "prices.csv", lines)
            tables.append(build_table(load_bars(str(path), config=config.load), config, window=2))
        np.testing.assert_array_equal(tables[0].features, tables[1].features)
        np.testing.assert_array_equal(tables[0].time, tables[1].time)
        assert tables[0].data_hash == tables[1].data_hash


@pytest.mark.parametrize("first", range(0, 30, 5))
def test_the_warm_up_suffices_wherever_the_data_begins(first: int) -> None:
    bars = walk(400, seed=8, interval=HOUR)
    config = make_config(FEATURES, HOUR)
    enough = warm_up(config)
    assert enough == 80
    ready = compute(rows_of(bars, slice(first, None)), config).ready[:, 0]
    assert ready[enough:].all()
    assert enough - ready.argmax() <= 24
    alone = compute(rows_of(bars, slice(first, first + enough + 1)), config)
    with_more = compute(bars, config).raw[first + enough]
    spread = np.nanstd(compute(walk(3000, seed=8, interval=HOUR), config).raw[:, 0], axis=0)
    assert (np.abs(alone.raw[-1] - with_more) / spread < 1e-3).all()


def test_ready_counts_coarse_bars_of_ones_own() -> None:
    """Of the periods that end at 4, 8, 12 and 16 the first is left out, and two must lie before the one in use."""
    bars = walk(100, symbols=2, seed=9, interval=HOUR)
    sparse = bars._replace(close=np.where((np.arange(100)[:, None] % 3 != 1) & [[False, True]], np.nan, bars.close))
    found = compute(sparse, make_config({"lagged_returns@4h": 2}, HOUR))
    assert found.ready.argmax(axis=0).tolist() == [15, 16]  # 15:00 ends with the period; the other has no such row
    assert feature_names(make_config({"lagged_returns@4h": 2}, HOUR)) == ("return_2@4h",)


def test_units() -> None:
    assert intervals.UNITS == {"min": 60, "h": HOUR, "d": DAY, "w": WEEK}
    assert intervals.parse_interval("here", "2w", DAY) == 2 * WEEK
    assert str(np.datetime64(MONDAY, "s").astype("datetime64[D]")) == "1970-01-05"
