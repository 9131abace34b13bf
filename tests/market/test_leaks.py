"""Looks into the future that are planted in the market are found, and the guilty named; the clean market has none."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from jaxtrade.config import MarketConfig
from jaxtrade.envs.synthetic import random_bars
from jaxtrade.errors import InputError
from jaxtrade.market import features as feature_room
from jaxtrade.market import table as table_room
from jaxtrade.market.bars import Bars
from jaxtrade.market.leaks import (
    RECURSION_LIMIT,
    fill_leaks,
    leak_texts,
    market_leaks,
    pick_cuts,
    recursion,
    statistics_leaks,
)
from jaxtrade.market.scales import fit_scaler
from jaxtrade.market.table import MarketTable, build_table, seal
from tests.helpers.leaky import WINDOW, leaky_table

Plant = Callable[[pytest.MonkeyPatch, MarketTable], MarketTable]


def findings(table: MarketTable, count: int = 3) -> list[str]:
    cuts = pick_cuts(table, count)
    known = [leak for _, _, found in market_leaks(table, cuts) for leak in found]
    return leak_texts(table, [*statistics_leaks(table), *fill_leaks(table, cuts), *known])


def test_the_clean_twin_is_clean() -> None:
    table = leaky_table()
    assert findings(table, 20) == []
    assert max(recursion(table, pick_cuts(table, 10)).values()) < 1e-3
    assert set(pick_cuts(table, 3)) & set(range(190, 240)), "a cut must lie where a symbol lacks bars"


def replanted(world_table: MarketTable) -> MarketTable:
    """Return the table as the planted code builds it."""
    return build_table(world_table.bars, world_table.config, WINDOW, world_table.scaler)


def in_features(change: Callable[[feature_room.Computed, Bars], None]) -> Plant:
    """Return the plant of a change of the raw features."""

    def plant(patch: pytest.MonkeyPatch, table: MarketTable) -> MarketTable:
        real = feature_room.compute

        def compute(bars: Bars, config: Any) -> feature_room.Computed:
            found = real(bars, config)
            change(found, bars)
            return found

        patch.setattr(feature_room, "compute", compute)
        return replanted(table)

    return plant


def shift(found: feature_room.Computed, bars: Bars) -> None:
    found.raw[:-1, :, 2] = found.raw[1:, :, 2]


def centre(found: feature_room.Computed, bars: Bars) -> None:
    found.raw[1:-1, :, 3] = (found.raw[:-2, :, 3] + found.raw[1:-1, :, 3] + found.raw[2:, :, 3]) / 3


def target(found: feature_room.Computed, bars: Bars) -> None:
    found.raw[:-1, :, 0] = np.log(bars.close[1:] / bars.open[1:])


def fill_backwards(found: feature_room.Computed, bars: Bars) -> None:
    """A symbol's missing bars get the features of the bar that comes after the hole."""
    priced, rows = np.isfinite(bars.close), np.arange(len(bars.close))[:, None]
    after = np.minimum.accumulate(np.where(priced, rows, len(rows) - 1)[::-1], axis=0)[::-1]
    found.raw[...] = np.take_along_axis(found.raw, after[..., None], axis=0)


def warm_up_from_later(found: feature_room.Computed, bars: Bars) -> None:
    """The bars before the warm-up get the features of the end of the data."""
    early = ~found.ready
    found.raw[early] = np.broadcast_to(np.nan_to_num(found.raw).mean(axis=(0, 1)), found.raw.shape)[early]
    found.ready[...] = True


def whole_sample_scaler(patch: pytest.MonkeyPatch, table: MarketTable) -> MarketTable:
    real, seen = feature_room.compute, []

    def compute(bars: Bars, config: Any) -> feature_room.Computed:
        seen.append(real(bars, config))
        return seen[-1]

    patch.setattr(feature_room, "compute", compute)
    patch.setattr(table_room, "fit_scaler", lambda raw, config: fit_scaler(seen[-1].raw, config))
    return build_table(table.bars, table.config, WINDOW)


def later_rows_in_the_stored_statistics(patch: pytest.MonkeyPatch, table: MarketTable) -> MarketTable:
    raw = feature_room.compute(table.bars, table.config).raw
    return replace(table, scaler=fit_scaler(raw[: table.ranges["test"].last], table.config))


def coarse_bar_at_its_start(patch: pytest.MonkeyPatch, table: MarketTable) -> MarketTable:
    """The week is visible from its first day on."""
    real = feature_room.coarsen

    def coarsen(*arguments: Any) -> Any:
        found = real(*arguments)
        return found._replace(seen=np.minimum(found.seen + 1, len(found.bars.close)))

    patch.setattr(feature_room, "coarsen", coarsen)
    return replanted(table)


def same_bar_fill(patch: pytest.MonkeyPatch, table: MarketTable) -> MarketTable:
    real = table_room.make_outcome
    patch.setattr(table_room, "make_outcome", lambda bars, mark, fill: real(bars, mark, "same_close"))
    return replanted(table)


