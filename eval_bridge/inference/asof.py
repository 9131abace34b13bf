"""The market as it stood at the close of one bar: later bars are cut off before anything is computed."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from eval_bridge.spec import Manifest
from jaxtrade.config import LoadConfig, MarketConfig
from jaxtrade.errors import InputError
from jaxtrade.market.bars import Bars, load
from jaxtrade.market.features import warm_up
from jaxtrade.market.scales import scaler_from
from jaxtrade.market.table import MarketTable, build_table, hash_bars
from jaxtrade.market.units import DAY, HOUR, MINUTE, WEEK

Times = npt.NDArray[np.datetime64]
Date = str | datetime.date | np.datetime64 | None  # of pandas too: its Timestamp is a datetime
SPARE_DAYS, SPARE_BARS = 5, 2  # that the latest bar may lie back by default: a long weekend, and a bar under way
UNITS = {"m": MINUTE, "h": HOUR, "d": DAY, "w": WEEK}


@dataclass(frozen=True)
class Asked:
    """Which market is asked for, and when."""

    date: Date = None  # a day (its last bar), or the time of a bar; None: the latest bar
    data: str | None = None  # another source than that of training
    load: LoadConfig | None = None  # how it is read; by default as in training
    max_age: str | None = None  # of the latest bar: 10d, 36h, off; None: two bars and five days
    today: np.datetime64 | None = None  # UTC; None: by the clock


class AsOf(NamedTuple):
    """A market that ends with the bar of the decision."""

    table: MarketTable
    data_sha256: str  # of all bars that were read, later ones included

    @property
    def bar(self) -> int:
        """The bar whose close is the last thing known."""
        return len(self.table.time) - 1


def market_as_of(manifest: Manifest, asked: Asked) -> AsOf:
    """Return the market up to a bar, laid out as a backtest would, normalised by the statistics of training.

    Raises:
        InputError: The data is refused or stale, there is no such bar, too little history, or the policy cannot
            trade these symbols.
    """
    source, config = source_and_config(manifest, asked.data, asked.load)
    loaded = load(source, config.load, config.symbols)
    bars, date = loaded.bars, parse_date(asked.date)
    if date is None:
        require_fresh(bars.time, asked.max_age, asked.today)
    bar = find_bar(bars.time, date)
    known = cut(bars, bar, keep=config.symbols != () or manifest.network.kind == "flat_mlp")
    require_panel(source, manifest, known.symbols)
    table = build_table(known, config, manifest.env.window, scaler_from(manifest.scaler))
    table.report.update(loaded.report.record())
    history = table.ranges["all"].first
    if bar < history:
        least = warm_up(table.config) + manifest.env.window - 1
        earliest = f"; the first decision is due at {time_text(bars.time[least])}" if least < len(bars.time) else ""
        what = f"is before the warm-up: {bar + 1} bars, {max(history, least) + 1} are needed{earliest}"
        raise InputError(f"date {time_text(bars.time[bar])}", what, "Choose a later date, or give a longer history")
    return AsOf(table, hash_bars(bars))


def source_and_config(manifest: Manifest, data: str | None, load: LoadConfig | None) -> tuple[str, MarketConfig]:
    """Return the source of a bundle's market and how it is made; other data may have other symbols and intervals."""
    market, load = manifest.market, load or manifest.market.load
    if data is not None:
        if load.events == market.load.events:
            load = load.model_copy(update={"events": None})  # they were those of the other data
        market = market.model_copy(update={"symbols": (), "interval": None})
    return data or manifest.data.source, market.model_copy(update={"load": load})


def require_panel(source: str, manifest: Manifest, symbols: Sequence[str]) -> None:
    """Refuse more or fewer symbols than the policy can trade.

    Raises:
        InputError: The action trades one symbol, or the network is tied to the number of those of training.
    """
    if manifest.env.one_symbol and len(symbols) != 1:
        what = f"holds {len(symbols)} symbols, the policy trades one"
        raise InputError(source, what, "Name a file of one symbol")
    trained = len(manifest.data.symbols)
    if manifest.network.kind == "flat_mlp" and len(symbols) != trained:
        what = f"holds {len(symbols)} symbols, the network is tied to the {trained} of training"
        raise InputError(source, what, "Give data with as many symbols, in the same order")


