"""One iteration of a programme: the candidates train on a window, are validated, and the best is exported.

Its folder is that of an ordinary run; `result.json` is written last, and says that the iteration is done.
"""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from eval_bridge.backtester import policy_actor, run_backtest
from eval_bridge.bundle import load_bundle
from eval_bridge.policy import make_policy
from jaxtrade.errors import InputError
from jaxtrade.market.table import MarketTable
from train.bridge import Origin, numpy_policy, write_bundle
from train.callbacks.base import Callback
from train.checkpoint import load
from train.compilation import Compilations
from train.config import TrainConfig
from train.folder import create_run, fingerprint, range_times, reopen_run
from train.job import Job, Programs
from train.leaves import shapes_here
from train.programme.candidates import Contest, Start, World, judge
from train.programme.config import Candidate, ProgrammeConfig
from train.programme.fleet import Fleet, Ground, make_world, plain_config, seeds_of, shape_of_start
from train.programme.ledger import Trial, record_starts, record_stops
from train.programme.phases import Knobs, knobs_of
from train.programme.watch import read_spent
from train.programs import facts_of, metrics_row
from train.run import Outcome, train

RESULT, CURVES, POLICY = "result.json", "validation.npy", "policy.npz"
METRIC = "validation_log_growth"
Record = dict[str, Any]


class Incumbent(NamedTuple):
    """The best policy so far."""

    iteration: int  # from 0, in which it was trained
    candidate: int
    params: Any
    opt_state: Any


class Task(NamedTuple):
    """One iteration, ready to run."""

    number: int  # from 0
    config: TrainConfig  # of a run on this window, in this phase
    folder: Path
    table: MarketTable
    knobs: Knobs
    world: World
    start: Start
    from_iteration: int | None  # whose winner it starts from; None: cold


def folder_of(run: Path, iteration: int) -> Path:
    """Return the folder of an iteration (from 0)."""
    return run / f"iteration-{iteration + 1:02d}"


def make_task(
    config: ProgrammeConfig, ground: Ground, fleet: Fleet, run: Path, number: int, incumbent: Incumbent | None
) -> Task:
    """Return an iteration: its window, its phase, how long it is, and what it starts from."""
    table, updates = ground.table(number), config.planned_updates(number)
    knobs = knobs_of(ground.phases, number, config.iterations, config.ppo.epochs)
    folder = folder_of(run, number)
    own = plain_config(config, {"ppo.epochs": knobs.epochs, "total_timesteps": updates * config.samples})
    own = own.model_copy(update={"name": folder.name, "runs_dir": str(run), "market": table.config})
    world = make_world(fleet.setup, fleet.lineup, table, knobs, updates)
    if incumbent is None or not config.warm_start:
        return Task(number, own, folder, table, knobs, world, shape_of_start(fleet.setup, world), None)
    many = jax.tree.map(lambda leaf: np.stack([leaf] * len(fleet.lineup)), incumbent.params)
    score = np.asarray(validator(config, fleet, table, world)(many)[0])[0]
    warm, score = jax.device_put((np.array([True, config.warm_start_optimizer]), np.float32(score)))
    start = Start(incumbent.params, incumbent.opt_state, warm, score)
    return Task(number, own, folder, table, knobs, world, start, incumbent.iteration)


def validator(
    config: ProgrammeConfig, fleet: Fleet, table: MarketTable, world: World
) -> Callable[[Any], tuple[Any, Any]]:
    """Return `params [K, ...] -> (log growth [K], equity [K, decisions])` over the validation range.

    In one compiled call, or candidate by candidate in the stateful backtester.
    """
    if config.fast_evaluation:
        return lambda params: fleet.scores(params, world.validation)

    def one_by_one(params: Any) -> tuple[Any, Any]:
        span = table.span("validation")
        curves = []
        for k in range(len(fleet.lineup)):
            policy = numpy_policy(fleet.setup, jax.tree.map(lambda leaf, k=k: leaf[k], params), table)
            result = run_backtest(table, span, fleet.setup.config.env, policy_actor(policy, table, span))
            lived = result.equity[1:] / result.capital
            curves.append(np.concatenate([lived, np.full(span.decisions - len(lived), lived[-1])]))
        return np.log([curve[-1] for curve in curves]), np.array(curves)

    return one_by_one


