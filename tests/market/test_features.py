"""Features: right by independent loops, and blind to the future."""

from collections.abc import Callable

import numpy as np
import pytest

from jaxtrade.config import MarketConfig
from jaxtrade.market.bars import Bars
from jaxtrade.market.features import FEATURES, Computed, compute, feature_names, warm_up
from jaxtrade.market.scales import apply_scaler, fit_scaler
from tests.helpers.feature_bars import FIELDS, make_config, rows_of, single, walk, with_holes
from tests.helpers.feature_configs import DEFAULT, EVERY, SHORT, SHORT_PARAMETERS
from tests.helpers.plain_features import PLAIN, Series

NORMALISERS = ("zscore", "robust", "rank", "none")

Compute = Callable[[Bars, MarketConfig], Computed]


def series(bars: Bars, n: int = 0) -> Series:
    """Return one symbol as lists."""
    return Series(bars.time.astype(np.int64).tolist(), *(getattr(bars, name)[:, n].tolist() for name in FIELDS))


@pytest.mark.parametrize("name", FEATURES)
def test_every_feature_equals_the_plain_loops(name: str) -> None:
    bars = walk(260, symbols=2, seed=5, interval=3600)
    for given in (SHORT_PARAMETERS.get(name), None):
        config = make_config({name: given}, interval=3600)
        found = compute(bars, config)
        for n in range(2):
            values = given or FEATURES[name].defaults
            calls = [(value,) for value in values] if FEATURES[name].each else [tuple(values)]
            expected = np.array([column for call in calls for column in PLAIN[name](series(bars, n), *call)]).T
            assert found.ready[:, n].tolist() == [t >= warm_up(config) for t in range(260)]
            rows = found.ready[:, n]
            np.testing.assert_allclose(found.raw[rows, n], expected[rows], rtol=1e-12, atol=1e-12)
            assert np.isnan(found.raw[~rows, n]).all()


def test_the_loops_catch_a_wrong_number() -> None:
    bars = walk(260, seed=5)
    found = compute(bars, single("rsi", 14)).raw[200, 0, 0]
    assert abs(found - PLAIN["rsi"](series(bars), 13)[0][200]) > 1e-6


def test_hand_computed_features() -> None:
    bars = rows_of(walk(12), slice(0, 12))
    close = np.array([[100.0, 110, 99, 120] + [120.0] * 8]).T
    bars = bars._replace(close=close, high=close + 2, low=close - 2, open=close, volume=np.ones_like(close))

    def value(name: str, *parameters: float, column: int = 0, row: int = 3) -> float:
        return float(compute(bars, single(name, list(parameters))).raw[row, 0, column])

    assert value("lagged_returns", 2) == pytest.approx(np.log(120 / 110), abs=1e-15)
    assert value("sma", 4) == pytest.approx(np.log(120 / 107.25))
    assert value("realized_vol", 2) == pytest.approx(abs(np.log(120 / 99) - np.log(99 / 110)) / 2)
    assert value("obv", 3) == pytest.approx(1 / 3)  # up, down, up
    assert value("stochastic", 3, 1, 1) == pytest.approx((120 - 97) / (122 - 97))
    assert value("bollinger", 2, 2) == pytest.approx(0.5 + 10.5 / (4 * 10.5))
    assert value("bollinger", 2, 2, column=1) == pytest.approx(4 * 10.5 / 109.5)
    assert value("cci", 2) == pytest.approx(10.5 / (1.5 * 10.5))
    assert value("gap") == pytest.approx(np.log(120 / 99))
    assert value("bar_range") == pytest.approx(np.log(122 / 118))
    assert value("close_location") == pytest.approx(0.5)
    assert value("ema", 2, row=10) == pytest.approx(0, abs=1e-3)


def assert_prefix_invariant(function: Compute, bars: Bars, config: MarketConfig, ends: range, train: int) -> None:
    """From the bars up to t alone, row t is bitwise that from all bars, and so it is under every normaliser."""
    full = function(bars, config)
    scalers = [fit_scaler(full.raw[:train], config.model_copy(update={"normalize": kind})) for kind in NORMALISERS]
    scaled = [apply_scaler(scaler, full.raw) for scaler in scalers]
    for end in ends:
        head = function(rows_of(bars, slice(0, end)), config)
        np.testing.assert_array_equal(head.ready, full.ready[:end])
        np.testing.assert_array_equal(head.raw, full.raw[:end], err_msg=f"from {end} bars")
        for scaler, expected in zip(scalers, scaled, strict=True):
            np.testing.assert_array_equal(apply_scaler(scaler, head.raw), expected[:end])
            if end >= train:
                refitted = fit_scaler(head.raw[:train], config.model_copy(update={"normalize": scaler.kind}))
                np.testing.assert_array_equal(apply_scaler(refitted, head.raw), expected[:end])


