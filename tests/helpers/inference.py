"""A small panel on weekdays in a file, a policy that was never trained on it, and the command that asks it."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from eval_bridge import infer
from eval_bridge.spec import NetworkConfig
from jaxtrade.config import EnvConfig, MarketConfig
from jaxtrade.market.bars import Bars
from jaxtrade.market.loading import load_table
from jaxtrade.market.table import MarketTable
from tests.helpers.bundles import SMALL_MLP, write_random_bundle
from tests.helpers.commands import Ran

WINDOW, BARS = 20, 320
SYMBOLS = ("AAA", "BBB", "CCC", "DDD")
MARKET = MarketConfig(features={"lagged_returns": (1, 2), "realized_vol": (5,)})
HEADER = "date,symbol,open,high,low,close,volume"
PANEL = EnvConfig(allow_short=True, dead_band=0.0, max_leverage=3.0, window=WINDOW)


def weekday_bars(bars: int = BARS, symbols: tuple[str, ...] = SYMBOLS, seed: int = 7, volatility: float = 0.01) -> Bars:
    """Return random walks on weekdays from Monday, 2020-01-06 on."""
    random = np.random.default_rng(seed)
    days = np.busday_offset(np.datetime64("2020-01-06"), np.arange(bars)).astype("datetime64[s]")
    night, day = random.normal(0.0, volatility, (2, bars, len(symbols)))
    close = 100 * np.exp(np.cumsum(night + day, axis=0))
    opening = close * np.exp(-day)
    top, bottom = np.maximum(opening, close) * 1.01, np.minimum(opening, close) / 1.01
    return Bars(days, symbols, opening, top, bottom, close, random.lognormal(10, 0.3, close.shape))


def write_panel(path: Path, bars: Bars, until: int | None = None) -> Path:
    """Write a long table of the bars, or the first of them."""
    lines = [HEADER]
    for t, time in enumerate(bars.time[:until]):
        for n, symbol in enumerate(bars.symbols):
            cells = [leaf[t, n] for leaf in (bars.open, bars.high, bars.low, bars.close, bars.volume)]
            if np.isfinite(cells[3]):
                lines.append(",".join([str(time), symbol, *(repr(float(cell)) for cell in cells)]))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


class Place(NamedTuple):
    """A folder with prices and a policy."""

    folder: Path
    data: Path
    bundle: Path
    table: MarketTable


def make_place(
    folder: Path, env: EnvConfig = PANEL, network: NetworkConfig = SMALL_MLP, bars: Bars | None = None, **more: Any
) -> Place:
    """Write prices, and the bundle of a policy that counts as trained on them."""
    bars = weekday_bars(symbols=SYMBOLS[:1] if env.one_symbol else SYMBOLS) if bars is None else bars
    data = write_panel(folder / "prices.csv", bars)
    table = load_table(str(data), MARKET, env.window)
    bundle = write_random_bundle(folder / "policy.npz", table, env, network, source=str(data), **more)
    return Place(folder, data, bundle, table)


Ask = Callable[..., Ran]


def asking(patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]) -> Ask:
    """Return `ask(*arguments)`, which runs the command in this process."""

    def ask(*arguments: object) -> Ran:
        patch.setattr(sys, "argv", ["infer", *map(str, arguments)])
        capture.readouterr()
        code = infer.main()
        return Ran(code, *capture.readouterr())

    return ask
