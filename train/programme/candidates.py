"""Candidates that train side by side in one compiled program: one market, one clock, K learners.

What differs between them (parameters, keys, accounts, first learning rate, clip range, entropy weight, costs, reward
weights) has a leading axis K; market and clock have none, so rows of the market are gathered once for all.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxtrade.envs.trading import EnvParams
from train.evaluate import walk
from train.figures import Figures
from train.learner import repeat, update
from train.programme.spread import Spread
from train.schedules import Hyper
from train.state import Setup, TrainState, init_lanes, init_state

AXIS = "candidate"
STATE = TrainState(params=0, opt_state=0, env_state=0, lanes=None, reward_scale=0, key=0, update=None)  # type: ignore[arg-type]
HYPER = Hyper(learning_rate=0, clip=0, entropy_weight=0, updates=None, epochs=None)
MARKET = EnvParams(max_steps_in_episode=None, rules=0)


class World(NamedTuple):
    """What a window and the candidates' settings are, to the compiled programs."""

    market: EnvParams  # of the training range; leaves of `rules` [K, ...]
    hyper: Hyper  # leaves [K]; updates [] and epochs []
    validation: EnvParams  # the same rules for all


WORLD = World(MARKET, HYPER, None)  # type: ignore[arg-type]


class Contest(NamedTuple):
    """The learners, and the best that each has been."""

    learner: TrainState  # leaves [K, ...], but for the clock
    best: tuple[Any, Any]  # parameters and optimiser state of each candidate's best validation, leaves [K, ...]
    score: jax.Array  # [K] that validation's log growth; -inf before
    at: jax.Array  # [K] int32 update at which it was
    mark: jax.Array  # [K] the validation that must be exceeded by the threshold to count as better
    worse: jax.Array  # [K] int32 validations since then that did not
    validations: jax.Array  # [K] int32
    stopped: jax.Array  # [K] int32 update at which the candidate was stopped early; 0: not


class Start(NamedTuple):
    """What the candidates begin with."""

    params: Any  # of one policy
    opt_state: Any
    warm: jax.Array  # [2] bool: whether to use the parameters, and the state of the optimiser; else fresh ones
    score: jax.Array  # [] validation log growth of these parameters on this window; -inf for a cold start


def begin(setup: Setup, world: World, seeds: jax.Array, start: Start) -> Contest:
    """Return the contest before the first update; the clock is that of the first seed.

    Args:
        setup: The static parts.
        world: Of the window.
        seeds: [K].
        start: Of a warm start, the best is what it starts from, until a candidate is better.
    """
    lanes = init_lanes(_seeded(setup, seeds[0]), world.market)

    def one(now: tuple[jax.Array, Any]) -> TrainState:
        seed, rules = now
        return init_state(_seeded(setup, seed), world.market.replace(rules=rules), lanes)

    fresh = jax.lax.map(one, (seeds, world.market.rules))  # one by one: batched, the orthogonal starts never compile
    fresh = fresh._replace(lanes=lanes, update=jnp.int32(0))
    given = (fresh.params, fresh.opt_state)
    params, opt_state = (
        jax.tree.map(lambda new, old, use=use: jnp.where(use, new[None], old), mine, theirs)
        for mine, theirs, use in zip(start[:2], given, start.warm, strict=True)
    )
    count = jnp.zeros(seeds.shape, jnp.int32)
    score = jnp.full(seeds.shape, start.score, fresh.reward_scale.mean.dtype)
    learner = fresh._replace(params=params, opt_state=opt_state)
    seen = count + start.warm[0].astype(jnp.int32)  # what a warm start begins with was validated
    return Contest(learner, (params, opt_state), score, count, score, count, seen, count)


def _seeded(setup: Setup, seed: jax.Array) -> Setup:
    return setup._replace(config=setup.config.model_copy(update={"seed": seed}))


def update_all(setup: Setup, learner: TrainState, world: World) -> tuple[TrainState, Figures]:
    """Do one update of every candidate; the figures are of all of them together."""
    if one_by_one(setup):
        learner, figures = update_in_turn(setup, learner, world)
    else:
        each = jax.vmap(partial(update, setup._replace(axis=AXIS)), (STATE, MARKET, HYPER), (STATE, 0), axis_name=AXIS)
        learner, figures = each(learner, world.market, world.hyper)
    return learner, together(jnp, figures)


def one_by_one(setup: Setup) -> bool:
    """Return whether to update candidates in turn: on a CPU, one LSTM fills the cache, and several drive it out."""
    return jax.default_backend() == "cpu" and setup.policy.config.kind in ("lstm", "multiscale_lstm")


