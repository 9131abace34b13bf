"""Downloads against a local server: pages, unfinished bars, zones, what is kept, and what a service says."""

import datetime
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from jaxtrade.config import LoadConfig
from jaxtrade.errors import InputError
from jaxtrade.market.bars import load
from jaxtrade.market.sources import live
from tests.helpers.stand_in_server import ALPACA_PAGE, Service, bar, midnights, stand_in, starts

NOW = datetime.datetime(2024, 3, 12, 15, 30, tzinfo=datetime.UTC)
DAYS = "start=2024-02-20"  # a change of the clock in New York lies between
MIDNIGHT = NOW.replace(hour=0, minute=0)
SOURCES = {"yfinance": "yfinance:AAPL", "ccxt": "ccxt:binance:BTC/USDT", "alpaca": "alpaca:AAPL"}
UNKNOWN = {"yfinance": "yfinance:NOPE", "ccxt": "ccxt:binance:NOPE/USDT", "alpaca": "alpaca:NOPE"}
HOURS = {"yfinance": "interval=1h", "ccxt": "timeframe=1h", "alpaca": "timeframe=1Hour"}
KEY, SECRET = "AKEYTHATISSECRET", "ASECRETTHATISTOO"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("APCA_API_KEY_ID", KEY)
    monkeypatch.setenv("APCA_API_SECRET_KEY", SECRET)
    monkeypatch.setattr(live, "now", lambda: NOW)
    with stand_in(NOW) as service:
        monkeypatch.setenv("JAXTRADE_LIVE_URL", service.url)
        yield service


@pytest.fixture(
    params=[
        "alpaca",
        pytest.param("yfinance", marks=pytest.mark.nightly),
        pytest.param("ccxt", marks=pytest.mark.nightly),
    ]
)
def service(request: pytest.FixtureRequest, server: Service) -> str:
    """Name a service whose library is installed: they are extras."""
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f'{request.param} is not installed: pip install "jaxtrade[live]"')
    return request.param


def read(source: str) -> pd.DataFrame:
    (found,) = live.read(source, LoadConfig())
    return found.frame


def refused(source: str) -> str:
    with pytest.raises(InputError) as caught:
        live.read(source, LoadConfig())
    assert "\n" not in str(caught.value)
    return str(caught.value)


def expected(server: Service, service: str, daily: bool = True) -> tuple[list[datetime.datetime], np.ndarray]:
    """Return the names and values of the bars that are complete, [T, 5]."""
    first = datetime.datetime(2024, 2, 20, tzinfo=datetime.UTC)
    if not daily:
        last = NOW.replace(minute=0)  # the hour that has not ended is not there
        times = names = starts(server, first, last, 3600)
    elif service == "ccxt":
        times = names = starts(server, first, MIDNIGHT, 86_400)
    else:
        times = midnights(server, first, MIDNIGHT)
        names = times
        times = [time.replace(hour=9, minute=30) for time in times] if service == "yfinance" else times
    return [name.replace(tzinfo=None) for name in names], np.array([bar(server, time) for time in times])


def test_days(service: str, server: Service) -> None:
    (found,) = live.read(f"{SOURCES[service]}?{DAYS}", LoadConfig())
    names, values = expected(server, service)
    assert list(found.frame.index) == names
    np.testing.assert_array_equal(found.frame[["open", "high", "low", "close", "volume"]], values)
    assert found.symbol == SOURCES[service].rsplit(":", 1)[1]
    assert found.frame.index.dtype == "datetime64[s]"
    assert {str(kind) for kind in found.frame.dtypes} == {"float64"}
    assert found.about["downloaded"].startswith("2024-03-12 15:30:00 UTC by ")
    if service == "yfinance":
        np.testing.assert_array_equal(found.frame["adj_close"], values[:, 3] / 2)
        assert "adj_close" in found.about["adjusted"]


