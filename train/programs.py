"""The compiled programs of a run: made once, before anything is written, and measured by the compiler itself."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxtrade.config import EnvConfig
from jaxtrade.envs.trading import EnvParams, make_env_params
from jaxtrade.errors import InputError
from jaxtrade.market.table import MarketTable
from train.config import TrainConfig
from train.evaluate import compile_evaluation
from train.learner import compile_chunk
from train.memory import Need, free_bytes, program_bytes, refuse
from train.state import Setup, TrainState, init_state, make_setup


def setup_for(config: TrainConfig, table: MarketTable) -> Setup:
    """Return the static parts of training on a market."""
    return make_setup(config, table.span("train"), len(table.symbols))


class Training(NamedTuple):
    """The programs whose size depends on the number of environments."""

    start: Callable[[jax.Array, EnvParams], TrainState]  # the state before the first update, by seed
    chunk: Any  # (state, market, count) -> (state, figures); consumes the state
    figures: tuple[str, ...]
    needed: int  # bytes


class Programs(NamedTuple):
    """Everything that a run executes, and the markets it works on."""

    training: Training
    evaluate: Any
    market: EnvParams
    validation: EnvParams
    need: Need


def train_markets(table: MarketTable, env: EnvConfig) -> tuple[EnvParams, EnvParams]:
    """Return the markets of training and of validation: all that a run ever sees of a table."""
    return make_env_params(table, table.ranges["train"], env), make_env_params(table, table.span("validation"), env)


def compile_training(setup: Setup, market: EnvParams) -> Training:
    """Compile the training program; nothing of the state's size is allocated."""

    def start(seed: jax.Array, market: EnvParams) -> TrainState:
        config = setup.config.model_copy(update={"seed": seed})  # traced, so that every seed shares the program
        return init_state(setup._replace(config=config), market)

    start_program = jax.jit(start)
    state = jax.eval_shape(start_program, jnp.int32(0), market)
    lowered = compile_chunk(setup).lower(state, market, jnp.int32(1))
    chunk = lowered.compile()
    return Training(start_program, chunk, tuple(lowered.out_info[1]), program_bytes(chunk))


def make_programs(setup: Setup, table: MarketTable, training: Training | None = None) -> Programs:
    """Compile a run's programs, but for those of `training`; it sees the market up to the end of its range only."""
    span = table.span("validation")
    market, validation = train_markets(table, setup.config.env)
    training = training or compile_training(setup, market)
    params = jax.eval_shape(training.start, jnp.int32(0), market).params
    evaluate = compile_evaluation(setup, span.decisions).lower(params, validation).compile()
    need = Need(setup.config.num_envs, training.needed + program_bytes(evaluate), free_bytes(jax.devices()[0]))
    return Programs(training, evaluate, market, validation, need)


def start_state(setup: Setup, programs: Programs) -> TrainState:
    """Return the state before the first update, on the device where the programs run."""
    state = programs.training.start(jnp.int32(setup.config.seed), programs.market)
    return jax.device_put(state, jax.devices()[0])


def require_memory(setup: Setup, table: MarketTable, programs: Programs) -> None:
    """Refuse a run that does not fit the memory.

    Raises:
        InputError: It does not fit; the remedy is a number of environments that does.
    """
    if not programs.need.fits:
        raise does_not_fit(setup.config, table, programs.need)


def does_not_fit(config: TrainConfig, table: MarketTable, need: Need) -> InputError:
    """Return the error, with a suggestion interpolated from the need of a smaller number of environments."""
    count = max(config.lanes, need.num_envs // 4 // config.lanes * config.lanes)
    if count == need.num_envs:
        return refuse(need, None, config.lanes)
    setup = setup_for(config.model_copy(update={"num_envs": count}), table)
    market = make_env_params(table, table.ranges["train"], config.env)
    smaller = need._replace(num_envs=count, needed=compile_training(setup, market).needed)
    return refuse(need, smaller, config.lanes)