def update_in_turn(setup: Setup, learner: TrainState, world: World) -> tuple[TrainState, Figures]:
    """Do one update of every candidate, one after the other; the leaves of the figures are [K]."""

    def one(now: tuple[TrainState, Any, Hyper]) -> tuple[TrainState, Figures]:
        own, rules, hyper = now
        own = own._replace(lanes=learner.lanes, update=learner.update)
        hyper = hyper._replace(updates=world.hyper.updates, epochs=world.hyper.epochs)
        return update(setup, own, world.market.replace(rules=rules), hyper)

    own = learner._replace(lanes=None, update=None)  # type: ignore[arg-type]
    apart = own, world.market.rules, world.hyper._replace(updates=None, epochs=None)  # type: ignore[arg-type]
    moved, figures = jax.lax.map(one, apart)
    lanes, count = jax.tree.map(lambda leaf: leaf[0], (moved.lanes, moved.update))  # the clock of all
    return moved._replace(lanes=lanes, update=count), figures


def together(xp: Any, figures: Figures, axis: int = 0) -> Figures:
    """Return the figures of candidates, or of equal shares of them, as one: means, and sums of what is counted.

    Args:
        xp: The array namespace.
        figures: Leaves with an axis over candidates or shares.
        axis: Which.
    """
    means = {
        name: (xp.sum if name.startswith("episode_") else xp.mean)(leaf, axis) for name, leaf in figures.scalars.items()
    }
    return Figures(
        scalars=means,
        gradients={name: xp.mean(leaf, axis) for name, leaf in figures.gradients.items()},
        checks={name: xp.max(leaf, axis) for name, leaf in figures.checks.items()},
        episodes={},
        episode_rows=xp.sum(figures.episode_rows, axis),
    )


def compile_candidates(setup: Setup, contest: Contest, world: World) -> tuple[Any, Figures, int]:
    """Compile the updates for a contest and a world of such shapes.

    Returns:
        `(contest, world, count) -> (contest, figures)`, which consumes the learner; shapes of the figures of each
        share; bytes.
    """

    def chunk(learner: TrainState, world: World, count: jax.Array) -> tuple[TrainState, Figures]:
        learner, figures = repeat(partial(update_all, setup), learner, world, count)
        return learner, jax.tree.map(lambda leaf: leaf[None], figures)

    program = Spread(chunk, (STATE, WORLD, None), (STATE, 0), consumed=(0,))
    _, shapes = program.compile(contest.learner, world, jnp.int32(1))

    def call(contest: Contest, world: World, count: jax.Array) -> tuple[Contest, Figures]:
        learner, figures = program(contest.learner, world, count)
        return contest._replace(learner=learner), together(np, jax.device_get(figures))

    return call, shapes, program.bytes


def compile_scores(setup: Setup, decisions: int) -> Spread:
    """Return `(params [K, ...], market) -> (log growth [K], equity [K, decisions])`, compiled when it is first called.

    The validation episodes of all candidates in one call, of ranges of up to so many decisions.
    """

    def score(params: Any, market: EnvParams) -> tuple[jax.Array, jax.Array]:
        state, walked = walk(setup, params, market, decisions)
        return state.stats.log_growth, walked["equity"]

    return Spread(jax.vmap(score, (0, None)), (0, None), (0, 0))


@jax.jit
def judge(contest: Contest, scores: jax.Array, threshold: jax.Array, patience: jax.Array) -> Contest:
    """Keep what is best of each candidate that still runs, and stop those whose validations no longer get better.

    Args:
        contest: Before.
        scores: [K] log growth of this validation; what is not finite is no better than anything.
        threshold: [] by which a validation must exceed the mark to count as better.
        patience: [] validations in a row without a better one, after which a candidate stops.
    """
    runs = contest.stopped == 0
    scores = jnp.where(jnp.isfinite(scores), scores, -jnp.inf)
    better = runs & (scores > contest.score)
    converging = scores > jnp.where(jnp.isfinite(contest.mark), contest.mark + threshold, contest.mark)
    worse = jnp.where(converging, 0, contest.worse + 1)
    learner = contest.learner

    def select(new: jax.Array, old: jax.Array) -> jax.Array:
        return jnp.where(better.reshape(-1, *(1,) * (new.ndim - 1)), new, old)

    return Contest(
        learner=learner,
        best=jax.tree.map(select, (learner.params, learner.opt_state), contest.best),
        score=select(scores, contest.score),
        at=jnp.where(better, learner.update, contest.at),
        mark=jnp.where(runs & converging, scores, contest.mark),
        worse=jnp.where(runs, worse, contest.worse),
        validations=contest.validations + runs.astype(jnp.int32),
        stopped=jnp.where(runs & (worse >= patience), learner.update, contest.stopped),
    )
