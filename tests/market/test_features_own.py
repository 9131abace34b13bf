"""A user's own features: what is refused, in one line that names the feature, and what is not."""

import itertools
import sys
from pathlib import Path

import numpy as np
import pytest

from jaxtrade.errors import InputError
from jaxtrade.market.features import compute, feature_names, warm_up
from tests.helpers.feature_bars import make_config, rows_of, walk, with_holes

HEAD = """
import numpy as np
from jaxtrade.market.features import SymbolBars, feature

def momentum(bars, span):
    result = np.full(len(bars.close), np.nan)
    result[span:] = np.log(bars.close[span:] / bars.close[:-span])
    return result

"""
FEATURE = "@feature(warm_up=lambda span: span)\ndef mine(bars, span: int = 5):\n    "
BARS = with_holes(walk(200, symbols=2, seed=4), share=0.02)
COUNTER = itertools.count()


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    """Return a function that writes a module and gives its name; the current folder is where it lies."""
    monkeypatch.chdir(tmp_path)
    written = []

    def module(text: str) -> str:
        written.append(f"own_features_{next(COUNTER)}")
        Path(f"{written[-1]}.py").write_text(HEAD + text, encoding="utf-8")
        return written[-1]

    yield module
    for name in written:
        sys.modules.pop(name, None)


def test_a_function_of_ones_own(write: object) -> None:
    name = write(
        FEATURE + "return momentum(bars, span)\n\n"
        "@feature(warm_up=lambda a, b: max(a, b), names=lambda a, b: (f'fast_{a}', f'slow_{b}'))\n"
        "def two(bars, a: 'int', b: float = 7):\n    return momentum(bars, a), momentum(bars, int(b))\n\n"
        "@feature(warm_up=lambda span: span, each=(2, 3))\n"
        "def several(bars, span: int):\n    return momentum(bars, span)[:, None].tolist()\n"
    )
    config = make_config({f"{name}:mine": None, f"{name}:mine@1w": 3, f"{name}:two": 4, f"{name}:several": None})
    assert feature_names(config) == ("mine_5", "mine_3@1w", "fast_4", "slow_7", "several_2", "several_3")
    assert warm_up(config) == 35
    found = compute(BARS, config)
    twins = make_config({"lagged_returns": [5, 4, 7, 2, 3], "lagged_returns@1w": 3})
    expected = compute(BARS, twins)
    np.testing.assert_array_equal(found.ready, expected.ready)
    assert found.ready.sum() > 300
    np.testing.assert_allclose(found.raw, expected.raw[..., [0, 5, 1, 2, 3, 4]], rtol=0, atol=1e-14)