def make_job(config: ProgrammeConfig, fleet: Fleet, task: Task) -> Job:
    """Return the iteration as the host loop of a run sees it."""
    seeds, count = seeds_of(fleet.lineup), len(fleet.lineup)
    training = fleet.training._replace(start=lambda seed, world: fleet.begin(world, seeds, task.start))
    patience = config.patience if config.early_stopping else 2**31 - 1
    score = validator(config, fleet, task.table, task.world)

    def validate(contest: Contest) -> tuple[Contest, dict[str, float]]:
        scores = np.asarray(score(contest.learner.params)[0], np.float32)
        contest = judge(contest, scores, jnp.float32(config.convergence_threshold), jnp.int32(patience))
        found = {f"{METRIC}_{k}": float(value) for k, value in enumerate(scores)}
        running = float(np.sum(np.asarray(contest.stopped) == 0))
        return contest, {METRIC: float(np.max(scores)), **found, "running": running}

    return Job(
        config=task.config,
        programs=Programs(training, None, task.world, None, fleet.need),
        row=partial(metrics_row, fleet.setup),
        validate=validate,
        validation=(METRIC, *(f"{METRIC}_{k}" for k in range(count)), "running"),
        metric=METRIC,
        facts=facts_of(task.config, task.table) | facts_of_start(fleet.lineup, task),
        candidates=count,
    )


def facts_of_start(lineup: Sequence[Candidate], task: Task) -> Record:
    """Return what else the checkpoints of an iteration hang on."""
    return {"lineup": [list(candidate) for candidate in lineup], "from_iteration": task.from_iteration}


def run_iteration(
    config: ProgrammeConfig,
    fleet: Fleet,
    task: Task,
    ledger: Path,
    compilations: Compilations,
    callbacks: Sequence[Callback],
) -> Outcome:
    """Train an iteration from where it stands, export its winner, and write its result.

    Raises:
        InputError: Something cannot be written, or a callback failed; a resume goes on from there.
    """
    began, compiled = time.perf_counter(), compilations.total
    record_starts(ledger, fleet.lineup, trial_of(task), cold=task.from_iteration is None)
    resume = (task.folder / "config.yaml").exists()
    if resume:
        reopen_run(task.folder, task.config)
    else:
        create_run(task.folder, task.config, {"fingerprint.json": fingerprint(task.config, task.table)}, latest=False)
    job = make_job(config, fleet, task)
    outcome = train(job, task.folder, resume, compilations, callbacks, say=lambda text: None)
    if not outcome.finished:
        return outcome
    if outcome.signal:  # it came in the last update; a resume goes on with the export
        return outcome._replace(finished=False, reason=f"{outcome.signal} after the last update; everything is saved")
    update, contest = newest(job, task)
    result = conclude(config, fleet, task, contest, update)
    record_stops(ledger, fleet.lineup, trial_of(task), result)
    seconds = time.perf_counter() - began
    spent = read_spent(task.folder)
    setup = max(seconds - sum(spent.values()), 0.0)
    timing = {"seconds": seconds, **spent, "setup_seconds": setup, "compilations": compilations.total - compiled}
    write_json(task.folder / RESULT, result | {"timing": timing})
    return outcome


def trial_of(task: Task) -> Trial:
    """Return the iteration as the trial ledger sees it."""
    span = task.table.ranges["validation"]
    return Trial(f"{task.folder.parent.name}/{task.folder.name}", task.config, task.table.data_hash, span)


def newest(job: Job, task: Task) -> tuple[int, Contest]:
    """Return the updates done and the contest after the last of them.

    What is best is in the memory of the host: arrays that are bound to a device would be compiled for once more.
    """
    shapes = shapes_here(job.programs.training.start, jnp.int32(0), task.world)
    update, contest = load(task.folder, "latest", shapes, job.facts)
    return update, contest._replace(best=jax.device_get(contest.best))


