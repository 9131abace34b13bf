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

from jaxtrade.command import CommandParser
from jaxtrade.errors import InputError, run_command
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
    result, benchmark = backtest_bundle(bundle, args.data, args.split)
    try:
        report = write_backtest(folder, bundle, result, benchmark, args.split)
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


def backtest_bundle(bundle: Any, data: str | None, split: str) -> tuple[Any, Any]:
    """Return the backtest of a bundle's policy and of buy and hold over the same bars."""
    from eval_bridge.backtester import buy_and_hold, policy_actor, run_backtest
    from eval_bridge.policy import make_policy
    from jaxtrade.market.scales import Scaler
    from jaxtrade.market.table import load_table

    manifest = bundle.manifest
    scaler = Scaler(np.array(manifest.scaler_mean), np.array(manifest.scaler_std), manifest.market.features.clip)
    market = manifest.market if data is None else manifest.market.model_copy(update={"symbols": ()})
    table = load_table(data or manifest.data.source, market, manifest.env.window, scaler)
    if manifest.env.one_symbol and len(table.symbols) != 1:
        raise InputError(
            data or manifest.data.source,
            f"holds {len(table.symbols)} symbols, the policy trades one",
            "Name a file of one symbol",
        )
    span = table.span(split)
    result = run_backtest(table, span, manifest.env, policy_actor(make_policy(bundle), table, span))
    return result, buy_and_hold(table, span, manifest.env)


def write_backtest(folder: Path, bundle: Any, result: Any, benchmark: Any, split: str) -> Path:
    """Write metrics.json, equity.csv, trades.csv, orders.csv and report.html; return the report's path."""
    from eval_bridge.metrics import compute_metrics
    from eval_bridge.report import render_report

    folder.mkdir(parents=True, exist_ok=True)
    metrics = compute_metrics(result, benchmark)
    about = describe(bundle.manifest, result, split)
    _write_json(folder / "metrics.json", about | metrics)
    _write_csv(folder / "equity.csv", _equity_rows(result, benchmark))
    times = np.datetime_as_string(result.table.time, unit="s")
    _write_csv(folder / "trades.csv", [_trade_row(trade, times) for trade in result.ledger.trades])
    orders = ({"time": times[order.bar]} | _without(asdict(order), "bar") for order in result.ledger.orders)
    _write_csv(folder / "orders.csv", list(orders))
    (folder / "report.html").write_text(render_report(result, benchmark, metrics, about), encoding="utf-8")
    return folder / "report.html"


def describe(manifest: Any, result: Any, split: str) -> dict[str, str]:
    """Return what was run, as text; a warning of the data stays with everything made from it."""
    same = result.table.data_hash == manifest.data.sha256
    warning = result.table.warning or manifest.data.warning
    return {
        "split": split,
        "symbols": ", ".join(result.table.symbols),
        "data": manifest.data.source if same else f"not the data of training ({manifest.data.source})",
        "data_sha256": result.table.data_hash,
        "network": manifest.network.kind,
        "action": manifest.env.action,
        "reward": " + ".join(
            name if weight == 1 else f"{weight:g} x {name}" for name, weight in manifest.env.reward.items()
        ),
        "costs": cost_text(manifest.env.costs),
        "fill": "the next open" if result.table.config.fill == "next_open" else "the close just observed",
        "policy": f"deterministic, update {manifest.update}, best of {manifest.validations} validations",
        **certificate_text(manifest),
        **({"warning": warning} if warning else {}),
    }


def certificate_text(manifest: Any) -> dict[str, str]:
    """Return the certificate as text, by row."""
    certificate, failed = manifest.certificate, f"NOT CERTIFIED: {manifest.uncertified}"
    if certificate is None:
        return {"parity": failed}
    differences = f"{certificate.discrete_explained} explained, {certificate.discrete_unexplained} unexplained"
    flips = f"{certificate.flips_explained} explained, {certificate.flips_unexplained} unexplained"
    passed = f"certified over {certificate.bars} validation bars and {certificate.fills} fills"
    return {
        "parity": failed if manifest.uncertified else passed,
        "parity (a) same actions, both engines": f"equity {certificate.engine_error:.2g} apart over the range, "
        f"{certificate.step_error:.2g} in one bar; discrete differences: {differences}",
        "parity (b) same inputs, both forward passes": f"{certificate.policy_error:.2g} apart; flips: {flips}",
        "parity (c) closed loop, not judged": f"final equity {certificate.closed_loop_error:.2g} apart",
    }


def cost_text(costs: Any) -> str:
    """Return the costs that are not zero, as they are configured."""
    amounts = {name: value for name, value in costs.model_dump(mode="json").items() if name != "stamp_duty_side"}
    given = [f"{name} {value}" for name, value in amounts.items() if value != 0]
    if amounts["stamp_duty_percent"] != 0:
        given.append(f"stamp duty on {costs.stamp_duty_side}")
    return ", ".join(given) or "none"


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
