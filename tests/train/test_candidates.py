"""Candidates side by side learn what each of them learns alone."""

import logging
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrade.assemble import rule_params
from jaxtrade.config import EnvConfig
from jaxtrade.envs.trading import EnvParams, make_env_params
from jaxtrade.market.table import MarketTable
from tests.conftest import small_config
from tests.helpers.learning import LSTM, MLP, QUICK, leaves_of
from tests.helpers.worlds import make_table
from train.figures import Figures
from train.learner import update
from train.programme.candidates import HYPER, STATE, Contest, Start, World, begin, update_all
from train.programme.config import Candidate, with_values
from train.programme.fleet import make_world, seeds_of, shape_of_start
from train.programme.phases import Knobs
from train.state import Setup, TrainState, init_state, make_setup

LOG = logging.getLogger(__name__)
LIMIT = 1e-5
DEAREST = 2  # the candidate that its costs ruin
LINEUP = tuple(
    Candidate(
        seed,
        {
            "ppo.learning_rate": rate,
            "ppo.entropy_weight": entropy,
            "ppo.clip": clip,
            "env.costs.buy_percent": cost,
            "env.costs.sell_percent": cost,
            "env.reward.log_return": weight,
        },
    )
    for seed, rate, entropy, clip, cost, weight in (
        (7, 1e-4, 0.0, 0.2, 0.0, 1.0),
        (8, 3e-2, 0.01, 0.1, 0.1, 2.0),
        (9, 1e-3, 0.02, 0.3, 20.0, 0.5),
        (7, 1e-2, 0.0, 0.05, 0.05, 1.0),
    )
)
COSTS = ("env.costs.buy_percent", "env.costs.sell_percent")
PHASE = Knobs("exploration", 0.5, 2.0, 2)
MOST_EPOCHS, UPDATES = 3, 4
NETWORKS = {"mlp": MLP, "multiscale_lstm": LSTM}
ENV = EnvConfig(window=30, ruin_percent=90.0)
SIZES = {"rollout_length": 16, "lanes": 4, "episode_bars": 32, "minibatches": 2, "target_kl": 3e-3}


class Side(NamedTuple):
    """Candidates in one program."""

    setup: Setup
    lineup: tuple[Candidate, ...]
    table: MarketTable
    world: World
    contest: Contest  # before the first update


def make_setup_of(network: dict[str, Any], epochs: int, table: MarketTable) -> Setup:
    ppo = SIZES | {"epochs": epochs}
    config = small_config(network=network, num_envs=8, env=ENV, ppo=ppo, total_timesteps=8 * 16 * UPDATES)
    assert config.updates == UPDATES
    return make_setup(config, table.ranges["train"], len(table.symbols))


@lru_cache
def market_table() -> MarketTable:
    return make_table(30, 400)


def side_by_side(network: dict[str, Any], lineup: Sequence[Candidate]) -> Side:
    """Return candidates before the first update."""
    table = market_table()
    setup = make_setup_of(network, MOST_EPOCHS, table)
    world = make_world(setup, lineup, table, PHASE, UPDATES)
    first = jax.jit(partial(begin, setup), compiler_options=QUICK)
    return Side(setup, tuple(lineup), table, world, first(world, seeds_of(lineup), shape_of_start(setup, world)))


@lru_cache
def all_four(kind: str) -> tuple[Side, Any]:
    """Return the line-up before the first update, and the program that updates it: compiled once for all tests."""
    side = side_by_side(NETWORKS[kind], LINEUP)
    return side, jax.jit(partial(update_all, side.setup), compiler_options=QUICK)


def alone(side: Side, number: int) -> tuple[Setup, EnvParams]:
    """Return a candidate as `train.ppo` has it: one configuration with all of its numbers, and its market."""
    candidate, setup = (
        side.lineup[number],
        make_setup_of(side.setup.config.network.model_dump(), PHASE.epochs, side.table),
    )
    values = dict(candidate.settings) | {"seed": candidate.seed}
    base = with_values(setup.config, values)
    for name, factor in (("learning_rate", PHASE.learning_rate), ("entropy_weight", PHASE.entropy_weight)):
        values[f"ppo.{name}"] = getattr(base.ppo, name) * factor
    config = with_values(setup.config, values)
    return setup._replace(config=config), make_env_params(side.table, side.table.ranges["train"], config.env)


