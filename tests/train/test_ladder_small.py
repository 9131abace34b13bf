"""The foot of the ladder: the optimum is the optimum, the tripwire trips, and a trained policy comes near to it."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from eval_bridge.backtester import replay_actor, run_backtest
from eval_bridge.lanes import run_lanes
from jaxtrade.config import CostConfig, EnvConfig
from jaxtrade.market.splits import Range
from jaxtrade.market.table import MarketTable
from tests.helpers.ladder_markets import lively, market_of, oracle_market
from tests.helpers.ladder_training import BOTH_WAYS, all_or_nothing, ladder_config, make_lab, trained_walks, walk
from tests.helpers.optimum import (
    OULaw,
    assert_not_better_than_clairvoyant,
    clairvoyant,
    ou_band,
    step_growth,
)

SMALL = {"kind": "mlp", "hidden": 16, "head": 16}


def growth_of(table: MarketTable, span: Range, env: EnvConfig, actions: np.ndarray) -> float:
    equity = run_backtest(table, span, env, replay_actor(actions, span.first)).equity
    return float(np.log(equity[-1] / equity[0]))


@pytest.mark.parametrize(
    ("percent", "rules"),
    [
        (0.3, {}),
        (2.0, {}),
        (0.2, {"costs": CostConfig(buy_percent=0.05, sell_percent=0.3, half_spread_bps=5, stamp_duty_percent=0.1)}),
        (0.0, BOTH_WAYS),
    ],
    ids=["fees", "high fees", "other costs", "shorts without fees"],
)
def test_the_clairvoyant_is_the_best_of_all_sequences(percent: float, rules: dict) -> None:
    """By trying all 1,024 of ten bars, a lane of the backtester each, on short random markets."""
    env = all_or_nothing(percent, **rules)
    table = market_of(lively(60, seed=round(10 * percent)))
    sequences = np.array(list(product(range(2), repeat=10)))
    for first in (10, 25, 40):
        span = Range(first, first + 10)
        best = clairvoyant(table, span, env)
        starts = np.full(len(sequences), first)
        tried = run_lanes(table, starts, 10, env, lambda bars, view, first=first: sequences[:, bars[0] - first]).equity
        assert best.growth == pytest.approx(np.max(np.log(tried[-1] / tried[0])), abs=1e-9)
        assert growth_of(table, span, env, best.actions) == pytest.approx(best.growth, abs=1e-9)


def test_exposures_that_drift_are_refused() -> None:
    """A short position changes its exposure as it moves, and trading back costs."""
    table = market_of(lively(60))
    with pytest.raises(AssertionError, match="do not stay exact"):
        step_growth(table, Range(10, 20), all_or_nothing(0.1, **BOTH_WAYS))


def test_the_tripwire_trips() -> None:
    """On stops that fill at the price before the loss, on fees forgotten, on credit that the rules do not give."""
    span, env, table = Range(10, 290), all_or_nothing(0.3), market_of(lively(300))
    best = clairvoyant(table, span, env)
    assert_not_better_than_clairvoyant(growth_of(table, span, env, best.actions), best.growth)
    after_the_fact = table.outcome._replace(move=np.maximum(table.outcome.move, 0))
    credit = {"positions": (0.0, 2.0), "max_leverage": 2.0}
    too_good = {
        "look-ahead": clairvoyant(replace(table, outcome=after_the_fact), span, env).growth,
        "no fees": growth_of(table, span, all_or_nothing(0.0), best.actions),
        "leverage": growth_of(table, span, all_or_nothing(0.3, **credit), best.actions),
    }
    for name, growth in too_good.items():
        with pytest.raises(AssertionError, match="beats the clairvoyant"):
            assert_not_better_than_clairvoyant(growth, best.growth)
        assert growth > 1.05 * best.growth, name
    with pytest.raises(AssertionError, match="log growth of nan"):
        assert_not_better_than_clairvoyant(float("nan"), best.growth)


LAW = OULaw(keep=0.8, noise=0.01, buy_cost=0.002, sell_cost=0.002)


def test_band_of_known_cases() -> None:
    """Free trading follows the sign, prohibitive costs never trade, equal costs make the band symmetric."""
    assert ou_band(LAW._replace(buy_cost=0.0, sell_cost=0.0)) == pytest.approx((0.0, 0.0), abs=1e-6)
    assert ou_band(LAW._replace(buy_cost=np.inf, sell_cost=np.inf)) == (-np.inf, np.inf)
    band = ou_band(LAW)
    assert band.enter == pytest.approx(-band.leave, abs=1e-9)
    assert ou_band(LAW, points=1601) == pytest.approx(band, rel=2e-3)
    assert ou_band(LAW, width=8.0) == pytest.approx(band, rel=2e-3)


def test_a_policy_that_is_told_the_next_return_comes_near_to_the_clairvoyant() -> None:
    """Rung (a) at a small size; who acts on every sign is far from it, by the fees."""
    env, table = all_or_nothing(0.2), oracle_market(3000)
    span = table.ranges["test"]
    lab = make_lab(ladder_config(env, 30, SMALL, rollout_length=32, gamma=0.5, learning_rate=5e-3), table, quick=True)
    learned = next(trained_walks(lab, table, seeds=1))
    naive = walk(table, span, env, lambda bar, _: (int(table.features[bar, 0, 0] > 0), 0.0))
    assert learned.growth > 0.95 * learned.bound
    assert naive.growth < 0.85 * naive.bound
