"""The leak check finds planted looks into the future, names the guilty, and reports none where there is none."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval_bridge import backtester
from eval_bridge import leaks as policy_room
from eval_bridge.bundle import Bundle, load_bundle
from eval_bridge.policy import make_policy
from eval_bridge.spec import LeakCheck
from jaxtrade.market.splits import Range
from jaxtrade.market.table import MarketTable
from tests.conftest import small_config
from tests.helpers.leaky import WINDOW, leaky_table
from train import evaluate, leakcheck, leaks
from train.bridge import write_bundle
from train.state import init_state, make_setup

Plant = Callable[[pytest.MonkeyPatch], None]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[MarketTable, Bundle]:
    """Return a market and the bundle of an untrained policy on it, as an export writes it."""
    network = {"kind": "multiscale_lstm", "branches": (1, 5), "hidden": 4, "head": 8}
    env = {"window": WINDOW, "dead_band": 0.0, "trade_limit_percent": 20.0, "allow_short": True}
    table = leaky_table()
    config = small_config(network=network, env=env, market=table.config)
    setup = make_setup(config, table.span("train"), 2)
    params = init_state(setup, leaks.train_markets(table, config.env)[0]).params
    return table, load_bundle(
        write_bundle(tmp_path_factory.mktemp("leaks") / "policy.npz", setup, table, params, update=0)
    )


def check(world: tuple[MarketTable, Bundle], cuts: int = 2) -> LeakCheck:
    table, bundle = world
    return leaks.check_leaks(bundle.manifest, make_policy(bundle), table, cuts)


def test_the_clean_twin_is_clean_and_every_bundle_says_so(world: tuple[MarketTable, Bundle]) -> None:
    found = check(world, cuts=8)
    assert found.findings == ()
    assert found.recursion < 1e-3
    carried = world[1].manifest.leaks
    assert carried is not None
    assert (carried.findings, world[1].manifest.uncertified) == ((), "")
    assert carried.cuts >= 4
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leaks, "CELLS_AT_EXPORT", 2_000_000)
        assert leaks.cuts_at_export(world[0]) == 16


def test_as_a_command(
    world: tuple[MarketTable, Bundle],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exit code 0 and no leak, or 1 and what leaks."""
    table, bundle = world
    monkeypatch.setattr("eval_bridge.bundle.load_bundle", lambda path: bundle)
    monkeypatch.setattr("eval_bridge.market.load_market", lambda manifest, data: table)
    assert leakcheck.command([str(tmp_path / "policy.npz"), "--cuts", "2"]) == 0
    assert capsys.readouterr().out.endswith("no leak found\n")
    stop_on_the_test_range(monkeypatch)
    assert leakcheck.command([str(tmp_path / "policy.npz"), "--cuts", "2"]) == 1
    out = capsys.readouterr().out
    assert "LEAK: the market of validation known at" in out
    assert out.endswith("1 leak\n")


def stop_on_the_test_range(patch: pytest.MonkeyPatch) -> None:
    real = leaks.train_markets
    patch.setattr(
        leaks,
        "train_markets",
        lambda table, env: real(replace(table, ranges=table.ranges | {"validation": table.ranges["test"]}), env),
    )


def policy_asked_with_the_next_row(patch: pytest.MonkeyPatch) -> None:
    real = backtester.policy_actor

    def policy_actor(policy: Any, table: MarketTable, span: Range) -> Any:
        return real(policy, replace(table, features=np.roll(table.features, -1, axis=0)), span)

    patch.setattr(policy_room, "policy_actor", policy_actor)


def environment_one_bar_ahead(patch: pytest.MonkeyPatch) -> None:
    real = evaluate.market_table

    def market_table(setup: Any, params: Any, env_params: Any, decisions: int) -> Any:
        return real(setup, params, env_params.replace(first_bar=env_params.first_bar + 1), decisions)

    patch.setattr(evaluate, "market_table", market_table)
    patch.setattr(leaks, "BACK", 3)
    patch.setattr(leaks.Environment, "walk", ahead(leaks.Environment.walk))


def ahead(real: Callable[..., Any]) -> Callable[..., Any]:
    """Return the walk of a range that ends one bar later: else what comes after the cut is NaN on the device."""

    def walk(self: leaks.Environment, table: MarketTable, cut: int) -> Any:
        action, equity = real(self, table, cut + 1)
        return action[:-1], equity[:-1]

    return walk


def window_of_tomorrow(patch: pytest.MonkeyPatch) -> None:
    real = policy_room.live_actions

    def live_actions(asked: Any, table: MarketTable, view: Any, first: int) -> Any:
        return real(asked, replace(table, features=np.roll(table.features, -1, axis=0)), view, first)

    patch.setattr(policy_room, "live_actions", live_actions)


PLANTED: dict[str, tuple[Plant, str]] = {
    "early stop on the test range": (stop_on_the_test_range, "the market of validation"),
    "policy asked with the next row": (policy_asked_with_the_next_row, "action of the backtester"),
    "environment one bar ahead": (environment_one_bar_ahead, "action of the environment"),
    "live window of tomorrow": (window_of_tomorrow, "action of live inference"),
}


@pytest.mark.parametrize("what", PLANTED)
def test_planted_leaks_are_found_and_named(
    world: tuple[MarketTable, Bundle], monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    plant, piece = PLANTED[what]
    plant(monkeypatch)
    found = check(world)
    assert any(piece in finding for finding in found.findings), found.findings
    manifest = world[1].manifest.model_copy(update={"leaks": found})
    assert "leak: " in manifest.uncertified, "such a policy is refused by the backtest"
