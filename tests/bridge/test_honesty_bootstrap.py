"""Bootstrap intervals cover, use the figures' own conventions and arch's resampling; superior predictive ability."""

import math
import time

import numpy as np
import pytest
from arch.bootstrap import SPA, IIDBootstrap

from eval_bridge.honesty.bootstrap import bootstrap_intervals, curve_figures, mean_block
from eval_bridge.honesty.superior import superior
from eval_bridge.metrics import curve_metrics
from jaxtrade.errors import InputError

NAMES = ["total_return", "annual_return", "annual_volatility", "sharpe", "sortino", "calmar", "max_drawdown"]


def days(bars: int) -> np.ndarray:
    return np.datetime64("2000-01-03", "s") + np.arange(bars + 1) * np.timedelta64(1, "D")


def test_the_figures_are_those_of_the_metrics() -> None:
    """The same functions, so the same conventions: a figure stands in the middle of its own interval."""
    returns = np.random.default_rng(0).normal(0.0005, 0.01, 800)
    equity = np.concatenate([[1.0], np.cumprod(1 + returns)])
    expected = curve_metrics(days(800), equity).values
    found = curve_figures(returns, 800 / 365.2425)
    assert list(found) == NAMES
    for name, value in found.items():
        assert value == pytest.approx(expected[name], rel=1e-9)


def test_intervals_cover_the_true_sharpe_ratio() -> None:
    """Of 60 samples of independent returns about 57 cover; between 52 and 60 do."""
    random, truth = np.random.default_rng(1), 0.05 * math.sqrt(365.2425)
    covered = 0
    for _ in range(60):
        low, high = bootstrap_intervals(days(300), random.normal(0.0005, 0.01, 300), 200).intervals["sharpe"]
        covered += low < truth < high
    assert 52 <= covered <= 60


def test_dependence_makes_intervals_wider() -> None:
    """Returns that carry on from bar to bar: blocks keep that, single bars do not."""
    random = np.random.default_rng(2)
    noise, returns = random.normal(0, 0.01, 1500), np.zeros(1500)
    for bar in range(1, 1500):
        returns[bar] = 0.7 * returns[bar - 1] + noise[bar]
    assert mean_block(returns) > 10
    low, high = bootstrap_intervals(days(1500), returns, 400).intervals["sharpe"]
    periods = math.sqrt(365.2425)
    ratio = lambda drawn: np.array([drawn.mean() / drawn.std(ddof=1) * periods])  # noqa: E731
    alone = IIDBootstrap(returns, seed=np.random.default_rng(0)).apply(ratio, 400)
    assert high - low > 1.5 * np.ptp(np.quantile(alone, [0.025, 0.975]))


def test_the_block_is_bounded() -> None:
    random = np.random.default_rng(3)
    assert 1 <= mean_block(random.normal(size=500)) <= 30
    trend = np.linspace(-1, 1, 40)
    assert mean_block(trend) <= 10
    spells = random.normal(size=2000) * np.where(np.arange(2000) // 100 % 2, 0.1, 1.0)
    assert mean_block(spells) > 20  # the squares hang together, the returns do not


def test_the_same_returns_give_the_same_intervals() -> None:
    returns = np.random.default_rng(4).normal(0, 0.01, 400)
    assert bootstrap_intervals(days(400), returns, 100) == bootstrap_intervals(days(400), returns, 100)


def test_what_is_not_defined_has_a_reason() -> None:
    few, flat = bootstrap_intervals(days(10), np.full(10, 0.01)), bootstrap_intervals(days(100), np.full(100, 0.01))
    for found in (few, flat):
        assert found.resamples == 0 and list(found.undefined) == list(found.intervals) == NAMES
        assert all(math.isnan(low) and math.isnan(high) for low, high in found.intervals.values())
    rising = np.abs(np.random.default_rng(5).normal(0.01, 0.001, 200))  # no bar loses: no Sortino ratio, no drawdown
    found = bootstrap_intervals(days(200), rising, 100)
    assert set(found.undefined) == {"sortino", "calmar"}
    assert found.intervals["sharpe"][0] > 0


def test_long_runs_get_fewer_resamples_and_end_in_time() -> None:
    bars = 20_000
    returns = np.random.default_rng(6).normal(0, 0.01, bars)
    bootstrap_intervals(days(50), returns[:50], 10)  # arch takes seconds to import
    start = time.process_time()
    found = bootstrap_intervals(days(bars), returns)
    assert found.resamples == 500
    assert time.process_time() - start < 6


def test_superior_ability_is_found_and_luck_is_not() -> None:
    random = np.random.default_rng(10)
    market = random.normal(0, 0.01, 600)
    noise = {f"noise {n}": random.normal(0, 0.01, 600) for n in range(8)}
    luck = superior(noise, market)
    assert luck["p_value"] == luck["consistent"] > 0.1
    assert luck["lower"] <= luck["consistent"] <= luck["upper"]
    skill = superior(noise | {"skill": market + random.normal(0.002, 0.005, 600)}, market)
    assert skill["p_value"] < 0.01 and skill["best"] == "skill" and len(skill["tested"]) == 9
    assert skill["reality_check"] < 0.05
    assert superior(noise, market) == luck


def test_superior_ability_is_that_of_arch() -> None:
    random = np.random.default_rng(8)
    market, run = random.normal(0, 0.01, 300), random.normal(0.0004, 0.01, 300)
    found = superior({"run": run}, market)
    test = SPA(-market, -run, int(found["block_length"]), 1000, "stationary", seed=np.random.default_rng(20_260_803))
    test.compute()
    assert found["consistent"] == float(test.pvalues["consistent"])
    assert found["resamples"] == 1000


def test_what_cannot_be_compared() -> None:
    market = np.random.default_rng(9).normal(0, 0.01, 100)
    same = superior({"hold": market}, market)
    assert math.isnan(same["p_value"]) and same["undefined"] and same["tested"] == []
    assert superior({"a": market[:5], "b": -market[:5]}, market[:5])["undefined"].startswith("there are fewer")
    with pytest.raises(InputError, match="run 'a': has 50 bars"):
        superior({"a": market[:50]}, market)