def cut(bars: Bars, bar: int, keep: bool) -> Bars:
    """Return the bars up to and including one; symbols without a price until then are left out, if not to be kept."""
    listed = np.isfinite(bars.close[: bar + 1]) | np.isfinite(bars.open[: bar + 1])
    which = np.asarray(listed.any(axis=0) | keep)
    symbols = tuple(name for name, kept in zip(bars.symbols, which, strict=True) if kept)
    leaves = (None if leaf is None else leaf[: bar + 1, which] for leaf in bars[2:])
    return Bars(bars.time[: bar + 1], symbols, *leaves)  # type: ignore[arg-type]


class Day(NamedTuple):
    """What is asked for: a time to the second, or a whole day."""

    time: np.datetime64
    whole: bool

    @property
    def text(self) -> str:
        """As it was asked for."""
        return str(self.time.astype("datetime64[D]")) if self.whole else time_text(self.time)


def parse_date(date: Date) -> Day | None:
    """Return a date; times with a zone become UTC, as those of the bars.

    Raises:
        InputError: It is no date.
    """
    if date is None:
        return None
    found: Any = date.item() if isinstance(date, np.datetime64) else date
    if isinstance(found, str):
        try:
            found = datetime.date.fromisoformat(found) if len(found) <= 10 else datetime.datetime.fromisoformat(found)
        except ValueError:
            found = None
    if not isinstance(found, datetime.date):
        raise InputError("date", f"{str(date)!r} is none", "Write 2024-07-01, or 2024-07-01T15:30 for a bar of the day")
    if isinstance(found, datetime.datetime) and found.tzinfo is not None:
        found = found.astimezone(datetime.UTC).replace(tzinfo=None)
    return Day(np.datetime64(found, "s"), not isinstance(found, datetime.datetime))


def find_bar(time: Times, date: Day | None) -> int:
    """Return the bar of a time, the last bar of a day, or the latest.

    Raises:
        InputError: There is none, with the bars around it.
    """
    if date is None:
        return len(time) - 1
    until = date.time + np.timedelta64(DAY - 1 if date.whole else 0, "s")
    bar = int(np.searchsorted(time, until, side="right")) - 1
    if bar >= 0 and time[bar] >= date.time:
        return bar
    where = f"date {date.text}"
    if bar < 0:
        what = f"is before the data, which begins with the bar of {time_text(time[0])}"
        raise InputError(where, what, "Choose a later date, or give a longer history")
    if bar == len(time) - 1:
        what = f"is after the data, which ends with the bar of {time_text(time[-1])}"
        raise InputError(where, what, "Give newer data, or leave the date out for the latest bar")
    day: Any = date.time.item()
    what = f"no bar on that {day:%A}" if date.whole else "no bar at that time"
    around = f"{time_text(time[bar])} and {time_text(time[bar + 1])}"
    raise InputError(where, f"{what}; those around it are of {around}", "Choose one of them")


def require_fresh(time: Times, max_age: str | None, today: np.datetime64 | None = None) -> None:
    """Refuse data whose latest bar lies too far back.

    Args:
        time: [T] of the bars, UTC.
        max_age: As in `Asked`.
        today: Now, UTC; by the clock when None.

    Raises:
        InputError: It does, or the age cannot be read.
    """
    steps = np.diff(time.astype("datetime64[s]").astype(np.int64))
    bars = SPARE_BARS * (float(np.median(steps)) if len(steps) else 0.0)
    most = bars + SPARE_DAYS * DAY if max_age is None else parse_age(max_age)
    now = np.datetime64(datetime.datetime.now(datetime.UTC).replace(tzinfo=None), "s") if today is None else today
    age = float((now.astype("datetime64[s]") - time[-1].astype("datetime64[s]")).astype(np.int64))
    if age > most:
        what = f"is stale: its latest bar, {time_text(time[-1])}, is {age / DAY:.1f} days old, {most / DAY:.3g} allowed"
        raise InputError("data", what, "Give newer data, a --date within it, or --max-age 30d (off: any age)")


def parse_age(text: str) -> float:
    """Return an age in seconds: 90m, 36h, 10d, 2w; `off` is any age.

    Raises:
        InputError: It is none of these.
    """
    if text == "off":
        return float("inf")
    try:
        number = float(text[:-1])
        if number >= 0 and text[-1] in UNITS:
            return number * UNITS[text[-1]]
    except (ValueError, IndexError):
        pass
    raise InputError("max-age", f"{text!r} is no age", "Write 90m, 36h, 10d or 2w, or off for any age")


def time_text(time: np.datetime64) -> str:
    """Return a time as text: the day alone where it is midnight."""
    text = str(time.astype("datetime64[s]"))
    return text.removesuffix("T00:00:00")
