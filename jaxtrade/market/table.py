"""The market table: row t holds what is known at the close of t, and what happens until the close of t+1."""

import hashlib
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from jaxtrade.config import MarketConfig, SplitConfig
from jaxtrade.errors import InputError
from jaxtrade.market import features as feature_room
from jaxtrade.market.bars import Bars
from jaxtrade.market.checks.prices import STALE_OPEN_SHARE, stale_open_share
from jaxtrade.market.events import adjust
from jaxtrade.market.scales import Scaler, apply_scaler, fit_scaler
from jaxtrade.market.splits import Range, make_ranges, require_decisions, resolve_split
from jaxtrade.market.units import commonest, epoch_seconds
from jaxtrade.rules.types import Known, Outcome

FloatArray = npt.NDArray[np.float64]
YEAR = np.timedelta64(365, "D")  # of financing rates
DELISTED_AFTER = 5  # bars without a price, to the end of the data, that make a delisting of a gap
UNSEAL = "Open it by a backtest, which the trial ledger records"
SAME_CLOSE = "orders fill at the close just observed (fill: same_close): no one can trade like that"


@dataclass(frozen=True)
class MarketTable:
    """A market, indexed by bar. `T` bars, `N` symbols, `F` features."""

    bars: Bars  # as they were read, events included
    time: npt.NDArray[np.datetime64]  # [T]
    symbols: tuple[str, ...]
    feature_names: tuple[str, ...]
    features: npt.NDArray[np.float32]  # [T, N, F] normalised; NaN in the rows before the warm-up
    known: Known  # leaves [T, N]
    outcome: Outcome  # leaves [T, N] (years [T]) float64; the last row is NaN: nothing follows it
    mark: FloatArray  # [T, N] price of the mark at the close of t
    ranges: dict[str, Range]
    scaler: Scaler
    config: MarketConfig  # with symbols, interval and split dates resolved
    window: int  # bars of history that every decision has
    data_hash: str
    stale_opens: float  # share of opens equal to the previous close
    report: dict[str, Any] = field(default_factory=dict)  # what the gate found, mended and accepted
    sealed: bool = False  # True while the test range may not be looked at

    def span(self, name: str) -> Range:
        """Return a range that holds at least one decision.

        Raises:
            InputError: It holds none, or it holds test bars and they are sealed.
        """
        if self.sealed and name in ("test", "all"):
            raise InputError(f"range '{name}'", "is sealed: training and selection may not look at it", UNSEAL)
        history = self.ranges["all"].first
        return require_decisions(name, self.ranges[name], self.config.split, len(self.time), history)

    @property
    def fill_price(self) -> FloatArray:
        """Price at which the orders of each bar fill, [T, N]; NaN where they cannot."""
        return np.asarray(self.outcome.fill_price)

    @property
    def fill_bar(self) -> int:
        """Bars from a decision to its fill."""
        return 0 if self.config.fill == "same_close" else 1

    @property
    def warning(self) -> str | None:
        """A flaw of the data or of the clock that every artefact made with it must carry, or None."""
        if self.config.fill == "same_close":
            return SAME_CLOSE
        if self.stale_opens <= STALE_OPEN_SHARE:
            return None
        return (
            f"{self.stale_opens:.0%} of opens equal the previous close: "
            "filling at the next open is filling at the close just observed"
        )

    def restricted(self, span: Range) -> tuple[npt.NDArray[np.float32], Known, Outcome]:
        """Return features, known and outcome in which everything after `span.last` is NaN or False.

        A wrong index, or a gather past the end (which JAX clamps), then shows as NaN instead of as a leak.
        """
        bar = np.arange(len(self.time))
        known = Known(*(None if leaf is None else _hide(leaf, bar > span.last) for leaf in self.known))
        outcome = Outcome(*(None if leaf is None else _hide(leaf, bar >= span.last) for leaf in self.outcome))
        return _hide(self.features, bar > span.last), known, outcome


class Prepared(NamedTuple):
    """What the tables of all splits have in common. `T` bars, `N` symbols, `F` features."""

    bars: Bars  # as they were read, events included
    raw: FloatArray  # [T, N, F] features, not normalised; NaN where not ready
    warm: int  # first bar at which some symbol has all features
    feature_names: tuple[str, ...]
    known: Known  # leaves [T, N]
    outcome: Outcome  # leaves [T, N] (years [T])
    mark: FloatArray  # [T, N]
    config: MarketConfig  # with symbols and interval resolved; its split is the one asked for
    window: int  # bars of history that every decision has
    data_hash: str
    stale_opens: float
    report: dict[str, Any]  # what the gate found, mended and accepted

    @property
    def span(self) -> Range:
        """The bars of the range `all`: from the first that has its history to the last."""
        return Range(self.warm + self.window - 1, len(self.bars.time) - 1)


