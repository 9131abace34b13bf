"""What all iterations of a programme share: the data, read once, and the programs, compiled once."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxtrade.assemble import rule_params
from jaxtrade.config import MarketConfig, SplitConfig
from jaxtrade.envs.trading import EnvParams, make_env_params
from jaxtrade.errors import InputError
from jaxtrade.market.splits import Range, make_ranges, resolve_split
from jaxtrade.market.table import MarketTable, seal
from jaxtrade.market.windows import Prepared, Sizes, prepare, walk_forward_splits, window_table
from train.config import TrainConfig
from train.job import Training, compile_copy
from train.memory import Need, free_bytes, refuse
from train.programme.candidates import Start, World, begin, compile_candidates, compile_scores
from train.programme.config import Candidate, ProgrammeConfig, with_values
from train.programme.phases import PLAIN, Knobs, Phase, load_schedule, most_epochs
from train.referee import Referee, make_referee
from train.schedules import Hyper
from train.state import Setup, make_setup


class Window(NamedTuple):
    """One window of the market."""

    split: SplitConfig
    ranges: dict[str, Range]


class Ground(NamedTuple):
    """The data of a programme, and its windows."""

    prepared: Prepared
    windows: tuple[Window, ...]  # one an iteration
    phases: tuple[Phase, ...]

    def table(self, iteration: int) -> MarketTable:
        """Return the market as an iteration (from 0) sees it; its test range is sealed."""
        return seal(window_table(self.prepared, self.windows[iteration].split))

    def longest(self, name: str) -> int:
        """Return the most decisions of a range in any window."""
        return max(window.ranges[name].decisions for window in self.windows)


def open_ground(config: ProgrammeConfig) -> Ground:
    """Read the data, compute its features, and lay out the windows.

    Raises:
        InputError: The data or the schedule is refused, or the windows do not fit.
    """
    prepared = prepare(config.data, config.market, config.env.window)
    phases = load_schedule(config.schedule) if config.progressive else PLAIN
    time, history = prepared.bars.time, prepared.span.first
    splits = window_splits(config, prepared)
    windows = tuple(Window(split, make_ranges(time, split, history)) for split in splits)
    return Ground(prepared, windows, phases)


def window_splits(config: ProgrammeConfig, prepared: Prepared) -> list[SplitConfig]:
    """Return the split of each iteration.

    Raises:
        InputError: The windows do not fit, or the split is given twice.
    """
    asked, given = config.windows, config.market.split
    if asked.kind == "fixed":
        apart = {"purge": max(asked.purge, given.purge), "embargo": max(asked.embargo, given.embargo)}
        return [resolve_split(prepared.bars.time, given).model_copy(update=apart)] * config.iterations
    if given != MarketConfig().split:
        what = f"is for windows.kind fixed; windows.kind {asked.kind} makes the splits itself"
        raise InputError("market.split", what, "Give windows.train_bars and the like, or --windows.kind fixed")
    sizes = Sizes(asked.train_bars, asked.validation_bars, asked.test_bars)
    plan = config.iterations, sizes, asked.kind, asked.purge, asked.embargo
    return walk_forward_splits(prepared.bars.time, prepared.span, *plan)


class Fleet(NamedTuple):
    """The compiled programs, and the sizes they are made for."""

    setup: Setup
    lineup: tuple[Candidate, ...]
    begin: Callable[..., Any]  # (world, seeds, start) -> contest
    training: Training  # without `start`, which differs from iteration to iteration
    scores: Callable[..., Any]  # (params [K, ...], market) -> log growth [K], equity [K, decisions]
    referee: Referee  # of exports
    need: Need


def compile_fleet(config: ProgrammeConfig, ground: Ground) -> Fleet:
    """Compile everything that the iterations run; nothing of the state's size is allocated.

    Raises:
        InputError: The candidates do not fit the memory.
    """
    first, setup, lineup = ground.table(0), setup_for(config, ground), tuple(config.lineup)
    world = make_world(setup, lineup, first, Knobs(None, 1.0, 1.0, config.ppo.epochs), 1)
    start = jax.jit(lambda world, seeds, start: begin(setup, world, seeds, start))
    shapes = jax.eval_shape(start, world, seeds_of(lineup), shape_of_start(setup, world))
    chunk, figures, needed = compile_candidates(setup, shapes, world)
    decisions = ground.longest("validation")
    need = Need(config.num_envs, needed, free_bytes(jax.devices()[0]))
    if not need.fits:
        raise refuse(need, None, setup.config.lanes)
    return Fleet(
        setup=setup,
        lineup=lineup,
        begin=start,
        training=Training(None, chunk, tuple(figures.scalars), needed, compile_copy(shapes)),
        scores=compile_scores(setup, decisions),
        referee=make_referee(setup, decisions),
        need=need,
    )


def setup_for(config: ProgrammeConfig, ground: Ground) -> Setup:
    """Return the static parts that all iterations share.

    Raises:
        InputError: A range of training is shorter than one rollout.
    """
    static = plain_config(config, {"ppo.epochs": most_epochs(ground.phases, config.ppo.epochs)})
    train = [window.ranges["train"] for window in ground.windows]
    longest, shortest = (pick(train, key=lambda span: span.decisions) for pick in (max, min))
    return make_setup(static, longest, len(ground.prepared.bars.symbols), shortest.decisions)


def plain_config(config: ProgrammeConfig, values: dict[str, Any]) -> TrainConfig:
    """Return the configuration of a training run in a programme, with some values by dotted key."""
    names = TrainConfig.model_fields
    own = TrainConfig.model_validate({name: getattr(config, name) for name in names})
    return with_values(own, values)


def seeds_of(lineup: Sequence[Candidate]) -> jax.Array:
    """Return the candidates' seeds, [K]."""
    return jnp.asarray([candidate.seed for candidate in lineup], jnp.int32)


