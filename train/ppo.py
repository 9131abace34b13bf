"""Train a trading policy with PPO: `python -m train.ppo --num-envs 4096`.

The story: configuration -> bars -> market table -> compiled environment -> PPO -> checkpoints -> policy bundle.
Nothing heavy is imported before the configuration is known to be good, so --help and errors are immediate.
"""

import sys


def main() -> int:
    """Run the command; the entry point of `jaxtrade-train`."""
    from jaxtrade.errors import run_command

    return run_command(command)


def command(argv: list[str]) -> int:
    """Train, then export the best policy."""
    from train.cli import parse_arguments

    config, resume = parse_arguments(argv)

    from jaxtrade.errors import STOPPED
    from jaxtrade.market.table import load_table
    from train.folder import open_run, resolve_config

    table = load_table(config.data, config.market, config.env.window)
    config = resolve_config(config, table)

    from train.export import announce, export_run
    from train.run import train
    from train.state import make_setup

    setup = make_setup(config, table.span("train"))
    run = open_run(config, table, resume)  # nothing is written before all of the above is known to be good
    print(f"run: {run}   data: {config.data}   network: {config.network.kind}   {config.updates} updates")
    if table.warning:
        print(f"warning: {table.warning}", file=sys.stderr)
    if not train(setup, table, run, resume is not None):
        print(f"stopped; everything is saved. Go on: python -m train.ppo --resume {run}")
        return STOPPED
    announce(export_run(run, "best"))
    print(f"next: python -m eval_bridge.backtest {run}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
