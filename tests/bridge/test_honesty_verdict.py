"""The declared p-value and the plain line: for skill, luck, ruin, no trade, a constant policy, and many trials."""

import json
import math
from typing import Any

import numpy as np
import pytest

from eval_bridge.backtester import Backtest, buy_and_hold
from eval_bridge.honesty.baselines import run_baselines
from eval_bridge.honesty.path import path_of
from eval_bridge.honesty.sharpe import deflated_sharpe, probabilistic_sharpe, sample_of
from eval_bridge.honesty.shift import shift_null
from eval_bridge.honesty.verdict import judge
from eval_bridge.metrics import curve_metrics
from jaxtrade.config import EnvConfig
from jaxtrade.trials import Trials
from tests.helpers.noise_policies import few_resamples, follow, holdings, plain_baselines, planted_market
from tests.helpers.worlds import make_table

ONE = Trials(1, ())
KEYS = [
    "p_value",
    "verdict",
    "significant",
    "shift_null",
    "probabilistic_sharpe",
    "deflated_sharpe",
    "trials",
    "trials_on_these_bars",
    "trial_sharpe_deviation",
    "sharpe_threshold",
    "track_record_years",
    "minimum_track_record_years",
    "minimum_backtest_length_years",
    "sharpe_standard_error",
    "intervals",
    "interval_level",
    "block_length",
    "resamples",
    "constant_policy",
    "correlation_with_buy_and_hold",
    "random",
    "undefined",
]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    few_resamples(monkeypatch)


def skilled(edge: float, bars: int = 250, seed: int = 0) -> Backtest:
    random = np.random.default_rng(seed)
    weights = holdings(bars, (-1.0, 1.0), 4, random)
    return follow(planted_market(0.01 * (random.normal(size=(bars, 1)) + edge * weights)), weights)


def judged(result: Backtest, trials: Trials = ONE) -> dict[str, Any]:
    return judge(result, plain_baselines(result), trials, shifts=49)


@pytest.mark.usefixtures("quick")
def test_the_p_value_is_the_larger_of_two() -> None:
    for edge in (0.0, 0.3):
        for trials in (ONE, Trials(20, (0.01, 0.1, -0.2))):
            result = skilled(edge, bars=150)
            found, sample = judged(result, trials), sample_of(path_of(result).returns)
            deflated = probabilistic_sharpe(sample)
            if trials.count > 1:
                deflated = deflated_sharpe(sample, 20, float(np.var([0.01, 0.1, -0.2], ddof=1)))
            shift = shift_null(result, 49).p_value
            assert found["p_value"] == max(shift, 1 - deflated)
            assert (found["shift_null"]["p_value"], found["deflated_sharpe"]) == (shift, deflated)
            assert found["probabilistic_sharpe"] == probabilistic_sharpe(sample)
            assert found["significant"] == (found["p_value"] <= 0.05)


def test_skill_and_luck_in_plain_words() -> None:
    skill, luck = judged(skilled(0.4), Trials(12, ())), judged(skilled(0.0))
    assert skill["verdict"].startswith(
        "evidence of skill at the 5 % level: p = 0.02 (the same positions at other times "
    )
    assert "luck after 12 trials below 0.001" in skill["verdict"]
    assert luck["verdict"].startswith(f"no evidence of skill: p = {luck['p_value']:.2g} (")
    assert "luck after one trial" in luck["verdict"]
    for found in (skill, luck):
        assert list(found) == KEYS
        json.dumps(found)
        assert found["undefined"].keys() == {
            name for name, value in found.items() if isinstance(value, float) and math.isnan(value)
        }


@pytest.mark.usefixtures("quick")
def test_more_trials_mean_less() -> None:
    result = skilled(0.25)
    few, many, wide = (judged(result, trials) for trials in (Trials(2), Trials(500), Trials(500, (-0.2, 0.0, 0.2))))
    assert few["deflated_sharpe"] > many["deflated_sharpe"] > wide["deflated_sharpe"]
    assert few["sharpe_threshold"] < many["sharpe_threshold"] < wide["sharpe_threshold"]
    assert few["probabilistic_sharpe"] == wide["probabilistic_sharpe"]
    assert few["minimum_backtest_length_years"] < many["minimum_backtest_length_years"]
    assert (few["significant"], wide["significant"]) == (True, False)


