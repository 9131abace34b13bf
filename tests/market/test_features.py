"""Features: right by an independent computation, and blind to the future."""

from collections.abc import Callable

import numpy as np
import pytest

from jaxtrade.config import FeatureConfig
from jaxtrade.envs.synthetic import random_bars
from jaxtrade.market.bars import Bars
from jaxtrade.market.features import compute, feature_names, warm_up
from tests.helpers.plain_features import plain_features
from tests.helpers.price_files import COLUMNS, cut, scramble
from tests.helpers.worlds import holed

DEFAULT = FeatureConfig()
NAMES = feature_names(DEFAULT)
SHORT = FeatureConfig(returns=(1, 4), ema=(3, 7), macd=(4, 9, 5), rsi=6, volatility=8, volume=5)
LONG_SIGNAL = FeatureConfig(ema=(5,), macd=(3, 6, 30), rsi=5)
LONG_RSI = FeatureConfig(ema=(5,), macd=(3, 6, 4), rsi=40)
SETTLED = 1e-4  # what a shorter history may change in a raw feature after the warm-up; their spreads are 4e-3 to 1

Compute = Callable[[Bars, FeatureConfig], np.ndarray]


@pytest.mark.parametrize("config", [DEFAULT, SHORT, LONG_SIGNAL, LONG_RSI], ids=["default", "short", "signal", "rsi"])
def test_every_feature_equals_the_plain_loops(config: FeatureConfig) -> None:
    bars = random_bars(120, symbols=2, seed=5, volatility=0.02)
    found = compute(bars, config)
    for n in range(2):
        expected = plain_features(bars.close[:, n].tolist(), bars.volume[:, n].tolist(), config)
        assert tuple(expected) == feature_names(config)
        for f, (name, values) in enumerate(expected.items()):
            np.testing.assert_allclose(found[:, n, f], values, rtol=1e-9, atol=1e-13, err_msg=f"{name} of symbol {n}")


def test_hand_computed_features() -> None:
    config = FeatureConfig(returns=(1, 2), ema=(2,), macd=(2, 3, 1), rsi=2, volatility=2, volume=2)
    bars = cut(random_bars(6), 0, 4)
    close, volume = np.array([[100.0], [110.0], [99.0], [120.0]]), np.array([[0.0], [1.0], [1.0], [3.0]])
    row = dict(
        zip(feature_names(config), compute(bars._replace(close=close, volume=volume), config)[3, 0], strict=True)
    )
    assert row["return_1"] == pytest.approx(np.log(120 / 99))
    assert row["return_2"] == pytest.approx(np.log(120 / 110))
    fast = 2 / 3 * 120 + 1 / 3 * (2 / 3 * 99 + 1 / 3 * 105)  # starts as (100 + 110) / 2
    assert row["ema_2"] == pytest.approx(np.log(120 / fast))
    both = (2 / 3 * 120 + 1 / 3 * (110 + 99) / 2) - (120 / 2 + (100 + 110 + 99) / 3 / 2)  # both start at the third bar
    assert row["macd"] == pytest.approx(both / 120)
    assert row["macd_histogram"] == pytest.approx(0)
    gain, loss = (5 + 21) / 2, 5.5 / 2  # the first means are 10 / 2 and 11 / 2
    assert row["rsi_2"] == pytest.approx(gain / (gain + loss))
    assert row["volatility_2"] == pytest.approx(abs(np.log(120 / 99) - np.log(99 / 110)) / 2)
    assert row["volume_2"] == pytest.approx(1)


def assert_prefix_invariant(function: Compute, bars: Bars, ends: range) -> None:
    """The row of bar t from the bars up to t alone is bitwise that from all bars."""
    full = function(bars, DEFAULT)
    for end in ends:
        head = function(cut(bars, 0, end), DEFAULT)
        for f, name in enumerate(NAMES):
            np.testing.assert_array_equal(head[-1, :, f], full[end - 1, :, f], err_msg=f"{name} at bar {end - 1}")


