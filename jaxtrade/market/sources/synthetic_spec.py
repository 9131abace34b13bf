"""What `--data synthetic:KIND?param=value&...` asks for, checked."""

import datetime
from typing import Any, NamedTuple
from urllib.parse import unquote

import numpy as np

from jaxtrade.config.market import parse_until
from jaxtrade.errors import InputError, did_you_mean
from jaxtrade.market.process_kinds import PROCESSES, Shape

BOOTSTRAP = "bootstrap"
KINDS = (*PROCESSES, BOOTSTRAP)
MOST_CELLS = 100_000_000  # bars x symbols: 2 GB of bars in float32
SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
LAST_DAY = np.datetime64("2019-12-31", "s")  # of bars without a start: fixed, so that a spec means the same bars always
EARLIEST, LATEST = np.datetime64("1800-01-01", "s"), np.datetime64("2200-01-01", "s")


class Limit(NamedTuple):
    """Where a number must lie."""

    least: float
    most: float
    open_below: bool = False
    open_above: bool = False

    def holds(self, number: float) -> bool:
        """True for a number inside; False for NaN."""
        above = number > self.least if self.open_below else number >= self.least
        return above and (number < self.most if self.open_above else number <= self.most)

    def __str__(self) -> str:
        above = f"above {self.least:g}" if self.open_below else f"at least {self.least:g}"
        return f"{above} and {f'below {self.most:g}' if self.open_above else f'at most {self.most:g}'}"


LIMITS = {
    "drift": Limit(-1, 1),
    "volatility": Limit(0, 1, open_below=True),
    "theta": Limit(0, 10, open_below=True),
    "stay": Limit(0, 1, open_above=True),
    "alpha": Limit(0, 1, open_above=True),
    "beta": Limit(0, 1, open_above=True),
    "rate": Limit(0, 10),
    "jump_mean": Limit(-1, 1),
    "jump_volatility": Limit(0, 1),
    "overnight": Limit(0, 1, open_below=True, open_above=True),
    "correlation": Limit(0, 1),
    "volume": Limit(0, 1e12, open_below=True),
    "volume_spread": Limit(0, 3),
    "price": Limit(0, 1e9, open_below=True),
    "block": Limit(1, 1e9),
    "bars": Limit(2, MOST_CELLS),
    "symbols": Limit(1, 100_000),
    "seed": Limit(0, 2**32 - 1),
}


class Spec(NamedTuple):
    """A made-up market that was asked for."""

    kind: str
    process: dict[str, Any]  # numbers of the process, or the mean length of a block
    shape: dict[str, float]  # of its bars; empty for a bootstrap
    price: float  # close before the first bar
    bars: int
    seed: int
    symbols: tuple[str, ...]  # of a bootstrap: those to draw, all when empty
    seconds: int | None  # from bar to bar; None: as in the source of the bootstrap
    start: np.datetime64 | None
    of: str  # source of the bootstrap
    until: datetime.date | float  # share of its bars, or last date, that may be drawn from


def parse_spec(text: str) -> Spec:
    """Return what a spec asks for, defaults filled in.

    Args:
        text: `KIND?param=value&param=value`; in a value, & is written %26 and % is written %25.

    Raises:
        InputError: A kind or parameter is unknown, or a value does not fit.
    """
    kind, _, query = text.partition("?")
    if kind not in KINDS:
        raise InputError(f"synthetic:{kind}", "is no kind of made-up market", did_you_mean(kind, KINDS))
    process, shape = _defaults(kind)
    given = _pairs(kind, query, {*process, *shape, *(("of", "until") if kind == BOOTSTRAP else ("price",))})
    spec = Spec(
        kind=kind,
        process={name: _numbers(kind, name, given, default) for name, default in process.items()},
        shape={name: _numbers(kind, name, given, default) for name, default in shape.items()},
        price=_numbers(kind, "price", given, 100.0),
        bars=_count(kind, "bars", given, 2520),
        seed=_count(kind, "seed", given, 0),
        symbols=_symbols(kind, given),
        seconds=_interval(kind, given),
        start=_start(kind, given),
        of=given.get("of", ""),
        until=_until(kind, given),
    )
    _check_together(spec)
    return spec


def wrong(kind: str, name: str, what: str, remedy: str) -> InputError:
    """Return the error of one parameter."""
    return InputError(f"synthetic:{kind} parameter '{name}'", what, remedy)


def times(spec: Spec, seconds: int) -> Any:
    """Return the times of the bars, [T] datetime64[s]: one interval apart, every day of the week.

    Raises:
        InputError: They leave the years 1800 to 2199.
    """
    step = np.timedelta64(seconds, "s")
    start = LAST_DAY - (spec.bars - 1) * step if spec.start is None else spec.start
    last = start + (spec.bars - 1) * step
    if start < EARLIEST or last >= LATEST:
        raise wrong(
            spec.kind, "bars", f"{spec.bars} bars do not fit between 1800 and 2200", "Ask for a shorter interval"
        )
    return start + np.arange(spec.bars) * step


