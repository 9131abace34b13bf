"""Sampled runs: each is the backtest of its seed alone, and all together are what the policy's odds say."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from eval_bridge.backtester import run_backtest
from eval_bridge.ensemble import Ensemble
from eval_bridge.policy import Odds
from eval_bridge.stochastic import of_lane, run_stochastic, summary
from jaxtrade.config import EnvConfig
from jaxtrade.rules import AccountView
from tests.helpers.bundles import SMALL_MLP, random_policy
from tests.helpers.worlds import decisions, make_table

SAMPLES, STEPS = 6, 60
CONFIGS = {
    "continuous": (1, EnvConfig(window=10, trade_limit_percent=40.0)),
    "discrete9": (1, EnvConfig(window=10, action="discrete9")),
    "panel of weights": (3, EnvConfig(window=10, action="target_weight")),
}


def world(name: str, members: int = 1) -> tuple[Any, Any, Any, EnvConfig]:
    symbols, config = CONFIGS[name]
    table = make_table(10, 300, symbols, volatility=0.02)
    policies = [random_policy(SMALL_MLP, config, symbols, table.features.shape[-1], seed) for seed in range(members)]
    return policies[0] if members == 1 else Ensemble(policies), table, decisions(table, STEPS), config


@pytest.mark.parametrize("members", [1, 2])
@pytest.mark.parametrize("name", CONFIGS)
def test_a_sample_is_the_backtest_of_its_seed(name: str, members: int) -> None:
    """To the rounding of float32, in which a batch is multiplied in another order."""
    policy, table, span, config = world(name, members)
    runs = run_stochastic(policy, table, span, config, SAMPLES)
    market = policy.market(table.features, np.arange(span.first, span.last))
    assert runs["sample"].tolist() == list(range(SAMPLES))
    assert runs["final_equity"].nunique() == SAMPLES
    for seed in range(SAMPLES):
        generator = np.random.default_rng(np.random.SeedSequence(seed))

        def act(bar: int, view: AccountView, generator: np.random.Generator = generator) -> tuple[Any, float]:
            return policy.sample(policy.odds(market[bar - span.first], view), generator), 0.0

        equity = run_backtest(table, span, config, act).equity
        assert runs["final_equity"][seed] == pytest.approx(equity[-1], rel=1e-6)
        assert runs["total_return"][seed] == pytest.approx(equity[-1] / equity[0] - 1, abs=1e-6)


def test_more_samples_leave_the_first_as_they_were() -> None:
    few, many = (run_stochastic(*world("discrete9"), samples) for samples in (2, 5))
    np.testing.assert_allclose(many[:2].to_numpy(), few.to_numpy(), rtol=1e-6)


def test_repeated_it_is_the_same() -> None:
    first, second = (run_stochastic(*world("continuous"), 3) for _ in range(2))
    pd.testing.assert_frame_equal(first, second, check_exact=True)


class Coin:
    """A policy that is all in with probability `p`, whatever it sees."""

    def __init__(self, p: float) -> None:
        self.p = p

    def market(self, features: np.ndarray, bars: np.ndarray) -> np.ndarray:
        return np.zeros((len(bars), 1), np.float32)

    def odds(self, market: np.ndarray, view: AccountView) -> Odds:
        return Odds(np.zeros(len(market), int), np.tile(np.float32([1 - self.p, self.p]), (len(market), 1)), None)

    def sample(self, odds: Odds, generator: np.random.Generator) -> np.ndarray:
        return np.asarray(int(generator.random() < odds.probabilities[..., 1]))


def test_samples_follow_the_odds() -> None:
    """One decision in a market that falls: the share of samples that lose is the probability of being in it."""
    table = make_table(10, 300)
    span = decisions(table, 1)
    table.outcome.gap[span.first], table.outcome.move[span.first] = 0.0, -0.1
    table.mark[span.first + 1] = table.mark[span.first] * 0.9
    table.fill_price[span.first] = table.mark[span.first]
    config = EnvConfig(window=10, action="positions", positions=(0.0, 1.0))
    runs = run_stochastic(Coin(0.3), table, span, config, 400)
    share = float((runs["total_return"] < -0.05).mean())
    assert abs(share - 0.3) < 4 * np.sqrt(0.3 * 0.7 / 400)
    assert set(runs["total_return"] == 0) == {True, False}


def test_the_summary_by_hand() -> None:
    runs = pd.DataFrame({"sample": [0, 1, 2], "total_return": [0.1, 0.2, 0.6], "sharpe": [1.0, np.nan, 2.0]})
    found = summary(runs)
    assert set(found) == {"total_return", "sharpe"}
    assert found["total_return"] == pytest.approx(
        {"mean": 0.3, "deviation": np.sqrt(0.07), "low": 0.11, "median": 0.2, "high": 0.56}
    )
    assert found["sharpe"]["mean"] == 1.5, "where it is not defined it does not count"


def test_one_account_of_many() -> None:
    odds = Odds(np.arange(3), np.arange(6.0).reshape(3, 2), None)
    whole = odds._replace(members=(odds, odds))
    found = of_lane(whole, 1)
    assert (found.action, found.deviation, len(found.members)) == (1, None, 2)
    np.testing.assert_array_equal(found.members[1].probabilities, [2.0, 3.0])
