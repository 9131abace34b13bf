"""Seeds together: the mean of what they would do, wherever one policy would stand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval_bridge import Policy
from eval_bridge.backtester import policy_actor, run_backtest
from eval_bridge.bundle import load_bundle
from eval_bridge.ensemble import Ensemble, load_policy
from eval_bridge.lanes import policy_lanes, run_lanes
from eval_bridge.policy import NumpyPolicy
from eval_bridge.spec import NetworkConfig
from jaxtrade.config import EnvConfig
from jaxtrade.errors import InputError
from jaxtrade.market.splits import Range
from jaxtrade.market.table import MarketTable
from jaxtrade.rules import AccountView
from tests.helpers.bundles import SMALL_LSTM, SMALL_MLP, random_policy, write_random_bundle
from tests.helpers.inference import MARKET, PANEL, WINDOW, Place, make_place
from tests.helpers.worlds import make_table

SEEDS, DAY = 3, "2021-02-10"
FLAT = NetworkConfig(kind="flat_mlp", hidden=8, head=8)
TANH = NetworkConfig(kind="mlp", hidden=8, head=8, std="state", squash="tanh")
KINDS: dict[str, tuple[EnvConfig, NetworkConfig, int]] = {
    "continuous": (PANEL, SMALL_LSTM, 3),
    "flat": (PANEL, FLAT, 3),
    "squashed weights": (EnvConfig(action="target_weight", window=WINDOW), TANH, 3),
    "nine": (EnvConfig(action="discrete9", window=WINDOW), SMALL_MLP, 1),
}


def world(name: str) -> tuple[EnvConfig, MarketTable, Range, list[NumpyPolicy]]:
    env, network, symbols = KINDS[name]
    table = make_table(WINDOW, 300, symbols)
    first = table.ranges["all"].first
    members = [random_policy(network, env, symbols, len(table.feature_names), seed) for seed in range(SEEDS)]
    return env, table, Range(first, first + 25), members


def views(count: int, symbols: int) -> AccountView:
    random = np.random.default_rng(4)
    return AccountView(random.uniform(-1, 1, (count, symbols, 4)), random.uniform(0, 1, (count, 3)))


@pytest.mark.parametrize("name", KINDS)
def test_it_is_the_mean_of_its_seeds(name: str) -> None:
    _, table, span, members = world(name)
    ensemble, bars, view = Ensemble(members), np.arange(span.first, span.last), views(25, len(table.symbols))
    market = ensemble.market(table.features, bars)
    decision, odds = ensemble.head(market, view), ensemble.odds(market, view)
    each = [member.odds(member.market(table.features, bars), view) for member in members]
    np.testing.assert_array_equal(odds.action, ensemble.act(decision))
    if ensemble.discrete:
        mean = np.mean([one.probabilities for one in each], axis=0)
        np.testing.assert_allclose(odds.probabilities, mean, atol=1e-6)
        np.testing.assert_array_equal(odds.action, mean.argmax(axis=-1))
        assert np.any(odds.action != each[0].action)
    else:
        np.testing.assert_allclose(odds.action, np.mean([one.action for one in each], axis=0), atol=1e-6)
        second = np.mean([one.deviation**2 + one.mean**2 for one in each], axis=0)
        spread = np.sqrt(second - np.mean([one.mean for one in each], axis=0) ** 2)
        np.testing.assert_allclose(odds.deviation, spread, rtol=1e-3)
    assert len(odds.members) == SEEDS


@pytest.mark.parametrize("name", KINDS)
def test_one_seed_alone_is_that_policy(name: str) -> None:
    env, table, span, members = world(name)
    one = run_backtest(table, span, env, policy_actor(members[0], table, span))
    other = run_backtest(table, span, env, policy_actor(Ensemble(members[:1]), table, span))
    np.testing.assert_array_equal(one.equity, other.equity)
    assert len(np.unique(one.equity)) > 5


@pytest.mark.parametrize("name", KINDS)
def test_it_trades_in_the_backtester_and_in_lanes(name: str) -> None:
    env, table, span, members = world(name)
    ensemble = Ensemble(members)
    whole = run_backtest(table, span, env, policy_actor(ensemble, table, span))
    starts = [span.first, span.first + 3]
    lanes = run_lanes(table, starts, span.decisions - 3, env, policy_lanes(ensemble, table, starts, span.decisions - 3))
    np.testing.assert_allclose(lanes.equity[:, 0], whole.equity[: span.decisions - 2], rtol=1e-6)


@pytest.mark.parametrize("name", KINDS)
def test_its_samples_are_those_of_its_seeds_mixed(name: str) -> None:
    _, table, span, members = world(name)
    ensemble, count = Ensemble(members), 6000
    bars = np.full(count, span.first)
    view = AccountView(*(np.broadcast_to(leaf[:1], (count, *leaf.shape[1:])) for leaf in views(1, len(table.symbols))))
    market = ensemble.market(table.features, bars[:1])
    odds = ensemble.odds(np.broadcast_to(market, (count, *market.shape[1:])), view)
    drawn = ensemble.sample(odds, np.random.default_rng(2))
    assert drawn.shape == odds.action.shape
    if ensemble.discrete:
        np.testing.assert_allclose(np.bincount(drawn, minlength=9) / count, odds.probabilities[0], atol=0.03)
    elif ensemble.bounds is None:
        error = 4 * odds.deviation[0] / np.sqrt(count)
        np.testing.assert_array_less(np.abs(drawn.mean(axis=0) - odds.mean[0]), error)
        np.testing.assert_allclose(drawn.std(axis=0), odds.deviation[0], rtol=0.06)


def seeds(place: Place, **last: Any) -> Path:
    """Write a folder of three runs; the last one as told."""
    folder = place.folder / "seeds"
    for k in range(SEEDS):
        run = folder / f"seed_{k}"
        run.mkdir(parents=True)
        fields = {"env": PANEL, "network": SMALL_MLP} | (last if k == SEEDS - 1 else {})
        write_random_bundle(run / "policy.npz", place.table, seed=k, source=str(place.data), **fields)
    return folder


def test_a_folder_of_seeds_agrees_more_or_less(tmp_path: Path) -> None:
    place = make_place(tmp_path)
    policy = Policy.load(seeds(place))
    made = policy.infer_date(DAY)
    each = [Policy.load(path).infer_date(DAY).frame for path in policy.paths]
    mean = np.mean([one["raw_action"] for one in each], axis=0)
    np.testing.assert_allclose(made.frame["raw_action"], mean, atol=1e-6)
    share = np.mean([one["action"] == made.frame["action"] for one in each], axis=0)
    np.testing.assert_allclose(made.frame["agreement"], share)
    assert 0 < made.frame["agreement"].min() < 1
    assert "3 seeds of mlp" in str(made)
    assert "agreement" in str(made)
    assert each[0]["agreement"].isna().all()
    loaded = load_policy(tmp_path / "seeds")
    assert [path.parent.name for path in loaded.paths] == ["seed_0", "seed_1", "seed_2"]


def test_files_side_by_side_are_seeds_too(tmp_path: Path) -> None:
    place = make_place(tmp_path)
    (tmp_path / "flat").mkdir()
    for k in range(2):
        write_random_bundle(tmp_path / "flat" / f"{k}.npz", place.table, PANEL, seed=k)
    assert len(load_policy(tmp_path / "flat").bundles) == 2
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match=r"holds no policy\.npz"):
        load_policy(tmp_path / "none")


DIFFERENT: dict[str, tuple[dict[str, Any], str]] = {
    "action": ({"env": EnvConfig(action="target_weight", window=WINDOW)}, "env.action: target_weight and continuous"),
    "window": ({"env": PANEL.model_copy(update={"max_leverage": 2.0})}, "env.max_leverage: 2.0 and 3.0"),
    "network": ({"network": NetworkConfig(kind="mlp", hidden=4, head=8)}, "network.hidden: 4 and 8"),
    "market": ({"market": MARKET.model_copy(update={"clip": 4.0})}, "market."),
    "features": ({"feature_names": ("x", "y", "z")}, "feature_names"),
    "uncertified": ({"certificate": None}, "not certified"),
}


@pytest.mark.parametrize("what", DIFFERENT)
def test_seeds_must_belong_together(what: str, tmp_path: Path) -> None:
    changes, named = DIFFERENT[what]
    folder = seeds(make_place(tmp_path), **changes)
    with pytest.raises(InputError) as refused:
        load_policy(folder)
    assert "seed_2" in refused.value.where
    assert named in refused.value.what


def test_a_bundle_alone_is_no_ensemble(tmp_path: Path) -> None:
    place = make_place(tmp_path)
    loaded = load_policy(place.bundle)
    assert type(loaded.policy) is NumpyPolicy
    assert loaded.bundles[0].manifest == load_bundle(place.bundle).manifest