def _defaults(kind: str) -> tuple[dict[str, Any], dict[str, float]]:
    if kind == BOOTSTRAP:
        return {"block": 20.0}, {}
    return PROCESSES[kind]()._asdict(), Shape()._asdict()


def _pairs(kind: str, query: str, own: set[str]) -> dict[str, str]:
    """Return the parameters that are given, by name."""
    known = {*own, "bars", "symbols", "seed", "interval", "start"}
    given: dict[str, str] = {}
    for pair in query.split("&") if query else ():
        name, equals, value = pair.partition("=")
        if name not in known:
            raise wrong(kind, name, "is unknown", did_you_mean(name, known))
        if not equals or not value or name in given:
            raise wrong(kind, name, "is given twice" if name in given else "has no value", f"Write {name}=VALUE once")
        given[name] = unquote(value)
    return given


def _numbers(kind: str, name: str, given: dict[str, str], default: Any) -> Any:
    """Return a number, or a tuple where the default is one."""
    if name not in given:
        return default
    texts = given[name].split(",") if isinstance(default, tuple) else [given[name]]
    numbers = tuple(_number(kind, name, text) for text in texts)
    return numbers if isinstance(default, tuple) else numbers[0]


def _number(kind: str, name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise wrong(kind, name, f"'{text}' is not a number", f"Give a number {LIMITS[name]}") from None
    if not LIMITS[name].holds(number):
        raise wrong(kind, name, f"{text} is out of range", f"It must be {LIMITS[name]}")
    return number


def _count(kind: str, name: str, given: dict[str, str], default: int) -> int:
    number = _number(kind, name, given.get(name, str(default)))
    if number != int(number):
        raise wrong(kind, name, f"{given[name]} is not a whole number", f"It must be {LIMITS[name]}")
    return int(number)


def _symbols(kind: str, given: dict[str, str]) -> tuple[str, ...]:
    if kind == BOOTSTRAP:
        return tuple(given["symbols"].split(",")) if "symbols" in given else ()
    return tuple(f"S{n}" for n in range(_count(kind, "symbols", given, 1)))


def _interval(kind: str, given: dict[str, str]) -> int | None:
    text = given.get("interval", "" if kind == BOOTSTRAP else "1d")
    if not text:
        return None
    digits = text.rstrip("abcdefghijklmnopqrstuvwxyz")
    unit = text[len(digits) :]
    if unit not in SECONDS or not digits.isdecimal() or not 0 < int(digits) < 100_000:
        raise wrong(kind, "interval", f"'{text}' is no interval", "Write it like 5m, 1h, 1d or 1w")
    return int(digits) * SECONDS[unit]


def _start(kind: str, given: dict[str, str]) -> np.datetime64 | None:
    if "start" not in given:
        return None
    try:
        start = datetime.datetime.fromisoformat(given["start"])
    except ValueError:
        raise wrong(kind, "start", f"'{given['start']}' is no date", "Write it like 2000-01-03") from None
    if start.tzinfo is not None:
        start = start.astimezone(datetime.UTC).replace(tzinfo=None)
    return np.datetime64(start, "s")


def _until(kind: str, given: dict[str, str]) -> datetime.date | float:
    try:
        until = parse_until(given.get("until", 0.7))
    except ValueError as error:
        raise wrong(kind, "until", str(error), "It ends what may be drawn: the training range") from None
    return 0.7 if until is None else until


def _check_together(spec: Spec) -> None:
    """Refuse values that do not fit each other."""
    process = spec.process
    if spec.kind == "garch" and process["alpha"] + process["beta"] >= 1:
        total = process["alpha"] + process["beta"]
        raise wrong(spec.kind, "alpha", f"alpha + beta is {total:g}: no variance to return to", "Keep it below 1")
    if spec.kind == "regimes" and len({len(values) for values in process.values()}) > 1:
        lengths = ", ".join(f"{name}: {len(values)}" for name, values in process.items())
        raise wrong(spec.kind, "stay", f"numbers of regimes differ ({lengths})", "Give one value for each regime")
    if spec.kind == BOOTSTRAP and not spec.of:
        raise wrong(spec.kind, "of", "is missing", "Name the bars to draw from: of=bars.csv")
    if spec.of.startswith("synthetic:"):
        raise wrong(spec.kind, "of", "names a made-up market", "Name real bars: of=bars.csv")
    if spec.bars * len(spec.symbols) > MOST_CELLS:
        raise wrong(spec.kind, "bars", f"{spec.bars} x {len(spec.symbols)} symbols is too much", "Ask for less")
