"""Policies that take over from one another: each decides its own bars, with its own statistics, on one account."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval_bridge.backtester import Backtest, Engine, policy_actor, run_backtest
from eval_bridge.bundle import load_bundle
from eval_bridge.inference.feature_range import feature_range
from eval_bridge.lanes import policy_lanes, run_lanes
from eval_bridge.policy import make_policy
from eval_bridge.relay import Leg, Relay, load_relay
from eval_bridge.stochastic import run_stochastic
from jaxtrade.config import EnvConfig
from jaxtrade.market.splits import Range
from jaxtrade.market.table import MarketTable
from jaxtrade.rules import AccountView
from tests.helpers.bundles import SMALL_LSTM, SMALL_MLP, random_params
from tests.helpers.inference import WINDOW, write_panel
from tests.helpers.relays import ENDS, KINDS, NINE, PANEL, SPANS, Case, made_up, relay_case

QUICK = ("lstm, panel", "nine")
FIRST = [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.nightly]) for name in KINDS]
WHOLE = Range(SPANS[0].first, ENDS[-1])


def legs_of(case: Case) -> list[Leg]:
    """Return the legs, made by hand from the bundles and from tables that were loaded one by one."""
    bundles = [load_bundle(case.bundle(leg)) for leg in range(len(case.tables))]
    firsts = [span.first for span in SPANS]
    each = zip(bundles, case.tables, firsts, ENDS, strict=True)
    return [Leg(make_policy(bundle), table.features, first, last) for bundle, table, first, last in each]


def replay(relay: Any, table: MarketTable, env: EnvConfig, span: Range = WHOLE) -> Backtest:
    return run_backtest(table, span, env, policy_actor(relay, table, span))


@pytest.mark.parametrize("name", FIRST)
def test_one_leg_is_that_policy(name: str, tmp_path: Path) -> None:
    """Bit by bit, whatever the network."""
    env, network = KINDS[name]
    case = relay_case(tmp_path, env, network, SPANS[:1])
    loaded, table = load_relay(case.folder)
    alone, own = make_policy(load_bundle(case.bundle(0))), case.tables[0]
    assert table.ranges["test"] == SPANS[0]
    one, other = (replay(*pair, env, SPANS[0]) for pair in ((loaded.policy, table), (alone, own)))
    np.testing.assert_array_equal(one.equity, other.equity)
    np.testing.assert_array_equal(one.history.actions, other.history.actions)
    np.testing.assert_array_equal(one.history.values, other.history.values)
    assert len(np.unique(one.equity)) > 5


@pytest.mark.parametrize("name", KINDS)
def test_it_is_one_account_whose_policy_is_exchanged(name: str, tmp_path: Path) -> None:
    """The same as an engine stepped by hand, in which another policy is asked from each border on."""
    env, network = KINDS[name]
    case = relay_case(tmp_path, env, network)
    loaded, table = load_relay(case.folder)
    found = replay(loaded.policy, table, env)
    engine = Engine(case.tables[0], WHOLE, env)
    for leg in legs_of(case):
        market = leg.policy.market(leg.features, np.arange(leg.first, leg.last))
        while not engine.over and engine.bar < leg.last:
            engine.step(leg.policy.act(leg.policy.head(market[engine.bar - leg.first], engine.view())))
    by_hand = engine.result()
    assert len(found.history) == WHOLE.decisions
    np.testing.assert_array_equal(found.equity, by_hand.equity)
    np.testing.assert_array_equal(found.history.actions, by_hand.history.actions)
    first = replay(legs_of(case)[0].policy, case.tables[0], env)
    assert not np.array_equal(first.equity, found.equity), "the first policy decides alone"


def always(leg: Leg, choice: int) -> Leg:
    """Return a leg that makes one choice of nine at every bar."""
    params = {name: np.zeros_like(leaf) for name, leaf in leg.policy.params.items()}
    params["actor_out/bias"][choice] = 9.0
    policy = copy.copy(leg.policy)
    policy.params, policy.actor_out = params, (params["actor_out/kernel"], params["actor_out/bias"])
    return leg._replace(policy=policy)


def test_the_account_goes_on_over_the_border(tmp_path: Path) -> None:
    """What the first leg bought is held by the others, which do nothing: no order, no fee; the price alone moves it."""
    first, second, third = legs_of(relay_case(tmp_path, NINE))
    table = load_relay(tmp_path / "runs" / "walk")[1]
    found = replay(Relay([always(first, 1), always(second, 0), always(third, 0)]), table, NINE)
    border = second.first - WHOLE.first
    held, records = found.accounts.position[border - 1 :, 0], found.records
    assert held[0] > 0.5
    assert records.turnover[border - 1] > 0, "the last order of the first leg fills at the open of the second's bar"
    assert np.all(records.turnover[border:] == 0)
    assert np.all(np.asarray(records.costs.commission)[border:] == 0)
    close = table.mark[second.first : WHOLE.last + 1, 0]
    np.testing.assert_allclose(held / held[0], close / close[0], rtol=1e-12)


def stitched_features(legs: list[Leg]) -> np.ndarray:
    """Return one array of features as a careless programme would stitch it: of each bar those of its leg."""
    features = legs[0].features.copy()
    for leg in legs[1:]:
        features[leg.first :] = leg.features[leg.first :]
    return features


def encoded_alike(relay: Relay, legs: list[Leg]) -> list[bool]:
    """Return for each leg whether the relay encodes its bars as its policy does with features of its own."""
    market = relay.market(legs[0].features, np.arange(WHOLE.first, WHOLE.last))[..., :-1]
    alone = [leg.policy.market(leg.features, np.arange(leg.first, leg.last)) for leg in legs]
    return [
        np.array_equal(market[leg.first - WHOLE.first : leg.last - WHOLE.first], own)
        for leg, own in zip(legs, alone, strict=True)
    ]


@pytest.mark.parametrize("network", [SMALL_LSTM, KINDS["carried lstm, panel"][1]], ids=["branches", "carried"])
def test_no_leg_sees_what_another_normalised(network: Any, tmp_path: Path) -> None:
    """Nor in its look-back over the border, as it would if the features were stitched as the decisions are."""
    case = relay_case(tmp_path, PANEL, network)
    legs = legs_of(case)
    loaded, table = load_relay(case.folder)
    assert all(not np.allclose(one.features[150:], legs[0].features[150:], atol=0.05) for one in legs[1:])
    assert encoded_alike(loaded.policy, legs) == [True, True, True]
    assert np.isnan(table.features).all(), "there are no features that all legs share"
    stitched = stitched_features(legs)
    faulty = Relay([leg._replace(features=stitched) for leg in legs])
    assert encoded_alike(faulty, legs) == [True, False, False]


def test_later_bars_change_nothing_before_them(tmp_path: Path) -> None:
    """Whatever comes after a leg's end, it decides the same, and so do those before it."""
    case = relay_case(tmp_path, PANEL, SMALL_LSTM)
    before = replay(*_both(case), PANEL).history.actions
    for number, end in enumerate(ENDS):
        bars, changed = made_up(), {}
        for name in ("open", "high", "low", "close"):
            changed[name] = getattr(bars, name).copy()
            changed[name][end:] *= np.linspace(1.1, 1.7, len(bars.time) - end)[:, None]
        write_panel(case.data, bars._replace(**changed))
        after = replay(*_both(case), PANEL).history.actions
        known = end - WHOLE.first
        np.testing.assert_array_equal(after[:known], before[:known])
        assert number == len(ENDS) - 1 or not np.array_equal(after, before)


