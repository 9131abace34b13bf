"""One set of compiled programs examines the policies of all windows, and what it fills up hides nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest
from flax.traverse_util import unflatten_dict

from eval_bridge.backtester import policy_actor, run_backtest
from eval_bridge.bundle import load_bundle
from eval_bridge.policy import make_policy
from eval_bridge.spec import Certificate, parameter_shapes
from jaxtrade.assemble import rule_params
from jaxtrade.config import MarketConfig
from jaxtrade.envs.synthetic import random_bars
from jaxtrade.envs.trading import make_env_params
from jaxtrade.market.splits import Range
from jaxtrade.market.table import MarketTable, build_table
from tests.conftest import small_config
from train import leaks
from train.batched import Batched
from train.bridge import Origin, numpy_policy, write_bundle
from train.certificate import certify, gather_bars
from train.compilation import Compilations
from train.evaluate import walk
from train.forward import compile_forward
from train.parity import step
from train.referee import Referee, make_referee
from train.state import Setup, make_setup

WINDOW, BARS = 20, 420
SPLITS = ((0.5, 0.65), (0.6, 0.7), (0.65, 0.78))  # training and validation end there
NETWORK = {"kind": "mlp", "hidden": 8, "head": 8}
ENV = {"window": WINDOW, "dead_band": 0.0, "trade_limit_percent": 30.0, "allow_short": True}
SIZE = 32  # bars at once, so that the last part of every range is filled up


class World(NamedTuple):
    """Windows of one market, parameters for each, and what examines them."""

    setup: Setup
    tables: list[MarketTable]
    params: list[Any]
    referee: Referee


def window(train: float, validation: float) -> MarketTable:
    config = MarketConfig.model_validate({"split": {"train_until": train, "validation_until": validation}})
    return build_table(random_bars(BARS, symbols=2, seed=5), config, WINDOW)


def bold(setup: Setup, table: MarketTable, seed: int) -> Any:
    """Return random parameters, large enough that actions differ from bar to bar."""
    shapes = parameter_shapes(setup.config.network, None, 2, table.features.shape[-1], 0)
    random = np.random.default_rng(seed)
    leaves = {name: random.normal(0, 0.4, shape).astype(np.float32) for name, shape in shapes.items()}
    return jax.device_put(unflatten_dict(leaves, sep="/"))


def make_setup_on(table: MarketTable, **changes: Any) -> Setup:
    config = small_config(**{"network": NETWORK, "env": ENV, "market": table.config} | changes)
    return make_setup(config, table.ranges["train"], 2)


@pytest.fixture(scope="module")
def world() -> World:
    tables = [window(*split) for split in SPLITS]
    setup = make_setup_on(tables[0])
    longest = max(table.ranges["validation"].decisions for table in tables)
    referee = make_referee(setup, longest)
    referee = referee._replace(forward=compile_forward(setup, SIZE), steps=referee.steps._replace(size=SIZE))
    return World(setup, tables, [bold(setup, table, seed) for seed, table in enumerate(tables)], referee)


def export(world: World, number: int, path: Path, **more: Any) -> Path:
    return write_bundle(path, world.setup, world.tables[number], world.params[number], 5, **more)


def judge(world: World, number: int, referee: Referee) -> Certificate:
    table, params = world.tables[number], world.params[number]
    policy = numpy_policy(world.setup, params, table)
    return certify(world.setup, params, policy, table, table.ranges["validation"], referee)


def test_windows_after_the_first_compile_nothing(world: World, tmp_path: Path) -> None:
    """Other bars, scaler and parameters, and a shorter range than the referee was made for."""
    counts = []
    for number in range(len(SPLITS)):
        with Compilations() as compilations:
            export(world, number, tmp_path / f"{number}.npz", referee=world.referee)
        counts.append(compilations.total)
    assert counts[0] > 4
    assert counts[1:] == [0, 0]
    manifests = [load_bundle(tmp_path / f"{number}.npz").manifest for number in range(len(SPLITS))]
    assert [manifest.uncertified for manifest in manifests] == [""] * 3
    spans = [table.ranges["validation"].decisions for table in world.tables]
    assert [manifest.certificate.bars for manifest in manifests] == spans
    assert len(set(spans)) == 3
    assert manifests[0].scaler != manifests[1].scaler
    alone = load_bundle(export(world, 1, tmp_path / "alone.npz"))
    with_others = load_bundle(tmp_path / "1.npz")
    for name, wanted in alone.manifest.certificate.model_dump().items():
        assert getattr(with_others.manifest.certificate, name) == pytest.approx(wanted, abs=1e-7), name
    assert with_others.manifest.leaks == alone.manifest.leaks
    for name, wanted in alone.golden.items():
        np.testing.assert_allclose(with_others.golden[name], wanted, atol=1e-6)


def test_rows_that_were_filled_in_never_come_back() -> None:
    """The last real row counts, the copies behind it do not."""
    seen: list[np.ndarray] = []

    def program(shared: float, rows: np.ndarray) -> np.ndarray:
        seen.append(rows)
        return rows * shared

    rows = np.arange(1.0, 7.0)
    np.testing.assert_array_equal(Batched(program, 4)(10.0, rows), rows * 10)
    np.testing.assert_array_equal(np.concatenate(seen), [1, 2, 3, 4, 5, 6, 6, 6])
    for at, wanted in ((1, [1, 2, 3, 4, 5, -6]), (2, [1, 2, 3, 4, 5, 6])):
        fault = Batched(lambda shared, part, at=at: np.where(np.arange(4) == at, -1, 1) * (part if shared else 0), 4)
        found = np.abs(fault(True, rows)[:5])
        np.testing.assert_array_equal([*found, fault(True, rows)[5]], wanted)
    for count in (1, 3, 4, 8):
        assert Batched(program, 4)(1.0, np.arange(count)).tolist() == list(range(count))


def in_walk(referee: Referee, row: int) -> Referee:
    """Return a referee whose environment loses a tenth of its equity from a decision on."""

    def walks(*arguments: Any) -> Any:
        walked = referee.walks(*arguments)
        return walked | {"equity": walked["equity"].at[row:].multiply(np.float32(0.9))}

    return referee._replace(walks=walks)


def in_steps(referee: Referee, row: int) -> Referee:
    """Return a referee whose compiled rules lose a tenth of the equity in a row of every part."""

    def program(*arguments: Any) -> Any:
        record, choices = referee.steps.program(*arguments)
        return record._replace(equity=record.equity.at[row % SIZE].multiply(np.float32(0.9))), choices

    return referee._replace(steps=Batched(program, SIZE))


def in_forward(referee: Referee, row: int) -> Referee:
    """Return a referee whose network answers something else in a row of every part."""

    def program(*arguments: Any) -> Any:
        answers = referee.forward.program(*arguments)
        return answers._replace(output=answers.output.at[row % SIZE].add(np.float32(0.1)))

    return referee._replace(forward=Batched(program, SIZE))


PLANTED: dict[str, tuple[Callable[[Referee, int], Referee], str]] = {
    "environment": (in_walk, "apart over the range"),
    "rules": (in_steps, "apart in one bar"),
    "forward pass": (in_forward, "forward passes"),
}


@pytest.mark.parametrize("where", PLANTED)
def test_a_fault_in_the_last_bar_is_found_and_one_behind_it_is_none(world: World, where: str) -> None:
    plant, failure = PLANTED[where]
    sound, last = judge(world, 1, world.referee), world.tables[1].ranges["validation"].decisions - 1
    assert sound.failures == ()
    assert (last + 1) % SIZE, "the last part is filled up"
    assert any(failure in text for text in judge(world, 1, plant(world.referee, last)).failures)
    behind = plant(world.referee, last + 1)
    if where != "environment":  # that row of a full part is a real bar: only the last part may have the fault
        real = getattr(world.referee, {"rules": "steps", "forward pass": "forward"}[where])
        faulty, parts = getattr(behind, {"rules": "steps", "forward pass": "forward"}[where]), iter(range(99))
        full = (last + 1) // SIZE
        mixed = Batched(lambda *given: (faulty if next(parts) == full else real).program(*given), SIZE)
        behind = world.referee._replace(**{{"rules": "steps", "forward pass": "forward"}[where]: mixed})
    assert judge(world, 1, behind) == sound


def test_the_rules_are_given_what_the_backtest_had(world: World) -> None:
    """From each bar's account, action and market the rules lead to the account after it, in float64."""
    table, config = world.tables[0], world.setup.config.env
    span, policy = table.ranges["validation"], numpy_policy(world.setup, world.params[0], table)
    result = run_backtest(table, span, config, policy_actor(policy, table, span))
    bars, book = gather_bars(world.setup, table, result), world.setup.core.book
    after = step(np, book, rule_params(config, table.symbols), *bars)[0]
    jax.tree.map(lambda one, two: np.testing.assert_allclose(one, two, atol=1e-12), after, result.accounts)
    views = result.history.views
    np.testing.assert_array_equal(views.assets, np.stack([each.view.assets for each in result.steps]))
    np.testing.assert_array_equal(views.account, np.stack([each.view.account for each in result.steps]))


