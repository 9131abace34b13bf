"""Replay a policy in the stateful float64 backtester: metrics, trades and a report.

python -m eval_bridge.backtest RUN_OR_BUNDLE [--data SOURCE] [--split test] [--out FOLDER]
"""

import csv
import json
import math
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from eval_bridge.describe import describe, trial_text
from jaxtrade import trials
from jaxtrade.command import CommandParser
from jaxtrade.config import EnvConfig
from jaxtrade.errors import InputError, run_command
from jaxtrade.market.flags import add_load_flags, load_config
from jaxtrade.market.splits import SPLITS


def main() -> int:
    """Run the command; the entry point of `jaxtrade-backtest`."""
    return run_command(command)


def command(argv: list[str]) -> int:
    """Backtest, write the folder, print the table."""
    args = _parser().parse(argv)
    path = bundle_path(Path(args.policy))

    from eval_bridge.bundle import load_bundle

    bundle = load_bundle(path)
    if not args.allow_uncertified:
        require_certificate(path, bundle.manifest)
    folder = Path(args.out) if args.out else path.parent / "backtest" / args.split

    from eval_bridge.market import load_market, open_range
    from eval_bridge.policy import make_policy

    policy = make_policy(bundle)
    table = load_market(bundle.manifest, args.data, load_config(args, bundle.manifest.market.load))
    ledger = Path(args.trials) if args.trials else trials.ledger_path(path)
    opened = open_range(ledger, path, table, args.split)
    result, benchmark = backtest_policy(policy, bundle.manifest.env, table, args.split)
    try:
        report = write_backtest(folder, bundle, result, benchmark, args.split, opened)
    except OSError as error:
        raise InputError(folder, f"cannot be written ({error.strerror})", "Choose another --out") from None
    print_table(json.loads((folder / "metrics.json").read_text()))
    print(f"report: {report}")
    return 0


def _parser() -> CommandParser:
    parser = CommandParser("python -m eval_bridge.backtest", "Replay a policy in the stateful float64 backtester.")
    parser.add_argument("policy", help="a run's folder, or a policy.npz")
    parser.add_argument("--data", help="bars to trade instead of those trained on; normalised as in training")
    parser.add_argument("--split", choices=SPLITS, default="test", help="range to trade (default: %(default)s)")
    parser.add_argument("--allow-uncertified", action="store_true", help="trade a policy without a parity certificate")
    parser.add_argument("--out", help="folder to write to (default: RUN/backtest/SPLIT)")
    parser.add_argument("--trials", help="trial ledger to record in (default: trials.jsonl beside the runs)")
    add_load_flags(parser)
    return parser


def require_certificate(path: Path, manifest: Any) -> None:
    """Refuse a bundle whose engines or forward passes were not shown to agree.

    Raises:
        InputError: It has no certificate, or one that failed.
    """
    if manifest.uncertified:
        raise InputError(path, f"not certified: {manifest.uncertified}", "Export it again, or use --allow-uncertified")


def bundle_path(path: Path) -> Path:
    """Return the bundle of a run folder, or the path itself."""
    if path.is_dir():
        if not (path / "policy.npz").exists():
            raise InputError(path, "holds no policy.npz", "Train to the end, or run python -m train.export RUN")
        return path / "policy.npz"
    return path


def backtest_policy(policy: Any, env: EnvConfig, table: Any, split: str) -> tuple[Any, Any]:
    """Return the backtest of a policy in a market, and of buy and hold over the same bars."""
    from eval_bridge.backtester import buy_and_hold, policy_actor, run_backtest

    span = table.span(split)
    result = run_backtest(table, span, env, policy_actor(policy, table, span))
    return result, buy_and_hold(table, span, env)


def write_backtest(
    folder: Path, bundle: Any, result: Any, benchmark: Any, split: str, opened: dict[str, Any] | None = None
) -> Path:
    """Write metrics.json, equity.csv, trades.csv, orders.csv and report.html; return the report's path."""
    from eval_bridge.metrics import compute_metrics
    from eval_bridge.report import render_report

    folder.mkdir(parents=True, exist_ok=True)
    metrics = compute_metrics(result, benchmark)
    about = describe(bundle.manifest, result, split) | trial_text(opened)
    _write_json(folder / "metrics.json", about | metrics | (opened or {}))
    _write_csv(folder / "equity.csv", _equity_rows(result, benchmark))
    times = np.datetime_as_string(result.table.time, unit="s")
    _write_csv(folder / "trades.csv", [_trade_row(trade, times) for trade in result.ledger.trades])
    orders = ({"time": times[order.bar]} | _without(asdict(order), "bar") for order in result.ledger.orders)
    _write_csv(folder / "orders.csv", list(orders))
    (folder / "report.html").write_text(render_report(result, benchmark, metrics, about), encoding="utf-8")
    return folder / "report.html"


def print_table(metrics: dict[str, Any]) -> None:
    """Print the short table."""
    from eval_bridge.report import rows_of

    print(f"{metrics['split']} range {metrics['first'][:10]} to {metrics['last'][:10]}, {metrics['bars']} decisions")
    print(f"{'':38}{'policy':>14}{'buy and hold':>14}")
    for name, mine, theirs in rows_of(metrics):
        print(f"{name:38}{mine:>14}{theirs:>14}")
    if metrics.get("warning"):
        print(f"warning: {metrics['warning']}")


def _equity_rows(result: Any, benchmark: Any) -> list[dict[str, Any]]:
    """Return one row per mark; the first is the start."""
    times = np.datetime_as_string(result.time, unit="s")
    capital = result.capital
    rows: list[dict[str, Any]] = []
    for k, time in enumerate(times):
        row = {"time": time, "equity": result.equity[k], "buy_and_hold": benchmark.equity[k]}
        if k:
            step = result.steps[k - 1]
            row |= {"cash": float(step.account.cash) * capital, "reward": step.reward}
            row |= {"fees": float(step.record.fees) * capital, "turnover": float(step.record.turnover)}
            row |= {"value_estimate": step.value}
            actions = np.ravel(step.action)
            row |= {f"action_{i}": float(action) for i, action in enumerate(actions)}
            held = zip(result.table.symbols, step.account.position, strict=True)
            row |= {f"position_{symbol}": float(position) * capital for symbol, position in held}
        rows.append(row)
    return rows


def _trade_row(trade: Any, times: Any) -> dict[str, Any]:
    return {
        "symbol": trade.symbol,
        "side": "long" if trade.quantity > 0 else "short",
        "quantity": abs(trade.quantity),
        "entry_time": times[trade.entry_bar],
        "exit_time": times[trade.exit_bar],
        "bars_held": trade.exit_bar - trade.entry_bar,
        "entry_price": trade.entry_price,
        "exit_price": trade.exit_price,
        "profit_before_fees": trade.profit,
    }


def _without(row: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != name}


def _write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def _write_json(path: Path, data: dict[str, Any]) -> None:
    """Write JSON; what is not a number becomes null."""

    def clean(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: clean(item) for key, item in value.items()}
        return None if isinstance(value, float) and not math.isfinite(value) else value

    path.write_text(json.dumps(clean(data), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