def candidate_of(learner: TrainState, number: int) -> TrainState:
    """Return the state of a candidate as it would be alone."""
    whole = {name: getattr(learner, name) for name in ("lanes", "update")}
    own = learner._replace(**dict.fromkeys(whole))
    return jax.tree.map(lambda leaf: leaf[number], own)._replace(**whole)


def assert_close(found: Any, wanted: Any, limit: float = LIMIT) -> float:
    """Check that numbers agree within a limit, and all else to the last bit; return the largest difference."""
    worst = 0.0
    assert jax.tree.structure(found) == jax.tree.structure(wanted)
    names = [jax.tree_util.keystr(path) for path, _ in jax.tree.leaves_with_path(wanted)]
    for name, mine, theirs in zip(names, leaves_of(found), leaves_of(wanted), strict=True):
        assert (mine.shape, mine.dtype) == (theirs.shape, theirs.dtype), name
        if not np.issubdtype(mine.dtype, np.floating):
            np.testing.assert_array_equal(mine, theirs, name)
            continue
        np.testing.assert_allclose(mine, theirs, rtol=limit, atol=limit, err_msg=name)
        finite = np.isfinite(theirs)
        gap = np.abs(mine - theirs)[finite] / np.maximum(1, np.abs(theirs[finite]))
        worst = max(worst, float(np.max(gap, initial=0.0)))
    return worst


class Walked(NamedTuple):
    """Two updates of all candidates, and of each alone."""

    together: list[tuple[TrainState, Figures]]
    single: list[list[tuple[TrainState, Figures]]]  # [K][2]


def walk_both(side: Side, every: Any, numbers: Sequence[int], own_clock: bool = False) -> Walked:
    """Do two updates of all candidates, and of some of them alone."""
    together, learner = [], side.contest.learner
    for _ in range(2):
        together.append(every(learner, side.world))
        learner = together[-1][0]
    single = []
    for number in numbers:
        setup, market = alone(side, number)
        lanes = None if own_clock else side.contest.learner.lanes
        state = jax.jit(partial(init_state, setup), compiler_options=QUICK)(market, lanes)
        assert_close(candidate_of(side.contest.learner, number), state)
        once, rows = jax.jit(partial(update, setup), compiler_options=QUICK), []
        for _ in range(2):
            rows.append(once(state, market))
            state = rows[-1][0]
        single.append(rows)
    return Walked(together, single)


def test_the_world_holds_the_numbers_of_every_candidate() -> None:
    table = market_table()
    setup = make_setup_of(MLP, MOST_EPOCHS, table)
    world = make_world(setup, LINEUP, table, PHASE, UPDATES)
    for k, candidate in enumerate(LINEUP):
        values = candidate.settings
        numbers = [getattr(world.hyper, name)[k] for name in ("learning_rate", "clip", "entropy_weight")]
        wanted = values["ppo.learning_rate"] * 0.5, values["ppo.clip"], values["ppo.entropy_weight"] * 2.0
        np.testing.assert_allclose(numbers, wanted, rtol=1e-6)
        config = with_values(setup.config, values)
        mine = jax.tree.map(lambda leaf, k=k: leaf[k], world.market.rules)
        jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-6), mine, rule_params(config.env, table.symbols))
    assert (int(world.hyper.epochs), float(world.hyper.updates)) == (PHASE.epochs, UPDATES)
    base = rule_params(setup.config.env, table.symbols)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-6), world.validation.rules, base)
    for market, name in ((world.market, "train"), (world.validation, "validation")):
        assert (int(market.first_bar), int(market.last_bar)) == tuple(table.ranges[name])
    axes = jax.tree.leaves(HYPER), jax.tree.leaves(STATE)
    assert all(axis == 0 for axis in (*axes[0], *axes[1]))
    assert (HYPER.updates, HYPER.epochs, STATE.lanes, STATE.update) == (None, None, None, None)