def _both(case: Case) -> tuple[Any, MarketTable]:
    loaded, table = load_relay(case.folder)
    return loaded.policy, table


@pytest.mark.parametrize("name", ["nine", "squashed weights"])
def test_many_accounts_on_both_sides_of_a_border(name: str, tmp_path: Path) -> None:
    """Lanes that stand in different legs at once are those that walk alone; so are odds."""
    env, network = KINDS[name]
    case = relay_case(tmp_path, env, network)
    relay, table = _both(case)
    starts, steps = [ENDS[1] - 3, ENDS[0] - 12, ENDS[0] - 5], 20
    lanes = run_lanes(table, starts, steps, env, policy_lanes(relay, table, starts, steps))
    for lane, start in enumerate(starts):
        alone = replay(relay, table, env, Range(start, start + steps))
        np.testing.assert_allclose(lanes.equity[:, lane], alone.equity, rtol=1e-6)
    bars, places = np.array([ENDS[1], ENDS[0] - 1, ENDS[0]]), (1, 2, 0)
    random = np.random.default_rng(3)
    view = AccountView(random.uniform(-1, 1, (3, len(table.symbols), 4)), random.uniform(0, 1, (3, 3)))
    market = relay.market(table.features, bars)
    together = relay.odds(market, view)
    for k, leg in zip(places, legs_of(case), strict=True):
        own = AccountView(view.assets[k], view.account[k])
        one = leg.policy.odds(leg.policy.market(leg.features, bars[k : k + 1])[0], own)
        np.testing.assert_allclose(together.action[k], one.action, atol=1e-6)
        for field in ("probabilities", "deviation", "mean"):
            both = getattr(together, field), getattr(one, field)
            assert (both[0] is None) == (both[1] is None)
            if both[1] is not None:
                np.testing.assert_allclose(both[0][k], both[1], rtol=1e-4, atol=1e-6)
    assert len(run_stochastic(relay, table, Range(starts[0], starts[0] + steps), env, 2)) == 2


def test_the_feature_range_is_that_of_the_window(tmp_path: Path) -> None:
    """What each policy counts as seen are the rows of its own training and their look-back, none before."""
    case = relay_case(tmp_path)
    for table in case.tables:
        first, last = table.ranges["train"]
        rows = table.features[first - WINDOW + 1 : last + 1].reshape(-1, 3)
        assert feature_range(table) == tuple(zip(rows.min(axis=0).tolist(), rows.max(axis=0).tolist(), strict=True))
    assert case.tables[1].ranges["train"].first > case.tables[1].ranges["all"].first


def test_misuse_is_refused(tmp_path: Path) -> None:
    """Bars that no leg decides, features of another market, legs apart."""
    case = relay_case(tmp_path)
    legs = legs_of(case)
    relay, rows = Relay(legs), case.tables[0].features
    for bars, given, origin in ((WHOLE.first - 1, rows, 0), (WHOLE.last, rows, 0), (200, rows[1:], 0), (200, rows, 1)):
        with pytest.raises(ValueError, match="the legs decide bars 150 to 267 of 300"):
            relay.market(given, np.array([bars]), origin)
    with pytest.raises(ValueError, match="do not follow one another"):
        Relay([legs[0], legs[2]])
    assert set(random_params(SMALL_MLP, PANEL, 4, 3)) == set(legs[0].policy.params)
