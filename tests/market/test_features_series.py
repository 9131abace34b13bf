"""Features of real-world series: short histories, gaps, late listings, holes, any unit, prices that stand still."""

import numpy as np
import pytest

from jaxtrade.config import MarketConfig
from jaxtrade.market.features import FEATURES, compute, feature_names, warm_up
from tests.helpers.feature_bars import DAY, FIELDS, make_config, rows_of, single, walk
from tests.helpers.feature_configs import DEFAULT, EVERY, SHORT_PARAMETERS

SETTLED = 1e-3  # standard deviations that a shorter history may change after the warm-up


def distance(config: MarketConfig, history: int) -> float:
    """Return what history before `history` bars changes in a feature at most, in its standard deviations."""
    worst = 0.0
    for seed in range(2):
        bars = walk(700 + history, seed=seed, interval=config.interval or DAY, volatility=0.01)
        full = compute(bars, config).raw[:, 0]
        spread = np.nanstd(full, axis=0)
        for last in range(300 + history, 700 + history, 23):
            part = compute(rows_of(bars, slice(last - history, last + 1)), config)
            assert part.ready[-1, 0]
            worst = max(worst, float(np.max(np.abs(part.raw[-1, 0] - full[last]) / np.where(spread > 0, spread, 1))))
    return worst


@pytest.mark.parametrize("name", FEATURES)
def test_history_before_the_warm_up_does_not_matter(name: str) -> None:
    for given in (None, SHORT_PARAMETERS.get(name)):
        config = make_config({name: given}, interval=3600)
        assert distance(config, warm_up(config)) < SETTLED