@pytest.mark.nightly
def test_a_warm_start_begins_with_what_it_is_given() -> None:
    """The optimiser's state only if asked for; a cold one with fresh parameters of each seed."""
    side = all_four("mlp")[0]
    cold = side.contest
    given, moments = jax.tree.map(lambda leaf: leaf[1] + 1, (cold.learner.params, cold.learner.opt_state))
    first = jax.jit(partial(begin, side.setup), compiler_options=QUICK)
    for keep in (False, True):
        start = Start(given, moments, jnp.asarray([True, keep]), jnp.float32(0.25))
        warm = first(side.world, seeds_of(LINEUP), start)
        wanted = cold.learner._replace(params=spread(given), opt_state=spread(moments) if keep else cold.best[1])
        assert_close(warm.learner, wanted, 0)
        assert_close(warm.best, (wanted.params, wanted.opt_state), 0)
        for values, value in ((warm.score, 0.25), (warm.mark, 0.25), (warm.validations, 1), (warm.at, 0)):
            np.testing.assert_array_equal(values, [value] * len(LINEUP))
    for values, value in ((cold.score, -np.inf), (cold.mark, -np.inf), (cold.validations, 0), (cold.stopped, 0)):
        np.testing.assert_array_equal(values, [value] * len(LINEUP))
    fresh = [leaf for leaf in leaves_of(cold.learner.params) if leaf.std() > 0]
    assert all(np.any(leaf[0] != leaf[1]) for leaf in fresh), "another seed, other parameters"
    assert all(np.array_equal(leaf[0], leaf[3]) for leaf in fresh), "the same seed, the same parameters"


def spread(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: jnp.stack([leaf] * len(LINEUP)), tree)


@pytest.mark.nightly
@pytest.mark.parametrize("kind", NETWORKS)
def test_a_candidate_learns_what_it_learns_alone(kind: str) -> None:
    """With ruins and a stop of the epochs in some of them only, and a jump of the lanes.

    The candidates' program is compiled for more epochs than the phase has; alone, for as many as it has.
    """
    side, every = all_four(kind)
    walked = walk_both(side, every, range(len(LINEUP)))
    for step, limit in enumerate((LIMIT, 1e-4)):
        learner, figures = walked.together[step]
        singles = [rows[step] for rows in walked.single]
        worst = [assert_close(candidate_of(learner, k), each[0], limit) for k, each in enumerate(singles)]
        LOG.info("update %d: %s", step + 1, ", ".join(f"{each:.2g}" for each in worst))
        scalars = [each[1].scalars for each in singles]
        for name, found in figures.scalars.items():
            gather = np.sum if name.startswith("episode_") else np.mean
            wanted = gather([float(each[name]) for each in scalars])
            assert float(found) == pytest.approx(wanted, rel=1e-4, abs=1e-4), name
    first = [rows[0][1].scalars for rows in walked.single]
    ruined = [float(each["episode_ruined"]) for each in first]
    assert ruined[DEAREST] > 0
    assert sum(ruined) == ruined[DEAREST], "ruins are to happen in one candidate only"
    minibatches = [float(each["minibatches"]) for each in first]
    full = PHASE.epochs * SIZES["minibatches"]
    assert min(minibatches) < max(minibatches) == full, "some stop early, some do not"
    jumps = walked.together[0][0].lanes.draws - side.contest.learner.lanes.draws
    assert 0 < int(jumps) < SIZES["lanes"], "some lanes jump in the first update"


@pytest.mark.nightly
def test_a_number_matters_to_its_candidate_alone() -> None:
    """Each number that is varied, changed for one candidate: the others learn the same to the last bit.

    Without its costs nobody is ruined, so that no account is opened anew in the middle of the rollout.
    """
    side, every = all_four("mlp")
    before = every(side.contest.learner, side.world)
    number = DEAREST
    for key, value in LINEUP[number].settings.items():
        other = {key: 1e-4 if key == "ppo.clip" else value * 2}  # a clip range that is reached
        settings = LINEUP[number].settings | (dict.fromkeys(COSTS, 0.0) if key in COSTS else other)
        lineup = [each._replace(settings=settings) if k == number else each for k, each in enumerate(LINEUP)]
        world = make_world(side.setup, lineup, side.table, PHASE, UPDATES)
        learner, figures = every(side.contest.learner, world)
        for k in range(len(LINEUP)):
            mine, was = (candidate_of(each, k).params for each in (learner, before[0]))
            gap = max(float(np.max(np.abs(a - b))) for a, b in zip(leaves_of(mine), leaves_of(was), strict=True))
            assert (gap > LIMIT) if k == number else (gap == 0), (key, k, gap)
            if k != number:
                assert_close(candidate_of(learner, k), candidate_of(before[0], k), 0)
        assert (float(figures.scalars["episode_ruined"]) > 0) == (key not in COSTS), key


@pytest.mark.nightly
def test_one_candidate_is_a_run_of_train_ppo() -> None:
    """Its own clock as well."""
    side = side_by_side(MLP, LINEUP[3:])
    every = jax.jit(partial(update_all, side.setup), compiler_options=QUICK)
    walked = walk_both(side, every, [0], own_clock=True)
    assert_close(candidate_of(walked.together[0][0], 0), walked.single[0][0][0])