def assert_blind_to_the_future(function: Compute, bars: Bars, bar: int) -> None:
    """Changing every cell after `bar` changes every feature of the next bar, and nothing up to `bar`."""
    before, after = function(bars, DEFAULT), function(scramble(bars, bar + 1), DEFAULT)
    for f, name in enumerate(NAMES):
        np.testing.assert_array_equal(before[: bar + 1, :, f], after[: bar + 1, :, f], err_msg=name)
        assert (before[bar + 1, :, f] != after[bar + 1, :, f]).all(), f"{name} does not look at its bar"


def test_prefix_invariance() -> None:
    assert_prefix_invariant(compute, holed(random_bars(400, symbols=2, seed=6), share=0.03), range(1, 401, 3))


@pytest.mark.parametrize("bar", [60, 150, 151, 298])
def test_the_future_may_change(bar: int) -> None:
    assert_blind_to_the_future(compute, random_bars(300, symbols=2, seed=7), bar)


def shifted(bars: Bars, config: FeatureConfig) -> np.ndarray:
    """The first feature is that of the next bar."""
    result = compute(bars, config)
    result[:-1, :, 0] = result[1:, :, 0]
    return result


def whole_sample_score(bars: Bars, config: FeatureConfig) -> np.ndarray:
    """The RSI is normalised with the mean of the whole series."""
    result = compute(bars, config)
    rsi = NAMES.index("rsi_14")
    result[..., rsi] -= np.nanmean(result[..., rsi], axis=0)
    return result


def back_filled(bars: Bars, config: FeatureConfig) -> np.ndarray:
    """Holes in the closes are filled from the bar after them."""
    close = bars.close.copy()
    for t in reversed(range(len(close) - 1)):
        close[t] = np.where(np.isnan(close[t]), close[t + 1], close[t])
    return compute(bars._replace(close=close), config)


def centred(bars: Bars, config: FeatureConfig) -> np.ndarray:
    """The volatility is that of a window around the bar."""
    result = compute(bars, config)
    place = NAMES.index("volatility_20")
    result[..., place] = np.roll(result[..., place], -10, axis=0)
    return result


@pytest.mark.parametrize("fault", [shifted, whole_sample_score, back_filled, centred])
def test_planted_look_ahead_is_caught(fault: Compute) -> None:
    bars = random_bars(300, symbols=2, seed=7)
    with pytest.raises(AssertionError):
        assert_prefix_invariant(fault, holed(bars, share=0.03), range(40, 301, 3))
    if fault is not back_filled:  # which needs holes to show
        with pytest.raises(AssertionError):
            assert_blind_to_the_future(fault, bars, 150)


def test_each_column_of_the_data_reaches_its_features_only() -> None:
    bars = random_bars(300, seed=8)
    before = compute(bars, DEFAULT)[200, 0]
    changed = {name: before != compute(scramble(bars, 200, columns=(name,)), DEFAULT)[200, 0] for name in COLUMNS}
    is_volume = np.array([name.startswith("volume") for name in NAMES])
    for name in ("open", "high", "low"):
        assert not changed[name].any()
    np.testing.assert_array_equal(changed["volume"], is_volume)
    np.testing.assert_array_equal(changed["close"], ~is_volume)


def distance_after_warm_up(config: FeatureConfig, bars_seen: int) -> float:
    """Return by how much the first `start` bars change features once `bars_seen` bars have followed them."""
    worst = 0.0
    for seed in range(8):
        bars = random_bars(900, seed=seed, volatility=0.02)
        full = compute(bars, config)
        for start in (150, 300):
            part = compute(cut(bars, start), config)
            assert np.isfinite(part[bars_seen:]).all()
            worst = max(worst, float(np.abs(part[bars_seen:] - full[start + bars_seen :]).max()))
    return worst