REFUSED = {
    "plain function": ("def mine(bars, span=5):\n    return bars.close\n", "declares no warm-up. Give a function"),
    "no function": ("mine = 5\n", "is no feature. Give a function"),
    "not there": ("other = 5\n", "has no mine. Give a function"),
    "cannot be imported": ("import nowhere_to_be_found\n", "cannot be imported: ModuleNotFoundError"),
    "leaves": ("raise SystemExit(3)\n", "cannot be imported: SystemExit: 3"),
    "no warm-up argument": ("@feature()\ndef mine(bars):\n    return bars.close\n", "cannot be imported: TypeError"),
    "text parameter": (FEATURE.replace("= 5", "= 'x'") + "return bars.close\n", "must be a plain number"),
    "negative warm-up": (FEATURE.replace(": span)", ": -span)") + "return bars.close\n", "a warm-up of -5. Give"),
    "half a warm-up": (FEATURE.replace(": span)", ": span / 2)") + "return bars.close\n", "a warm-up of 2.5. Give"),
    "wrong warm-up": (
        FEATURE.replace("lambda span", "lambda a, b") + "return bars.close\n",
        "warm_up fails: TypeError",
    ),
    "bare name": (FEATURE.replace("span)", "span, names=lambda span: 'x')") + "return bars.close\n", "names 'x'"),
    "exception": (FEATURE + "return bars.close / bars.nothing\n", "fails on 1", "AttributeError"),
    "exception of two lines": (FEATURE + "raise ValueError('one\\ntwo')\n", "fails on 1", "ValueError: one two. Give"),
    "scalar": (FEATURE + "return 3.0\n", "gives an array of shape [] for 1", "1 names"),
    "too short": (FEATURE + "return bars.close[1:]\n", "gives an array of shape [1", "Return [T]"),
    "two columns": (FEATURE + "return bars.close, bars.open\n", ", 2] for 1", "bars and 1 names"),
    "words": (FEATURE + "return ['a'] * len(bars.close)\n", "ValueError: could not convert string to float"),
    "changes its input": (FEATURE + "bars.close[3] = 1\n    return bars.close\n", "read-only"),
    "missing after warm-up": (
        FEATURE + "result = momentum(bars, span)\n    result[9] = np.nan\n    return result\n",
        "column mine_5 at 2000-01-1",
        "is nan after the warm-up of 5 bars. Give a number there, or declare a longer warm-up",
    ),
    "warm-up too short": (FEATURE.replace(": span)", ": span - 1)") + "return momentum(bars, span)\n", "is nan after"),
    "infinite": (FEATURE + "return bars.close * np.inf\n", "is inf after the warm-up of 5 bars"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case: str, write: object) -> None:
    text, *messages = REFUSED[case]
    key = f"{write(text)}:mine"
    with pytest.raises(InputError) as caught:
        compute(BARS, make_config({key: None}))
    assert str(caught.value).startswith(f"market.features '{key}': ")
    assert "\n" not in str(caught.value)
    for message in messages:
        assert message in str(caught.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [([5, 6], "takes only span, got 5, 6"), ([5.5], "span must be a whole number, got 5.5")],
)
def test_parameters_that_do_not_fit(values: list[float], message: str, write: object) -> None:
    key = f"{write(FEATURE + 'return momentum(bars, span)')}:mine"
    with pytest.raises(InputError, match=message):
        compute(BARS, make_config({key: values}))


def test_a_parameter_without_default_must_be_given(write: object) -> None:
    key = f"{write(FEATURE.replace(' = 5', '') + 'return momentum(bars, span)')}:mine"
    with pytest.raises(InputError, match="needs span, got nothing"):
        compute(BARS, make_config({key: None}))


SEERS = {
    "next bar": "return np.append(bars.close[1:] / bars.close[:-1], 1.0)",
    "mean of all": "return bars.close / bars.close.mean()",
    "last bar": "return bars.close / bars.close[-1]",
    "centred": "return bars.close / np.convolve(bars.close, np.ones(5) / 5, mode='same')",
    "highest of all": "return bars.close / bars.high.max()",
    "how many bars": "return np.arange(len(bars.close)) / len(bars.close)",
    "back-filled": "import pandas as pd\n    return pd.Series(momentum(bars, 150)).bfill().fillna(0)",
    "smoothed twice": (
        "import talib\n    once = talib.EMA(np.log(bars.close), 3)\n    once[:2] = 0\n"
        "    return np.nan_to_num(talib.EMA(once[::-1].copy(), 3)[::-1])"
    ),
    "rounding of the future": "return (bars.close - bars.close.sum()) + bars.close.sum()",
    "chance": "return np.random.default_rng().random(len(bars.close))",
}


@pytest.mark.parametrize("case", SEERS)
def test_what_sees_the_future_is_refused(case: str, write: object) -> None:
    key = f"{write(FEATURE + SEERS[case])}:mine"
    with pytest.raises(InputError) as caught:
        compute(BARS, make_config({key: None}))
    assert f"{key}': sees the future: column mine_5 at 2000-" in str(caught.value)
    assert "changes when later bars are cut off (from " in str(caught.value)


CLEAN = {
    "running mean": "return bars.close / (np.cumsum(bars.close) / np.arange(1, len(bars.close) + 1))",
    "highest so far": "return bars.close / np.maximum.accumulate(bars.high)",
    "last value repeated": "x = np.append(np.nan, bars.close[:-1] / bars.close[1:])\n    return np.nan_to_num(x)",
    "integers": "return np.sign(bars.close - bars.open).astype(int)",
    "pandas": "import pandas as pd\n    return pd.Series(bars.close).pct_change(span)",
    "loop": "return [float(c / o) for c, o in zip(bars.close, bars.open)]",
}


@pytest.mark.parametrize("case", CLEAN)
def test_what_does_not_is_taken(case: str, write: object) -> None:
    found = compute(BARS, make_config({f"{write(FEATURE + CLEAN[case])}:mine": None}))
    assert np.isfinite(found.raw[found.ready]).all()
    assert found.ready[60:].all()


def test_a_symbol_without_bars_asks_nothing_of_a_function(write: object) -> None:
    key = f"{write(FEATURE + 'return momentum(bars, span)')}:mine"
    nothing = BARS._replace(close=np.where([True, False], np.nan, BARS.close))
    assert not compute(nothing, make_config({key: None})).ready[:, 0].any()


def test_short_series_are_not_a_functions_problem(write: object) -> None:
    """It need not cope with fewer bars than its warm-up, as of a symbol listed yesterday."""
    strict = FEATURE + "assert len(bars.close) > span\n    return momentum(bars, span)\n"
    config = make_config({f"{write(strict)}:mine": 20})
    for count in (0, 1, 20, 21, 22, 23, 60):
        found = compute(rows_of(walk(60), slice(0, count)), config)
        assert found.ready.sum() == max(count - 20, 0)


def test_the_numbers_before_the_warm_up_are_not_looked_at(write: object) -> None:
    filled = FEATURE + "x = momentum(bars, span)\n    x[:span] = bars.close[-1]\n    return x\n"
    assert compute(BARS, make_config({f"{write(filled)}:mine": 20})).ready.any()
    used = filled.replace("x[:span]", "x[: span + 1]")
    with pytest.raises(InputError, match="sees the future"):
        compute(BARS, make_config({f"{write(used)}:mine": 20}))