@pytest.mark.parametrize(("name", "share"), [("ema", 0.5), ("macd", 0.5), ("rsi", 0.5), ("atr", 0.5), ("adx", 0.5)])
def test_a_short_history_matters(name: str, share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = FEATURES[name].warm_up
    monkeypatch.setitem(FEATURES, name, FEATURES[name]._replace(warm_up=lambda *p: int(share * whole(*p))))
    config = single(name)
    assert distance(config, warm_up(config)) > SETTLED


def test_warm_ups() -> None:
    assert warm_up(DEFAULT) == 130
    assert warm_up(single("lagged_returns", 400)) == 400
    assert warm_up(single("macd", [3, 6, 30])) == 300
    assert warm_up(make_config({"rsi": 2, "gap": None, "sma": 90})) == 89
    assert warm_up(make_config({"rsi@4h": 2, "gap": None}, interval=3600)) == 20 * 4


def test_missing_bars_repeat_the_last_features_and_the_rest_do_not_see_them() -> None:
    bars = walk(300, symbols=2, seed=9)
    holes = np.zeros(bars.close.shape, bool)
    holes[[50, 51, 250, 299], 0] = True
    found = compute(bars._replace(close=np.where(holes, np.nan, bars.close)), EVERY)
    there = ~holes[:, 0]
    alone = compute(rows_of(bars, there), EVERY)
    np.testing.assert_array_equal(found.raw[there, 0], alone.raw[:, 0])
    np.testing.assert_array_equal(found.ready[there, 0], alone.ready[:, 0])
    assert found.ready[250:, 0].all()
    np.testing.assert_array_equal(found.raw[250, 0], found.raw[249, 0])
    np.testing.assert_array_equal(found.raw[299, 0], found.raw[298, 0])
    np.testing.assert_array_equal(found.raw[:, 1], compute(bars, EVERY).raw[:, 1])


def test_a_symbol_listed_late_warms_up_in_its_own_bars() -> None:
    bars = walk(400, symbols=3, seed=10)
    late = np.arange(400)[:, None] < [[0, 100, 400]]
    found = compute(bars._replace(close=np.where(late, np.nan, bars.close)), EVERY)
    alone = compute(rows_of(bars, slice(100, None)), EVERY)
    assert found.ready.argmax(axis=0).tolist() == [168, 268, 0]
    assert not found.ready[:, 2].any()
    np.testing.assert_array_equal(found.raw[100:, 1], alone.raw[:, 1])
    assert np.isnan(found.raw[:268, 1]).all()


def test_missing_cells_are_filled_from_what_was_known() -> None:
    """As if the file had the previous close as open, the body as range, and no volume."""
    bars = walk(250, seed=11)
    empty = {name: getattr(bars, name).copy() for name in FIELDS}
    full = {name: getattr(bars, name).copy() for name in FIELDS}
    empty["open"][[0, 220]], full["open"][[0, 220]] = np.nan, bars.close[[0, 219]]
    empty["volume"][[230, 240]], full["volume"][[230, 240]] = np.nan, 0.0
    for name, choose in (("high", np.maximum), ("low", np.minimum)):
        empty[name][[210, 220]] = np.nan
        full[name][[210, 220]] = choose(full["open"], full["close"])[[210, 220]]
    found = compute(bars._replace(**empty), EVERY)
    np.testing.assert_array_equal(found.raw, compute(bars._replace(**full), EVERY).raw)
    assert np.isfinite(found.raw[found.ready]).all()
    assert found.ready[168:].all()


@pytest.mark.parametrize(("prices", "volumes"), [(1000.0, 1.0), (1e-6, 1.0), (3.7, 1.0)])
def test_prices_may_be_in_any_unit(prices: float, volumes: float) -> None:
    bars = walk(300, seed=12)
    scaled = {name: getattr(bars, name) * prices for name in FIELDS[:4]}
    found = compute(bars._replace(**scaled, volume=bars.volume * volumes), EVERY)
    np.testing.assert_allclose(found.raw, compute(bars, EVERY).raw, rtol=0, atol=1e-9)


@pytest.mark.parametrize("volume", [np.nan, 0.0, 5.0])
def test_a_series_without_volume_scores_zero(volume: float) -> None:
    bars = walk(300, seed=13)
    found = compute(bars._replace(volume=np.full_like(bars.volume, volume)), DEFAULT).raw
    place = feature_names(DEFAULT).index("volume_zscore_20")
    assert (found[130:, 0, place] == 0).all()
    np.testing.assert_array_equal(np.delete(found, place, -1), np.delete(compute(bars, DEFAULT).raw, place, -1))
    assert (compute(bars._replace(volume=np.full_like(bars.volume, np.nan)), single("obv")).raw[20:] == 0).all()


@pytest.mark.parametrize("price", [50.0, 0.1, 7.3, 1e-9])
def test_a_price_that_does_not_move_has_quiet_features(price: float) -> None:
    """Rounding must not pass for a move: 0.1 summed twenty times is not twenty times 0.1."""
    moving = walk(300, seed=14)
    flat = {name: np.where(np.arange(300)[:, None] < 100, getattr(moving, name) * price, price) for name in FIELDS[:4]}
    found = compute(moving._replace(**flat), EVERY)
    row = dict(zip(feature_names(EVERY), found.raw[-1, 0], strict=True))
    middle = ("percent_b_20", "stochastic_k_14", "stochastic_d_14", "close_location")
    for name in middle:
        assert row[name] == 0.5, name
    for name in ("return_10", "sma_20", "realized_vol_20", "bandwidth_20", "obv_20", "cci_20", "gap", "bar_range"):
        assert row[name] == pytest.approx(0, abs=1e-15), name
    assert np.isfinite(found.raw[found.ready]).all()
    still = compute(moving._replace(**{name: np.full((300, 1), price) for name in FIELDS[:4]}), EVERY)
    assert np.isfinite(still.raw[still.ready]).all()
    assert (still.raw[200, 0] == still.raw[299, 0]).sum() >= 20


@pytest.mark.parametrize("count", [1, 2, 20, 100, 168, 169])
def test_short_series_have_no_features_yet(count: int) -> None:
    found = compute(walk(count, seed=15), EVERY)
    assert found.raw.shape == (count, 1, len(feature_names(EVERY)))
    assert found.ready.sum() == max(count - 168, 0)


def test_an_empty_panel() -> None:
    found = compute(rows_of(walk(3, symbols=2), slice(0, 0)), EVERY)
    assert found.raw.shape == (0, 2, len(feature_names(EVERY)))


def test_bounded_features_keep_their_bounds() -> None:
    found = dict(
        zip(feature_names(EVERY), np.moveaxis(compute(walk(2000, seed=16), EVERY).raw[168:, 0], -1, 0), strict=True)
    )
    for name, low in (
        ("obv_20", -1.0),
        ("rsi_14", 0.0),
        ("stochastic_k_14", 0.0),
        ("adx_14", 0.0),
        ("close_location", 0.0),
    ):
        assert low <= found[name].min() < found[name].max() <= 1, name
        assert np.ptp(found[name]) > 0.3, name
