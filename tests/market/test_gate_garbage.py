"""Readings of anything that a source could hand over: no check and no repair breaks, and what passes is sound."""

import numpy as np
import pandas as pd
import pytest

from jaxtrade.config.market import LoadConfig
from jaxtrade.market import checks
from jaxtrade.market.gate import judge
from jaxtrade.market.reading import Reading

HOUR, DAY = 3600, 86400
WILD = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, -1.0, 1.0, 100.0, 1e300, 1e-300, 1e39, 2.0**31 - 1, 32767.0])
STEPS = np.array([0, 0, -HOUR, 1, 60, HOUR, HOUR, HOUR, DAY, 400 * DAY])


def garbage(seed: int) -> Reading:
    """Return a reading of anything that a source can hand over."""
    random = np.random.default_rng(seed)
    count = int(random.choice([0, 1, 2, 3, 5, 30, 200]))
    columns = ["open", "high", "low", "close", "volume", *(["adj_close"] if seed % 3 else [])]
    cells = random.choice(WILD, (count, len(columns)))
    sound = random.random(cells.shape) < random.random()
    cells[sound] = 100 * np.exp(random.normal(0, 0.01, int(sound.sum())))
    seconds = np.datetime64("2020-01-01", "s") + np.cumsum(random.choice(STEPS, count)).astype("timedelta64[s]")
    seconds[random.random(count) < 0.05 * (seed % 2)] = np.datetime64("NaT")
    frame = pd.DataFrame(cells, columns=columns, index=pd.DatetimeIndex(seconds))
    if seed % 5 == 0:  # as a source without a range of its own gives it
        frame["high"] = np.fmax(frame["open"], frame["close"])
        frame["low"] = np.fmin(frame["open"], frame["close"])
    return Reading("x", "EURUSD", frame, np.arange(count) + 2, {}, (), bool(seed % 5))


@pytest.mark.parametrize("part", range(4))
def test_no_garbage_breaks_a_check_or_a_repair(part: int) -> None:
    """Whatever the cells and times, there are findings and no exception; what passes is sound."""
    repairs = ("drop-row", "forward-fill", "clip", "sort", "dedupe-identical", "rescale")
    for seed in range(part * 50, part * 50 + 50):
        random = np.random.default_rng(seed)
        chosen = tuple(name for name in repairs if random.random() < 0.6)
        settings = {"adjusted": "adj_close", "timezone": "Asia/Tokyo"} if seed % 2 else {}
        config = LoadConfig(repair=chosen, **settings)
        (mended,), report = judge("x", [garbage(seed)], config)
        times = mended.frame.index.to_numpy()
        if not report.refused:
            assert (np.diff(times) > np.timedelta64(0, "s")).all()
            assert (mended.frame["open"].dropna() > 0).all()
            assert np.isfinite(mended.frame["close"].dropna()).all()
            body = mended.frame[["open", "close"]]
            assert not (mended.frame["high"] < body.max(axis=1) * (1 - 1e-12)).any()
            assert not (mended.frame["low"] > body.min(axis=1) * (1 + 1e-12)).any()
        assert len(mended.rows) == len(mended.frame)
        for each in report.findings:
            assert each.text().startswith(each.code)


@pytest.mark.parametrize("check", ["check_times", "check_cells"])
def test_the_garbage_shows_a_missing_check(monkeypatch: pytest.MonkeyPatch, check: str) -> None:
    monkeypatch.setattr(checks, check, lambda *arguments: [])
    with pytest.raises(AssertionError):
        test_no_garbage_breaks_a_check_or_a_repair(1)
