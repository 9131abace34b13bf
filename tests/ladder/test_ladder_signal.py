"""Rung (e): of a sign that is announced correctly 55 times in 100 it makes the Sharpe ratio that there is to make."""

import numpy as np
import pytest

from jaxtrade.market.table import MarketTable
from tests.helpers.ladder_markets import signal_market
from tests.helpers.ladder_statistics import sharpe, sharpe_error, sharpe_interval, tell
from tests.helpers.ladder_training import (
    BOTH_WAYS,
    Walk,
    actor_of,
    all_or_nothing,
    ladder_config,
    learn,
    make_lab,
    walk,
)

pytestmark = pytest.mark.nightly
RIGHT, BARS, SEEDS = 0.55, 20_000, 5
EDGE = 2 * RIGHT - 1
SHARPE = EDGE / np.sqrt(1 - EDGE**2)  # a bar, since the variance of returns of one size is a^2 (1 - edge^2)
RULES = all_or_nothing(0.0, **BOTH_WAYS)


def walks(right: float) -> list[tuple[MarketTable, Walk]]:
    """Train on markets of their own and walk through their test ranges."""
    config = ladder_config(RULES, updates=100, gamma=0.0, gae_lambda=0.0)
    lab, found = make_lab(config, signal_market(BARS, right)), []
    for seed in range(SEEDS):
        table = signal_market(BARS, right, seed)
        span = table.ranges["test"]
        found.append((table, walk(table, span, RULES, actor_of(lab, learn(lab, table, seed), table, span))))
    return found


def test_the_sharpe_ratio_is_that_of_the_signal() -> None:
    """Its interval covers (2p - 1) / sqrt(1 - (2p - 1)^2), 1.595448 a year; that of a coin's policy does not."""
    assert pytest.approx(0.100504, abs=1e-6) == SHARPE
    assert pytest.approx(1.595448, abs=1e-6) == SHARPE * np.sqrt(252)
    covered = {}
    for right in (RIGHT, 0.5):
        covered[right] = 0
        for seed, (table, each) in enumerate(walks(right)):
            span = table.ranges["test"]
            agreed = np.mean(each.actions == (table.features[span.first : span.last, 0, 0] > 0))
            low, high = sharpe_interval(each.returns)
            covered[right] += low < SHARPE < high
            ratio, error = sharpe(each.returns), sharpe_error(each.returns)
            interval = f"{ratio:.4f} in ({low:.4f}, {high:.4f}), Lo's error {error:.4f}"
            tell(f"(e) signal right in {right:.0%}: market {seed}: {interval}, follows it {agreed:.1%}")
            assert right == 0.5 or agreed > 0.99
    assert covered[RIGHT] >= SEEDS - 1
    assert covered[0.5] == 0