def flag_of_the_same_day(patch: pytest.MonkeyPatch, table: MarketTable) -> MarketTable:
    """Whether an open can be filled is read off the close of its own day: no buying of what then rises."""
    real = table_room.make_outcome

    def make_outcome(bars: Bars, mark: np.ndarray, fill: str) -> Any:
        found, rise = real(bars, mark, fill), np.roll(bars.close / bars.open, -1, axis=0) > 1.02
        return found._replace(can_fill=found.can_fill & ~rise)

    patch.setattr(table_room, "make_outcome", make_outcome)
    return replanted(table)


def paid_a_bar_early(patch: pytest.MonkeyPatch, table: MarketTable) -> MarketTable:
    """What a position earns in a bar is what the next bar earns."""
    real = table_room.make_outcome

    def make_outcome(bars: Bars, mark: np.ndarray, fill: str) -> Any:
        found = real(bars, mark, fill)
        return found._replace(move=np.append(found.move[1:], found.move[-1:], axis=0))

    patch.setattr(table_room, "make_outcome", make_outcome)
    return replanted(table)


def mask_of_tomorrow(patch: pytest.MonkeyPatch, table: MarketTable) -> MarketTable:
    real = table_room.first_ready

    def first_ready(ready: np.ndarray, needed: int) -> int:
        warm = real(ready, needed)
        ready[:-1] &= ready[1:]  # as if known at the close
        return warm

    real_compute = feature_room.compute

    def compute(bars: Bars, config: Any) -> feature_room.Computed:
        found = real_compute(bars, config)
        priced = np.isfinite(bars.close)
        found.ready[:-1] &= priced[1:]
        return found

    patch.setattr(table_room, "first_ready", first_ready)
    patch.setattr(feature_room, "compute", compute)
    return replanted(table)


def later_split(patch: pytest.MonkeyPatch, table: MarketTable) -> MarketTable:
    """Prices are adjusted backwards: a split changes all prices before it."""

    def adjust(bars: Bars) -> Bars:
        if bars.split is None:
            return bars
        after = np.cumprod(bars.split[::-1], axis=0)[::-1] / bars.split
        return bars._replace(**{name: getattr(bars, name) / after for name in ("open", "high", "low", "close")})

    patch.setattr(table_room, "adjust", adjust)
    return replanted(table)


PLANTED: dict[str, tuple[Plant, str]] = {
    "shift(-1)": (in_features(shift), "feature 'rsi_3'|guilty columns: close"),
    "centred window": (in_features(centre), "feature 'realized_vol_10'|guilty columns: close"),
    "target among the features": (in_features(target), "feature 'return_1'|guilty columns: open, close"),
    "back-fill": (in_features(fill_backwards), "feature 'return_1'"),
    "warm-up from the future": (in_features(warm_up_from_later), "feature 'return_1'"),
    "full-sample scaler": (whole_sample_scaler, "statistics of feature 'return_1'|noise"),
    "test rows in the normaliser": (later_rows_in_the_stored_statistics, "statistics of feature 'rsi_3'|as stored"),
    "coarse bar labelled by its start": (coarse_bar_at_its_start, "feature 'return_1@1w'"),
    "same-bar fill": (same_bar_fill, "fill: fill_price hangs on the close observed"),
    "same-day tradability flag": (flag_of_the_same_day, "fill: can_fill hangs on how its bar ends"),
    "paid a bar early": (paid_a_bar_early, "outcome 'move' of earlier bars"),
    "tradable only if tomorrow is": (mask_of_tomorrow, "tradable"),
    "adjustment by a later split": (later_split, "mark|guilty columns: split"),
}


@pytest.mark.parametrize("what", PLANTED)
def test_planted_leaks_are_found_and_named(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    plant, pieces = PLANTED[what]
    found = findings(plant(monkeypatch, leaky_table()))
    for piece in pieces.split("|"):
        assert any(piece in text for text in found), found


def test_a_warm_up_that_is_too_short_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wilder's average of 50 bars remembers hundreds."""
    for warm_up, found in ((None, False), (lambda span: span + 1, True)):
        if warm_up is not None:
            rsi = feature_room.FEATURES["rsi"]
            monkeypatch.setitem(feature_room.FEATURES, "rsi", rsi._replace(warm_up=warm_up))
        table = build_table(random_bars(900), MarketConfig(features={"rsi": 50}), WINDOW)
        moved = recursion(table, pick_cuts(table, 4))
        assert (moved["rsi_50"] > RECURSION_LIMIT) == found


def test_the_test_range_is_sealed_for_training() -> None:
    closed = seal(leaky_table())
    assert closed.span("validation").decisions > 1
    for name in ("test", "all"):
        with pytest.raises(InputError, match=f"range '{name}': is sealed"):
            closed.span(name)
