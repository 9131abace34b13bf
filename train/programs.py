"""The compiled programs of a run: made once, before anything is written, and measured by the compiler itself."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from jaxtrade.config import EnvConfig
from jaxtrade.envs.trading import EnvParams, make_env_params
from jaxtrade.errors import InputError
from jaxtrade.market.table import MarketTable
from train.callbacks.base import Row
from train.config import TrainConfig
from train.evaluate import compile_evaluation
from train.figures import Figures
from train.folder import dotted
from train.job import Job, Programs, Training, compile_copy, mean_figures
from train.learner import compile_chunk
from train.memory import Need, free_bytes, program_bytes, refuse
from train.state import Setup, TrainState, init_state, make_setup


def setup_for(config: TrainConfig, table: MarketTable) -> Setup:
    """Return the static parts of training on a market."""
    return make_setup(config, table.span("train"), len(table.symbols))


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
    return Training(start_program, chunk, tuple(lowered.out_info[1].scalars), program_bytes(chunk), compile_copy(state))


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


METRIC = "validation_log_growth"
VALIDATION = (
    METRIC,
    *(f"validation_{name}" for name in ("equity", "sharpe_per_bar", "max_drawdown", "turnover", "fees")),
)
FIXED = ("env.", "market.", "network.", "num_envs", "seed", "ppo.lanes", "ppo.rollout_length", "ppo.episode_bars")


def make_job(setup: Setup, table: MarketTable, programs: Programs) -> Job:
    """Return training on a market as the host loop sees it."""
    return Job(
        config=setup.config,
        programs=programs,
        row=partial(metrics_row, setup),
        validate=partial(validate, programs),
        validation=VALIDATION,
        metric=METRIC,
        facts=facts_of(setup.config, table),
    )


def metrics_row(setup: Setup, figures: Figures, update: int) -> Row:
    """Return the row of an update."""
    bars = update * setup.schedule.lanes * setup.schedule.length
    counts = {"update": float(update), "timesteps": float(update * setup.config.samples), "bars": float(bars)}
    return counts | mean_figures(figures.scalars)


def validate(programs: Programs, state: TrainState) -> tuple[TrainState, Row]:
    """Walk the validation range and return its figures."""
    figures = jax.device_get(programs.evaluate(state.params, programs.validation))
    return state, {name: float(figures[name.removeprefix("validation_")]) for name in VALIDATION}


def facts_of(config: TrainConfig, table: MarketTable) -> dict[str, Any]:
    """Return what a checkpoint depends on: the data, and the keys of the configuration that a resume cannot change."""
    keys = dotted(config.model_dump(mode="json"))
    return {
        "data_sha256": table.data_hash,
        "symbols": list(table.symbols),
        "feature_names": list(table.feature_names),
        **{key: value for key, value in keys.items() if key.startswith(FIXED)},
    }
