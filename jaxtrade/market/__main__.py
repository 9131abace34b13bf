"""Commands of the data room.

python -m jaxtrade.market inspect PATH [--plot] [--symbols A B] [--timezone ZONE ...]
python -m jaxtrade.market cache list|clear
python -m jaxtrade.market folds ...
"""

import sys

from jaxtrade.command import CommandParser
from jaxtrade.errors import InputError, did_you_mean, run_command

PROGRAM = "python -m jaxtrade.market"
COMMANDS = ("inspect", "cache", "folds")


def main() -> int:
    """Run the command; the entry point of `jaxtrade-market`."""
    return run_command(command)


def command(argv: list[str]) -> int:
    """Run a subcommand."""
    name, rest = (argv[0], argv[1:]) if argv else ("--help", [])
    if name in ("-h", "--help"):
        print((__doc__ or "").strip())
        return 0
    if name == "inspect":
        return _inspect(rest)
    if name == "cache":
        return _cache(rest)
    if name == "folds":
        from jaxtrade.market import folds_command

        return folds_command.command(rest)
    raise InputError(PROGRAM, f"unknown command '{name}'", did_you_mean(name, COMMANDS))


def _inspect(argv: list[str]) -> int:
    """Print what a source holds; 0 if the gate lets it pass, 2 if not."""
    from jaxtrade.market.flags import add_load_flags, load_config
    from jaxtrade.market.inspect import inspect

    parser = CommandParser(f"{PROGRAM} inspect", "Say how a source of bars is understood, and what is wrong with it.")
    parser.add_argument("source", metavar="PATH", help="what --data takes: a file, a folder, a database, a sample")
    parser.add_argument("--symbols", nargs="+", default=[], metavar="SYMBOL", help="symbols to look at (default: all)")
    parser.add_argument("--plot", action="store_true", help="draw the closes of the first symbol")
    add_load_flags(parser)
    args = parser.parse(argv)
    found = inspect(args.source, load_config(args), tuple(args.symbols), args.plot)
    print("\n".join(found.lines))
    return 0 if found.passes else 2


def _cache(argv: list[str]) -> int:
    """List the stored market tables, or delete them."""
    from jaxtrade.market import cache

    parser = CommandParser(f"{PROGRAM} cache", "The market tables kept from earlier runs.")
    parser.add_argument("action", choices=("list", "clear"))
    if parser.parse(argv).action == "clear":
        count, size = cache.clear()
        print(f"deleted {_tables(count, size)}")
        return 0
    entries = cache.list_entries()
    for each in entries:
        told = f"{each.size / 1e6:>9.1f} MB  {each.age / 86400:>6.1f} days  {each.seconds:>6.1f} s saved"
        print(f"{each.key[:12]}  {told}  {each.source}")
    print(_tables(len(entries), sum(each.size for each in entries)))
    return 0


def _tables(count: int, size: int) -> str:
    return f"{count} table{'' if count == 1 else 's'}, {size / 1e6:.1f} MB"


if __name__ == "__main__":
    sys.exit(main())
