"""What to do at a close: every symbol's order, target and confidence, the top buys and the top sells.

python -m eval_bridge.infer BUNDLE_OR_RUN_OR_FOLDER_OF_SEEDS [--data SOURCE] [--date 2024-07-01] [--format json]
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from jaxtrade.command import CommandParser
from jaxtrade.errors import InputError, run_command
from jaxtrade.market.flags import add_load_flags, load_config

if TYPE_CHECKING:
    from eval_bridge.inference.holdings import Holdings
    from eval_bridge.inference.recommend import Recommendations


def main() -> int:
    """Run the command; the entry point of `jaxtrade-infer`."""
    return run_command(command)


def command(argv: list[str]) -> int:
    """Infer, and print or write what is recommended."""
    args = _parser().parse(argv)
    if args.top < 1:
        raise InputError("--top", f"{args.top} is below 1", "Give the number of symbols to list")
    account = account_of(args)

    from eval_bridge.api import Policy

    policy = Policy.load(args.policy, args.allow_uncertified)
    made = policy.infer_date(
        args.date,
        args.data,
        account,
        allow_outside=args.allow_outside,
        load=load_config(args, policy.manifest.market.load),
        max_age=args.max_age,
    )
    if args.symbols:
        made = made.only(tuple(name for part in args.symbols for name in part.split(",") if name))
    text = as_text(made, args.format, args.top)
    if args.out is None:
        sys.stdout.write(text)
        return 0
    try:
        Path(args.out).write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(args.out, f"cannot be written ({error.strerror})", "Choose another --out") from None
    sys.stdout.write(f"recommendation: {args.out}\n")
    return 0


def _parser() -> CommandParser:
    parser = CommandParser("python -m eval_bridge.infer", "What a policy would order at the close of one bar.")
    parser.add_argument(
        "policy",
        help="a run's folder, a policy.npz, a folder of several of either (an ensemble), or a programme's (its newest)",
    )
    parser.add_argument("--data", help="bars to look at instead of those trained on; normalised as in training")
    parser.add_argument("--date", help="a day, or the time of a bar such as 2024-07-01T15:30 (default: the latest bar)")
    parser.add_argument("--cash", type=float, help="cash of the account (default: the starting capital of training)")
    parser.add_argument("--positions", help="what is held, in units: AAPL=10,MSFT=-5")
    parser.add_argument("--account", help="JSON or CSV file of the account instead: docs/inference.md")
    parser.add_argument("--symbols", nargs="+", help="symbols to show (default: all); all of them are traded")
    parser.add_argument("--top", type=int, default=10, help="largest buys and sells to list (default: %(default)s)")
    parser.add_argument("--format", choices=("table", "csv", "json"), default="table", help="(default: %(default)s)")
    parser.add_argument("--out", help="file to write to (default: the terminal)")
    parser.add_argument(
        "--max-age", help="refuse a latest bar older than this: 36h, 10d, off (default: two bars and five days)"
    )
    parser.add_argument("--allow-outside", action="store_true", help="answer beyond the feature range of training")
    parser.add_argument("--allow-uncertified", action="store_true", help="ask a policy without a parity certificate")
    add_load_flags(parser)
    return parser


def account_of(args: argparse.Namespace) -> "Holdings":
    """Return the account that the flags describe.

    Raises:
        InputError: They contradict each other, or the account cannot be read.
    """
    from eval_bridge.inference.holdings import Holdings, parse_positions, read_account

    if args.account is None:
        return Holdings(args.cash, parse_positions(args.positions or ""))
    if args.positions is not None:
        raise InputError("--positions", "cannot be given beside --account", "Put them into the file")
    account = read_account(Path(args.account))
    if args.cash is not None and account.cash is not None:
        raise InputError("--cash", f"{args.account} names the cash already", "Leave one of them out")
    return account if args.cash is None else replace(account, cash=args.cash)


def as_text(made: "Recommendations", format: str, top: int) -> str:
    """Return a recommendation as a table, CSV or JSON."""
    if format == "table":
        from eval_bridge.inference.text import recommendation_text

        return recommendation_text(made, top) + "\n"
    return made.to_csv() if format == "csv" else made.to_json()


if __name__ == "__main__":
    sys.exit(main())
