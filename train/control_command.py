"""`python -m train.ppo --env CartPole-v1`: configuration -> environment -> PPO -> checkpoints -> return of the best."""

import time
from pathlib import Path

import jax
import jax.numpy as jnp

from train.callbacks.make import make_callbacks
from train.checkpoint import load
from train.compilation import Compilations, use_compilation_cache
from train.control_config import ControlConfig
from train.control_job import make_job
from train.control_rollout import make_control
from train.folder import check_changes, create_run, free_folder, reopen_run, versions
from train.job import Job
from train.leaves import shapes_here
from train.run import leave, train


def run_control(config: ControlConfig, resume: Path | None) -> int:
    """Train on an environment of gymnax; return the exit code.

    Raises:
        InputError: The environment is unknown, the folder exists or cannot be written, or training failed.
    """
    config = config.model_copy(update={"name": config.name or default_name(config)})
    if resume is None:
        free_folder(config)
    else:
        check_changes(resume, config)
    callbacks = make_callbacks(config)
    use_compilation_cache()
    with Compilations() as compilations:
        control = make_control(config)
        print("compiling ...", flush=True)
        job = make_job(control)
        run = create(config) if resume is None else reopen_run(resume, config)
        print(f"run: {run}   environment: {config.env}   network: {config.network.kind}   {config.updates} updates")
        outcome = train(job, run, resume is not None, compilations, callbacks)
    if not outcome.finished:
        return leave(outcome, run)
    print(f"finished: {outcome.reason}")
    print(f"next: {run}/metrics.csv and monitor.csv, or more: --resume {run} --total-timesteps N")
    print(judge_best(job, run))
    return 0


def default_name(config: ControlConfig) -> str:
    """Return a name for the run's folder."""
    name = config.env.rpartition(":")[2]
    return f"{name}-{config.network.kind}-{time.strftime('%Y%m%d-%H%M%S')}"


def create(config: ControlConfig) -> Path:
    """Create the run's folder and return it."""
    record = {"versions": versions(), "seed": config.seed, "environment": config.env}
    return create_run(free_folder(config), config, {"fingerprint.json": record})


def judge_best(job: Job, run: Path) -> str:
    """Return what the best checkpoint reaches in episodes that did not choose it."""
    programs, seed = job.programs, jnp.int32(job.config.seed)
    like = shapes_here(programs.training.start, seed, programs.market)
    update, state = load(run, "best", like, job.facts)
    market, key = programs.validation
    mean, length = programs.evaluate(state.params, state.moments, (market, jax.random.fold_in(key, 1)))
    episodes = f"{job.config.eval_episodes} fresh episodes by the most likely action"
    return f"best checkpoint: update {update}, mean return {mean:.2f} and length {length:.1f} over {episodes}"
