"""Rung (c): a cue shown many bars before it matters is remembered by the multi-scale LSTM, and by no mlp."""

from functools import lru_cache
from typing import Any

import pytest

from jaxtrade.market.table import MarketTable
from tests.helpers.ladder_markets import cue_market
from tests.helpers.ladder_statistics import tell
from tests.helpers.ladder_training import MLP, Lab, all_or_nothing, ladder_config, make_lab, trained_walks, walk
from train import learner
from train.gae import gae

pytestmark = pytest.mark.nightly
LAGS = (5, 20, 60, 120)
RULES, BARS = all_or_nothing(0.05, window=120), 6000
MULTISCALE = {"kind": "multiscale_lstm", "hidden": 16, "head": 32}  # with its default branches


@lru_cache
def market(lag: int) -> MarketTable:
    return cue_market(lag, BARS)


def lab_of(**network: Any) -> Lab:
    """Return the training of a network; each bar is judged by its own reward, since a cue tells of one bar only."""
    config = ladder_config(RULES, 80, network, gamma=0.0, gae_lambda=0.0, learning_rate_schedule="constant")
    return make_lab(config, market(LAGS[0]))


@lru_cache
def usual_lab(kind: str) -> Lab:
    return lab_of(**(MULTISCALE if kind == "multiscale_lstm" else MLP))


def share_of_always_right(lab: Lab, lag: int, seeds: int = 1) -> list[float]:
    """Return the growth out of sample of policies trained on a lag, as shares of what always being right earns."""
    table = market(lag)
    right = walk(table, table.ranges["test"], RULES, lambda bar, _: (int(table.outcome.move[bar, 0] > 0), 0.0))
    return [each.growth / right.growth for each in trained_walks(lab, table, seeds)]


@pytest.mark.parametrize("lag", LAGS)
def test_the_cue_is_remembered(lag: int) -> None:
    """At least 80 % of what always being right earns, in every seed; the mlp has at most 20 %."""
    remembered, forgot = (
        share_of_always_right(usual_lab(kind), lag, seeds) for kind, seeds in (("multiscale_lstm", 2), ("mlp", 2))
    )
    for name, shares in (("multiscale_lstm", remembered), ("mlp", forgot)):
        tell(f"(c) cue at lag {lag}: {name}: {', '.join(f'{share:.1%}' for share in shares)}")
    assert min(remembered) > 0.8
    assert max(forgot) < 0.2


def test_faults_of_the_learner_fall_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """An LSTM that reads the last bar alone, and advantages with the wrong sign, each with the branch needed."""
    shares = {"whole": share_of_always_right(lab_of(**MULTISCALE | {"branches": (20,)}), lag=20)}
    shares["last bar"] = share_of_always_right(lab_of(**MULTISCALE | {"branches": (1,)}), lag=20)
    monkeypatch.setattr(learner, "gae", lambda *seen: -gae(*seen))
    shares["sign"] = share_of_always_right(lab_of(**MULTISCALE | {"branches": (20,)}), lag=20)
    told = ", ".join(f"{name} {each[0]:.1%}" for name, each in shares.items())
    tell(f"(c) cue: at lag 20, {told}")
    assert shares["whole"][0] > 0.8
    assert max(shares["last bar"][0], shares["sign"][0]) < 0.2
