"""Replay a policy in the stateful float64 backtester, and judge what it did: figures, books, a report and a verdict.

python -m eval_bridge.backtest RUN_OR_BUNDLE [--data SOURCE] [--split test] [--out FOLDER]
"""

import argparse
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxtrade import trials
from jaxtrade.command import CommandParser
from jaxtrade.errors import InputError, run_command
from jaxtrade.market.flags import add_load_flags, load_config
from jaxtrade.market.splits import SPLITS

if TYPE_CHECKING:
    from eval_bridge.ensemble import Loaded
    from eval_bridge.evaluation import Evaluation, Options, Watch
    from jaxtrade.market.table import MarketTable

PROG = "python -m eval_bridge.backtest"
MISMATCH = 3  # exit code: the backtester contradicts itself


def main() -> int:
    """Run the command; the entry point of `jaxtrade-backtest`."""
    return run_command(command)


def command(argv: list[str]) -> int:
    """Backtest, write the folder, print the table."""
    args = _parser().parse(argv)
    from eval_bridge.books.ledger import Mismatch

    try:
        evaluation, folder = _evaluate(args)
    except Mismatch as error:
        remedy = f"This is a bug: report it with {args.policy} and the command"
        print(f"error: the books and the rules disagree: {error}. {remedy}", file=sys.stderr)
        return MISMATCH
    from eval_bridge.console import console_text

    report = evaluation.write(folder, args.format)
    print(console_text(evaluation, shutil.get_terminal_size().columns))
    print(f"report: {report}")
    return 0


def _parser() -> CommandParser:
    parser = CommandParser(PROG, "Replay a policy in the stateful float64 backtester, and judge what it did.")
    add = parser.add_argument
    add("policy", help="a run's folder, a policy.npz, a folder of several runs (seeds), or a programme's")
    add("--data", help="bars to trade instead of those trained on; normalised as in training")
    add("--split", choices=SPLITS, default="test", help="range to trade (default: %(default)s)")
    add("--out", help="folder to write to (default: RUN/backtest/SPLIT)")
    add("--lots", choices=("fifo", "lifo", "average"), default="fifo", help="lots that a trade closes first")
    add("--delay", type=int, default=0, help="bars that every action waits before it is an order")
    add("--costs", nargs="+", default=[], metavar="NAME=NUMBER", help="costs that differ, as buy_percent=0.05")
    add("--stochastic", type=int, default=0, metavar="N", help="also trade N times with drawn actions")
    add("--stress", action="store_true", help="also trade a grid of costs and delays, and find the break-even cost")
    add("--format", choices=("csv", "parquet"), default="csv", help="of the tables (default: %(default)s)")
    add("--trials", help="trial ledger to record in (default: trials.jsonl beside the runs)")
    add("--allow-uncertified", action="store_true", help="trade a policy without a parity certificate")
    add_load_flags(parser)
    return parser


def _evaluate(args: argparse.Namespace) -> "tuple[Evaluation, Path]":
    """Return the evaluation that the arguments ask for, and the folder that it goes to."""
    from eval_bridge.evaluation import check_options, evaluate
    from eval_bridge.files import require_writable
    from eval_bridge.market import open_range

    options = _options(args)
    loaded, table = _load(args)
    check_options(options, loaded.bundles[0].manifest.env, len(table.symbols))
    folder = Path(args.out) if args.out else home(Path(args.policy)) / "backtest" / args.split
    table.span(args.split)
    require_writable(folder)
    ledger = Path(args.trials) if args.trials else trials.ledger_path(loaded.paths[0])
    opened = open_range(ledger, loaded.files, table, args.split)
    with progress() as watch:
        return evaluate(loaded.policy, loaded.bundles, table, args.split, options, opened, watch), folder


def _load(args: argparse.Namespace) -> "tuple[Loaded, MarketTable]":
    """Return the policy, or the relay of a programme's, and its market."""
    from eval_bridge.ensemble import load_policy
    from eval_bridge.market import load_market
    from eval_bridge.relay import load_relay, require_test
    from eval_bridge.turns import is_relay

    path = Path(args.policy)
    loaded = load_policy(path, args.allow_uncertified)
    manifest = loaded.bundles[0].manifest
    load = load_config(args, manifest.market.load)
    if not is_relay(path):
        return loaded, load_market(manifest, args.data, load)
    require_test(path, args.split)
    return load_relay(path, args.allow_uncertified, args.data, load)


def home(policy: Path) -> Path:
    """Return the folder of a run, of an ensemble, of a programme, or that a bundle lies in."""
    return policy if policy.is_dir() else policy.parent


def _options(args: argparse.Namespace) -> "Options":
    from eval_bridge.evaluation import Options

    return Options(args.lots, args.delay, parse_costs(args.costs), args.stochastic, args.stress)


def parse_costs(items: list[str]) -> dict[str, Any]:
    """Return NAME=NUMBER items by name; they are judged where they are used.

    Raises:
        InputError: An item is none, or a name is given twice.
    """
    costs: dict[str, Any] = {}
    for item in items:
        name, sign, value = item.partition("=")
        name = name.removeprefix("env.costs.").replace("-", "_")
        if not sign or not value:
            raise InputError("--costs", f"'{item}' is no NAME=NUMBER", "For example --costs buy_percent=0.05")
        if name in costs:
            raise InputError("--costs", f"'{name}' is given twice", "Give it once")
        costs[name] = _number(value)
    return costs


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text  # a side, or nothing that a cost can be


@contextmanager
def progress() -> "Iterator[Watch]":
    """Show how far an evaluation is, on a terminal; elsewhere nothing."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress, TaskID

    with Progress(console=Console(stderr=True), transient=True) as bar:
        tasks: dict[str, TaskID] = {}

        def watch(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total or None)
            bar.update(tasks[what], completed=done)

        yield watch


if __name__ == "__main__":
    sys.exit(main())