def test_a_referee_for_something_else_is_refused(world: World, tmp_path: Path) -> None:
    dearer = make_setup_on(world.tables[0], env=ENV | {"costs": {"buy_percent": 0.2}})
    other = make_setup_on(world.tables[0], network=NETWORK | {"head": 16})
    for setup in (dearer, other):
        with pytest.raises(ValueError, match="another network or other rules"):
            export(world, 0, tmp_path / "policy.npz", referee=make_referee(setup, 999))
    with pytest.raises(ValueError, match="made for 10 decisions, the range holds"):
        export(world, 0, tmp_path / "policy.npz", referee=make_referee(world.setup, 10))
    assert not list(tmp_path.iterdir())


def test_the_origin_is_told(world: World, tmp_path: Path) -> None:
    ordinary = load_bundle(export(world, 0, tmp_path / "ordinary.npz", referee=world.referee)).manifest
    assert (ordinary.seed, ordinary.validations) == (0, 3)  # update 5, every 2
    given = load_bundle(export(world, 0, tmp_path / "given.npz", referee=world.referee, origin=Origin(7, 11))).manifest
    assert (given.seed, given.update, given.validations) == (7, 5, 11)
    assert given.model_copy(update={"seed": 0, "validations": 3}) == ordinary


def test_a_policy_without_a_file_is_that_of_its_bundle(world: World, tmp_path: Path) -> None:
    table, params = world.tables[0], world.params[0]
    found = numpy_policy(world.setup, params, table)
    wanted = make_policy(load_bundle(export(world, 0, tmp_path / "policy.npz", referee=world.referee)))
    assert vars(found).keys() == vars(wanted).keys()
    for name, value in vars(wanted).items():
        jax.tree.map(np.testing.assert_array_equal, vars(found)[name], value) if name != "network" else None
    assert found.network == wanted.network
    bars = np.arange(100, 140)
    np.testing.assert_array_equal(found.market(table.features, bars), wanted.market(table.features, bars))


def test_the_rows_around_a_cut_are_all_that_the_environment_needs() -> None:
    """An `lstm`, whose chunks are cut by the number of the bar: it does the same on all rows."""
    table = window(*SPLITS[0])
    setup = make_setup_on(table, network={"kind": "lstm", "hidden": 4, "head": 8, "chunk": 6, "burn_in": 5})
    params, cut = bold(setup, table, 0), 205
    manifest = type("Manifest", (), {"env": setup.config.env, "network": setup.config.network})
    policy = numpy_policy(setup, params, table)
    environment = leaks.Environment(manifest, policy, table, leaks.compile_walk_back(setup))
    action, equity = environment.walk(table, cut)
    whole = make_env_params(table, Range(cut - leaks.BACK, cut + 1), setup.config.env)
    walked = jax.jit(lambda market: walk(setup, params, market, leaks.BACK + 1)[1])(whole)
    np.testing.assert_allclose(action, walked["action"], atol=1e-6)
    np.testing.assert_allclose(equity, walked["equity"][:-1], atol=1e-6)
    assert np.std(action) > 1e-3