def make_world(setup: Setup, lineup: Sequence[Candidate], table: MarketTable, knobs: Knobs, updates: int) -> World:
    """Return what a window, the settings of the candidates and the phase are to the compiled programs."""
    configs = [with_values(setup.config, candidate.settings) for candidate in lineup]
    market = make_env_params(table, table.span("train"), setup.config.env)
    rules = [rule_params(each.env, table.symbols) for each in configs]
    dtype = market.outcome.gap.dtype

    def numbers(values: list[float]) -> jax.Array:
        return jnp.asarray(np.array(values), dtype)

    return World(
        market=market.replace(rules=jax.tree.map(lambda *each: numbers(each), *rules)),  # type: ignore[arg-type]
        hyper=Hyper(
            learning_rate=numbers([each.ppo.learning_rate * knobs.learning_rate for each in configs]),
            clip=numbers([each.ppo.clip for each in configs]),
            entropy_weight=numbers([each.ppo.entropy_weight * knobs.entropy_weight for each in configs]),
            updates=jnp.asarray(updates, dtype),
            epochs=jnp.int32(knobs.epochs),
        ),
        validation=make_env_params(table, table.span("validation"), setup.config.env),
    )


def shape_of_start(setup: Setup, world: World) -> Start:
    """Return a cold start: what it would start from is zero, and not used."""
    return cold_start(jax.eval_shape(lambda: _policy_shapes(setup, world)))


def _policy_shapes(setup: Setup, world: World) -> tuple[Any, Any]:
    from train.state import init_state

    state = init_state(setup, one_market(world.market))
    return state.params, state.opt_state


def one_market(market: EnvParams) -> EnvParams:
    """Return the market as the first candidate trades it."""
    return market.replace(rules=jax.tree.map(lambda leaf: leaf[0], market.rules))


def cold_start(shapes: tuple[Any, Any]) -> Start:
    """Return the start of candidates with fresh parameters.

    Args:
        shapes: Of the parameters and of the optimiser's state.
    """
    params, opt_state = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    return Start(params, opt_state, jnp.zeros(2, bool), jnp.asarray(-jnp.inf, jnp.float32))
