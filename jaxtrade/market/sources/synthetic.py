"""Made-up markets as a source: `synthetic:KIND?param=value&...`, by JAX in a process of its own."""

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from jaxtrade.config import LoadConfig
from jaxtrade.errors import InputError, did_you_mean
from jaxtrade.market.bars import Bars
from jaxtrade.market.reading import Finding, Reading
from jaxtrade.market.sources.keep import kept_folder, write_whole
from jaxtrade.market.sources.synthetic_spec import BOOTSTRAP, Spec, parse_spec, times, wrong
from jaxtrade.market.units import commonest, epoch_seconds

VARIABLE = "JAXTRADE_TABLE_CACHE"
VERSION = 1  # of the processes: to be raised when the same spec shall give other bars
COLUMNS = ("open", "high", "low", "close", "volume")
FloatArray = npt.NDArray[np.float64]
Arrays = dict[str, npt.NDArray[Any]]


def read(spec: str, config: LoadConfig) -> list[Reading]:
    """Return the bars of a made-up market, one reading for each symbol.

    Args:
        spec: `KIND?param=value&...`, the source without its scheme; docs/synthetic.md.
        config: How the source of a bootstrap is read.

    Raises:
        InputError: The spec is wrong, JAX is missing, or the bars cannot be made.
    """
    asked = parse_spec(spec)
    where = f"synthetic:{spec}"
    if importlib.util.find_spec("jax") is None:
        raise Finding("E-DATA-012", where, "the package jax is not installed").error()
    request: dict[str, Any] = {
        "kind": asked.kind,
        "seed": asked.seed,
        "bars": asked.bars,
        "symbols": len(asked.symbols),
        "price": asked.price,
        "process": asked.process,
        "shape": asked.shape,
    }
    symbols, seconds, source = asked.symbols, asked.seconds, None
    if asked.kind == BOOTSTRAP:
        bars = _drawn_from(asked, config)
        symbols, seconds = bars.symbols, seconds or commonest(np.diff(epoch_seconds(bars.time)))
        source = increments(bars)
        request |= {"symbols": len(symbols), "price": bars.close[0].tolist(), "block": asked.process["block"]}
    index = pd.DatetimeIndex(times(asked, seconds or 0))
    columns = _kept(where, request, source)
    about = {"format": f"synthetic ({asked.kind})", "zone": "UTC", **_about(asked, seconds or 0, source)}
    rows = np.arange(1, asked.bars + 1)
    return [
        Reading(where, symbol, pd.DataFrame({name: columns[name][:, n] for name in COLUMNS}, index), rows, about)
        for n, symbol in enumerate(symbols)
    ]


def increments(bars: Bars) -> dict[str, FloatArray]:
    """Return what `jaxtrade.envs.processes.Increments` holds, of complete bars, leaves [T - 1, N] float64."""
    top, bottom = np.maximum(bars.open, bars.close), np.minimum(bars.open, bars.close)
    whole = {
        "overnight": np.log(bars.open / np.roll(bars.close, 1, axis=0)),
        "intraday": np.log(bars.close / bars.open),
        "upper": np.log(bars.high / top),
        "lower": np.log(bottom / bars.low),
        "volume": bars.volume,
    }
    return {name: leaf[1:] for name, leaf in whole.items()}


def complete_bars(bars: Bars) -> Bars:
    """Return the bars at which every symbol has its four prices.

    A return over bars that are left out is part of the next one that is kept.
    """
    prices = {name: getattr(bars, name) for name in COLUMNS}
    keep = np.all([np.isfinite(prices[name]) & (prices[name] > 0) for name in COLUMNS[:4]], axis=(0, 2))
    return Bars(bars.time[keep], bars.symbols, **{name: leaf[keep] for name, leaf in prices.items()})


def _drawn_from(asked: Spec, config: LoadConfig) -> Bars:
    """Return the complete bars that a bootstrap may draw from, up to `until`."""
    bars = _load(asked.of, config)
    names = asked.symbols or bars.symbols
    for name in names:
        if name not in bars.symbols:
            raise wrong(asked.kind, "symbols", f"'{name}' is not in {asked.of}", did_you_mean(name, bars.symbols))
    columns = [bars.symbols.index(name) for name in names]
    if isinstance(asked.until, float):
        allowed = np.arange(len(bars.time)) < int(len(bars.time) * asked.until)
    else:
        allowed = bars.time.astype("datetime64[D]") <= np.datetime64(asked.until, "D")
    prices = {name: getattr(bars, name)[allowed][:, columns] for name in COLUMNS}
    drawn = complete_bars(Bars(bars.time[allowed], tuple(names), **prices))
    if len(drawn.time) < 3:
        what = f"only {len(drawn.time)} bars until {asked.until} hold prices of all of {', '.join(names)}"
        raise wrong(asked.kind, "of", what, "Choose fewer symbols, or a later until")
    return drawn


def _load(source: str, config: LoadConfig) -> Bars:
    from jaxtrade.market.bars import load_bars  # which reads this source too

    return load_bars(source, (), config)


def _about(asked: Spec, seconds: int, source: Arrays | None) -> dict[str, str]:
    numbers = {**asked.process, **asked.shape, "seed": asked.seed, "bars": asked.bars}
    about = {"parameters": ", ".join(f"{name}={value}" for name, value in numbers.items()), "interval": f"{seconds} s"}
    if source is not None:
        about["drawn from"] = f"{len(source['volume'])} bars of {asked.of}, until {asked.until}"
    return about


def _kept(where: str, request: dict[str, Any], source: Arrays | None) -> Arrays:
    """Return the bars of a request, leaves [T, N] float64, from the cache where they are there."""
    versions = [VERSION, *(importlib.metadata.version(name) for name in ("jax", "jaxlib"))]
    digest = hashlib.sha256(json.dumps([request, versions], sort_keys=True).encode())
    for leaf in (source or {}).values():
        digest.update(np.ascontiguousarray(leaf).tobytes())
    folder = kept_folder("synthetic", VARIABLE)
    path = folder / f"{digest.hexdigest()}.npz" if folder else None
    if path is not None and path.exists():
        try:
            return _arrays(path)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            path.unlink(missing_ok=True)  # damaged: made again
    with tempfile.TemporaryDirectory() as work:
        made = _make(where, request, source, Path(work))
        if path is not None:
            write_whole(path, lambda part: part.write_bytes(made.read_bytes()))
        return _arrays(made)


def _arrays(path: Path) -> Arrays:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as held:
        return {name: held[name].astype(np.float64) for name in COLUMNS}


def _make(where: str, request: dict[str, Any], source: Arrays | None, folder: Path) -> Path:
    """Make the bars in another process, on the CPU and away from the user's settings of JAX, and return their file."""
    asked, out = folder / "request.json", folder / "bars.npz"
    asked.write_text(json.dumps(request), "utf-8")
    command = [sys.executable, "-m", "jaxtrade.envs.synthetic_command", str(asked), str(out)]
    if source is not None:
        np.savez(folder / "source.npz", **source)  # type: ignore[arg-type]
        command.append(str(folder / "source.npz"))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("JAX_", "XLA_"))}
    done = subprocess.run(command, env=kept | {"JAX_PLATFORMS": "cpu"}, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise InputError(where, f"could not be made ({last})", "Ask for fewer bars or symbols")
    return out
