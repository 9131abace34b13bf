"""How a benchmark measures and tells: interleaved repeats, medians, ratios, and what it was measured on."""

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"
PACKAGES = ("jax", "jaxlib", "flax", "gymnax", "numpy")
Work = Callable[[], int]  # does a fixed piece of work to its very end and returns the number of items in it


class Rate(NamedTuple):
    """Items per second over the repeats."""

    median: float
    low: float
    high: float


class Report(NamedTuple):
    """A finished benchmark."""

    name: str
    unit: str
    config: dict[str, Any]
    rates: dict[str, Rate]
    ratios: dict[str, float]


def parse_options(description: str) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="less of everything: does it run, and about how fast")
    return parser.parse_args()


def measure(subjects: Mapping[str, Work], repeats: int) -> dict[str, Rate]:
    """Time every subject `repeats` times after one call that compiles and warms up.

    The subjects take turns, so that a slow spell of the machine falls on all of them.
    """
    seen: dict[str, list[float]] = {name: [] for name in subjects}
    for work in subjects.values():
        work()
    for _ in range(repeats):
        for name, work in subjects.items():
            began = time.perf_counter()
            items = work()
            seen[name].append(items / (time.perf_counter() - began))
    return {name: Rate(statistics.median(rates), min(rates), max(rates)) for name, rates in seen.items()}


def commit() -> str:
    """Return the commit of the checkout, or `unknown`; changes on top of it are not seen."""
    git = ROOT / ".git"
    try:
        head = (git / "HEAD").read_text().strip()
        if not head.startswith("ref: "):
            return head
        ref = head.removeprefix("ref: ")
        if (git / ref).exists():
            return (git / ref).read_text().strip()
        packed = (git / "packed-refs").read_text().splitlines()
        return next(line.split()[0] for line in packed if line.endswith(" " + ref))
    except (OSError, StopIteration):
        return "unknown"


def surroundings() -> dict[str, Any]:
    """Return what a figure depends on beside the code."""
    device = jax.devices()[0]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = [round(value, 2) for value in os.getloadavg()] if hasattr(os, "getloadavg") else None
    return {
        "device": f"{device.platform}: {device.device_kind}, {jax.device_count()} device(s)",
        "host": f"{platform.machine()}, {cores} cores available",
        "load_average": load,
        "versions": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in PACKAGES},
        },
        "commit": commit(),
    }


def publish(report: Report, quick: bool) -> None:
    """Print a report and write it to benchmarks/results/; quick figures go to a file of their own."""
    about = surroundings()
    print(f"\n{report.name}{' (quick: noisy)' if quick else ''}")
    for name, value in about.items():
        print(f"  {name:14}{_flat(value)}")
    print(f"  {'config':14}{_flat(report.config)}\n")
    width = max(len(name) for name in (*report.rates, *report.ratios)) + 2
    print(f"  {report.unit:{width}}{'median':>14}{'lowest':>14}{'highest':>14}")
    for name, rate in report.rates.items():
        print(f"  {name:{width}}{rate.median:14,.0f}{rate.low:14,.0f}{rate.high:14,.0f}")
    print()
    for name, ratio in report.ratios.items():
        print(f"  {name:{width}}{ratio:14,.2f}")
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{report.name}{'-quick' if quick else ''}.json"
    rates = {name: rate._asdict() for name, rate in report.rates.items()}
    path.write_text(json.dumps(report._asdict() | {"quick": quick, "rates": rates} | about, indent=2) + "\n")
    print(f"\n  written: {path.relative_to(ROOT)}")


def _flat(value: Any) -> str:
    return ", ".join(f"{key} {item}" for key, item in value.items()) if isinstance(value, dict) else str(value)
