"""Curves without variation, without bars, without anything left: a defined result with a reason, and no warning."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval_bridge import metrics
from eval_bridge.metrics import FIGURES, Figures, curve_metrics
from eval_bridge.metrics.drawdown import drawdowns
from eval_bridge.metrics.ratios import NO_DRAWDOWN, NO_LOSS, NO_VARIATION
from eval_bridge.metrics.relative import FLAT_MARKET, NO_MARKET, SAME
from eval_bridge.metrics.returns import FEW_BARS, TOO_SHORT
from tests.helpers.curves import business_days, equity_of, round_the_clock

SEED = 20_240_703
YEARS = business_days(501)
NOISE = np.random.default_rng(SEED).normal(0, 0.01, 500)
MARKET = equity_of(np.random.default_rng(SEED + 1).normal(0, 0.01, 500))
BESIDE = ("alpha", "beta", "information_ratio", "correlation")


def settled(figures: Figures) -> Figures:
    """Return the figures after checking that each is a number or has a reason, and that no ratio is absurd."""
    assert {name for name, value in figures.values.items() if np.isnan(value)} == figures.undefined.keys()
    assert all(figures.undefined.values())
    for name, value in figures.values.items():
        assert not np.isinf(value), name
        assert FIGURES[name].kind == "money" or not abs(value) > 1e6, (name, value)
    return figures


def curve(time: np.ndarray, equity: np.ndarray, market: np.ndarray | None = MARKET) -> Figures:
    return settled(curve_metrics(time, equity, market))


FLAT = dict.fromkeys(("sharpe", "skew", "kurtosis", "correlation"), NO_VARIATION)
NEVER_LOST = {"sortino": NO_LOSS, "omega": NO_LOSS, "calmar": NO_DRAWDOWN}


def test_all_cash() -> None:
    figures = curve(YEARS, np.full(501, 1e4))
    assert figures.undefined == FLAT | NEVER_LOST
    zero = ("total_return", "annual_return", "annual_volatility", "max_drawdown", "max_drawdown_days", "beta", "alpha")
    assert {figures.values[name] for name in (*zero, "value_at_risk", "expected_shortfall", "worst_bar")} == {0.0}


@pytest.mark.parametrize("rate", [1e-3, 1e-5, 1e-9, -1e-4])
@pytest.mark.parametrize("capital", [0.07, 12_345.67, 1e9])
def test_interest_at_one_rate_varies_by_rounding_only(rate: float, capital: float) -> None:
    equity = equity_of(np.full(500, rate), capital)
    assert np.std(metrics.returns_of(equity)) > 0  # the rounding is there
    figures = curve(YEARS, equity)
    assert {name for name, reason in figures.undefined.items() if reason == NO_VARIATION} == FLAT.keys()
    assert figures.values["annual_volatility"] == 0
    assert ("sortino" in figures.undefined) == (rate > 0)


def test_a_little_variation_is_variation() -> None:
    """A millionth of the account at work is no rounding."""
    figures = curve(YEARS, equity_of(1e-6 * NOISE))
    assert figures.undefined == {}
    assert figures.values["sharpe"] == pytest.approx(metrics.sharpe(NOISE, metrics.periods_per_year(YEARS)), rel=1e-6)


def test_one_bar() -> None:
    figures = curve(YEARS[:2], np.array([100.0, 99.0]))
    few = ("annual_volatility", "sharpe", "skew", "kurtosis", *BESIDE)
    assert figures.undefined == dict.fromkeys(few, FEW_BARS) | {"annual_return": TOO_SHORT, "calmar": TOO_SHORT}
    assert figures.values["value_at_risk"] == pytest.approx(0.01)


@pytest.mark.parametrize("marks", [0, 1])
def test_no_bar(marks: int) -> None:
    figures = curve(YEARS[:marks], np.full(marks, 100.0))
    assert set(figures.undefined.values()) == {"there is no bar after the first mark"}
    assert len(figures.undefined) == len(figures.values) - marks  # the final equity is known if there is a mark


@pytest.mark.parametrize("left", [1e-4, 0.0, -50.0], ids=["the ruin floor", "nothing", "debt"])
def test_ruin_in_the_middle(left: float) -> None:
    equity = equity_of(NOISE)
    equity[250:] = left
    figures = curve(YEARS, equity)
    assert figures.undefined == {}
    assert figures.values["final_equity"] == left
    total = pytest.approx(max(left, 0) / 1e4 - 1, abs=1e-15)
    assert (figures.values["total_return"], -figures.values["max_drawdown"]) == (total, pytest.approx(-1, abs=1e-6))
    assert -1 <= figures.values["annual_return"] < -0.99
    assert (figures.values["worst_bar"], figures.values["best_bar"] < 0.1) == (pytest.approx(-1, abs=1e-6), True)
    assert drawdowns(equity).min() >= -1
    months = metrics.monthly_returns(YEARS, equity)
    assert (1 + months["year"]).prod() - 1 == total
    assert not np.isinf(metrics.rolling_sharpe(YEARS, equity, 60)).any()


def test_only_gains_and_only_losses() -> None:
    gains, losses = curve(YEARS, equity_of(np.abs(NOISE))), curve(YEARS, equity_of(-np.abs(NOISE)))
    assert gains.undefined == NEVER_LOST
    assert (losses.undefined, losses.values["omega"]) == ({}, 0.0)


@pytest.mark.parametrize(
    ("market", "undefined"),
    [
        (None, dict.fromkeys(BESIDE, NO_MARKET)),
        (np.full(501, 7.0), {"alpha": FLAT_MARKET, "beta": FLAT_MARKET, "correlation": FLAT_MARKET}),
        (3 * equity_of(NOISE), {"information_ratio": SAME}),
        (np.full(501, np.nan), dict.fromkeys(BESIDE, "the equity of the market is not a number above 0")),
    ],
    ids=["none", "flat", "the policy itself", "not a number"],
)
def test_odd_markets(market: np.ndarray | None, undefined: dict[str, str]) -> None:
    assert curve(YEARS, equity_of(NOISE), market).undefined == undefined


def test_marks_that_one_of_the_two_has_not() -> None:
    """After the ruin of the policy the market goes on; after its own it lies flat."""
    equity = equity_of(NOISE)
    assert curve(YEARS[:300], equity[:300], MARKET) == curve(YEARS[:300], equity[:300], MARKET[:300])
    flat = np.where(np.arange(501) < 300, MARKET, MARKET[299])
    assert curve(YEARS, equity, MARKET[:300]) == curve(YEARS, equity, flat)


@pytest.mark.parametrize(
    ("time", "equity", "reason"),
    [
        (YEARS, np.append(equity_of(NOISE)[:-1], np.nan), "equity is not a number at some mark"),
        (YEARS, np.append(0.0, equity_of(NOISE)[1:]), "the starting capital is not above 0"),
        (np.repeat(YEARS[:1], 501), equity_of(NOISE), "the times of the marks do not increase"),
    ],
)
def test_what_is_no_curve(time: np.ndarray, equity: np.ndarray, reason: str) -> None:
    assert set(curve(time, equity).undefined.values()) == {reason}


def test_a_day_is_not_compounded_to_a_year() -> None:
    """10 % in a day is 1e15 a year."""
    figures = curve(round_the_clock(25), equity_of(np.full(24, 0.004)))
    assert figures.undefined["annual_return"] == figures.undefined["calmar"] == TOO_SHORT


def test_windows_without_variation_have_no_sharpe() -> None:
    """A jump before the quiet must not leave its rounding in the windows after it."""
    equity = np.concatenate([equity_of(NOISE[:200]), np.full(300, 20_000.0)])
    rolling = metrics.rolling_sharpe(YEARS, equity, 50)
    assert np.isnan(rolling[:50]).all()
    assert np.isfinite(rolling[50:250]).all()
    assert np.isnan(rolling[251:]).all()


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.floats(-1.5, 10.0) | st.sampled_from([0.0, -1.0, 1e-13, 1e-9]), max_size=25),
    st.lists(st.floats(-1.0, 3.0), max_size=30),
    st.integers(1, 10**8),
)
def test_any_curve(returns: list[float], other: list[float], seconds: int) -> None:
    time = np.datetime64("2001-01-01", "s") + np.arange(len(returns) + 1) * np.timedelta64(seconds, "s")
    values, undefined = curve_metrics(time, equity_of(np.array(returns)), equity_of(np.array(other)))
    assert {name for name, value in values.items() if np.isnan(value)} == undefined.keys()
    assert not any(np.isinf(value) for value in values.values())
    if returns:
        assert 0 <= values["max_drawdown"] <= 1
        assert values["worst_bar"] <= -values["expected_shortfall"] + 1e-9
        assert values["value_at_risk"] <= values["expected_shortfall"] + 1e-9
        assert not abs(values["correlation"]) > 1
