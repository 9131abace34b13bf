"""Figures of equity curves that can be checked by hand, and the drawdown against a search through all pairs."""

import numpy as np
import pytest

from eval_bridge import metrics
from eval_bridge.metrics import curve_metrics, periods_per_year
from tests.helpers.curves import business_days, equity_of, round_the_clock, sessions

FOUR = np.array([0.01, -0.01, 0.02, 0.0])  # mean 0.005, squared deviations (25, 225, 225, 25) e-6
DAYS_A_YEAR = 365.2425
SEED = 20_240_701


def figures(time: np.ndarray, returns: np.ndarray, market: np.ndarray | None = None) -> dict[str, float]:
    return curve_metrics(time, equity_of(returns), market).values


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        # Ten business days are two weeks; an hour is an hour by night; a session of seven hours on five days of seven.
        (business_days(11), 10 / 14 * DAYS_A_YEAR),
        (round_the_clock(100), 24 * DAYS_A_YEAR),
        (business_days(1 + 5 * 52 * 4), 5 / 7 * DAYS_A_YEAR),
        (np.array(["2024-01-01", "2024-01-02", "2024-01-12"], "datetime64[D]"), 2 / 11 * DAYS_A_YEAR),  # a gap
        (np.array(["2020-01-31T00", "2021-01-30T05:49:12"], "datetime64[ns]"), 1.0),  # one mean Gregorian year
    ],
    ids=["business days", "24x7 hours", "four years", "a gap", "one year"],
)
def test_bars_a_year_are_those_of_the_calendar(time: np.ndarray, expected: float) -> None:
    assert periods_per_year(time) == pytest.approx(expected, rel=1e-13)


def test_a_gap_makes_fewer_bars_a_year() -> None:
    time = sessions(3000)
    assert len(time) == 3000
    days = (time[-1] - time[0]) / np.timedelta64(1, "D")
    assert periods_per_year(time) == pytest.approx(2999 / days * DAYS_A_YEAR, rel=1e-13)
    assert periods_per_year(time) < 0.95 * 7 * 5 / 7 * DAYS_A_YEAR


@pytest.mark.parametrize(
    ("time", "periods"),
    [(business_days(5, "2024-01-01"), 365.2425), (round_the_clock(5), 24 * 365.2425)],
    ids=["daily", "24x7"],
)
def test_four_returns_by_hand(time: np.ndarray, periods: float) -> None:
    """Monday to Friday: four bars in four days."""
    mine = figures(time, FOUR)
    assert mine["sharpe"] == pytest.approx(np.sqrt(0.15 * periods), rel=1e-12)  # 0.005 / sqrt(500e-6 / 3)
    assert mine["sortino"] == pytest.approx(np.sqrt(periods), rel=1e-12)  # 0.005 / sqrt(1e-4 / 4)
    assert mine["annual_volatility"] == pytest.approx(np.sqrt(500e-6 / 3 * periods), rel=1e-12)
    assert mine["omega"] == pytest.approx(3.0, rel=1e-12)
    assert mine["total_return"] == pytest.approx(1.01 * 0.99 * 1.02 - 1, rel=1e-12)
    assert mine["max_drawdown"] == pytest.approx(0.01, rel=1e-12)
    assert mine["max_drawdown_days"] == (time[3] - time[1]) / np.timedelta64(1, "D")
    assert mine["value_at_risk"] == mine["expected_shortfall"] == -mine["worst_bar"] == pytest.approx(0.01, rel=1e-12)
    assert mine["best_bar"] == pytest.approx(0.02, rel=1e-12)
    assert mine["skew"] == pytest.approx(0.0, abs=1e-12)
    assert mine["kurtosis"] == pytest.approx((2 * 25**2 + 2 * 225**2) / 4 / 125**2 - 3, rel=1e-11)
    assert np.isnan(mine["annual_return"])


def test_annual_return_and_calmar_by_hand() -> None:
    """Two years to the second: up 44 % is 20 % a year, over a drawdown of 10 %."""
    time = np.datetime64("2000-01-01", "s") + np.array([0, 1, 2]) * metrics.returns.YEAR
    mine = figures(time, np.array([-0.1, 1.6 - 1]))
    assert mine["annual_return"] == pytest.approx(0.2, rel=1e-12)
    assert mine["calmar"] == pytest.approx(2.0, rel=1e-12)


