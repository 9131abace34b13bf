"""Train a trading policy with PPO: `python -m train.ppo --num-envs 4096`.

The story: configuration -> bars -> market table -> compiled environment -> PPO -> checkpoints -> policy bundle.
Nothing heavy is imported before the configuration is known to be good, so --help and errors are immediate.
"""

import os
import sys
from typing import Any


def main() -> int:
    """Run the command; the entry point of `jaxtrade-train`."""
    from jaxtrade.errors import STOPPED, run_command

    code = run_command(command)
    if code == STOPPED:  # the interpreter would wait for a computation under way, and take seconds to clear up
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def command(argv: list[str]) -> int:
    """Train on a market, or on a control environment for comparison with other learners."""
    from train.cli import parse_arguments
    from train.config import TrainConfig

    config, resume = parse_arguments(argv)
    if not isinstance(config, TrainConfig):
        from train.control_command import run_control

        return run_control(config, resume)
    return run_market(config, resume)


def run_market(config: Any, resume: Any) -> int:
    """Train on a market, then export the best policy."""
    from jaxtrade.market.loading import load_table
    from jaxtrade.market.table import seal
    from train.folder import check_run, open_run, record_validations, resolve_config

    table = seal(load_table(config.data, config.market, config.env.window))
    config = resolve_config(config, table)
    check_run(config, table, resume)

    from train.calibrate import resolve_num_envs
    from train.callbacks.make import make_callbacks
    from train.compilation import Compilations, use_compilation_cache
    from train.export import announce, export_run
    from train.programs import make_job, make_programs, require_memory, setup_for
    from train.run import leave, train

    callbacks = make_callbacks(config)
    use_compilation_cache()
    with Compilations() as compilations:
        config, training, calibration = resolve_num_envs(config, table)
        setup = setup_for(config, table)
        print("compiling ...", flush=True)
        programs = make_programs(setup, table, training)
        require_memory(setup, table, programs)
        run = open_run(config, table, resume, calibration)  # nothing is written before all of the above is good
        introduce(run, config, table, programs.need)
        outcome = train(make_job(setup, table, programs), run, resume is not None, compilations, callbacks)
    if not outcome.finished:
        return leave(outcome, run)
    print(f"finished: {outcome.reason}")
    record_validations(run, table)
    announce(export_run(run, "best"))
    print(f"next: python -m eval_bridge.backtest {run}")
    return 0


def introduce(run: Any, config: Any, table: Any, need: Any) -> None:
    """Say what is about to be trained, and what its data is worth."""
    print(f"run: {run}   data: {config.data}   network: {config.network.kind}   {config.updates} updates")
    print(need)
    if table.warning:
        print(f"warning: {table.warning}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
