"""Prove that a run looks at no later bar: `python -m train.leakcheck RUN_OR_BUNDLE [--cuts 40]`.

For many bars t, everything after t is changed (noise, nothing, cut off), the market is built again, and features,
masks, statistics, observations, actions and orders up to t must be bitwise what they were: in the market table, the
compiled environment, the backtester and live inference. See docs/leaks.md.
"""

import sys
from pathlib import Path


def main() -> int:
    """Run the command; the entry point of `jaxtrade-leakcheck`."""
    from jaxtrade.errors import run_command

    return run_command(command)


def command(argv: list[str]) -> int:
    """Check, print what was found, and return 0 if it is nothing, else 1."""
    from jaxtrade.command import CommandParser

    parser = CommandParser("python -m train.leakcheck", "Prove that a run looks at no later bar.")
    parser.add_argument("policy", help="a run's folder, or a policy.npz")
    parser.add_argument("--cuts", type=int, default=40, help="bars to change the future after (default: %(default)s)")
    parser.add_argument("--data", help="bars to check on instead of those trained on")
    args = parser.parse(argv)

    from eval_bridge.bundle import bundle_path, load_bundle
    from eval_bridge.market import load_market
    from eval_bridge.policy import make_policy
    from train.compilation import use_compilation_cache
    from train.leaks import check_leaks, describe

    use_compilation_cache()
    bundle = load_bundle(bundle_path(Path(args.policy)))
    table = load_market(bundle.manifest, args.data)
    record = check_leaks(bundle.manifest, make_policy(bundle), table, args.cuts)
    print(describe(record))
    return 1 if record.findings else 0


if __name__ == "__main__":
    sys.exit(main())
