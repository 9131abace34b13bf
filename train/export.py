"""Export a checkpoint as a self-contained policy bundle: `python -m train.export RUN [--checkpoint best|latest|N]`."""

import sys
from functools import partial
from pathlib import Path


def main() -> int:
    """Run the command; the entry point of `jaxtrade-export`."""
    from jaxtrade.errors import run_command

    return run_command(command)


def command(argv: list[str]) -> int:
    """Export and say where."""
    from jaxtrade.command import CommandParser

    parser = CommandParser("python -m train.export", "Export a checkpoint as a policy bundle.")
    parser.add_argument("run", help="a run's folder")
    parser.add_argument("--checkpoint", default="best", help="best (by validation), latest, or an update's number")
    parser.add_argument("--out", help="file to write (default: RUN/policy.npz)")
    args = parser.parse(argv)

    from train.compilation import use_compilation_cache

    use_compilation_cache()
    announce(export_run(Path(args.run), args.checkpoint, Path(args.out) if args.out else None))
    return 0


def announce(path: Path) -> None:
    """Print where a bundle is and what its certificate says."""
    from eval_bridge.bundle import load_bundle

    manifest = load_bundle(path).manifest
    certificate, why = manifest.certificate, manifest.uncertified
    print(f"policy: {path}")
    if certificate is None or why:
        print(f"NOT CERTIFIED: {why}. The backtest will refuse it without --allow-uncertified", file=sys.stderr)
    else:
        print(
            f"certified over {certificate.bars} bars and {certificate.fills} fills: no unexplained difference; "
            f"engines {certificate.engine_error:.1g} apart, forward passes {certificate.policy_error:.1g}"
        )
        print(f"no leak: nothing known at {manifest.leaks.cuts} bars changes with what comes after them")


def export_run(run: Path, which: str, out: Path | None = None) -> Path:
    """Write the bundle of a checkpoint of a run and return its path.

    Raises:
        InputError: There is no such run or checkpoint, or its data changed.
    """
    from jaxtrade.errors import InputError
    from train.cli import load_file, validate

    if not (run / "config.yaml").exists():
        raise InputError(run, "no run here: config.yaml is missing", "Name a folder under runs/")
    data, source = load_file(str(run / "config.yaml"))
    if isinstance(data.get("env"), str):
        what = f"is a run on {data['env']}, which has no policy bundle"
        raise InputError(run, what, "Its figures are in metrics.csv and monitor.csv")
    config = validate(data, {}, source)

    from jaxtrade.envs.trading import make_env_params
    from jaxtrade.market.loading import load_table
    from train import bridge
    from train.checkpoint import load, saved_updates
    from train.leaves import shapes_here
    from train.state import init_state, make_setup

    if not saved_updates(run):
        raise InputError(run, "holds no checkpoint", "Train until the first validation")
    table = load_table(config.data, config.market, config.env.window)
    setup = make_setup(config, table.span("train"), len(table.symbols))
    market = make_env_params(table, table.span("train"), config.env)
    like = shapes_here(partial(init_state, setup), market)
    update, state = load(run, which, like, {"data_sha256": table.data_hash})
    return bridge.write_bundle(out or run / "policy.npz", setup, table, state.params, update)


if __name__ == "__main__":
    sys.exit(main())
