"""Programmes whose iterations do not train: the winners are random policies, and everything around them is real."""

import hashlib
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from eval_bridge.backtester import policy_actor, run_backtest
from eval_bridge.bundle import load_bundle
from eval_bridge.policy import make_policy
from jaxtrade.market.table import MarketTable
from tests.helpers import programmes
from tests.helpers.bundles import write_random_bundle
from train.folder import create_run, fingerprint, range_times
from train.programme import loop
from train.programme.config import ProgrammeConfig
from train.programme.fleet import plain_config
from train.programme.iteration import CURVES, POLICY, RESULT, Task, folder_of, trial_of, write_json
from train.programme.ledger import record_starts, record_stops
from train.programme.phases import knobs_of
from train.run import Outcome

RANGES = ("train", "validation", "test")


def run_untrained(config: ProgrammeConfig) -> Path:
    """Run a programme without warm starts whose iterations are made up, and return its folder; nothing is compiled."""
    with (
        mock.patch.object(programmes, "fleet_of", return_value=object()),
        mock.patch.object(loop, "make_task", task_of),
        mock.patch.object(loop, "run_iteration", make_up),
    ):
        return programmes.run_programme(config.model_copy(update={"warm_start": False}))


def task_of(config: ProgrammeConfig, ground: Any, fleet: Any, run: Path, number: int, incumbent: None) -> Task:
    """Return an iteration without what compiled programs need."""
    table, folder = ground.table(number), folder_of(run, number)
    own = plain_config(config, {}).model_copy(
        update={"name": folder.name, "runs_dir": str(run), "market": table.config}
    )
    knobs: Any = knobs_of(ground.phases, number, config.iterations, config.ppo.epochs)
    nothing: Any = None
    return Task(number, own, folder, table, knobs, nothing, nothing, None)


def make_up(config: ProgrammeConfig, fleet: Any, task: Task, ledger: Path, *rest: Any) -> Outcome:
    """Leave what an iteration leaves, with random policies for candidates; every other one has stopped early."""
    create_run(task.folder, task.config, {"fingerprint.json": fingerprint(task.config, task.table)}, latest=False)
    record_starts(ledger, config.lineup, trial_of(task), cold=True)
    curves = np.stack([traded(task, k) for k in range(config.candidates)], axis=1)
    np.save(task.folder / CURVES, curves)
    growths = [float(growth) for growth in np.log(curves[-1])]
    best = int(np.argmax(growths))
    traded(task, best)  # written last: the file is the winner's
    result = record_of(config, task, growths, best)
    record_stops(ledger, config.lineup, trial_of(task), result)
    names = ("seconds", "training_seconds", "validation_seconds", "setup_seconds")
    write_json(task.folder / RESULT, result | {"timing": dict.fromkeys(names, 1.0) | {"compilations": 0}})
    return Outcome(True, "made up", abandoned=False)


def record_of(config: ProgrammeConfig, task: Task, growths: list[float], best: int) -> dict[str, Any]:
    """Return the result of an iteration that would have stopped one update early."""
    updates = {"plain": config.updates, "planned": config.planned_updates(task.number)}
    updates["done"] = updates["planned"] - 1
    steps = {name: each * task.config.samples * config.candidates for name, each in updates.items()}
    done = updates["done"]
    times = range_times(task.table)
    return {
        "iteration": task.number + 1,
        "folder": task.folder.name,
        "phase": task.knobs.phase,
        "start": "cold",
        "from_iteration": None,
        "ranges": {name: list(times[name]) for name in RANGES},
        "spans": {name: list(task.table.ranges[name]) for name in RANGES},
        "knobs": {name: getattr(task.knobs, name) for name in ("learning_rate", "entropy_weight", "epochs")},
        "updates": updates,
        "steps": steps | {"saved": steps["plain"] - steps["done"]},
        "early_stopped": config.candidates // 2,
        "warm_started": False,
        "candidates": [
            {
                "candidate": k,
                "seed": each.seed,
                "settings": each.settings,
                "validation": {"log_growth": growths[k], "update": done, "validations": done},
                "stopped_at": done if k % 2 else None,
            }
            for k, each in enumerate(config.lineup)
        ],
        "winner": {"candidate": best, "update": done, "log_growth": growths[best], "exact_log_growth": growths[best]},
        "policy_sha256": hashlib.sha256((task.folder / POLICY).read_bytes()).hexdigest(),
    }


def traded(task: Task, candidate: int) -> np.ndarray:
    """Write a candidate's policy and trade the validation range with it; return equity after each bar, [decisions]."""
    table: MarketTable = task.table
    fields: dict[str, Any] = {"env": task.config.env, "network": task.config.network, "source": task.config.data}
    path = write_random_bundle(task.folder / POLICY, table=table, seed=10 * task.number + candidate, **fields)
    policy, span = make_policy(load_bundle(path)), table.span("validation")
    result = run_backtest(table, span, task.config.env, policy_actor(policy, table, span))
    return np.asarray(result.equity[1:] / result.capital)