def _hide(leaf: npt.NDArray[Any], rows: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
    """Return an array [T, ...] in which some rows are NaN, or False."""
    return np.where(rows.reshape(-1, *(1,) * (leaf.ndim - 1)), nothing_like(leaf), leaf)


def nothing_like(leaf: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return what stands in a table where there is nothing to know, []: NaN, or False."""
    return np.array(False if leaf.dtype == bool else np.nan, leaf.dtype)


def with_end(leaf: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return an array [T - 1, ...] with a last row of nothing."""
    return np.concatenate([leaf, np.full((1, *leaf.shape[1:]), nothing_like(leaf))])


def seal(table: MarketTable) -> MarketTable:
    """Return the table with its test range closed, for what trains and selects."""
    return replace(table, sealed=True)


def build_table(bars: Bars, config: MarketConfig, window: int, scaler: Scaler | None = None) -> MarketTable:
    """Lay out the clock: features, marks and outcomes of every bar.

    Args:
        bars: The panel.
        config: Features and split.
        window: Bars of history that every decision has, its own included.
        scaler: Frozen statistics of an earlier training range; fitted on this one when None.

    Raises:
        InputError: There are too few bars.
    """
    split = resolve_split(bars.time, config.split)  # before the work, which may be in vain
    return window_table(prepare_bars(bars, config, window), split, scaler)


def prepare_bars(bars: Bars, config: MarketConfig, window: int) -> Prepared:
    """Compute what a table holds whatever its split is; arguments as in `build_table`.

    Raises:
        InputError: A feature is wrong.
    """
    config, given = fill_in(bars, config), bars
    bars = drop_impossible(adjust(bars))
    computed = feature_room.compute(bars, config)
    mark = marks(bars)
    return Prepared(
        bars=given,
        raw=computed.raw,
        warm=first_ready(computed.ready, feature_room.warm_up(config)),
        feature_names=feature_room.feature_names(config),
        known=Known(tradable=np.isfinite(bars.close) & computed.ready, close=mark),
        outcome=make_outcome(bars, mark, config.fill),
        mark=mark,
        config=config,
        window=window,
        data_hash=hash_bars(given),
        stale_opens=stale_open_share(given.open, given.close),
        report={},
    )


def window_table(prepared: Prepared, split: SplitConfig, scaler: Scaler | None = None) -> MarketTable:
    """Return the table of prepared bars with a split; `scaler` and errors as in `build_table`."""
    time, window, history = prepared.bars.time, prepared.window, prepared.span.first
    config = prepared.config.model_copy(update={"split": resolve_split(time, split)})
    ranges = make_ranges(time, config.split, history)
    if scaler is None:
        train = require_decisions("train", ranges["train"], config.split, len(time), history)
        scaler = fit_scaler(prepared.raw[train.first - (window - 1) : train.last + 1], config)  # what training sees
    features = np.nan_to_num(apply_scaler(scaler, prepared.raw), copy=False, nan=0.0)
    features[: prepared.warm] = np.nan
    return MarketTable(
        bars=prepared.bars,
        time=time,
        symbols=prepared.bars.symbols,
        feature_names=prepared.feature_names,
        features=features,
        known=prepared.known,
        outcome=prepared.outcome,
        mark=prepared.mark,
        ranges=ranges,
        scaler=scaler,
        config=config,
        window=window,
        data_hash=prepared.data_hash,
        stale_opens=prepared.stale_opens,
        report=dict(prepared.report),
    )


def fill_in(bars: Bars, config: MarketConfig) -> MarketConfig:
    """Return the configuration with symbols and interval filled in, so that later data change nothing."""
    interval = config.interval or commonest(np.diff(epoch_seconds(bars.time))) or 1
    return config.model_copy(update={"symbols": bars.symbols, "interval": interval})


def first_ready(ready: npt.NDArray[np.bool_], needed: int) -> int:
    """Return the first bar at which some symbol has all of its features; if none ever has, one after the last."""
    some = ready.any(axis=1)
    return int(np.argmax(some)) if np.any(some) else max(len(ready), needed)


def drop_impossible(bars: Bars) -> Bars:
    """Return the bars with NaN for opens and closes at which no one can trade: not finite, zero or below."""

    def clean(price: FloatArray) -> FloatArray:
        return np.where(np.isfinite(price) & (price > 0), price, np.nan)

    return bars._replace(open=clean(bars.open), close=clean(bars.close))


def marks(bars: Bars) -> FloatArray:
    """Return the marks, [T, N]: the close, else the open, else the last mark; NaN before the first bar of a symbol."""
    price = np.where(np.isfinite(bars.close), bars.close, bars.open)
    rows = np.arange(len(price))[:, None]
    last_valid = np.maximum.accumulate(np.where(np.isfinite(price), rows, 0), axis=0)
    return np.take_along_axis(price, last_valid, axis=0)


def make_outcome(bars: Bars, mark: FloatArray, fill: str = "next_open") -> Outcome:
    """Return the outcome of every bar, leaves [T, N]; the last row is NaN and cannot be filled."""
    before, after = mark[:-1], mark[1:]
    listed = np.isfinite(before)
    leaves = delistings(bars)[:-1]
    price = bars.open[1:] if fill == "next_open" else bars.close[:-1]
    can_fill = np.isfinite(price) & listed & ~leaves
    start = np.where(can_fill, price, before)
    return Outcome(
        gap=with_end(np.where(can_fill, start / before - 1, 0.0)),
        move=with_end(np.where(listed, after / start - 1, 0.0)),
        can_fill=with_end(can_fill),
        years=with_end(np.diff(bars.time) / YEAR),
        fill_price=with_end(np.where(can_fill, price, np.nan)),
        mark=with_end(after),
        exit=with_end(leaves) if leaves.any() else None,
        income=None if bars.dividend is None else with_end(np.where(listed, bars.dividend[1:] / before, 0.0)),
    )


def delistings(bars: Bars) -> npt.NDArray[np.bool_]:
    """Return True, [T, N], at the last bar of symbols that are missing from then on, for five bars at least."""
    priced = np.isfinite(bars.close) | np.isfinite(bars.open)
    rows = np.arange(len(priced))[:, None]
    last = np.max(np.where(priced, rows, -1), axis=0)
    return np.asarray((rows == last) & (last < len(priced) - DELISTED_AFTER))


def hash_bars(bars: Bars) -> str:
    """Return the SHA-256 of times, symbols, prices, splits and dividends."""
    digest = hashlib.sha256(",".join(bars.symbols).encode())
    digest.update(epoch_seconds(bars.time).tobytes())
    for leaf in bars[2:]:
        if leaf is not None:
            digest.update(np.ascontiguousarray(leaf))
    return digest.hexdigest()