def test_hours_and_the_unfinished_one(service: str, server: Service) -> None:
    source = f"{SOURCES[service]}?{DAYS}&end=2024-06-01&{HOURS[service]}"
    (found,) = live.read(source, LoadConfig())
    names, values = expected(server, service, daily=False)
    assert list(found.frame.index) == names
    np.testing.assert_array_equal(found.frame["close"], values[:, 3])
    assert found.frame.index[-1] == pd.Timestamp("2024-03-12 14:00")  # 15:00 runs until 16:00
    assert found.about["unfinished"] == "1 bars left out"
    server.asked.clear()
    read(source)
    assert server.asked  # a range that is not over is asked for again


@pytest.mark.parametrize(
    ("now", "end", "last", "left_out"),
    [  # the last midnight is over, the day in New York is not; nothing is unfinished, but the range is not over
        (datetime.datetime(2024, 3, 12, 2, 0, tzinfo=datetime.UTC), "", "2024-03-08", "1 bars left out"),
        (datetime.datetime(2024, 3, 9, 12, 0, tzinfo=datetime.UTC), "&end=2024-03-20", "2024-03-08", "0 bars left out"),
    ],
)
def test_what_may_still_change_is_not_kept(
    server: Service, monkeypatch: pytest.MonkeyPatch, now: datetime.datetime, end: str, last: str, left_out: str
) -> None:
    pytest.importorskip("alpaca", reason="alpaca-py is an extra")
    server.now = now
    monkeypatch.setattr(live, "now", lambda: now)
    for _ in range(2):
        server.asked.clear()
        (found,) = live.read(f"alpaca:AAPL?{DAYS}{end}", LoadConfig())
        assert server.asked
        assert found.frame.index[-1] == pd.Timestamp(last)
        assert found.about["unfinished"] == left_out


