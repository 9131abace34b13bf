"""Real exports of brokers and vendors: every number as Python reads it, every time by the format named by hand.

The files are not part of this repository: they are looked for in `$JAXTRADE_DATA_DIR`, and in the folder `shared/data`
beside the repository.
"""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from jaxtrade.config.market import LoadConfig
from jaxtrade.market.sources import read

PLACES = (Path(os.environ.get("JAXTRADE_DATA_DIR", "")), Path(__file__).parents[2].parent / "shared" / "data")
DATA = next((place for place in PLACES if (place / "SOURCES.md").exists()), None)
ISO, MT5 = "%Y-%m-%d %H:%M:%S", "%Y.%m.%d %H:%M:%S"
FILES = {  # file: (format of the times, column of the volume)
    "crypto/BTC_USD-Hourly.csv.gz": (ISO, "volume"),
    "defects/XAUUSDm_60min.csv.gz": (ISO, "volume"),
    "defects/f_foretick_mt5/XAUUSD_M15.csv.gz": (MT5, "tickvol"),
    "defects/f_nobodys_forex_mt5/EURUSD_H1.csv.gz": (MT5, "tickvol"),
    "defects/f_nobodys_forex_mt5/USDCHF_H1.csv.gz": (MT5, "tickvol"),
    "fx/FOREX_EURUSD_1H_ASK.csv.gz": ("%d.%m.%Y %H:%M:%S.000", "volume"),
    "fx/GBPUSDh1.csv.gz": (ISO, "tick_volume"),
    "fx/USDCHFh1.csv.gz": (ISO, "tick_volume"),
    "fx/USDJPYh1.csv.gz": (ISO, "tick_volume"),
    "gold/XAUUSDm_15min.csv.gz": (ISO, "volume"),
    "panel/djia30/AAPL_2006-01-01_to_2018-01-01.csv.gz": ("%Y-%m-%d", "volume"),
    "stocks/GOOG.csv.gz": ("%Y-%m-%d", "volume"),
    "stocks/STOCKS_GOOGL.csv.gz": ("%Y-%m-%d", "volume"),
}


@pytest.mark.skipif(DATA is None, reason="the folder shared/data of real exports is not there")
@pytest.mark.parametrize("name", FILES)
def test_real_exports_are_read_as_they_stand(name: str) -> None:
    path = Path(str(DATA)) / name
    if not path.exists():
        pytest.skip(f"{name} is not there")
    pattern, volume = FILES[name]
    tabs = "mt5" in name
    peer = pd.read_csv(path, sep="\t" if tabs else ",", dtype=str)
    peer.columns = [str(column).strip("<>").lower() for column in peer.columns]
    clock = "date" if "date" in peer else "time" if "time" in peer else peer.columns[0]
    times = peer["date"] + " " + peer["time"] if tabs else peer[clock]
    (reading,) = read(str(path), LoadConfig())
    expected = pd.to_datetime(times, format=pattern).to_numpy().astype("datetime64[s]")
    np.testing.assert_array_equal(reading.frame.index.to_numpy(), expected)
    for column in ("open", "high", "low", "close", "volume"):
        theirs = [float(cell) for cell in peer[volume if column == "volume" else column]]  # Python rounds to nearest
        assert reading.frame[column].to_numpy().tobytes() == np.array(theirs).tobytes()
    assert reading.rows.tolist() == list(range(2, len(peer) + 2))
    assert not [finding for finding in reading.findings if finding.severe]


@pytest.mark.skipif(DATA is None, reason="the folder shared/data of real exports is not there")
def test_a_real_panel_has_its_symbols() -> None:
    readings = read(str(Path(str(DATA)) / "panel" / "djia30"), LoadConfig())
    assert len(readings) == len({reading.symbol for reading in readings}) == 31
    assert {len(reading.frame) for reading in readings} == {3019, 3020}
