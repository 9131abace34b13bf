"""What is found in real files, by name. The files are not part of this repository.

They are looked for in `$JAXTRADE_DATA_DIR` and in the folder `shared/data` beside the repository. What their vendors'
notes say of them is quoted where the gate finds something else.
"""

import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from jaxtrade.config.market import LoadConfig
from jaxtrade.market import sources
from jaxtrade.market.bars import load
from jaxtrade.market.checks import make_series
from jaxtrade.market.checks.prices import check_prices
from jaxtrade.market.gate import Report, judge
from jaxtrade.market.reading import Finding, Reading

FOLDERS = (os.environ.get("JAXTRADE_DATA_DIR"), Path(__file__).parents[2].parent / "shared" / "data")
NO_ZONE, IGNORED, STALE_OPENS, GAPS, SPIKE = (f"N-DATA-0{code}" for code in (63, 67, 60, 62, 69))
HOURLY_GOLD, MT5 = "defects/XAUUSDm_60min.csv.gz", "defects/f_nobodys_forex_mt5"
CODES = {  # everything that is found in each file
    "crypto/BTC_USD-Hourly.csv.gz": {"E-DATA-035", STALE_OPENS, "N-DATA-061", NO_ZONE, IGNORED, "N-DATA-068", SPIKE},
    "gold/XAUUSDm_15min.csv.gz": {GAPS, NO_ZONE, IGNORED},
    "stocks/GOOG.csv.gz": {GAPS},
    "stocks/STOCKS_GOOGL.csv.gz": {GAPS},
    "fx/FOREX_EURUSD_1H_ASK.csv.gz": {STALE_OPENS, GAPS, NO_ZONE},
    "fx/GBPUSDh1.csv.gz": {"E-DATA-043", "N-DATA-064", STALE_OPENS, GAPS, NO_ZONE, SPIKE},
    "fx/USDCHFh1.csv.gz": {"E-DATA-043", "N-DATA-064", STALE_OPENS, GAPS, NO_ZONE},
    "fx/USDJPYh1.csv.gz": {"E-DATA-043", "N-DATA-064", STALE_OPENS, GAPS, NO_ZONE},
    HOURLY_GOLD: {"E-DATA-040", "E-DATA-041", GAPS, NO_ZONE, IGNORED, SPIKE},
    "defects/f_foretick_mt5/XAUUSD_M15.csv.gz": {STALE_OPENS, GAPS, NO_ZONE, IGNORED},
    f"{MT5}/EURUSD_H1.csv.gz": {"E-DATA-041", STALE_OPENS, GAPS, NO_ZONE, IGNORED, SPIKE},
    f"{MT5}/USDCHF_H1.csv.gz": {"E-DATA-041", STALE_OPENS, GAPS, NO_ZONE, IGNORED, SPIKE},
}


def path_of(name: str) -> str:
    found = next((Path(folder) / name for folder in FOLDERS if folder and (Path(folder) / name).exists()), None)
    if found is None:
        pytest.skip("the real price files are not there")
    return str(found)


@cache
def judged(name: str) -> tuple[list[Reading], Report]:
    path = path_of(name)
    return judge(path, sources.read(path, LoadConfig()), LoadConfig())


def findings(name: str, code: str) -> list[Finding]:
    return [each for each in judged(name)[1].findings if each.code == code]


def times(name: str, code: str) -> list[str]:
    """Return the times of the bars in question, to the hour."""
    index = judged(name)[0][0].frame.index
    return [str(time)[:13] for each in findings(name, code) for time in index[each.at]]


@pytest.mark.parametrize("name", CODES)
def test_exactly_these_codes_are_found(name: str) -> None:
    assert {each.code for each in judged(name)[1].findings} == CODES[name]


def test_daily_rows_before_the_hourly_ones_of_gold() -> None:
    """Sundays included, there are 946 daily rows; the vendor's notes count the 782 of the other days."""
    (change,) = findings(HOURLY_GOLD, "E-DATA-040")
    assert change.rows.tolist() == [948]
    assert change.what == "bars 1 day apart before this one and 1 h apart after it"
    assert times(HOURLY_GOLD, "E-DATA-040") == ["2021-07-16 13"]


def test_daily_bars_hidden_in_the_hourly_rows_of_gold() -> None:
    """The known one of 2021-07-16, and those of the five Sundays after it, which no one had noted."""
    days = ["2021-07-16", "2021-07-18", "2021-07-25", "2021-08-01", "2021-08-08", "2021-08-15"]
    assert times(HOURLY_GOLD, "E-DATA-041") == [f"{day} 00" for day in days]