@pytest.mark.parametrize("config", [EVERY, SHORT], ids=["defaults", "short"])
def test_prefix_invariance(config: MarketConfig) -> None:
    bars = with_holes(walk(420, symbols=2, seed=6), share=0.03)
    assert_prefix_invariant(compute, bars, config, range(1, 421, 7), train=300)


def test_every_feature_looks_at_its_bar() -> None:
    """Changing a bar changes every feature of it, so that the test above is not true of constants."""
    bars = walk(300, seed=7, interval=3600)
    config = SHORT.model_copy(update={"interval": 3600})
    other = {name: getattr(bars, name).copy() for name in FIELDS}
    for name, factor in zip(FIELDS, (1.01, 1.05, 0.94, 1.02, 3.3), strict=True):
        other[name][250] *= factor
    other["time"] = bars.time + (np.arange(300) >= 250) * np.timedelta64(31, "h")
    before, after = compute(bars, config), compute(bars._replace(**other), config)
    np.testing.assert_array_equal(before.raw[:250], after.raw[:250])
    same = before.raw[250, 0] == after.raw[250, 0]
    assert {name for name, each in zip(feature_names(config), same, strict=True) if each} <= {"obv_1"}  # it is 1 or -1


def shifted(bars: Bars, config: MarketConfig) -> Computed:
    """The first feature is that of the next bar."""
    found = compute(bars, config)
    found.raw[:-1, :, 0] = found.raw[1:, :, 0]
    return found


def whole_sample_score(bars: Bars, config: MarketConfig) -> Computed:
    """A feature is normalised with the mean of the whole series."""
    found = compute(bars, config)
    if found.ready.any():
        found.raw[..., 5] -= np.mean(found.raw[found.ready][:, 5])
    return found


def back_filled(bars: Bars, config: MarketConfig) -> Computed:
    """Holes in the closes are filled from the bar after them."""
    close = bars.close.copy()
    for t in reversed(range(len(close) - 1)):
        close[t] = np.where(np.isnan(close[t]), close[t + 1], close[t])
    return compute(bars._replace(close=close), config)


def centred(bars: Bars, config: MarketConfig) -> Computed:
    """The volatility is that of a window around the bar."""
    found = compute(bars, config)
    place = feature_names(config).index("realized_vol_8")
    found.raw[..., place] = np.roll(found.raw[..., place], -4, axis=0)
    return found


def warm_from_the_future(bars: Bars, config: MarketConfig) -> Computed:
    """The rows before the warm-up repeat the first features."""
    found = compute(bars, config)
    first = np.argmax(found.ready, axis=0)
    for n, row in enumerate(first):
        found.raw[:row, n] = found.raw[row, n]
    return found._replace(ready=np.maximum(found.ready, found.ready.any(axis=0)))


@pytest.mark.parametrize("fault", [shifted, whole_sample_score, back_filled, centred, warm_from_the_future])
def test_planted_look_ahead_is_caught(fault: Compute) -> None:
    bars = with_holes(walk(200, symbols=2, seed=6), share=0.03)
    with pytest.raises(AssertionError):
        assert_prefix_invariant(fault, bars, SHORT, range(40, 201, 3), train=150)


def test_each_column_of_the_data_reaches_its_features_only() -> None:
    bars = walk(300, seed=8)
    before = compute(bars, DEFAULT).raw[200, 0]
    is_volume = np.array([name.startswith("volume") for name in feature_names(DEFAULT)])
    for name in FIELDS:
        values = getattr(bars, name).copy()
        values[200:] *= 1.07
        changed = before != compute(bars._replace(**{name: values}), DEFAULT).raw[200, 0]
        np.testing.assert_array_equal(changed, {"close": ~is_volume, "volume": is_volume}.get(name, changed & False))