def conclude(config: ProgrammeConfig, fleet: Fleet, task: Task, contest: Contest, update: int) -> Record:
    """Export the best candidate, trade the validation range with it in the stateful backtester, and return the result.

    Raises:
        InputError: No candidate has a validation that is a number.
    """
    best = jax.device_get(contest._replace(learner=None, best=None))
    k, span = int(np.argmax(best.score)), task.table.span("validation")
    if not np.isfinite(best.score[k]):
        what = "no candidate has a validation that is a finite number"
        raise InputError(task.folder, what, "Lower ppo.learning_rate, or train longer")
    params = jax.tree.map(lambda leaf: leaf[k], contest.best[0])
    setup, whole = fleet.setup._replace(config=task.config), replace(task.table, sealed=False)
    origin = Origin(fleet.lineup[k].seed, int(np.sum(best.validations)))
    path = write_bundle(task.folder / POLICY, setup, whole, params, int(best.at[k]), fleet.referee, origin)
    _, equity = validator(config, fleet, task.table, task.world)(contest.best[0])
    np.save(task.folder / CURVES, np.asarray(equity, np.float64)[:, : span.decisions].T)
    policy = make_policy(load_bundle(path))
    exact = run_backtest(task.table, span, task.config.env, policy_actor(policy, task.table, span))
    winner = {
        "candidate": k,
        "update": int(best.at[k]),
        "log_growth": float(best.score[k]),
        "exact_log_growth": float(np.log(exact.equity[-1] / exact.capital)),
    }
    candidates = [candidate_record(i, each, best, task.config.updates) for i, each in enumerate(fleet.lineup)]
    stopped = sum(each["stopped_at"] is not None for each in candidates)
    found = {"early_stopped": stopped, "candidates": candidates, "winner": winner}
    return about_task(config, task, update) | found | {"policy_sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def about_task(config: ProgrammeConfig, task: Task, update: int) -> Record:
    """Return what an iteration was, and how long: plain as without any optimisation, planned, and done."""
    samples, before = config.samples * config.candidates, task.from_iteration
    updates = {"plain": config.updates, "planned": config.planned_updates(task.number), "done": update}
    steps = {name: count * samples for name, count in updates.items()}
    times, names = range_times(task.table), ("train", "validation", "test")
    return {
        "iteration": task.number + 1,
        "folder": task.folder.name,
        "phase": task.knobs.phase,
        "start": "cold" if before is None else "warm",
        "warm_started": before is not None,
        "from_iteration": None if before is None else before + 1,
        "ranges": {name: list(times[name]) for name in names},
        "spans": {name: list(task.table.ranges[name]) for name in names},
        "knobs": {name: getattr(task.knobs, name) for name in ("learning_rate", "entropy_weight", "epochs")},
        "updates": updates,
        "steps": steps | {"saved": steps["plain"] - steps["done"]},
    }


def candidate_record(number: int, candidate: Candidate, best: Contest, planned: int) -> Record:
    """Return what a candidate did; one whose patience ends with the last update was not stopped early."""
    score = float(best.score[number])
    found = {
        "log_growth": score if np.isfinite(score) else None,
        "update": int(best.at[number]) if np.isfinite(score) else None,
        "validations": int(best.validations[number]),
    }
    stopped = int(best.stopped[number])
    about = {"candidate": number, "seed": candidate.seed, "settings": candidate.settings}
    return about | {"validation": found, "stopped_at": stopped if 0 < stopped < planned else None}


def load_incumbent(config: ProgrammeConfig, fleet: Fleet, task: Task, result: Record) -> Incumbent:
    """Return the winner of a finished iteration, from its newest checkpoint."""
    job = make_job(config, fleet, task)
    contest = newest(job._replace(facts={"data_sha256": task.table.data_hash}), task)[1]
    k = result["winner"]["candidate"]
    params, opt_state = jax.tree.map(lambda leaf: leaf[k], contest.best)
    return Incumbent(task.number, k, params, opt_state)


def read_result(folder: Path) -> Record | None:
    """Return the result of an iteration that is done, None of another.

    Raises:
        InputError: It is damaged.
    """
    path = folder / RESULT
    if not path.exists():
        return None
    try:
        found: Record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(path, f"cannot be read ({error})", "Delete it: the iteration is concluded again") from None
    return found


def write_json(path: Path, record: Record) -> None:
    """Write a JSON file, whole or not at all."""
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    draft.replace(path)
