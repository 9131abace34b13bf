"""Months, years and moving windows by hand."""

import numpy as np
import pytest

from eval_bridge import metrics
from eval_bridge.metrics import monthly_returns, rolling_sharpe, yearly_returns
from tests.helpers.curves import CALENDARS, equity_of

SEED = 20_240_704


def test_months_by_hand() -> None:
    """A mark belongs to the month of its time stamp; March has none, and April starts from the end of February."""
    days = ["2023-12-29", "2024-01-02", "2024-01-31", "2024-02-01", "2024-02-29", "2024-04-01", "2025-01-01"]
    equity = np.array([100.0, 110.0, 99.0, 100.0, 198.0, 99.0, 297.0])
    table = monthly_returns(np.array(days, "datetime64[D]"), equity)
    assert (list(table.index), list(table.columns)) == ([2024, 2025], [*range(1, 13), "year"])
    assert table.loc[2024].dropna().to_dict() == pytest.approx({1: -0.01, 2: 1.0, 4: -0.5, "year": -0.01})
    assert table.loc[2025].dropna().to_dict() == pytest.approx({1: 2.0, "year": 2.0})  # December 2023 has no return
    assert yearly_returns(np.array(days, "datetime64[D]"), equity).to_dict() == table["year"].to_dict()


@pytest.mark.parametrize("name", CALENDARS)
def test_months_compound_to_years_and_years_to_the_whole(name: str) -> None:
    time = CALENDARS[name]
    equity = equity_of(np.random.default_rng(SEED).normal(0, 0.01, len(time) - 1))
    table = monthly_returns(time, equity)
    months = (1 + table.drop(columns="year")).prod(axis=1) - 1
    np.testing.assert_allclose(months, table["year"], rtol=1e-11)
    assert (1 + yearly_returns(time, equity)).prod() - 1 == pytest.approx(metrics.total_return(equity), rel=1e-11)


@pytest.mark.parametrize("marks", [1, 2])
def test_short_curves_have_tables_too(marks: int) -> None:
    time, equity = CALENDARS["daily"][:marks], np.linspace(100, 101, marks)
    assert monthly_returns(time, equity).shape == (marks - 1, 13)
    assert np.isnan(rolling_sharpe(time, equity, 5)).all()


def test_each_window_is_a_sharpe_ratio_of_its_own() -> None:
    time, bars = CALENDARS["sessions with a gap"][:400], 30
    returns = np.random.default_rng(SEED).normal(0, 0.01, 399)
    returns[200:] *= 1e-5  # calm after the storm
    rolling, periods = rolling_sharpe(time, equity_of(returns), bars), metrics.periods_per_year(time)
    each = [metrics.sharpe(returns[end - bars : end], periods) for end in range(bars, 400)]
    np.testing.assert_allclose(rolling[bars:], each, rtol=1e-6)
    assert np.isnan(rolling[:bars]).all()
