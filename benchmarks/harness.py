"""How a benchmark measures and tells: interleaved repeats, medians, ratios, and what it was measured on."""

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"
PACKAGES = ("jax", "jaxlib", "flax", "gymnax", "numpy")
PEERS = ("torch", "stable-baselines3", "sb3-contrib", "rejax", "numba", "vectorbt", "backtesting")  # where installed
Work = Callable[[], int]  # does a fixed piece of work to its very end and returns the number of items in it


class Rate(NamedTuple):
    """Items per second over the repeats, or a ratio of two such rates."""

    median: float
    low: float
    high: float
    seen: tuple[float, ...] = ()  # every repeat, in turn


class AtMost(NamedTuple):
    """A target that a ratio must not exceed; a plain number is one that it must reach."""

    limit: float


class Report(NamedTuple):
    """A finished benchmark."""

    name: str
    unit: str
    config: dict[str, Any]
    rates: dict[str, Rate]
    ratios: Mapping[str, float | Rate]
    targets: Mapping[str, float | AtMost] = {}  # of some of the ratios, by name


def parse_options(description: str) -> argparse.Namespace:
    """Read the command line."""
    return option_parser(description).parse_args()


def option_parser(description: str) -> argparse.ArgumentParser:
    """Return the parser of the options that every benchmark has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="less of everything: does it run, and about how fast")
    return parser


def missing(*packages: str) -> bool:
    """Return whether a peer's package is not installed, and say so in one line."""
    absent = [name for name in packages if importlib.util.find_spec(name) is None]
    if absent:
        print(f"  left out: the peers that need {', '.join(absent)} (pip install 'jaxtrade[bench]')", flush=True)
    return bool(absent)


def summary(values: Sequence[float]) -> Rate:
    """Return the median and the spread of some repeats."""
    return Rate(statistics.median(values), min(values), max(values), tuple(values))


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
    return {name: summary(rates) for name, rates in seen.items()}


def ratio(ours: Rate, peer: Rate) -> Rate:
    """Return the ratio of two rates that were measured in turns: repeat by repeat, so that its spread can be told."""
    return summary([one / other for one, other in zip(ours.seen, peer.seen, strict=True)])


def best_of(rates: Mapping[str, Rate], names: Iterable[str]) -> str:
    """Return the fastest of some subjects: a peer at the best of the settings that were tried."""
    return max(names, key=lambda name: rates[name].median)


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
            **{name: version for name in PEERS if (version := _version(name))},
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
    ratios = {name: value if isinstance(value, Rate) else summary([value]) for name, value in report.ratios.items()}
    for name, value in ratios.items():
        print(f"  {name:{width}}{value.median:14,.2f}{value.low:14,.2f}{value.high:14,.2f}  {_verdict(report, name)}")
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{report.name}{'-quick' if quick else ''}.json"
    targets = {name: _target(limit) for name, limit in report.targets.items()}
    rates = {name: rate._asdict() for name, rate in report.rates.items()}
    figures = {"rates": rates, "ratios": {name: value._asdict() for name, value in ratios.items()}, "targets": targets}
    path.write_text(json.dumps(report._asdict() | {"quick": quick} | figures | about, indent=2) + "\n")
    print(f"\n  written: {path.relative_to(ROOT)}", flush=True)


def met(value: float, target: Mapping[str, float]) -> bool:
    """Return whether a ratio meets its target as the results file has it."""
    return value >= target.get("at_least", value) and value <= target.get("at_most", value)


def _target(limit: float | AtMost) -> dict[str, float]:
    return {"at_most": limit.limit} if isinstance(limit, AtMost) else {"at_least": float(limit)}


def _verdict(report: Report, name: str) -> str:
    if name not in report.targets:
        return ""
    target, value = _target(report.targets[name]), report.ratios[name]
    (kind, limit), reached = next(iter(target.items())), met(value.median if isinstance(value, Rate) else value, target)
    return f"{kind.replace('_', ' ')} {limit:g}: {'met' if reached else 'missed'}"


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _flat(value: Any) -> str:
    return ", ".join(f"{key} {item}" for key, item in value.items()) if isinstance(value, dict) else str(value)
