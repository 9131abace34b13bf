"""From a source to the market table: read, judge, lay out; or take the table as it was built before from the cache."""

import sys
from time import perf_counter as clock
from typing import Any

import numpy as np

from jaxtrade.config import MarketConfig
from jaxtrade.market import cache
from jaxtrade.market.bars import Bars, load
from jaxtrade.market.scales import Scaler, scaler_from, scaler_record
from jaxtrade.market.sources import content_hash
from jaxtrade.market.splits import Range
from jaxtrade.market.table import MarketTable, build_table
from jaxtrade.rules.types import Known, Outcome

SIDES: dict[str, Any] = {"known": Known, "outcome": Outcome}
PRICED = Bars._fields[2:]
WORTH_TELLING = 0.1  # seconds


def load_table(source: str, config: MarketConfig, window: int, scaler: Scaler | None = None) -> MarketTable:
    """Return the market table of a source.

    Args:
        source: What `load_bars` reads.
        config: How it is read, its features and its split.
        window: Bars of history that every decision has, its own included.
        scaler: Frozen statistics of an earlier training range; fitted on this one when None.

    Raises:
        InputError: The data is refused, or there are too few bars.
    """
    began = clock()
    content = _content(source, config)
    key = _key(content, config, window, scaler)
    if (entry := _find(key)) is not None:
        table = _unpack(entry.arrays, entry.meta)
        taken = clock() - began
        if entry.seconds - taken >= WORTH_TELLING:
            sys.stderr.write(f"market from the cache in {taken:.1f} s, {entry.seconds - taken:.1f} s saved\n")
        return table
    loaded = load(source, config.load, config.symbols)
    table = build_table(loaded.bars, config, window, scaler)
    table.report.update(loaded.report.record())
    if key is not None:
        seconds = clock() - began
        arrays, meta = _pack(table)
        cache.store(key, arrays, meta | {"source": source}, seconds)
        # An export and a backtest ask for the same table by its dates and statistics, which are known by now.
        for known in {_key(content, table.config, window, each) for each in (None, table.scaler)} - {key, None}:
            cache.store(str(known), {}, {"same_as": key, "source": source}, seconds)
    return table


def _content(source: str, config: MarketConfig) -> str | None:
    """Return the hash of what a source holds; None where it cannot be known, or the table must be built anew."""
    if not cache.in_use() or any(":" in name for name in config.features):  # a user's function may change unseen
        return None
    return content_hash(source, config.load)


def _key(content: str | None, config: MarketConfig, window: int, scaler: Scaler | None) -> str | None:
    """Return what a table hangs on."""
    if content is None:
        return None
    parts = {"content": content, "market": config.model_dump(mode="json"), "window": window}
    return cache.cache_key(parts | {"scaler": None if scaler is None else scaler_record(scaler)})


def _find(key: str | None) -> cache.Entry | None:
    """Return the entry of a key, or the one that it says is the same."""
    entry = cache.open_entry(key) if key is not None else None
    return cache.open_entry(entry.meta["same_as"]) if entry is not None and "same_as" in entry.meta else entry


def _pack(table: MarketTable) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    arrays = {"time": table.time, "features": table.features, "mark": table.mark}
    for side in SIDES:
        leaves = getattr(table, side)._asdict()
        arrays |= {f"{side}.{name}": leaf for name, leaf in leaves.items() if leaf is not None}
    arrays |= {f"bars.{name}": getattr(table.bars, name) for name in PRICED if getattr(table.bars, name) is not None}
    meta = {
        "symbols": table.symbols,
        "feature_names": table.feature_names,
        "ranges": table.ranges,
        "scaler": scaler_record(table.scaler),
        "window": table.window,
        "config": table.config.model_dump(mode="json"),
        "data_hash": table.data_hash,
        "stale_opens": table.stale_opens,
        "report": table.report,
    }
    return arrays, meta


def _unpack(arrays: dict[str, np.ndarray], meta: dict[str, Any]) -> MarketTable:
    sides = {
        side: kind(**{name: arrays.get(f"{side}.{name}") for name in kind._fields}) for side, kind in SIDES.items()
    }
    time, symbols = arrays["time"], tuple(meta["symbols"])
    return MarketTable(
        bars=Bars(time, symbols, *(arrays.get(f"bars.{name}") for name in PRICED)),  # type: ignore[arg-type]
        time=time,
        symbols=symbols,
        feature_names=tuple(meta["feature_names"]),
        features=arrays["features"],
        mark=arrays["mark"],
        ranges={name: Range(*span) for name, span in meta["ranges"].items()},
        scaler=scaler_from(meta["scaler"]),
        config=MarketConfig.model_validate(meta["config"]),
        window=meta["window"],
        data_hash=meta["data_hash"],
        stale_opens=meta["stale_opens"],
        report=meta["report"],
        **sides,
    )
