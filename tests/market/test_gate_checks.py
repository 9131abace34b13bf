"""The checks on bars made by hand: what they find, what they leave alone, and that large panels stay cheap."""

import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from jaxtrade.config.market import LoadConfig
from jaxtrade.market.bars import load, make_panel
from jaxtrade.market.checks import Terms, check_reading, check_readings, make_series
from jaxtrade.market.checks.intervals import local_days, missing_bars, other_intervals
from jaxtrade.market.checks.prices import points_of
from jaxtrade.market.checks.zones import check_zone
from jaxtrade.market.gate import judge
from jaxtrade.market.reading import Reading

HOUR, DAY, WEEK = 3600, 86400, 604800
TERMS = Terms(now=4_000_000_000, timezone=None, calendars={}, adjusted=False, splits={})


def reading_of(times: np.ndarray, seed: int = 0, symbol: str = "X", profile: np.ndarray | None = None) -> Reading:
    """Return a random walk at some times; a profile scales the moves of each hour of the day, [24]."""
    random = np.random.default_rng(seed)
    seconds = times.astype("datetime64[s]").astype(np.int64)
    size = 0.004 * (np.ones(len(times)) if profile is None else profile[seconds % DAY // HOUR])
    close = 100 * np.exp(np.cumsum(random.normal(0.0, 1.0, len(times)) * size))
    opening = close * np.exp(random.normal(0.0, 1.0, len(times)) * size)
    wick = np.exp(np.abs(random.normal(0.0, 0.5, (2, len(times)))) * size)
    columns = {
        "open": opening,
        "high": np.maximum(opening, close) * wick[0],
        "low": np.minimum(opening, close) / wick[1],
        "close": close,
        "volume": random.integers(100, 200, len(times)).astype(float),
    }
    index = pd.DatetimeIndex(times.astype("datetime64[s]"))
    return Reading("prices.csv", symbol, pd.DataFrame(columns, index=index), np.arange(len(times)) + 2, {})


def hours(start: str, count: int, step: int = HOUR) -> np.ndarray:
    return np.datetime64(start, "s") + np.arange(count) * np.timedelta64(step, "s")


def codes(reading: Reading, **terms: object) -> dict[str, list[int]]:
    """Return the rows found, by code."""
    return {each.code: each.rows.tolist() for each in check_reading(reading, TERMS._replace(**terms))}


@pytest.mark.parametrize("step", [60, 300, 900, HOUR, 4 * HOUR, DAY, 7 * DAY])
def test_a_clean_series_of_any_interval_has_no_findings(step: int) -> None:
    for seed in range(3):
        assert codes(reading_of(hours("2015-01-05", 3000, step), seed)) == {}


def test_months_weekdays_and_sessions_are_intervals_too() -> None:
    months = np.arange("1990-01", "2020-01", dtype="datetime64[M]").astype("datetime64[D]") - 1
    days = np.arange("2010-01-01", "2014-01-01", dtype="datetime64[D]")
    weekdays = days[np.is_busday(days)]
    session = (weekdays[:, None] + np.arange(14, 21) * np.timedelta64(1, "h")).ravel()
    for times in (months, weekdays, session):
        assert codes(reading_of(times.astype("datetime64[s]"))) == {}


def test_local_days_and_hours_may_shift_with_daylight_saving() -> None:
    """Daily bars at midnight of New York, and four-hour bars of Berlin, as their UTC times."""
    for zone, step in (("America/New_York", "D"), ("Europe/Berlin", "4h")):
        local = pd.date_range("2019-01-01", "2022-01-01", freq=step, tz=None).tz_localize(
            zone, nonexistent="shift_forward"
        )
        times = local.tz_convert("UTC").tz_localize(None).to_numpy().astype("datetime64[s]")
        assert set(codes(reading_of(times))) <= {"N-DATA-062"}


def test_gaps_are_counted_where_bars_usually_are() -> None:
    times = hours("2020-01-06", 24 * 7 * 20)
    open_ = times[(times.astype("datetime64[D]").astype(int) + 3) % 7 < 5]  # no weekends
    series = make_series(reading_of(np.delete(open_, [100, 101, 102, 700])))
    missing = missing_bars(series, np.diff(series.time))
    assert {int(at): int(missing[at]) for at in np.flatnonzero(missing)} == {99: 3, 696: 1}
    assert codes(reading_of(open_)) == {}


def test_a_gap_of_years_is_a_gap() -> None:
    """Weeks without any bar do not make those with bars unusual."""
    days = np.arange("2020-01-01", "2020-04-01", dtype="datetime64[D]").astype("datetime64[s]")
    days[0] = np.datetime64("2001-01-02", "s")
    found = [each for each in check_reading(reading_of(days), TERMS) if each.code == "N-DATA-062"]
    assert found[0].rows.tolist() == [3]
    assert "6938 bars missing" in found[0].what


def test_intervals_in_irregular_series_are_nobodys_business() -> None:
    steps = np.random.default_rng(0).choice([60, 120, 180, 300, 600], 20_000)
    assert other_intervals(steps, 60) == []


@pytest.mark.parametrize(
    ("times", "row"),
    [
        (np.concatenate([hours("2020-01-06", 20), hours("2020-01-07", 20, 60)]), 22),
        (np.concatenate([hours("2020-01-06", 300, 60), hours("2020-01-07", 30, HOUR)]), 301),
    ],
)
def test_the_row_at_which_the_interval_changes_is_named(times: np.ndarray, row: int) -> None:
    assert codes(reading_of(times))["E-DATA-040"][0] in (row, row + 1)


def test_a_day_is_that_of_its_time_zone() -> None:
    seconds = hours("2021-01-01T22:00", 8).astype(np.int64)
    assert np.flatnonzero(np.diff(local_days(seconds, None))).tolist() == [1]
    assert np.flatnonzero(np.diff(local_days(seconds, "America/New_York"))).tolist() == [6]


def test_a_hard_first_hour_is_not_a_bar_of_the_day() -> None:
    """It spans the day and moves on from where it closed; its volume is that of an hour."""
    reading = reading_of(hours("2021-01-04", 24 * 10))
    frame = reading.frame.copy()
    day = frame.iloc[48:72]
    frame.iloc[48, 1:3] = day["high"].max() * 1.01, day["low"].min() / 1.01
    assert "E-DATA-041" not in codes(reading._replace(frame=frame))
    frame.iloc[48, 4] = day["volume"].iloc[1:].sum()
    assert codes(reading._replace(frame=frame))["E-DATA-041"] == [50]


def test_hidden_days_are_found_without_volume_by_the_break_after_them() -> None:
    reading = reading_of(hours("2021-01-04", 24 * 10), seed=1)
    frame = reading.frame.assign(volume=np.nan)
    day = frame.iloc[48:72]
    frame.iloc[48, 0:4] = day["open"].iloc[0], day["high"].max(), day["low"].min(), day["close"].iloc[-1]
    assert codes(reading._replace(frame=frame))["E-DATA-041"] == [50]


def test_a_crash_is_no_split() -> None:
    reading = reading_of(hours("2020-01-06", 200, DAY))
    frame = reading.frame.copy()
    frame.iloc[100:, :4] /= 2
    assert codes(reading._replace(frame=frame))["E-DATA-044"] == [102]
    declared = {"X": np.array([frame.index[100].timestamp()], np.int64)}
    assert "E-DATA-044" not in codes(reading._replace(frame=frame), splits=declared)
    excited = frame.copy()
    excited.iloc[100, 4] *= 20
    assert "E-DATA-044" not in codes(reading._replace(frame=excited))
    wild = frame.copy()
    wild.iloc[100, 1:3] = wild.iloc[100, 1] * 1.1, wild.iloc[100, 2] / 1.1
    assert "E-DATA-044" not in codes(reading._replace(frame=wild))
    elsewhere = reading.frame.copy()
    elsewhere.iloc[100:, :4] *= 0.59
    assert "E-DATA-044" not in codes(reading._replace(frame=elsewhere))


def test_a_split_that_the_adjusted_close_takes_out() -> None:
    reading = reading_of(hours("2020-01-06", 200, DAY))
    frame = reading.frame.copy()
    frame["adj_close"] = frame["close"] / 2
    frame.iloc[100:, :4] /= 2
    raw = reading._replace(frame=frame)
    assert set(codes(raw)) == {"E-DATA-044"}
    assert codes(raw, adjusted=True) == {}


@pytest.mark.parametrize(
    ("symbol", "price", "units"),
    [
        ("EURUSD", 112_345, 100_000),
        ("gbpusd_h1", 131_000, 100_000),
        ("USD/JPY", 110_123, 1000),
        ("XAUUSDm", 175_512, 100),
        ("XAUUSD", 4012, None),
        ("AAPL", 31_415, None),
        ("EURUSD", 1, None),
    ],
)
def test_points_are_known_by_the_name_of_the_pair(symbol: str, price: float, units: int | None) -> None:
    assert points_of(symbol, np.array([price, price + 1.0, price + 7.0])) == units
    assert points_of(symbol, np.array([price, price + 1.25])) is None


@pytest.mark.parametrize("shift", [0, 1, -5])
def test_a_zone_switch_is_seen_through_daylight_saving(shift: int) -> None:
    """Activity follows New York; the file is in UTC, so that it swings by an hour with the seasons, and then moves."""
    profile = 0.3 + np.exp(-0.5 * ((np.arange(24) - 10) / 1.5) ** 2)
    local = pd.date_range("2015-01-01", "2019-01-01", freq="h", tz="America/New_York")
    reading = reading_of(local.tz_localize(None).to_numpy().astype("datetime64[s]"), profile=profile)
    utc = local.tz_convert("UTC").tz_localize(None)
    moved = utc.where(utc < "2017-03-01", utc + pd.Timedelta(shift, "h"))
    frame = reading.frame.set_axis(moved.as_unit("s"), axis=0)
    found = check_zone(make_series(reading._replace(frame=frame[~frame.index.duplicated()].sort_index())))
    assert len(found) == (shift != 0)
    for each in found:
        assert f"{abs(shift)} h {'later' if shift > 0 else 'earlier'}" in each.what
        assert abs(np.datetime64(each.time[:10]) - np.datetime64("2017-03-01")) < np.timedelta64(30, "D")


def test_symbols_that_trade_at_other_times_than_the_panel() -> None:
    days = np.arange("2020-01-01", "2021-01-01", dtype="datetime64[D]").astype("datetime64[s]")
    panel = [reading_of(days, symbol=f"B{n}") for n in range(3)]
    shares = reading_of(days[np.is_busday(days.astype("datetime64[D]"))], symbol="SHARE")
    young = reading_of(days[200:], symbol="YOUNG")
    found = check_readings([*panel, shares, young], TERMS)
    assert [(each.code, each.symbol) for each in found] == [("N-DATA-065", "SHARE")]


def test_intraday_bars_are_held_against_the_minutes_of_sessions(tmp_path: Path) -> None:
    days = np.arange("2021-03-01", "2021-04-01", dtype="datetime64[D]")
    days = days[np.is_busday(days)]
    summer = days >= np.datetime64("2021-03-14")
    opening = days + np.where(summer, 13, 14) * np.timedelta64(1, "h") + np.timedelta64(30, "m")
    times = (opening[:, None] + np.arange(13) * np.timedelta64(30, "m")).ravel().astype("datetime64[s]")
    calendar = {"X": "XNYS"}
    assert "E-DATA-045" not in codes(reading_of(times), calendars=calendar)
    late = np.append(times[:-1], times[-1] + np.timedelta64(1, "h"))
    found = [each for each in check_reading(reading_of(late), TERMS._replace(calendars=calendar)) if "045" in each.code]
    assert "1 missing: 2021-03-31T19:30:00Z; 1 extra: 2021-03-31T20:30:00Z" in found[0].what
    assert "E-DATA-045" not in codes(reading_of(hours("2021-03-01", 500)), calendars={"X": "24/7"})


def test_bars_labelled_by_their_ends_begin_an_interval_earlier() -> None:
    (moved,), _ = judge("", [reading_of(hours("2021-01-04T01:00", 50))], LoadConfig(label="end"))
    assert moved.frame.index[0] == pd.Timestamp("2021-01-04T00:00")
    (days,), _ = judge("", [reading_of(hours("2021-01-04", 50, DAY))], LoadConfig(label="end"))
    assert days.frame.index[0] == pd.Timestamp("2021-01-04")


def test_local_times_that_repeat_where_clocks_are_set_back_are_told_as_such() -> None:
    """Half hours of New York, written without their zone: 01:00, 01:30, and both again."""
    local = pd.date_range("2021-11-06", "2021-11-09", freq="30min", tz="America/New_York").tz_localize(None)
    found = check_reading(reading_of(local.to_numpy().astype("datetime64[s]")), TERMS)
    told = {each.code: each.what for each in found if each.severe}
    assert set(told) == {"E-DATA-035", "E-DATA-037"}
    assert all("--market.load.timezone" in what for what in told.values())
    elsewhere = (local + pd.Timedelta(7, "D")).to_numpy().astype("datetime64[s]")
    assert not any("timezone" in each.what for each in check_reading(reading_of(elsewhere), TERMS))


def test_prices_scaled_by_the_adjusted_close(tmp_path: Path) -> None:
    """All four by one factor, 1 at the first bar: later dividends change nothing before them."""
    text = "date,open,high,low,close,adj close,volume\n2020-01-01,10,12,9,11,5.5,100\n2020-01-02,11,13,10,12,12,200\n"
    (tmp_path / "prices.csv").write_text(text, encoding="utf-8")
    bars = load(str(tmp_path / "prices.csv"), LoadConfig(adjusted="adj_close")).bars
    assert bars.open[:, 0].tolist() == [10, 22]
    assert bars.high[:, 0].tolist() == [12, 26]
    assert bars.low[:, 0].tolist() == [9, 20]
    assert bars.close[:, 0].tolist() == [11, 24]


@pytest.mark.nightly
def test_ten_million_bars_are_judged_in_seconds() -> None:
    times = hours("2015-01-05", 20_000)
    readings = [reading_of(times, seed, f"S{seed}") for seed in range(500)]
    start = time.process_time()
    _, report = judge("panel", readings, LoadConfig())
    judged = time.process_time() - start
    make_panel(readings)
    assert not report.refused
    assert judged < 15
    assert time.process_time() - start < 25