@pytest.mark.parametrize(("symbol", "count", "spanning"), [("EURUSD", 1295, 135), ("USDCHF", 1294, 177)])
def test_midnight_rows_that_hold_high_and_low_of_the_day(symbol: str, count: int, spanning: int) -> None:
    """Known were those that span the later rows exactly; but all of 2015 to 2019 are from another feed's daily bars.

    Their volume is that of the whole day, and they miss its range by a few points. Only 2016-12-26 is an hour.
    """
    name = f"{MT5}/{symbol}_H1.csv.gz"
    found = times(name, "E-DATA-041")
    assert len(found) == count
    assert all(time.endswith(" 00") and "2015" <= time < "2020" for time in found)
    frame = judged(name)[0][0].frame
    day = frame.index.normalize()
    later = frame[day.duplicated()].groupby(day[day.duplicated()])
    high, low = later["high"].max(), later["low"].min()
    first = frame[~day.duplicated()].set_axis(day[~day.duplicated()]).loc[high.index]
    spans = (first["high"] >= high) & (first["low"] <= low)
    known = {f"{time:%Y-%m-%d} 00" for time in first.index[spans] if time.year < 2020}
    assert len(known) == spanning
    assert known <= set(found)


@pytest.mark.parametrize("symbol", ["GBPUSD", "USDCHF", "USDJPY"])
def test_the_time_zone_switch_inside_the_fx_files(symbol: str) -> None:
    """UTC+1 until November 2014, UTC+2 after it. The week opens on Monday 00:00 before and after; the days show it."""
    name = f"fx/{symbol}h1.csv.gz"
    (shift,) = findings(name, "N-DATA-064")
    assert "1 h later" in shift.what
    assert "2014-11-15" < times(name, "N-DATA-064")[0] < "2014-12-07"


@pytest.mark.parametrize(("symbol", "units"), [("GBPUSD", 100_000), ("USDCHF", 100_000), ("USDJPY", 1000)])
def test_points_become_prices(symbol: str, units: int) -> None:
    name = f"fx/{symbol}h1.csv.gz"
    loaded = load(path_of(name), LoadConfig(repair=("rescale",)))
    points = np.rint(judged(name)[0][0].frame["close"].to_numpy())
    np.testing.assert_array_equal(loaded.bars.close[:, 0], points / units)
    assert loaded.report.repairs == {"rescale": {f"{symbol}h1": 57_600}}


def test_newest_first_is_sorted() -> None:
    name = "crypto/BTC_USD-Hourly.csv.gz"
    assert findings(name, "E-DATA-035")[0].rows.size == 33_258
    loaded = load(path_of(name), LoadConfig(repair=("sort",)))
    assert (np.diff(loaded.bars.time) == np.timedelta64(1, "h")).all()


def test_the_thirty_stocks() -> None:
    """Ranges that do not hold their opens, a low of 0, a price of 200 in between, empty cells; no split, no crash."""
    found = {code: findings("panel/djia30", code) for code in ("E-DATA-022", "E-DATA-024", "N-DATA-070", SPIKE)}
    assert {each.code for each in judged("panel/djia30")[1].findings} == {*found, STALE_OPENS, GAPS, "N-DATA-068"}
    assert [(each.symbol, each.rows.tolist(), each.column) for each in found["E-DATA-022"]] == [("HD", [829], "low")]
    assert sum(each.at.size for each in found["E-DATA-024"]) == 151
    assert len({each.symbol for each in found["N-DATA-070"]}) == 24
    spikes = {(each.symbol, each.rows.tolist()[0]) for each in found[SPIKE]}
    assert ("BA", 278) in spikes
    summaries = judged("panel/djia30")[1].symbols
    assert sorted(name for name, each in summaries.items() if each.rows == 3019) == [
        "AABA", "AAPL", "AMZN", "CSCO", "GOOGL", "INTC", "MRK", "MSFT",
    ]  # fmt: skip
    loaded = load(path_of("panel/djia30"), LoadConfig(repair=("drop-row", "clip")))
    assert loaded.report.repairs["drop-row"] == {"HD": 1}
    assert loaded.bars.close.shape == (3020, 31)


@pytest.mark.parametrize("ratio", [1.5, 2, 3, 7, 20])
@pytest.mark.parametrize("seed", range(3))
def test_splits_are_found_where_prices_are_made_raw(ratio: float, seed: int) -> None:
    """Of 31 stocks with a split planted anywhere in 12 years, crashes included: nearly all, and nothing else."""
    found = 0
    for reading in judged("panel/djia30")[0]:
        frame = reading.frame.copy()
        bar = int(np.random.default_rng(seed).integers(30, len(frame) - 30))
        frame.iloc[:bar, :4] *= ratio
        frame.iloc[:bar, 4] /= ratio
        reports = check_prices(make_series(reading._replace(frame=frame)), False, np.zeros(0, np.int64))
        at = [place for each in reports if each.code == "E-DATA-044" for place in each.at.tolist()]
        assert set(at) <= {bar}, reading.symbol
        found += bar in at
    assert found >= 29


@pytest.mark.parametrize(("symbol", "day"), [("AAPL", "2010-04-01"), ("MRK", "2009-08-11"), ("KO", None)])
def test_the_sessions_that_some_stocks_miss(symbol: str, day: str | None) -> None:
    path, config = path_of("panel/djia30"), LoadConfig(calendar="XNYS")
    _, report = judge(path, sources.read(path, config, (symbol,)), config)
    told = [each.what for each in report.findings if each.code == "E-DATA-045"]
    assert told == ([f"got 3019 sessions, expected 3020 of XNYS; 1 missing: {day}"] if day else [])
