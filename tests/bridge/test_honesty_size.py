"""Size and power of the verdict: luck is rarely called skill, and planted skill is found. Through the real `judge`."""

import numpy as np
import pytest

from eval_bridge.honesty.verdict import judge
from jaxtrade.trials import Trials
from tests.helpers.noise_policies import (
    DAY,
    VOLATILITY,
    WEEK,
    few_resamples,
    follow,
    holdings,
    plain_baselines,
    planted_market,
)

ONE = Trials(1)
CHOICES = {"long or short": (-1.0, 1.0), "in or out": (0.0, 1.0), "three": (-1.0, 0.0, 0.5)}
HOLDING = (1, 2, 5, 10, 20, 60)  # bars, on average
EDGE = 1.5  # Sharpe ratio a year


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    few_resamples(monkeypatch)


def noise_verdict(seed: int, bars: int, drift: float) -> dict[str, object]:
    """Judge positions drawn without regard to a random walk; `drift` a bar, in deviations."""
    random = np.random.default_rng(seed)
    walk = VOLATILITY * random.normal(drift, 1.0, (bars, 1))
    choices = list(CHOICES.values())[seed % 3]
    result = follow(planted_market(walk), holdings(bars, choices, HOLDING[seed % len(HOLDING)], random))
    return judge(result, plain_baselines(result), ONE)


def skilled_verdict(seed: int, bars_a_year: int, years: int, trials: Trials = ONE) -> dict[str, object]:
    """Judge positions of plus or minus one that the market follows so that their Sharpe ratio is 1.5 a year."""
    random = np.random.default_rng(1000 + seed)
    bars = bars_a_year * years
    weights = holdings(bars, (-1.0, 1.0), HOLDING[seed % 4], random)
    returns = VOLATILITY * (random.normal(size=(bars, 1)) + EDGE / np.sqrt(bars_a_year) * weights)
    step = {252: DAY * 365 // 252, 52: WEEK}[bars_a_year]
    result = follow(planted_market(returns, step), weights)
    return judge(result, plain_baselines(result), trials)


def test_luck_is_not_called_skill() -> None:
    """16 policies; more than 4 would be called significant once in 1,000 times at 5 %."""
    found = [noise_verdict(seed, 120, drift) for seed in range(8) for drift in (0.0, 0.1)]
    assert sum(bool(each["significant"]) for each in found) <= 4
    assert sum(float(each["shift_null"]["p_value"]) <= 0.05 for each in found) <= 4  # type: ignore[index]


def test_skill_is_found() -> None:
    """10 years of weekly bars: the same Sharpe ratio and years as the nightly test, a fifth of the bars."""
    found = [skilled_verdict(seed, 52, 10) for seed in range(5)]
    assert sum(bool(each["significant"]) for each in found) >= 4
    assert np.mean([float(each["shift_null"]["observed"]) for each in found]) == pytest.approx(EDGE, abs=0.3)  # type: ignore[index]


@pytest.mark.nightly
@pytest.mark.parametrize("drift", [0.0, 0.05])
def test_at_most_17_of_200_noise_policies_are_called_significant(drift: float) -> None:
    """17 is what 200 policies without skill exceed in 1 % of the cases at 5 %. A market that rises changes nothing."""
    found = [noise_verdict(seed, 500, drift) for seed in range(200)]
    called = sum(bool(each["significant"]) for each in found)
    by_shift = sum(float(each["shift_null"]["p_value"]) <= 0.05 for each in found)  # type: ignore[index]
    by_sharpe = sum(float(each["deflated_sharpe"]) >= 0.95 for each in found)  # type: ignore[arg-type]
    said = f"called {called}, by the shift null alone {by_shift}, by the Sharpe ratio alone {by_sharpe}"
    assert called <= 17 and by_shift <= 17, said
    assert by_shift >= 3, said  # it is no test that never speaks
    assert drift == 0 or by_sharpe > 17, said  # and the Sharpe ratio alone does call a rising market skill


@pytest.mark.nightly
@pytest.mark.parametrize(("trials", "least"), [(ONE, 90), (Trials(12), 75)])
def test_planted_skill_of_ten_years_is_found(trials: Trials, least: int) -> None:
    """Sharpe 1.5 a year over 10 years of daily bars: 90 % at least, of 100 policies; after 12 trials fewer."""
    found = [skilled_verdict(seed, 252, 10, trials) for seed in range(100)]
    called = sum(bool(each["significant"]) for each in found)
    assert called >= least, f"found {called} of 100"
