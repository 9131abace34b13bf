"""The figures beside empyrical-reloaded and quantstats: equal where the conventions agree, else the known difference.

docs/metrics.md lists the differences; each has a test here.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from eval_bridge import metrics
from eval_bridge.metrics import curve_metrics, periods_per_year
from tests.helpers.curves import CALENDARS, equity_of

SEED = 20_240_702


class Case(NamedTuple):
    """A policy and its market over one calendar."""

    time: np.ndarray
    returns: pd.Series
    market: pd.Series
    periods: float
    mine: dict[str, float]


@pytest.fixture(scope="module", params=CALENDARS)
def case(request: pytest.FixtureRequest) -> Case:
    time = CALENDARS[request.param]
    random = np.random.default_rng(SEED)
    market = random.standard_t(4, len(time) - 1) * 0.005 + 0.0002
    returns = 0.6 * market + random.standard_t(5, len(time) - 1) * 0.004
    index = pd.DatetimeIndex(time[1:])
    mine = curve_metrics(time, equity_of(returns), equity_of(market)).values
    return Case(time, pd.Series(returns, index), pd.Series(market, index), periods_per_year(time), mine)


def call_empyrical(name: str, *given: Any, **options: Any) -> float:
    from empyrical import stats as peer

    return float(getattr(peer, name)(*given, **options))


def call_quantstats(name: str, *given: Any, **options: Any) -> Any:
    from quantstats import stats as peer

    return getattr(peer, name)(*given, **options)


AGREED_BY_EMPYRICAL: dict[str, Callable[[Case], float]] = {
    "total_return": lambda c: call_empyrical("cum_returns_final", c.returns),
    "annual_return": lambda c: call_empyrical("annual_return", c.returns, annualization=c.periods),
    "annual_volatility": lambda c: call_empyrical("annual_volatility", c.returns, annualization=c.periods),
    "sharpe": lambda c: call_empyrical("sharpe_ratio", c.returns, annualization=c.periods),
    "sortino": lambda c: call_empyrical("sortino_ratio", c.returns, annualization=c.periods),
    "calmar": lambda c: call_empyrical("calmar_ratio", c.returns, annualization=c.periods),
    "omega": lambda c: call_empyrical("omega_ratio", c.returns),
    "max_drawdown": lambda c: -call_empyrical("max_drawdown", c.returns),
    "expected_shortfall": lambda c: -call_empyrical("conditional_value_at_risk", c.returns),
    "beta": lambda c: call_empyrical("beta", c.returns, c.market),
    "information_ratio": lambda c: call_empyrical("excess_sharpe", c.returns, c.market) * np.sqrt(c.periods),
}
AGREED_BY_QUANTSTATS: dict[str, Callable[[Case], float]] = {
    "total_return": lambda c: call_quantstats("comp", c.returns),
    "annual_return": lambda c: call_quantstats("cagr", c.returns, periods=c.periods),
    "annual_volatility": lambda c: call_quantstats("volatility", c.returns, periods=c.periods),
    "sharpe": lambda c: call_quantstats("sharpe", c.returns, periods=c.periods),
    "sortino": lambda c: call_quantstats("sortino", c.returns, periods=c.periods),
    "calmar": lambda c: call_quantstats("calmar", c.returns, periods=c.periods),
    "omega": lambda c: call_quantstats("omega", c.returns, periods=c.periods),
    "max_drawdown": lambda c: -call_quantstats("max_drawdown", c.returns),
    "best_bar": lambda c: call_quantstats("best", c.returns),
    "worst_bar": lambda c: call_quantstats("worst", c.returns),
    "alpha": lambda c: call_quantstats("greeks", c.returns, c.market, periods=c.periods)["alpha"],
    "beta": lambda c: call_quantstats("greeks", c.returns, c.market, periods=c.periods)["beta"],
    "information_ratio": lambda c: (
        call_quantstats("information_ratio", c.returns, c.market) * np.sqrt(c.periods)  # it does not annualise
    ),
}
AGREED_BY_SCIPY: dict[str, Callable[[Case], float]] = {
    "skew": lambda c: stats.skew(c.returns, bias=True),
    "kurtosis": lambda c: stats.kurtosis(c.returns, bias=True),
    "beta": lambda c: stats.linregress(c.market, c.returns).slope,
    "alpha": lambda c: stats.linregress(c.market, c.returns).intercept * c.periods,
    "correlation": lambda c: stats.pearsonr(c.market, c.returns).statistic,
    "value_at_risk": lambda c: -np.quantile(c.returns, 0.05, method="lower"),
}


@pytest.mark.parametrize("name", AGREED_BY_EMPYRICAL)
def test_empyrical_agrees(case: Case, name: str) -> None:
    assert case.mine[name] == pytest.approx(AGREED_BY_EMPYRICAL[name](case), rel=1e-9)


@pytest.mark.parametrize("name", AGREED_BY_QUANTSTATS)
def test_quantstats_agrees(case: Case, name: str) -> None:
    assert case.mine[name] == pytest.approx(AGREED_BY_QUANTSTATS[name](case), rel=1e-9)


@pytest.mark.parametrize("name", AGREED_BY_SCIPY)
def test_scipy_and_numpy_agree(case: Case, name: str) -> None:
    assert case.mine[name] == pytest.approx(AGREED_BY_SCIPY[name](case), rel=1e-9)


def test_every_figure_of_a_curve_has_a_peer() -> None:
    by_hand = {"final_equity", "max_drawdown_days"}
    peers = AGREED_BY_EMPYRICAL.keys() | AGREED_BY_QUANTSTATS.keys() | AGREED_BY_SCIPY.keys()
    curve = {name for name, figure in metrics.FIGURES.items() if figure.group in metrics.catalog.CURVE_GROUPS}
    assert curve == peers | by_hand


# What differs, and by how much


def test_value_at_risk_is_interpolated_by_empyrical(case: Case) -> None:
    """Its quantile lies between two returns; ours is the lower of the two, so never the smaller loss."""
    theirs = -call_empyrical("value_at_risk", case.returns)
    assert theirs == pytest.approx(-np.percentile(case.returns, 5), rel=1e-12)
    beyond = np.sort(case.returns)[(len(case.returns) - 1) // 20 + 1]
    assert -beyond <= theirs <= case.mine["value_at_risk"]


def test_value_at_risk_is_of_a_normal_distribution_in_quantstats(case: Case) -> None:
    theirs = -call_quantstats("value_at_risk", case.returns)
    normal = -stats.norm.ppf(0.05, case.returns.mean(), case.returns.std())
    assert theirs == pytest.approx(normal, rel=1e-9)
    assert theirs != pytest.approx(case.mine["value_at_risk"], rel=1e-6)


def test_expected_shortfall_in_quantstats(case: Case) -> None:
    """That of a normal distribution, or "historical" over an interpolated quantile: one bar fewer, if that."""
    normal = -call_quantstats("expected_shortfall", case.returns)
    assert normal != pytest.approx(case.mine["expected_shortfall"], rel=1e-6)
    historical = -call_quantstats("expected_shortfall", case.returns, method="historical")
    assert historical == pytest.approx(case.mine["expected_shortfall"], rel=0.05)


def test_alpha_is_compounded_by_empyrical(case: Case) -> None:
    theirs = call_empyrical("alpha", case.returns, case.market, annualization=case.periods)
    per_bar = case.mine["alpha"] / case.periods
    assert theirs == pytest.approx((1 + per_bar) ** case.periods - 1, rel=1e-9)


def test_shape_is_unbiased_in_quantstats(case: Case) -> None:
    """pandas corrects for the small sample: G1 and G2 for our g1 and g2."""
    n = len(case.returns)
    skew, kurtosis = (call_quantstats(name, case.returns) for name in ("skew", "kurtosis"))
    assert skew == pytest.approx(case.mine["skew"] * np.sqrt(n * (n - 1)) / (n - 2), rel=1e-9)
    assert kurtosis == pytest.approx(((n + 1) * case.mine["kurtosis"] + 6) * (n - 1) / (n - 2) / (n - 3), rel=1e-9)


def test_a_year_has_252_bars_unless_told(case: Case) -> None:
    """The default of both libraries; right for the daily bars of an exchange only."""
    for theirs in (call_empyrical("sharpe_ratio", case.returns), call_quantstats("sharpe", case.returns)):
        assert theirs == pytest.approx(case.mine["sharpe"] * np.sqrt(252 / case.periods), rel=1e-9)


def test_the_information_ratio_is_not_annualised_by_them(case: Case) -> None:
    for theirs in (
        call_empyrical("excess_sharpe", case.returns, case.market),
        call_quantstats("information_ratio", case.returns, case.market),
    ):
        assert theirs == pytest.approx(case.mine["information_ratio"] / np.sqrt(case.periods), rel=1e-9)


def test_hit_rate_and_profit_factor_are_of_bars_in_quantstats(case: Case) -> None:
    """They count bars; ours count closed trades, after fees. Its profit factor is our Omega."""
    assert call_quantstats("win_rate", case.returns) == pytest.approx(np.mean(case.returns > 0), rel=1e-12)
    assert call_quantstats("profit_factor", case.returns) == pytest.approx(case.mine["omega"], rel=1e-9)


def test_exposure_is_the_share_of_moving_bars_in_quantstats(case: Case) -> None:
    """However small the position was. Ours is gross exposure / equity, from the books."""
    moving = np.arange(len(case.returns)) % 2
    assert call_quantstats("exposure", 0.001 * moving * case.returns) == 0.5


def test_no_variation_is_not_defined_here_and_infinite_there() -> None:
    rising = pd.Series(np.full(300, 0.001), pd.DatetimeIndex(CALENDARS["daily"][1:301]))
    assert np.isnan(metrics.sharpe(rising.to_numpy(), 252))
    assert np.isinf(call_empyrical("sharpe_ratio", rising))
    # Interest of 0.1 % a bar, as equity really has it: the last digits of the quotients vary.
    rounded = metrics.returns_of(equity_of(rising.to_numpy()))
    assert np.isnan(metrics.sharpe(rounded, 252))
    assert call_empyrical("sharpe_ratio", pd.Series(rounded, rising.index)) > 1e9


def test_months_and_years_agree_with_quantstats(case: Case) -> None:
    theirs = call_quantstats("monthly_returns", case.returns)
    mine = metrics.monthly_returns(case.time, equity_of(case.returns.to_numpy()))
    assert [str(year) for year in mine.index] == theirs.index.tolist()
    np.testing.assert_allclose(mine.fillna(0.0).to_numpy(), theirs.to_numpy(), rtol=1e-9, atol=1e-15)


def test_rolling_sharpe_agrees_with_quantstats(case: Case) -> None:
    mine = metrics.rolling_sharpe(case.time, equity_of(case.returns.to_numpy()), 60)
    theirs = call_quantstats("rolling_sharpe", case.returns, rolling_period=60, periods_per_year=case.periods)
    assert len(mine) == len(case.time)
    np.testing.assert_allclose(mine[1:], theirs.to_numpy(), rtol=1e-9)
