"""A small bundle of random parameters and its data in a folder, for the commands; nothing is compiled."""

import json
from pathlib import Path
from typing import Any

import pytest

from jaxtrade.config import EnvConfig, MarketConfig
from jaxtrade.envs.synthetic import random_bars
from jaxtrade.market.loading import load_table
from jaxtrade.market.table import MarketTable
from tests.helpers.bundles import write_random_bundle
from tests.helpers.price_files import csv_lines, write_lines

BARS, WINDOW = 500, 20
ENV = EnvConfig(window=WINDOW, dead_band=0.0, trade_limit_percent=30.0, costs={"buy_percent": 0.1, "sell_percent": 0.1})


MARKET = MarketConfig()


def write_prices(path: Path, seed: int = 5, market: MarketConfig = MARKET) -> MarketTable:
    """Write the data and return its table."""
    write_lines(path, csv_lines(random_bars(BARS, seed=seed)))
    return load_table(str(path), market, WINDOW)


def write_case(
    folder: Path, run: str = ".", seed: int = 0, env: EnvConfig = ENV, market: MarketConfig = MARKET, **changes: Any
) -> Path:
    """Write prices.csv and the bundle of a run that was trained on it; return the bundle's path."""
    table = write_prices(folder / "prices.csv", market=market)
    (folder / run).mkdir(parents=True, exist_ok=True)
    return write_random_bundle(folder / run / "policy.npz", table, env, seed=seed, source="prices.csv", **changes)


def no_pictures(patch: pytest.MonkeyPatch) -> None:
    """Leave the PNG files out: they take most of the time of a small backtest."""
    patch.setattr("eval_bridge.report.write_plots", lambda evaluation, folder: [])


def no_constant(name: str) -> None:
    raise AssertionError(f"{name} in JSON")


def read_metrics(folder: Path) -> dict[str, Any]:
    """Return metrics.json; what JSON does not have, such as NaN, fails."""
    found: dict[str, Any] = json.loads((folder / "metrics.json").read_text("utf-8"), parse_constant=no_constant)
    return found
