"""How bars become a market table: how they are read and judged, which features they give, how time is split."""

import datetime
from itertools import combinations
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PlainSerializer, PlainValidator, field_validator, model_validator

from jaxtrade.config.kinds import Bars, Count, Fixed, Float, Section

Repair = Literal["drop-row", "forward-fill", "clip", "sort", "dedupe-identical", "rescale"]
Features = dict[str, tuple[int | float, ...]]


class LoadConfig(Section):
    """How files, tables and downloads are read, and which of their defects are mended or accepted."""

    timezone: str | None = None
    """Time zone of times that name none, such as Europe/Berlin (default: UTC). All times become UTC."""
    date_format: str | None = None
    """Format of the times, such as %d.%m.%Y %H:%M (default: detected and reported)."""
    label: Literal["start", "end"] = "start"
    """Whether the time of an intraday bar is that of its start, as most exports have it, or of its end."""
    repair: tuple[Repair, ...] = ()
    """Repairs to make, counted and recorded: docs/data-errors.md says which defect each mends."""
    accept: tuple[str, ...] = ()
    """Codes of defects to live with, such as E-DATA-044; recorded."""
    rescale: Fixed | None = None
    """Factor of the repair rescale, by symbol if need be (default: what the name of a currency pair implies)."""
    calendar: str | None = None
    """Exchange calendar to check the sessions against, such as XNYS, or by symbol: AAPL=XNYS,BTC=24/7."""
    adjusted: Literal["given", "adj_close"] = "given"
    """given: prices are taken as they are. adj_close: all four are scaled by adj_close / close, 1 at the first bar."""
    events: str | None = None
    """CSV or Parquet file of splits and dividends: symbol, date, kind (split or dividend), value."""

    @field_validator("accept")
    @classmethod
    def _codes(cls, codes: tuple[str, ...]) -> tuple[str, ...]:
        from jaxtrade.market.codes import RULES

        for code in codes:
            if code not in RULES or not RULES[code].acceptable:
                known = ", ".join(sorted(code for code, rule in RULES.items() if rule.acceptable))
                raise ValueError(f"holds {code!r}, which cannot be accepted; those that can: {known}")
        return codes

    @model_validator(mode="after")
    def _once(self) -> Self:
        if self.events is not None and self.adjusted == "adj_close":
            raise ValueError("events are in adj_close already: leave out one, or adjusted adj_close")
        return self


def parse_until(value: Any) -> datetime.date | float | None:
    """Return a date, or a share of the bars between 0 and 1; ValueError for anything else."""
    if value is None or (isinstance(value, datetime.date) and not isinstance(value, datetime.datetime)):
        return value
    try:
        share = float("nan" if isinstance(value, bool) else value)
    except (TypeError, ValueError):
        try:
            return datetime.date.fromisoformat(str(value))
        except ValueError:
            raise ValueError("must be a date such as 2015-12-31, or a share of the bars such as 0.7") from None
    if not 0 < share < 1:
        raise ValueError("must lie between 0 and 1 as a share of the bars; or give a date such as 2015-12-31")
    return share


Until = Annotated[
    datetime.date | float | None,
    PlainValidator(parse_until),
    PlainSerializer(lambda until: until.isoformat() if isinstance(until, datetime.date) else until, when_used="json"),
]


ENDS = ("train_from", "train_until", "validation_until", "test_until")  # of SplitConfig, in their order


class SplitConfig(Section):
    """Where training begins and ends, and where testing does."""

    train_from: Until = None
    """First date of training, included, or the share of the bars before it (default: the first bar that can)."""
    train_until: Until = None
    """Last date of training, included, or the share of the bars before it (default: 0.7)."""
    validation_until: Until = None
    """Last date of validation, included, or the share of the bars before it (default: 0.85)."""
    test_until: Until = None
    """Last date of test, included, or the share of the bars before it (default: the last bar)."""
    purge: Bars = 0
    """Bars left out at the end of training and of validation: as many as a result may hang on later ones."""
    embargo: Bars = 0
    """Bars left out at the beginning of validation and of test."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for one, two in self.misplaced:
            raise ValueError(f"{one} must lie before {two}")
        return self

    @property
    def misplaced(self) -> list[tuple[str, str]]:
        """Pairs of ends in the wrong order, such as ("train_until 0.9", "test_until 0.8"); a date and a share pass."""
        ends = [(name, getattr(self, name)) for name in ENDS]
        return [
            (f"{one} {first}", f"{two} {second}")
            for (one, first), (two, second) in combinations(ends, 2)
            if first is not None and type(first) is type(second)
            if first > second or (first == second and (one, two) != ENDS[:2])  # one day of training is some
        ]


def parse_features(value: Any) -> Features:
    """Parse features into {name: parameters}: a mapping, or texts like `rsi=14`, `ema=10,20` and `macd`."""
    if isinstance(value, str):
        value = [value]
    if isinstance(value, list | tuple):
        value = dict((part.split("=", 1) if "=" in str(part) else (str(part), None)) for part in value)
    if not isinstance(value, dict) or not value:
        raise ValueError("must name at least one feature, each with its parameters")
    return {str(name): _parameters(str(name), given) for name, given in value.items()}


def _parameters(name: str, given: Any) -> tuple[int | float, ...]:
    if given is None or given is True or given == {}:
        return ()
    items = given.split(",") if isinstance(given, str) else given if isinstance(given, list | tuple) else [given]
    try:
        if any(isinstance(item, bool) for item in items):
            raise ValueError
        numbers = [float(item) for item in items]
        return tuple(int(number) if number == int(number) else number for number in numbers)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{name}: parameters must be numbers, got {given!r}") from None


def _plain(features: Features) -> dict[str, Any]:
    """Return features as one writes them in a file: one number alone, several in a list, none as null."""
    return {name: numbers[0] if len(numbers) == 1 else list(numbers) or None for name, numbers in features.items()}


class MarketConfig(Section):
    """How the market table is made from the bars."""

    symbols: tuple[str, ...] = ()
    """Symbols to trade (default: all that the data holds)."""
    interval: Count | None = None
    """Seconds from bar to bar (default: the commonest step of the data)."""
    fill: Literal["next_open", "same_close"] = "next_open"
    """Where orders decided at a close fill. same_close fills at the price just observed: for comparisons only."""
    load: LoadConfig = LoadConfig()
    features: Annotated[Features, PlainValidator(parse_features), PlainSerializer(_plain)] = Field(
        default={
            "lagged_returns": (1, 2, 3, 5, 10),
            "ema": (10, 20),
            "macd": (12, 26, 9),
            "rsi": (14,),
            "realized_vol": (20,),
            "volume_zscore": (20,),
        }
    )
    """Features and their parameters: docs/features.md. On coarser bars with @: rsi@4h; your own:
    package.module:function."""
    normalize: Literal["zscore", "robust", "rank", "none"] = "zscore"
    """How features are normalised, by statistics of the training range alone."""
    clip: Annotated[Float, Field(gt=0)] = 5.0
    """Normalised features are clipped to plus or minus this."""
    split: SplitConfig = SplitConfig()
