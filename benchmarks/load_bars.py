"""Ten million bars from CSV, with time zone, checks and all, against `pandas.read_csv` of the same files alone.

`python -m benchmarks.load_bars [--quick] [--keep FOLDER]`. The files, one per symbol and one long one, are written
once; every way of reading them runs in a process of its own, in turns, and tells its seconds from after its imports
and the most memory that it held, imports included.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.harness import ROOT, AtMost, Rate, Report, option_parser, publish, ratio, summary

SYMBOLS, BARS, REPEATS = 500, 20_000, 3
GB = 1e9
MEASURE = """
import json, resource, sys, time
from pathlib import Path
{imports}
began, worked = time.perf_counter(), time.process_time()
found = {call}
seconds, cpu = time.perf_counter() - began, time.process_time() - worked
status = Path("/proc/self/status")  # getrusage would count what the parent held when it started this process
if status.exists():
    peak = 1024 * int(status.read_text().partition("VmHWM:")[2].split()[0])
else:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([seconds, cpu, peak]))
"""
PANDAS = "import pandas as pd"
READ = "from jaxtrade.config.market import LoadConfig\nfrom jaxtrade.market.sources import read"
LOAD = "from jaxtrade.market.bars import load_bars"
FOLDER = "[pd.read_csv(file, parse_dates=['time']) for file in sorted(Path(sys.argv[1]).iterdir())]"
WAYS = {  # name: (imports, call)
    "pandas.read_csv": (PANDAS, "{pandas}"),
    "read": (READ, "read(sys.argv[1], LoadConfig())"),
    "load_bars": (LOAD, "load_bars(sys.argv[1])"),
}
LAYOUTS = {"one file per symbol": FOLDER, "one long file": "pd.read_csv(sys.argv[1], parse_dates=['time'])"}


def write_files(folder: Path, symbols: int, bars: int) -> dict[str, Path]:
    """Write hourly random walks, once per symbol and once together; return where, by layout."""
    random = np.random.default_rng(0)
    hours = np.datetime64("2001-01-01T00:00:00") + np.arange(bars).astype("m8[h]")
    times = [str(hour).replace("T", " ") for hour in hours]
    paths = {"one file per symbol": folder / "bars", "one long file": folder / "long.csv"}
    paths["one file per symbol"].mkdir()
    with paths["one long file"].open("w") as long:
        long.write("time,symbol,open,high,low,close,volume\n")
        for symbol in range(symbols):
            close = 100 * np.exp(np.cumsum(random.normal(0, 0.002, bars)))
            opens = np.append(100.0, close[:-1]) * np.exp(random.normal(0, 0.0005, bars))
            prices = {"open": opens, "high": np.maximum(opens, close) * 1.001}
            prices |= {"low": np.minimum(opens, close) * 0.999, "close": close}
            frame = pd.DataFrame({name: values.round(4) for name, values in prices.items()}, index=times)
            frame["volume"] = random.integers(100, 1_000_000, bars)
            frame.to_csv(paths["one file per symbol"] / f"S{symbol:03d}.csv", index_label="time")
            frame.insert(0, "symbol", f"S{symbol:03d}")
            frame.to_csv(long, header=False)
    return paths


def measure(way: str, layout: str, path: Path) -> tuple[float, float, int]:
    """Read in a process of its own; return its seconds, its seconds of CPU, and its peak memory in bytes."""
    imports, call = WAYS[way]
    code = MEASURE.format(imports=imports, call=call.replace("{pandas}", LAYOUTS[layout]))
    command = [sys.executable, "-c", code, str(path)]
    said = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    seconds, cpu, peak = json.loads(said.splitlines()[-1])
    return seconds, cpu, peak


def run(folder: Path, quick: bool) -> Report:
    """Measure every way of reading every layout, in turns."""
    symbols, bars = (50, 5_000) if quick else (SYMBOLS, BARS)
    paths = write_files(folder, symbols, bars)
    seen: dict[tuple[str, str], list[tuple[float, float, int]]] = {}
    for layout, path in paths.items():
        for turn in range((1 if quick else REPEATS) + 1):
            for way in WAYS:
                found = measure(way, layout, path)
                seen.setdefault((layout, way), []).extend([found] * bool(turn))  # the first one fills the disk cache
                print(
                    f"  {layout}, {way}: {found[0]:.2f} s, {found[1]:.2f} s of CPU, {found[2] / GB:.2f} GB", flush=True
                )
    return _report({"symbols": symbols, "bars of each": bars}, symbols * bars, seen)


def _report(config: dict[str, Any], count: int, seen: dict[tuple[str, str], list[tuple[float, float, int]]]) -> Report:
    names = {each: f"{each[1]}, {each[0]}" for each in seen}
    speed = {names[each]: summary([count / found[0] for found in all_]) for each, all_ in seen.items()}
    ratios: dict[str, float | Rate] = {}
    targets: dict[str, float | AtMost] = {}
    for layout in LAYOUTS:
        peer = seen[layout, "pandas.read_csv"]
        for way in ("read", "load_bars"):
            ours = seen[layout, way]
            name = f"{way} / pandas.read_csv, {layout}"
            ratios[f"speed of {name}"] = ratio(speed[f"{way}, {layout}"], speed[f"pandas.read_csv, {layout}"])
            for place, what in ((1, "CPU"), (2, "peak memory")):
                pairs = zip(ours, peer, strict=True)
                ratios[f"{what} of {name}"] = summary([one[place] / other[place] for one, other in pairs])
        targets[f"speed of read / pandas.read_csv, {layout}"] = 1.0
        targets[f"peak memory of read / pandas.read_csv, {layout}"] = AtMost(1.0)
    return Report("load_bars", "bars a second", config, speed, ratios, targets)


def main() -> None:
    """Run, in a temporary folder unless one is named."""
    parser = option_parser(__doc__.splitlines()[0])
    parser.add_argument("--keep", type=Path, help="write the files there, and leave them")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        where = options.keep or Path(folder)
        where.mkdir(parents=True, exist_ok=True)
        publish(run(where, options.quick), options.quick)


if __name__ == "__main__":
    main()
