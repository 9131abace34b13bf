"""The NumPy policy's distribution is the one that training draws from."""

import jax
import numpy as np
import pytest
from flax.traverse_util import unflatten_dict

from eval_bridge.policy import NumpyPolicy, Odds
from eval_bridge.spec import NetworkConfig
from jaxtrade.config import EnvConfig
from jaxtrade.rules import AccountView
from tests.helpers.bundles import random_policy
from train.forward import random_views
from train.networks import make_policy

FEATURES, ROWS, LIMIT = 5, 7, 1e-5
KINDS = [
    ("discrete9", 1, "mlp"),
    ("positions", 1, "flat_mlp"),
    ("continuous", 3, "mlp"),
    ("continuous", 2, "flat_mlp"),
    ("target_weight", 3, "mlp"),
    ("proportional", 1, "flat_mlp"),
]
HEADS = [(std, squash) for std in ("free", "state") for squash in ("clip", "tanh")]


def case(action: str, symbols: int, kind: str, std: str, squash: str) -> tuple[NumpyPolicy, np.ndarray, AccountView]:
    """Return a policy, and encoded bars and accounts [ROWS, ...] to ask it about."""
    env = EnvConfig(action=action, max_leverage=2.0, allow_short=action == "target_weight")
    network = NetworkConfig(kind=kind, hidden=6, head=6, std=std, squash=squash, log_std=-0.7)
    policy = random_policy(network, env, symbols, FEATURES)
    rows = np.random.default_rng(3).normal(size=(ROWS, symbols, FEATURES)).astype(np.float32)
    return policy, policy.market(rows, np.arange(ROWS)), random_views(ROWS, symbols, 4)


@pytest.mark.parametrize(("std", "squash"), HEADS)
@pytest.mark.parametrize(("action", "symbols", "kind"), KINDS)
def test_odds_are_those_of_training(action: str, symbols: int, kind: str, std: str, squash: str) -> None:
    policy, market, view = case(action, symbols, kind, std, squash)
    env = EnvConfig(action=action, max_leverage=2.0, allow_short=action == "target_weight")
    network, distribution = make_policy(policy.network, env, symbols)
    params = {"params": unflatten_dict({tuple(name.split("/")): leaf for name, leaf in policy.params.items()})}
    given, _ = network.apply(params, market, *view, method="head")
    mode = distribution.to_env(distribution.mode(given))
    odds = policy.odds(market, view)
    np.testing.assert_array_equal(odds.action, policy.act(policy.head(market, view)))
    if policy.discrete:
        np.testing.assert_array_equal(odds.action, mode)
        np.testing.assert_allclose(odds.probabilities, jax.nn.softmax(given), atol=LIMIT)
        assert odds.deviation is odds.mean is None
        spread = odds.probabilities
    else:
        np.testing.assert_allclose(odds.action, mode, atol=LIMIT)
        np.testing.assert_allclose(odds.mean, given.mean, atol=LIMIT)
        np.testing.assert_allclose(odds.deviation, np.exp(given.log_std), rtol=LIMIT)
        assert odds.probabilities is None
        spread = odds.deviation
    assert np.ptp(spread) > 0.01 or (std == "free" and not policy.discrete), "the case tells nothing apart"


@pytest.mark.parametrize("shape", [(), (2,), (2, 3)])
@pytest.mark.parametrize("action", ["discrete9", "target_weight"])
def test_any_leading_axes(action: str, shape: tuple[int, ...]) -> None:
    policy, market, view = case(action, 1 if action == "discrete9" else 3, "mlp", "state", "tanh")
    market = np.broadcast_to(market[0], (*shape, *market.shape[1:]))
    view = AccountView(*(np.broadcast_to(leaf[0], (*shape, *leaf.shape[1:])) for leaf in view))
    odds, decision = policy.odds(market, view), policy.head(market, view)
    drawn = policy.sample(odds, np.random.default_rng(0))
    assert drawn.shape == policy.act(decision).shape == shape + (() if action == "discrete9" else (3,))
    assert drawn.dtype == policy.act(decision).dtype


@pytest.mark.parametrize(("std", "squash"), HEADS)
def test_samples_follow_the_odds(std: str, squash: str) -> None:
    """Mean and deviation of 40,000 draws, before the tanh, within four standard errors."""
    policy, market, view = case("target_weight", 3, "mlp", std, squash)
    odds = policy.odds(market[0], AccountView(*(leaf[0] for leaf in view)))
    many = odds._replace(mean=np.tile(odds.mean, (40_000, 1)), deviation=np.tile(odds.deviation, (40_000, 1)))
    drawn = policy.sample(many, np.random.default_rng(5)).astype(np.float64)
    if policy.bounds is not None:
        low, high = policy.bounds
        assert np.all((drawn >= low) & (drawn <= high))
        drawn = np.arctanh(np.clip((drawn - (low + high) / 2) / ((high - low) / 2), -1 + 1e-7, 1 - 1e-7))
    near = np.abs(drawn - odds.mean) < 3 * odds.deviation
    assert np.allclose(near.mean(axis=0), 0.9973, atol=0.002)
    middle = np.median(drawn, axis=0)
    np.testing.assert_array_less(np.abs(middle - odds.mean), 4 * 1.2533 * odds.deviation / 200)
    low, high = np.quantile(drawn, [0.1587, 0.8413], axis=0)
    np.testing.assert_allclose((high - low) / 2, odds.deviation, rtol=0.03)


def test_choices_are_drawn_by_their_probabilities() -> None:
    policy, market, view = case("discrete9", 1, "mlp", "free", "clip")
    odds = policy.odds(market[0], AccountView(*(leaf[0] for leaf in view)))
    many = odds._replace(probabilities=np.tile(odds.probabilities, (40_000, 1)))
    drawn = policy.sample(many, np.random.default_rng(5))
    share = np.bincount(drawn, minlength=9) / len(drawn)
    np.testing.assert_array_less(np.abs(share - odds.probabilities), 4 * np.sqrt(odds.probabilities / 40_000) + 1e-9)
    sure = Odds(np.array(2), np.eye(9, dtype=np.float32)[[2, 0, 8]], None)
    assert policy.sample(sure, np.random.default_rng(1)).tolist() == [2, 0, 8]


def test_a_seed_repeats_its_draws() -> None:
    policy, market, view = case("target_weight", 3, "mlp", "state", "clip")
    odds = policy.odds(market, view)
    one, two = (policy.sample(odds, np.random.default_rng(9)) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert np.any(one != policy.sample(odds, np.random.default_rng(10)))
