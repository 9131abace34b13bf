"""What K candidates side by side cost: `python -m benchmarks.candidates [--quick]`.

The time of an update of K candidates over that of one, in one compiled program that is spread over the cores as
`python -m train.programme` does it: the MLP launched small, where most of an update is the handling of small arrays,
the MLP at the size of a programme's default, and the multi-scale LSTM.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from benchmarks.harness import AtMost, Rate, Report, Work, measure, parse_options, publish, ratio, summary
from jaxtrade.market.table import MarketTable
from train.compilation import Compilations
from train.programme.config import ProgrammeConfig
from train.programme.spread import use_cores

COUNTS = (1, 2, 4, 8)
SMALL = {"rollout_length": 32, "lanes": 8, "minibatches": 2}


class Launch(NamedTuple):
    """A size of launch."""

    name: str
    settings: dict[str, Any]
    updates: int  # of one call
    target: float | None  # most that 8 candidates may cost


LAUNCHES = (
    Launch("mlp, small", {"num_envs": 8, "network": {"kind": "mlp"}, "ppo": SMALL}, 10, 3.0),
    Launch("mlp, default", {"network": {"kind": "mlp"}}, 1, None),
    Launch("multiscale_lstm", {"num_envs": 64, "network": {"kind": "multiscale_lstm"}}, 1, 8.0),
)


def config_of(launch: Launch, count: int) -> ProgrammeConfig:
    """Return the programme of a launch with so many candidates."""
    return ProgrammeConfig.model_validate(launch.settings | {"candidates": count})


def candidates_work(table: MarketTable, config: ProgrammeConfig, updates: int) -> tuple[Work, Compilations]:
    """Return the work of some updates of all candidates, and a count of the programs that were compiled for them.

    An item is a sample of one candidate.
    """
    from train.programme.candidates import begin, compile_candidates
    from train.programme.fleet import make_world, plain_config, seeds_of, shape_of_start
    from train.programme.phases import Knobs
    from train.state import make_setup

    span = table.span("train")
    setup = make_setup(plain_config(config, {}), span, len(table.symbols), span.decisions)
    world = make_world(setup, config.lineup, table, Knobs(None, 1.0, 1.0, config.ppo.epochs), updates)
    start = jax.jit(lambda world, seeds, start: begin(setup, world, seeds, start))
    contest = start(world, seeds_of(config.lineup), shape_of_start(setup, world))
    count = jnp.int32(updates)
    with Compilations() as compilations:
        call, _, _ = compile_candidates(setup, contest, world)

    def work() -> int:
        nonlocal contest
        contest, _ = call(contest, world, count)
        jax.block_until_ready(contest)
        return updates * config.samples

    return work, compilations


def run(quick: bool) -> Report:
    """Measure every launch with every number of candidates."""
    from benchmarks.ours import random_market  # starts JAX

    table = random_market(1, 5000, ProgrammeConfig().env.window)
    rates, ratios, targets = dict[str, Rate](), dict[str, Rate](), dict[str, float | AtMost]()
    for launch in LAUNCHES[:1] if quick else LAUNCHES:
        counts = COUNTS[:: len(COUNTS) - 1] if quick else COUNTS
        made = {k: candidates_work(table, config_of(launch, k), launch.updates) for k in counts}
        names = {k: f"{launch.name}, K = {k}" for k in counts}
        rates |= measure({names[k]: made[k][0] for k in counts}, repeats=5 if quick else 9)
        costs = {f"time of {names[k]} / K = 1": ratio(rates[names[1]], rates[names[k]]) for k in counts[1:]}
        programs = f"programs compiled for the updates, {names[counts[-1]]}"
        ratios |= costs | {programs: summary([float(made[counts[-1]][1].total)])}
        targets[programs] = AtMost(1)
        if launch.target is not None:
            targets[list(costs)[-1]] = AtMost(launch.target)
    about = {launch.name: describe(config_of(launch, 1)) for launch in LAUNCHES}
    return Report("candidates", "samples per second of each candidate", about, rates, ratios, targets)


def describe(config: ProgrammeConfig) -> str:
    """Return the sizes of a launch."""
    ppo = config.ppo
    return (
        f"{config.num_envs} environments x {ppo.rollout_length} bars, {config.lanes} lanes, {ppo.epochs} epochs of "
        f"{ppo.minibatches} minibatches, {config.network.hidden} units"
    )


def main() -> None:
    """Measure and tell."""
    quick = parse_options("What candidates side by side cost.").quick
    use_cores(COUNTS[-1])
    publish(run(quick), quick)


if __name__ == "__main__":
    main()