@pytest.mark.parametrize("config", [DEFAULT, SHORT, LONG_SIGNAL, LONG_RSI], ids=["default", "short", "signal", "rsi"])
def test_after_the_warm_up_earlier_history_does_not_matter(config: FeatureConfig) -> None:
    assert 0 < distance_after_warm_up(config, warm_up(config)) < SETTLED


@pytest.mark.parametrize(
    ("config", "bars"), [(DEFAULT, 65), (LONG_RSI, 5 * 40), (SHORT, 9 + 5)], ids=["default", "rsi", "short"]
)
def test_too_short_a_warm_up_is_caught(config: FeatureConfig, bars: int) -> None:
    assert bars < warm_up(config)
    assert distance_after_warm_up(config, bars) > SETTLED


def test_warm_up_of_the_defaults() -> None:
    assert warm_up(DEFAULT) == 130
    assert warm_up(FeatureConfig(returns=(400,))) == 401


def test_missing_bars_repeat_the_last_features_and_the_rest_do_not_see_them() -> None:
    bars = random_bars(300, symbols=2, seed=9)
    holes = np.zeros(bars.close.shape, bool)
    holes[[50, 51, 200, 299], 0] = True
    found = compute(bars._replace(close=np.where(holes, np.nan, bars.close)), DEFAULT)
    there = ~holes[:, 0]
    closed_up = {name: getattr(bars, name)[there] for name in COLUMNS}
    expected = compute(bars._replace(time=bars.time[there], **closed_up), DEFAULT)
    np.testing.assert_array_equal(found[there, 0], expected[:, 0])
    for hole, last in ((50, 49), (51, 49), (200, 199), (299, 298)):
        np.testing.assert_array_equal(found[hole, 0], found[last, 0])
    np.testing.assert_array_equal(found[:, 1], compute(bars, DEFAULT)[:, 1])


def test_a_symbol_listed_late_has_no_features_before() -> None:
    bars = random_bars(300, symbols=2, seed=10)
    late = np.arange(300)[:, None] < [[0, 100]]
    found = compute(bars._replace(close=np.where(late, np.nan, bars.close)), DEFAULT)
    assert np.isnan(found[:101, 1, NAMES.index("return_1")]).all()
    np.testing.assert_array_equal(found[100:, 1], compute(cut(bars, 100), DEFAULT)[:, 1])


@pytest.mark.parametrize("factor", [1000.0, 1e-3, 3.7])
def test_prices_may_be_in_any_unit(factor: float) -> None:
    bars = random_bars(300, seed=11)
    scaled = {name: getattr(bars, name) * factor for name in COLUMNS[:4]}
    np.testing.assert_allclose(compute(bars._replace(**scaled), DEFAULT), compute(bars, DEFAULT), rtol=0, atol=1e-12)


@pytest.mark.parametrize("volume", [np.nan, 0.0, 5.0])
def test_a_series_without_volume_scores_zero(volume: float) -> None:
    bars = random_bars(100, seed=12)
    found = compute(bars._replace(volume=np.full_like(bars.volume, volume)), DEFAULT)
    place = NAMES.index("volume_20")
    assert (found[19:, 0, place] == 0).all()
    np.testing.assert_array_equal(np.delete(found, place, -1), np.delete(compute(bars, DEFAULT), place, -1))


@pytest.mark.parametrize("bars", [1, 2, 19, 20, 26, 33, 34])
def test_short_series_have_no_features_yet(bars: int) -> None:
    found = compute(random_bars(bars, seed=13), DEFAULT)
    assert found.shape == (bars, 1, len(NAMES))
    assert np.isfinite(found[-1, 0]).all() == (bars >= 34)


def test_a_constant_price_has_quiet_features() -> None:
    bars = random_bars(200)
    flat = bars._replace(close=np.full_like(bars.close, 50.0))
    found = dict(zip(NAMES, compute(flat, DEFAULT)[-1, 0], strict=True))
    for name in ("return_1", "ema_20", "macd", "macd_histogram", "volatility_20", "rsi_14"):
        assert found[name] == pytest.approx(0, abs=1e-12), name
