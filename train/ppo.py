"""Train a trading policy with PPO: `python -m train.ppo --num-envs 4096`.

The story: configuration -> bars -> market table -> compiled environment -> PPO -> checkpoints -> policy bundle.
Nothing heavy is imported before the configuration is known to be good, so --help and errors are immediate.
"""

import sys
from typing import Any


def main() -> int:
    """Run the command; the entry point of `jaxtrade-train`."""
    from jaxtrade.errors import run_command

    return run_command(command)


def command(argv: list[str]) -> int:
    """Train, then export the best policy."""
    from train.cli import parse_arguments

    config, resume = parse_arguments(argv)

    from jaxtrade.errors import STOPPED
    from jaxtrade.market.loading import load_table
    from jaxtrade.market.table import seal
    from train.folder import check_run, open_run, record_validations, resolve_config

    table = seal(load_table(config.data, config.market, config.env.window))
    config = resolve_config(config, table)
    check_run(config, table, resume)

    from train.calibrate import resolve_num_envs
    from train.compilation import Compilations, use_compilation_cache
    from train.export import announce, export_run
    from train.programs import make_programs, require_memory, setup_for
    from train.run import train

    use_compilation_cache()
    with Compilations() as compilations:
        config, training, calibration = resolve_num_envs(config, table)
        setup = setup_for(config, table)
        print("compiling ...", flush=True)
        programs = make_programs(setup, table, training)
        require_memory(setup, table, programs)
        run = open_run(config, table, resume, calibration)  # nothing is written before all of the above is good
        introduce(run, config, table, programs.need)
        finished = train(setup, programs, run, resume is not None, compilations)
    if not finished:
        print(f"stopped; everything is saved. Go on: python -m train.ppo --resume {run}")
        return STOPPED
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
