"""Relays of policies that were never trained, each normalised by the statistics of a window of its own."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from eval_bridge.spec import NetworkConfig
from eval_bridge.turns import make_turns, write_relay
from jaxtrade.config import EnvConfig, SplitConfig
from jaxtrade.market.bars import Bars
from jaxtrade.market.loading import load_table
from jaxtrade.market.splits import Range
from jaxtrade.market.table import MarketTable
from tests.helpers.bundles import SMALL_CARRIED, SMALL_LSTM, SMALL_MLP, write_random_bundle
from tests.helpers.inference import MARKET, SYMBOLS, WINDOW, weekday_bars, write_panel

BARS, EMBARGO, VALIDATION, SEED = 300, 3, 30, 5
SPANS = (Range(150, 187), Range(190, 227), Range(230, 268))  # test ranges; what lies between them is embargo
ENDS = (190, 230, 268)  # where each leg hands over
PANEL = EnvConfig(allow_short=True, dead_band=0.0, window=WINDOW)
NINE = EnvConfig(action="discrete9", window=WINDOW)
FLAT = NetworkConfig(kind="flat_mlp", hidden=8, head=8)
TANH = NetworkConfig(kind="mlp", hidden=8, head=8, std="state", squash="tanh")
KINDS: dict[str, tuple[EnvConfig, NetworkConfig]] = {
    "lstm, panel": (PANEL, SMALL_LSTM),
    "carried lstm, panel": (PANEL, SMALL_CARRIED),
    "flat mlp, panel": (PANEL, FLAT),
    "squashed weights": (EnvConfig(action="target_weight", window=WINDOW), TANH),
    "nine": (NINE, SMALL_MLP),
}


class Case(NamedTuple):
    """A programme's folder, its data, and the table of each leg with statistics of its own."""

    folder: Path
    data: Path
    tables: list[MarketTable]

    def bundle(self, leg: int) -> Path:
        return self.folder / name_of(leg)


def name_of(leg: int) -> str:
    return f"iteration-{leg + 1:02}/policy.npz"


def split_before(time: np.ndarray, first: int) -> SplitConfig:
    """Return the split of a window: 80 bars of training, validation until some bars before the first of the test."""
    bars = (first - VALIDATION - 80, first - VALIDATION, first - EMBARGO - 1, first + 40)
    begin, train, validation, test = (time[bar].astype("datetime64[D]").item() for bar in bars)
    return SplitConfig(train_from=begin, train_until=train, validation_until=validation, test_until=test)


def made_up(symbols: int = len(SYMBOLS), bars: int = BARS) -> Bars:
    """Return weekdays whose moves grow from bar to bar, so that every window has statistics of its own."""
    quiet = weekday_bars(bars, SYMBOLS[:symbols])
    growth = np.linspace(1.0, 2.0, bars)[:, None]
    stretched = {name: 100 * (getattr(quiet, name) / 100) ** growth for name in ("open", "high", "low", "close")}
    return quiet._replace(**stretched)


def relay_case(
    folder: Path,
    env: EnvConfig = PANEL,
    network: NetworkConfig = SMALL_MLP,
    spans: tuple[Range, ...] = SPANS,
    **last: Any,
) -> Case:
    """Write prices, a bundle for each span with parameters of its own, and relay.json.

    Args:
        folder: Where prices.csv and the programme's folder `runs/walk` go.
        env: The rules.
        network: The network.
        spans: Test range of each leg.
        **last: Fields of the last bundle that differ; `seed` is that of its parameters.
    """
    data = write_panel(folder / "prices.csv", made_up(1 if env.one_symbol else len(SYMBOLS)))
    programme = folder / "runs" / "walk"
    tables = []
    for leg, span in enumerate(spans):
        place = programme / name_of(leg)
        place.parent.mkdir(parents=True, exist_ok=True)
        (place.parent / "config.yaml").touch()
        split = split_before(made_up(1).time, span.first)
        tables.append(load_table(str(data), MARKET.model_copy(update={"split": split}), WINDOW))
        fields = {"seed": SEED + leg, "env": env, "network": network} | (last if leg == len(spans) - 1 else {})
        write_random_bundle(place, table=tables[-1], source=str(data), **fields)
    for name in ("config.yaml", "fingerprint.json"):
        (programme / name).touch()
    write_relay(programme, make_turns([name_of(leg) for leg in range(len(spans))], spans, tables[0].time))
    return Case(programme, data, tables)
