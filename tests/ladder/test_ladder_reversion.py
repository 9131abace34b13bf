"""Rung (b): on a log price that reverts to its mean, with fees, it finds the optimal band."""

import numpy as np
import pytest

from eval_bridge.backtester import Actor
from tests.helpers.ladder_markets import reverting_market
from tests.helpers.ladder_statistics import share_of, tell
from tests.helpers.ladder_training import Walk, all_or_nothing, ladder_config, make_lab, trained_walks, walk
from tests.helpers.optimum import Band, OULaw, ou_band

pytestmark = pytest.mark.nightly
THETA, VOLATILITY, FEE = 0.2, 0.01, 0.003
LAW = OULaw(
    keep=np.exp(-THETA),
    noise=VOLATILITY * np.sqrt(-np.expm1(-2 * THETA) / (2 * THETA)),
    buy_cost=np.log1p(FEE),  # 1 buys 1 / (1 + fee)
    sell_cost=-np.log1p(-FEE),
)
RULES, TABLE = all_or_nothing(100 * FEE), reverting_market(THETA, VOLATILITY, bars=30_000)
SPAN = TABLE.ranges["test"]


def banded(band: Band) -> Actor:
    """Return who buys below the band and sells above it."""
    deviation = TABLE.features[:, 0, 0].astype(np.float64) * LAW.spread

    def act(bar: int, view: object) -> tuple[int, float]:
        holding = view.assets[0, 0] > 0.1
        return int(deviation[bar] < (band.leave if holding else band.enter)), 0.0

    return act


def optimal() -> Walk:
    return walk(TABLE, SPAN, RULES, banded(ou_band(LAW)))


def test_no_other_band_earns_more() -> None:
    """On a path of 200,000 bars, by a simulation that knows nothing of the dynamic programme."""
    best = ou_band(LAW)
    scales = np.linspace(0.0, 2.0, 9)
    enter, leave = (side.ravel() for side in np.meshgrid(best.enter * scales, best.leave * scales))
    shocks = np.random.default_rng(5).normal(0.0, LAW.noise, 200_000)
    x, holding, growth = 0.0, np.zeros(len(enter), bool), np.zeros(len(enter))
    for shock in shocks:
        before, holding = holding, np.where(holding, x < leave, x < enter)
        after = LAW.keep * x + shock
        growth += np.where(holding, after - x - LAW.buy_cost * ~before, -LAW.sell_cost * before)
        x = after
    mine = growth[(enter == best.enter) & (leave == best.leave)][0]
    assert mine > 0.995 * growth.max()
    assert growth.min() < 0.9 * mine  # so that the comparison can fail


def test_near_to_the_optimal_band() -> None:
    """At least 90 % of its growth on the same bars; trading on the sign of the deviation is not enough."""
    best, naive = optimal(), walk(TABLE, SPAN, RULES, banded(Band(0.0, 0.0)))
    share, error = share_of(np.log1p(naive.returns), np.log1p(best.returns))
    tell(f"(b) reversion: {ou_band(LAW)}, growth {best.growth:.3f}, {best.growth / best.bound:.1%} of clairvoyant")
    tell(f"(b) reversion: on the sign of the deviation {share:.1%} +- {error:.1%}")
    assert share < 0.8
    lab = make_lab(ladder_config(RULES, updates=200, gamma=0.9, gae_lambda=0.9, learning_rate=1e-3), TABLE)
    for seed, each in enumerate(trained_walks(lab, TABLE, seeds=3)):
        share, error = share_of(np.log1p(each.returns), np.log1p(best.returns))
        agreed = np.mean(each.actions == best.actions)
        tell(f"(b) reversion: seed {seed}: {share:.1%} +- {error:.1%} of the best band, agreeing on {agreed:.1%}")
        assert share > 0.9
        assert share < 1 + 3 * error  # nobody beats the best by more than chance


def test_who_looks_no_further_than_the_next_bar_falls_off() -> None:
    """Nothing estimated, nothing discounted: the fee is weighed against a single bar."""
    lab = make_lab(ladder_config(RULES, updates=200, gamma=0.0, gae_lambda=0.0, learning_rate=1e-3), TABLE)
    each = next(trained_walks(lab, TABLE, seeds=1))
    share, error = share_of(np.log1p(each.returns), np.log1p(optimal().returns))
    tell(f"(b) reversion: with gamma and lambda of zero {share:.1%} +- {error:.1%}")
    assert share < 0.9