def test_trials_that_are_alike_do_not_make_luck_small() -> None:
    found = judged(skilled(0.12), Trials(10, (0.1, 0.1, 0.1)))
    periods = 250 / found["track_record_years"]
    assert found["trial_sharpe_deviation"] == pytest.approx(math.sqrt(periods / 249))


def test_numbers_that_stand_beside_others_are_annual() -> None:
    result = skilled(0.1)
    found, figures = judged(result), curve_metrics(result.time, result.equity).values
    assert found["shift_null"]["observed"] == pytest.approx(figures["sharpe"])
    assert found["intervals"]["sharpe"][0] < figures["sharpe"] < found["intervals"]["sharpe"][1]
    assert found["sharpe_standard_error"] == pytest.approx(1 / math.sqrt(found["track_record_years"]), rel=0.05)
    assert len(found["shift_null"]["values"]) == found["shift_null"]["shifts"] == 49
    width = found["intervals"]["sharpe"][1] - found["intervals"]["sharpe"][0]
    assert width == pytest.approx(2 * 1.96 * found["sharpe_standard_error"], rel=0.25)


def test_no_trade() -> None:
    result = follow(planted_market(np.random.default_rng(0).normal(0, 0.01, (100, 1))), np.zeros((100, 1)))
    found = judge(result, run_baselines(result), ONE)
    assert (found["p_value"], found["significant"]) == (1.0, False)
    assert found["verdict"] == "no evidence of skill: p = 1 (it never traded)"
    assert math.isnan(found["deflated_sharpe"]) and found["undefined"]["deflated_sharpe"] == "the returns do not vary"
    assert found["undefined"]["intervals.sharpe"]


def test_equity_that_never_moved() -> None:
    found = judged(follow(planted_market(np.zeros((60, 1))), np.ones((60, 1))))
    assert found["verdict"] == "no evidence of skill: p = 1 (its equity never moved)"


def test_one_bar() -> None:
    found = judged(follow(planted_market(np.full((30, 1), 0.01)), np.ones((1, 1))))
    assert found["p_value"] == 1 and not found["significant"]
    assert "shift_null.median" in found["undefined"]


def test_ruin_is_never_skill() -> None:
    crash = np.random.default_rng(0).normal(0.02, 0.005, (80, 1)) - 0.5 * (np.arange(80) == 60)[:, None]
    result = follow(planted_market(crash), 2.9 + 0.01 * np.arange(80)[:, None] % 0.1, max_leverage=3.0)
    found = judged(result)
    assert path_of(result).ruined and not found["significant"]
    assert found["verdict"] == f"no evidence of skill: the account was ruined on {str(result.time[-1])[:10]}"


@pytest.mark.usefixtures("quick")
def test_buy_and_hold_is_told_from_skill() -> None:
    """A rising market: the Sharpe ratio alone would call it skill."""
    table = planted_market(np.random.default_rng(1).normal(0.004, 0.01, (201, 1)))
    result = buy_and_hold(table, table.ranges["all"], EnvConfig(window=1))
    found = judge(result, run_baselines(result), ONE, shifts=49)
    assert found["probabilistic_sharpe"] > 0.99
    assert found["p_value"] > 0.9 and found["constant_policy"]
    assert found["verdict"].endswith("; it is nearly buy and hold (correlation 1.000)")
    short = follow(table, -0.5 + 1e-3 * np.arange(200)[:, None] % 2e-3)  # traded at every bar
    assert "nearly a constant short" in judge(short, run_baselines(short), ONE, shifts=49)["verdict"]
    active = skilled(0.1, bars=100)
    assert not judge(active, run_baselines(active), ONE, shifts=49)["constant_policy"]


def test_the_same_run_gives_the_same_words() -> None:
    table = make_table(10, 240, 2)
    result = buy_and_hold(table, table.ranges["all"], EnvConfig(window=10))
    first, second = (json.dumps(judge(result, run_baselines(result), Trials(3, (0.1, 0.2)))) for _ in range(2))
    assert first == second