def test_against_the_market_by_hand() -> None:
    """Twice the market and a tenth of a percent a bar."""
    market = np.array([0.01, -0.02, 0.03, 0.0, -0.01])
    time = business_days(6, "2024-01-01")
    periods = 5 / 7 * DAYS_A_YEAR
    mine = figures(time, 0.001 + 2 * market, equity_of(market, 1.0))
    assert mine["beta"] == pytest.approx(2, rel=1e-12)
    assert mine["alpha"] == pytest.approx(0.001 * periods, rel=1e-10)
    assert mine["correlation"] == pytest.approx(1, rel=1e-12)
    active = 0.001 + market
    ratio = active.mean() / np.sqrt(np.sum((active - active.mean()) ** 2) / 4)
    assert mine["information_ratio"] == pytest.approx(ratio * np.sqrt(periods), rel=1e-10)


def test_a_market_shifted_by_a_bar_is_another_market() -> None:
    """Figures beside the market are of the same marks."""
    random = np.random.default_rng(SEED)
    market, time = random.normal(0, 0.01, 500), business_days(501)
    same = figures(time, market, equity_of(market))
    late = figures(time, market, equity_of(np.append(0.0, market[:-1])))
    assert (same["beta"], same["correlation"]) == (pytest.approx(1), pytest.approx(1))
    assert abs(late["beta"]) < 0.2


def test_the_published_vector() -> None:
    """empyrical's test vector: [1, 10, -4, 2, 3, 2, 1, -10] % at 252 a year."""
    returns = np.array([0.01, 0.1, -0.04, 0.02, 0.03, 0.02, 0.01, -0.1])
    curve = equity_of(returns, 1.0)
    assert metrics.sharpe(returns, 252) == pytest.approx(1.7238613961706866, rel=1e-14)
    assert metrics.sortino(returns, 252) == pytest.approx(2.605531251673693, rel=1e-14)
    assert metrics.max_drawdown(curve) == pytest.approx(0.10, rel=1e-14)
    assert metrics.total_return(curve) == pytest.approx(0.03893, abs=5e-6)


def test_the_capital_does_not_matter() -> None:
    random = np.random.default_rng(SEED)
    time, returns, market = business_days(600), random.normal(0, 0.01, 599), random.normal(0, 0.01, 599)
    small, large = (curve_metrics(time, equity_of(returns, at), equity_of(market, at)) for at in (1e-3, 1e9))
    assert small.undefined == large.undefined == {}
    for name, value in small.values.items():
        factor = 1e12 if metrics.FIGURES[name].kind == "money" else 1
        assert large.values[name] == pytest.approx(value * factor, rel=1e-9), name


def deepest(equity: np.ndarray) -> float:
    """Return the largest loss from any mark to any later one."""
    return max(1 - equity[j] / equity[i] for i in range(len(equity)) for j in range(i, len(equity)))


def longest(equity: np.ndarray) -> int:
    """Return the most bars from any mark to the first later one as high, all between them lower; or to the end."""
    found = 0
    for i, height in enumerate(equity):
        lower = 0
        while i + lower + 1 < len(equity) and equity[i + lower + 1] < height:
            lower += 1
        if lower and height == max(equity[: i + 1]):
            found = max(found, min(lower + 1, len(equity) - 1 - i))
    return found


@pytest.mark.parametrize("seed", range(30))
def test_drawdowns_by_brute_force(seed: int) -> None:
    """Half of the curves move by whole numbers, so that they return to the very peak; some end under water."""
    random = np.random.default_rng(seed)
    steps = random.integers(-3, 4, 60) if seed % 2 else random.normal(0, 1, 60)
    equity = 100 + np.cumsum(np.append(0.0, steps))
    assert metrics.max_drawdown(equity) == pytest.approx(deepest(equity), rel=1e-12)
    assert metrics.max_drawdown_days(np.datetime64("2020-01-01") + np.arange(61), equity) == longest(equity) > 0


def test_time_under_water_is_calendar_time() -> None:
    """The peak is Thursday's, and the following Tuesday has its height again; the last mark is a shorter wait."""
    equity = np.array([10.0, 11.0, 11.0, 12.0, 11.0, 11.5, 12.0, 11.0])
    assert metrics.max_drawdown_days(business_days(8, "2024-01-01"), equity) == 5.0


@pytest.mark.parametrize(("growth", "days"), [(1.01, 0.0), (0.99, 60.0)], ids=["only rises", "only falls"])
def test_curves_of_one_direction(growth: float, days: float) -> None:
    equity = growth ** np.arange(61.0)
    assert metrics.max_drawdown_days(np.datetime64("2020-01-01") + np.arange(61), equity) == days
    assert metrics.max_drawdown(equity) == pytest.approx(max(0, 1 - growth**60), rel=1e-12)
