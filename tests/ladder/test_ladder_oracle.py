"""Rung (a): told the return of the next bar, it comes near to the clairvoyant, net of fees."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import pytest

from tests.helpers.ladder_markets import oracle_market
from tests.helpers.ladder_statistics import tell
from tests.helpers.ladder_training import all_or_nothing, ladder_config, make_lab, trained_walks, walk
from train import learner
from train.gae import gae

pytestmark = pytest.mark.nightly
RULES, TABLE = all_or_nothing(0.2), oracle_market(6000)
CONFIG = ladder_config(RULES, updates=40, gamma=0.9)
FAULTS: dict[str, Callable[..., Any]] = {
    "the sign of the advantages": lambda *seen: -gae(*seen),
    "advantages of the step before": lambda *seen: jnp.roll(gae(*seen), 1, axis=0),
}


def test_near_to_the_clairvoyant() -> None:
    """At least 95 % of its growth out of sample, in every seed; who trades on every sign earns far less."""
    span = TABLE.ranges["test"]
    naive = walk(TABLE, span, RULES, lambda bar, _: (int(TABLE.features[bar, 0, 0] > 0), 0.0))
    tell(f"(a) oracle: clairvoyant {naive.bound:.3f}, on every sign {naive.growth / naive.bound:.1%}")
    assert naive.growth < 0.85 * naive.bound
    for seed, each in enumerate(trained_walks(make_lab(CONFIG, TABLE), TABLE, seeds=5)):
        tell(f"(a) oracle: seed {seed}: {each.growth / each.bound:.2%}, turnover {each.turnover:.3f} a bar")
        assert each.growth > 0.95 * each.bound


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_of_the_learner_fall_off(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learner, "gae", FAULTS[fault])
    each = next(trained_walks(make_lab(CONFIG, TABLE), TABLE, seeds=1))
    tell(f"(a) oracle: with a fault in {fault}: {each.growth / each.bound:.1%}")
    assert each.growth < 0.9 * each.bound
