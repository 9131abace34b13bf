"""All benchmarks, one after the other: `python -m benchmarks [--quick] [names]`; at the end, one table of all ratios.

Every script runs in a process of its own and leaves its results in benchmarks/results/. A script that fails does not
stop the others, but the exit code is then 1. A target that is missed is no failure: it is what the table tells.
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.harness import RESULTS, ROOT, met, option_parser

SCRIPTS = (
    "env_steps",
    "train_sps",
    "lstm_sps",
    "backtest_bars",
    "inference_latency",
    "compile_time",
    "candidates",
    "memory",
    "scaling",
    "load_bars",
    "roofline",
)


def run_script(name: str, quick: bool) -> str:
    """Run one script to its end. Return why it failed, or nothing."""
    if not (Path(__file__).parent / f"{name}.py").exists():
        return "there is no such script"
    command = [sys.executable, "-m", f"benchmarks.{name}", *(["--quick"] if quick else [])]
    print(f"\n== {name}", flush=True)
    code = subprocess.run(command, cwd=ROOT, check=False).returncode
    return f"ended with code {code}" if code else ""


def written_since(began: float) -> list[dict[str, Any]]:
    """Return the results that were written since a time, oldest first."""
    files = sorted(RESULTS.glob("*.json"), key=lambda file: file.stat().st_mtime)
    return [json.loads(file.read_text("utf-8")) for file in files if file.stat().st_mtime >= began]


def verdicts(results: list[dict[str, Any]]) -> list[tuple[str, str, str, str]]:
    """Return a row for every ratio: what, median and spread, target, met or missed."""
    rows = []
    for result in results:
        targets = result.get("targets", {})
        for name, figure in result["ratios"].items():
            spread = figure if isinstance(figure, dict) else {"median": figure, "low": figure, "high": figure}
            value = f"{spread['median']:,.2f} ({spread['low']:,.2f} to {spread['high']:,.2f})"
            target = targets.get(name, {})
            wanted = ", ".join(f"{kind.replace('_', ' ')} {limit:g}" for kind, limit in target.items())
            verdict = ("met" if met(spread["median"], target) else "missed") if target else ""
            rows.append((f"{result['name']}: {name}", value, wanted, verdict))
    return rows


def print_table(rows: list[tuple[str, str, str, str]]) -> None:
    """Print the rows in columns, those with a target first."""
    rows = sorted(rows, key=lambda row: not row[2])
    head = ("ratio", "median (lowest to highest)", "target", "")
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(4)]
    for row in (head, *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def main() -> int:
    """Run the scripts and tell."""
    parser = option_parser("All benchmarks, and one table of their ratios.")
    parser.add_argument("names", nargs="*", metavar="name", help=f"scripts to run (default: {' '.join(SCRIPTS)})")
    options = parser.parse_args()
    began, failed = time.time(), {}
    for name in options.names or SCRIPTS:
        started = time.time()
        if why := run_script(name, options.quick):
            failed[name] = why
        print(f"  {name}: {time.time() - started:.0f} s", flush=True)
    print("\n== all ratios\n")
    print_table(verdicts(written_since(began)))
    print(f"\n{time.time() - began:.0f} s in all")
    for name, why in failed.items():
        print(f"FAILED {name}: {why}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