def test_an_unfinished_bar_would_show(server: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bar of the running hour is in the answer: with a clock one hour ahead it would be taken for complete."""
    pytest.importorskip("alpaca", reason="alpaca-py is an extra")
    monkeypatch.setattr(live, "now", lambda: NOW + datetime.timedelta(hours=1))
    assert read(f"alpaca:AAPL?{DAYS}&end=2024-06-01&{HOURS['alpaca']}").index[-1] == pd.Timestamp("2024-03-12 15:00")


def test_what_is_kept_is_not_asked_for_again(service: str, server: Service, tmp_path: Path) -> None:
    source = f"{SOURCES[service]}?{DAYS}"
    (first,) = live.read(source, LoadConfig())
    asked = len(server.asked)
    assert asked
    (again,) = live.read(source, LoadConfig())
    assert len(server.asked) == asked
    pd.testing.assert_frame_equal(first.frame, again.frame)
    assert (first.symbol, first.about) == (again.symbol, again.about)
    kept = list((tmp_path / "cache" / "jaxtrade" / "downloads").iterdir())
    assert len(kept) == 1
    assert kept[0].parent.stat().st_mode & 0o777 == 0o700

    server.level = 200.0  # the vendor rewrites history
    assert read(source).equals(first.frame)
    assert not read(f"{source}&refresh=1").equals(first.frame)
    assert read(source)["open"].min() >= 200
    kept[0].write_bytes(b"damaged")
    assert read(source)["open"].min() >= 200


def test_pages(service: str, server: Service) -> None:
    source = f"{SOURCES[service]}?start=2024-01-20&end=2024-03-10&{HOURS[service]}"
    bars = read(source)
    pages = [path for path in server.asked if "klines" in path or "/bars?" in path]
    expected_pages = {"ccxt": 2, "alpaca": -(-len(bars) // ALPACA_PAGE), "yfinance": 0}[service]
    assert len(bars) == 50 * 24
    assert np.all(np.diff(bars.index) == np.timedelta64(1, "h"))
    assert len(pages) == expected_pages


def test_an_unknown_symbol(service: str) -> None:
    said = refused(f"{UNKNOWN[service]}?{DAYS}")
    assert said.startswith("E-DATA-013 ")
    words = {"yfinance": "no symbol NOPE", "ccxt": "does not have market symbol", "alpaca": "invalid symbol: NOPE"}
    assert words[service] in said


@pytest.mark.parametrize("status", [429, 500])
def test_a_service_that_fails(service: str, server: Service, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # the libraries wait before they ask again
    server.fail = (status, f'{{"message": "slow down {KEY}", "code": 1}}')
    said = refused(f"{SOURCES[service]}?{DAYS}&end=2024-03-0{status % 8 + 1}")
    assert said.startswith("E-DATA-013 ")
    assert len(said) < 500
    if service == "alpaca":
        assert "slow down ***" in said
        assert KEY not in said


def test_no_bars_in_the_range(service: str, server: Service) -> None:
    assert "E-DATA-013" in refused(f"{SOURCES[service]}?start=2024-06-01&end=2024-07-01")


def test_no_server(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAXTRADE_LIVE_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    assert "E-DATA-013" in refused(f"{SOURCES[service]}?{DAYS}&end=2024-03-11")


def test_keys_are_sent_but_not_kept(server: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("alpaca", reason="alpaca-py is an extra")
    (found,) = live.read(f"alpaca:AAPL?{DAYS}&adjustment=split&feed=iex", LoadConfig())
    assert "adjustment=split" in server.asked[0]
    assert "feed=iex" in server.asked[0]
    assert server.headers[0]["APCA-API-SECRET-KEY"] == SECRET
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for word in (KEY, SECRET):
        assert word.encode() not in kept
        assert word not in str(found.about)
    monkeypatch.delenv("APCA_API_SECRET_KEY")
    assert "APCA_API_SECRET_KEY must be set" in refused("alpaca:AAPL?start=2024-01-01")


@pytest.mark.nightly
def test_symbols_and_the_gate(service: str) -> None:
    source = {"yfinance": "yfinance:AAPL,MSFT", "ccxt": "ccxt:binance:BTC/USDT,ETH/USDT", "alpaca": "alpaca:AAPL"}
    loaded = load(f"{source[service]}?{DAYS}")
    assert loaded.bars.symbols == tuple(source[service].rsplit(":", 1)[1].split(","))
    assert not [each for each in loaded.report.findings if each.severe]


WRONG = {
    "yfinance:": "names no symbol",
    "yfinance:AAPL,,MSFT": "names no symbol",
    "ccxt:BTC/USDT": "names no symbol",
    "yfinance:AAPL?intervall=1d": "Did you mean 'interval'?",
    "yfinance:AAPL?timeframe=1d": "parameter 'timeframe' is unknown",
    "yfinance:AAPL?interval=2d": "cannot be '2d'",
    "yfinance:AAPL?interval": "has no value",
    "yfinance:AAPL?start=2020-01-01&start=2021-01-01": "given twice",
    "yfinance:AAPL?start=2020-13-01": "no date",
    "yfinance:AAPL?start=2020-01-02&end=2020-01-02": "does not lie before",
    "alpaca:AAPL?adjustment=every": "cannot be 'every'",
    "alpaca:AAPL?refresh=yes": "cannot be 'yes'",
}


@pytest.mark.parametrize("source", WRONG)
def test_wrong_requests(source: str) -> None:
    assert WRONG[source] in refused(source)


def test_a_missing_package(server: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    said = refused("ccxt:binance:BTC/USDT")
    assert said.startswith("E-DATA-012 ")
    assert 'pip install "jaxtrade[live]"' in said
    assert not server.asked


def test_nothing_is_kept_where_the_cache_is_off(
    server: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("alpaca", reason="alpaca-py is an extra")
    monkeypatch.setenv("JAXTRADE_DOWNLOAD_CACHE", "off")
    read(f"alpaca:AAPL?{DAYS}")
    assert not list(tmp_path.rglob("*.parquet"))
