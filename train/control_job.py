"""Training on an environment of gymnax as the host loop sees it: compiled programs and their figures."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from train.callbacks.base import Row
from train.control import run_chunk
from train.control_config import ControlConfig
from train.control_evaluate import evaluate
from train.control_rollout import Control, ControlState, init_control
from train.figures import Figures
from train.folder import dotted
from train.job import Job, Programs, Training, compile_copy, mean_figures
from train.memory import Need, free_bytes, program_bytes, refuse

METRIC = "validation_return"
VALIDATION = (METRIC, "validation_length")
FIXED = ("env", "observe", "network.", "num_envs", "seed", "ppo.rollout_length", "ppo.normalize_observation")


def make_job(control: Control) -> Job:
    """Return a training; its programs are compiled here.

    Raises:
        InputError: The run does not fit the memory.
    """
    config = control.config
    programs = make_programs(control)
    if not programs.need.fits:
        raise refuse(programs.need, None, 1)
    keys = dotted(config.model_dump(mode="json"))
    return Job(
        config=config,
        programs=programs,
        row=partial(metrics_row, config),
        validate=partial(validate, programs),
        validation=VALIDATION,
        metric=METRIC,
        facts={key: value for key, value in keys.items() if key.startswith(FIXED)},
    )


def make_programs(control: Control) -> Programs:
    """Compile a run's programs; nothing of the state's size is allocated."""
    config, market = control.config, control.world.params
    start = jax.jit(lambda seed, market: init_control(control, market, seed))
    state = jax.eval_shape(start, jnp.int32(0), market)
    chunk = jax.jit(lambda state, market, count: run_chunk(control, state, market, count), donate_argnums=0)
    lowered = chunk.lower(state, market, jnp.int32(1))
    compiled = lowered.compile()
    figures, needed = tuple(lowered.out_info[1].scalars), program_bytes(compiled)
    training = Training(start, compiled, figures, needed, compile_copy(state))
    key = jax.random.fold_in(jax.random.key(config.seed), config.seed)  # the same episodes at each validation
    score = compile_evaluation(control).lower(state.params, state.moments, (market, key)).compile()
    needed = training.needed + program_bytes(score)
    return Programs(training, score, market, (market, key), Need(config.num_envs, needed, free_bytes(jax.devices()[0])))


def compile_evaluation(control: Control) -> Any:
    """Return the jitted `(params, moments, (env_params, key)) -> (mean return, mean length)`."""

    def score(params: Any, moments: Any, start: tuple[Any, jax.Array]) -> tuple[jax.Array, jax.Array]:
        returns, lengths = evaluate(control, params, moments, *start)
        return jnp.mean(returns), jnp.mean(lengths.astype(returns.dtype))

    return jax.jit(score)


def validate(programs: Programs, state: ControlState) -> tuple[ControlState, Row]:
    """Play the validation's episodes and return their figures."""
    figures = jax.device_get(programs.evaluate(state.params, state.moments, programs.validation))
    return state, dict(zip(VALIDATION, map(float, figures), strict=True))


def metrics_row(config: ControlConfig, figures: Figures, update: int) -> Row:
    """Return the row of an update."""
    return {"update": float(update), "timesteps": float(update * config.samples)} | mean_figures(figures.scalars)
