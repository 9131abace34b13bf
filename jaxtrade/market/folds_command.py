"""`python -m jaxtrade.market folds`: where the folds of a cross-validation lie in the data."""

import argparse
import sys
from collections.abc import Iterator
from itertools import zip_longest

import numpy as np
import numpy.typing as npt

from jaxtrade.command import CommandParser
from jaxtrade.config import EnvConfig, MarketConfig
from jaxtrade.config.market import parse_until
from jaxtrade.errors import InputError
from jaxtrade.market.flags import add_load_flags, load_config
from jaxtrade.market.folds import Fold, Kind, cpcv, paths, walk_forward
from jaxtrade.market.loading import load_table
from jaxtrade.market.splits import Range, date_at, last_bar

PROGRAM = "python -m jaxtrade.market folds"
Times = npt.NDArray[np.datetime64]


def command(argv: list[str]) -> int:
    """Print a line for every range of every fold."""
    args = _parser().parse(argv)
    if args.cpcv and (args.expanding or args.step is not None):
        raise InputError(PROGRAM, "--expanding and --step are for --walk-forward", f"See {PROGRAM} --help")
    time, span = _span(args)
    if args.cpcv:
        groups, k = args.cpcv
        folds = cpcv(span, groups, k, args.purge, args.embargo)
        summary = f"folds: {len(folds)}; paths that test every group once: {len(paths(groups, k))}"
    else:
        train, test = args.walk_forward
        kind: Kind = "expanding" if args.expanding else "rolling"
        folds = walk_forward(span, train, test, args.step, kind, args.purge, args.embargo)
        summary = f"folds: {len(folds)}; bars left over at the end: {span.last - folds[-1].test[-1].last}"
    sys.stdout.write("\n".join([f"{args.data}: {_text(span, _shown(time))}", *_lines(folds, time), summary]) + "\n")
    return 0


def _parser() -> CommandParser:
    parser = CommandParser(PROGRAM, "Print the folds of a walk-forward or combinatorial purged cross-validation.")
    add_load_flags(parser)
    parser.add_argument("--data", default="sample:nasdaq", help="what training reads (default: sample:nasdaq)")
    scheme = parser.add_mutually_exclusive_group(required=True)
    scheme.add_argument("--walk-forward", nargs=2, type=int, metavar=("TRAIN", "TEST"), help="bars of each")
    scheme.add_argument("--cpcv", nargs=2, type=int, metavar=("N", "K"), help="groups, and how many of them are tested")
    parser.add_argument("--expanding", action="store_true", help="training always begins at the first bar")
    parser.add_argument("--step", type=int, help="bars from fold to fold (default: TEST)")
    parser.add_argument("--purge", type=int, default=0, help="bars of training left out before a test")
    parser.add_argument("--embargo", type=int, default=0, help="bars left out after it: docs/splits.md")
    parser.add_argument("--history", type=int, help="bars before the first decision (default: features and window)")
    parser.add_argument("--until", help="last date, or share of the bars, to use: what follows stays sealed")
    return parser


def _span(args: argparse.Namespace) -> tuple[Times, Range]:
    """Return the times, [T], and the bars to use."""
    config = MarketConfig(load=load_config(args))
    try:
        until = parse_until(args.until)
    except ValueError as error:
        raise InputError("--until", f"{error}, got '{args.until}'", f"See {PROGRAM} --help") from None
    table = load_table(args.data, config, EnvConfig().window)
    first, last = table.ranges["all"]
    if until is not None:
        last = last_bar(table.time, date_at(table.time, until))
    return table.time, Range(first if args.history is None else max(args.history, 0), last)


def _lines(folds: list[Fold], time: Times) -> Iterator[str]:
    shown = _shown(time)
    rows = [("fold", "train", "test")]
    for fold in folds:
        for number, (train, test) in enumerate(zip_longest(fold.train, fold.test)):
            rows.append((fold.name if number == 0 else "", _text(train, shown), _text(test, shown)))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def _shown(time: Times) -> npt.NDArray[np.str_]:
    """Return the times as text, without the hour where there are days only."""
    daily = bool((time == time.astype("datetime64[D]")).all())
    return np.datetime_as_string(time, unit="D" if daily else "m")


def _text(span: Range | None, shown: npt.NDArray[np.str_]) -> str:
    if span is None:
        return ""
    return f"{shown[span.first]} .. {shown[span.last]}  bars {span.first}..{span.last} ({span.last + 1 - span.first})"
