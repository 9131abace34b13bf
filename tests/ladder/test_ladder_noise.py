"""Rung (d): where there is nothing to learn and trading costs, it learns not to trade."""

import numpy as np
import pytest

from jaxtrade.config import EnvConfig
from tests.helpers.ladder_markets import noise_market
from tests.helpers.ladder_statistics import sharpe, sharpe_error, tell
from tests.helpers.ladder_training import Walk, actor_of, all_or_nothing, ladder_config, learn, make_lab, walk

pytestmark = pytest.mark.nightly
RULES, BARS, SEEDS = all_or_nothing(0.2), 10_000, 10


def walks(training_rules: EnvConfig, seeds: int) -> list[Walk]:
    """Train on as many markets, and walk each policy through its test range under the rules with fees."""
    lab = make_lab(ladder_config(training_rules, updates=100), noise_market(BARS))
    found = []
    for seed in range(seeds):
        table = noise_market(BARS, seed)
        span = table.ranges["test"]
        found.append(walk(table, span, RULES, actor_of(lab, learn(lab, table, seed), table, span)))
    return found


def test_nothing_is_traded_on_noise() -> None:
    """Less than 1 % of the equity is traded a bar, and the Sharpe ratio is significant in one market of ten at most."""
    found = walks(RULES, SEEDS)
    scores = [sharpe(each.returns) / sharpe_error(each.returns) for each in found]
    for seed, (each, score) in enumerate(zip(found, scores, strict=True)):
        held = f"turnover {each.turnover:.4f} a bar, held {np.mean(each.actions):.0%} of the time"
        tell(f"(d) noise: market {seed}: {held}, t {score:+.2f}")
    assert np.mean([each.turnover for each in found]) < 0.01
    assert sum(abs(score) < 2 for score in scores) >= SEEDS - 1


def test_who_is_not_charged_in_training_falls_off() -> None:
    """Without fees in training noise is traded, and then paid for."""
    found = walks(all_or_nothing(0.0), 3)
    for each in found:
        tell(f"(d) noise: trained without fees: turnover {each.turnover:.3f} a bar, growth {each.growth:+.2f}")
    assert np.mean([each.turnover for each in found]) > 0.05
