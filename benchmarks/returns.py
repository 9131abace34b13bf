"""Published returns on gymnax: `python -m benchmarks.returns [--quick] [names]`; the learner that trades, proved.

Ten seeds in one program each, with the parameters of the presets in configs/. They were tuned on other seeds (100 and
up). Two returns are told: that of the last 100 episodes of training, whose actions are drawn, as CleanRL reports; and
the mean of 100 fresh episodes by the most likely action of the last parameters, as rl-zoo does. Targets are judged by
the one that the published figure is of. IQM is the interquartile mean, its interval a bootstrap over seeds, 95 %.
"""

import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from arch.bootstrap import IIDBootstrap
from scipy.stats import trim_mean

from benchmarks.harness import AtMost, Rate, Report, option_parser, publish, summary
from train.cli import load_file, validate
from train.control import train_control
from train.control_config import ControlConfig
from train.control_evaluate import evaluate
from train.control_rollout import init_control, make_control

LAST, EPISODES, SEEDS = 100, 100, 10


class Case(NamedTuple):
    """A preset, whose returns are judged by those of `training` or by `greedy` episodes."""

    preset: str
    judged: str
    target: float | AtMost
    network: str | None = None  # instead of the preset's
    share: float | None = None  # of the seeds that must reach the target, each by itself


REPORTS = {
    "returns": {
        "CartPole-v1": Case("cartpole", "training", 490.0),
        "Acrobot-v1": Case("acrobot", "training", -90.0),
        "Pendulum-v1": Case("pendulum", "greedy", -250.0),
    },
    "returns-memory": {
        "CartPole without velocities, lstm": Case("cartpole_no_velocity", "greedy", 450.0, share=0.9),
        "CartPole without velocities, mlp": Case("cartpole_no_velocity", "greedy", AtMost(100.0), "mlp"),
    },
}


class Returns(NamedTuple):
    """The returns of some seeds, [S] each, and the seconds that all took together."""

    training: np.ndarray
    greedy: np.ndarray
    seconds: float


def config_of(case: Case) -> ControlConfig:
    """Return the configuration of a case."""
    data, source = load_file(case.preset)
    if case.network is not None:
        data = data | {"network": data.get("network", {}) | {"kind": case.network}}
    return validate(data | {"eval_episodes": EPISODES}, {}, source, ControlConfig)


def train_seeds(config: ControlConfig, seeds: int) -> Returns:
    """Train some seeds in one program, and let what they learned play."""
    control = make_control(config)
    params, updates = control.world.params, config.updates

    def run(seed: jax.Array) -> tuple[Any, ...]:
        state, figures = train_control(control, init_control(control, params, seed), params, updates)
        key = jax.random.fold_in(jax.random.key(2024), seed)
        greedy, _ = evaluate(control, state.params, state.moments, params, key)
        return figures.episodes["return"], figures.episode_rows, greedy

    numbers = jnp.arange(seeds, dtype=jnp.int32)
    program = jax.jit(jax.vmap(run)).lower(numbers).compile()
    began = time.perf_counter()
    returns, rows, greedy = jax.device_get(jax.block_until_ready(program(numbers)))
    return Returns(last_returns(returns, rows), greedy.mean(axis=1), time.perf_counter() - began)


def last_returns(returns: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the mean return of the last episodes of training, [S]; returns are [S, updates, C], rows [S, updates]."""
    kept = np.arange(returns.shape[2]) < rows[..., None]
    return np.array([each[which][-LAST:].mean() for each, which in zip(returns, kept, strict=True)])


def iqm(values: np.ndarray) -> float:
    """Return the mean of the middle half (Agarwal et al. 2021)."""
    return float(trim_mean(values, 0.25))


def interval(values: np.ndarray) -> Rate:
    """Return the interquartile mean with its 95 % bootstrap interval."""
    low, high = IIDBootstrap(values, seed=0).conf_int(iqm, reps=5000, method="percentile").ravel()
    return Rate(iqm(values), float(low), float(high), tuple(map(float, values)))


def measure_case(name: str, case: Case, seeds: int, report: Report) -> Report:
    """Train a case and return the report with its figures added."""
    config = config_of(case)
    found = train_seeds(config, seeds)
    ratios, targets = dict(report.ratios), dict(report.targets)
    for kind in ("training", "greedy"):
        label = f"{name}, {config.total_timesteps / 1000:.0f}k steps: {kind} return"
        ratios[label] = interval(getattr(found, kind))
        if kind == case.judged:
            targets[label] = case.target
    if case.share is not None:
        label = f"{name}: share of seeds that reach {case.target:g}"
        ratios[label], targets[label] = float(np.mean(getattr(found, case.judged) >= case.target)), case.share
    rates = report.rates | {name: summary([seeds * config.updates * config.samples / found.seconds])}
    about = config.model_dump(mode="json", include={"env", "observe", "num_envs", "network", "ppo"})
    return report._replace(rates=rates, ratios=ratios, targets=targets, config=report.config | {name: about})


def main() -> None:
    """Train case after case, and tell all so far after each: it takes minutes."""
    parser = option_parser("Published returns.")
    parser.add_argument("names", nargs="*", metavar="name", help=f"reports to make (default: {' '.join(REPORTS)})")
    options = parser.parse_args()
    seeds = 2 if options.quick else SEEDS
    for title in options.names or REPORTS:
        report = Report(title, "steps a second, all seeds together", {"seeds": list(range(seeds))}, {}, {})
        for name, case in REPORTS[title].items():
            print(f"{name} ...", flush=True)
            report = measure_case(name, case, seeds, report)
            publish(report, options.quick)


if __name__ == "__main__":
    main()
