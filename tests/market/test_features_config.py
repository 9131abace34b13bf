"""Features as the config names them: columns, and clear errors for what cannot be meant."""

import pytest

from jaxtrade.config import MarketConfig
from jaxtrade.errors import InputError
from jaxtrade.market.features import feature_names, warm_up
from tests.helpers.feature_bars import make_config


def test_names_of_the_defaults() -> None:
    assert feature_names(MarketConfig(interval=86400)) == (
        *("return_1", "return_2", "return_3", "return_5", "return_10", "ema_10", "ema_20"),
        *("macd", "macd_histogram", "rsi_14", "realized_vol_20", "volume_zscore_20"),
    )


def test_names_follow_parameters_and_intervals() -> None:
    features = {
        "rsi@4h": 7,
        "ema@1d": [3, 5],
        "bollinger@90min": [10, 2.5],
        "rsi": [7, 9],
        "macd@2w": None,
        "gap": None,
    }
    assert feature_names(make_config(features, interval=1800)) == (
        *("rsi_7@4h", "ema_3@1d", "ema_5@1d", "percent_b_10@90min", "bandwidth_10@90min", "rsi_7", "rsi_9"),
        *("macd@2w", "macd_histogram@2w", "gap"),
    )


def test_missing_parameters_are_the_defaults() -> None:
    assert warm_up(make_config({"macd": 5})) == warm_up(make_config({"macd": [5, 26, 9]}))
    assert feature_names(make_config({"ema": []})) == ("ema_10", "ema_20")
    assert feature_names(make_config(["rsi=14", "ema=10,20", "macd"])) == feature_names(
        make_config({"rsi": 14, "ema": [10, 20], "macd": None})
    )


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ({"rssi": 14}, "market.features 'rssi': no such feature. Did you mean 'rsi'?"),
        ({"returns": 1}, "market.features 'returns': no such feature. Did you mean 'lagged_returns'?"),
        ({"zz": None}, "market.features 'zz': no such feature. Known: adx, atr, bar_range"),
        ({"ema": 0}, "market.features 'ema': span must be at least 2, got 0. See docs/features.md"),
        ({"ema": [10, -3]}, "market.features 'ema': span must be at least 2, got -3"),
        ({"rsi@4h": 14.5}, "market.features 'rsi@4h': period must be a whole number, got 14.5"),
        ({"sma": 200000}, "market.features 'sma': span must be at most 100000, got 200000"),
        ({"lagged_returns": 0}, "market.features 'lagged_returns': lag must be at least 1, got 0"),
        ({"bollinger": [20, 0]}, "market.features 'bollinger': width must be at least 0.01, got 0"),
        ({"bollinger": [20, -1]}, "market.features 'bollinger': width must be at least 0.01, got -1"),
        ({"macd": [26, 12, 9]}, "market.features 'macd': fast 26 must be below slow 12"),
        ({"macd": [26, 26]}, "market.features 'macd': fast 26 must be below slow 26"),
        ({"macd": [12, 26, 9, 4]}, "'macd': takes only fast, slow, signal, got 12, 26, 9, 4"),
        ({"time_of_day": 4}, "market.features 'time_of_day': takes no parameters, got 4"),
        ({"rsi": [14, 14]}, "market.features 'rsi': the column rsi_14 is there twice. Leave one of them out"),
        ({"bollinger": [20, 2], "rsi@": 14}, "market.features 'rsi@': '' is no interval. Use a number"),
        ({"rsi@4 h": 14}, "market.features 'rsi@4 h': '4 h' is no interval. Use a number"),
        ({"rsi@0h": 14}, "market.features 'rsi@0h': '0h' is no interval"),
        ({"rsi@4m": 14}, "market.features 'rsi@4m': '4m' is no interval. Use a number and min, h, d or w, such as 4h"),
        ({"rsi@1h": 14}, "the interval 1h (3600 s) is no larger multiple of that of the bars (3600 s)"),
        ({"rsi@90min": 14}, "the interval 90min (5400 s) is no larger multiple of that of the bars (3600 s). Give a"),
        ({"rsi@30min": 14}, "the interval 30min (1800 s) is no larger multiple"),
        ({"no_such_package.module:f": 3}, "cannot be imported: ModuleNotFoundError: No module named 'no_such_package'"),
    ],
)
def test_what_cannot_be_meant_is_refused(features: dict[str, object], message: str) -> None:
    for function in (feature_names, warm_up):
        with pytest.raises(InputError) as caught:
            function(make_config(features, interval=3600))
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)


def test_the_interval_must_be_known() -> None:
    with pytest.raises(ValueError, match="interval"):
        feature_names(MarketConfig())
