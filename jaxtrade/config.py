"""Shared configuration: what a market table and the rules need. One definition is default, help text and file format.

Percentages are in percent (0.1 means 0.1 %); prices and rates elsewhere in the code are plain fractions.
"""

import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, FiniteFloat, model_validator


def _no_bool(value: Any) -> Any:
    """Refuse YAML's true/false where a number is meant (pydantic would read them as 1 and 0)."""
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")
    return value


Int = Annotated[int, BeforeValidator(_no_bool)]
Float = Annotated[FiniteFloat, BeforeValidator(_no_bool)]
Count = Annotated[Int, Field(ge=1)]
Span = Annotated[Int, Field(ge=2, le=10_000)]
Share = Annotated[Float, Field(ge=0, le=1)]


class Section(BaseModel):
    """A frozen part of the configuration that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class FeatureConfig(Section):
    """Causal features of each symbol; all scale-free, normalised with training-range statistics."""

    returns: tuple[Count, ...] = (1, 2, 3, 5, 10)
    """Lags k of the log returns log(close[t] / close[t-k])."""
    ema: tuple[Span, ...] = (10, 20)
    """Spans of the exponential moving averages; the feature is log(close / EMA)."""
    macd: tuple[Span, Span, Count] = (12, 26, 9)
    """Fast, slow and signal spans; the features are MACD / close and its histogram / close."""
    rsi: Span = 14
    """Period of the relative strength index."""
    volatility: Span = 20
    """Bars of the standard deviation of log returns."""
    volume: Span = 20
    """Bars of the z-score of log volume."""
    clip: Annotated[Float, Field(gt=0)] = 5.0
    """Normalised features are clipped to plus or minus this."""

    @model_validator(mode="after")
    def _fast_before_slow(self) -> Self:
        if self.macd[0] >= self.macd[1]:
            raise ValueError(f"macd: the fast span {self.macd[0]} must be below the slow span {self.macd[1]}")
        return self


class SplitConfig(Section):
    """Where training ends and testing begins, by date."""

    train_until: datetime.date | None = None
    """Last date of training, included (default: 70 % of the bars)."""
    validation_until: datetime.date | None = None
    """Last date of validation, included (default: 85 % of the bars)."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.train_until and self.validation_until and self.train_until >= self.validation_until:
            raise ValueError(f"train_until {self.train_until} must lie before validation_until {self.validation_until}")
        return self


class MarketConfig(Section):
    """How the market table is made from the bars."""

    symbols: tuple[str, ...] = ()
    """Symbols to trade (default: all that the data holds)."""
    features: FeatureConfig = FeatureConfig()
    split: SplitConfig = SplitConfig()


class CostConfig(Section):
    """What trading costs, in percent of the traded value."""

    buy_percent: Annotated[Float, Field(ge=0, lt=100)] = 0.1
    """Commission on buys, in percent."""
    sell_percent: Annotated[Float, Field(ge=0, lt=100)] = 0.1
    """Commission on sells, in percent."""


class EnvConfig(Section):
    """The rules of the account and of an episode."""

    action: Literal["continuous", "discrete9"] = "continuous"
    """continuous: one number in [-1, 1] per symbol. discrete9 (one symbol, long only): hold, buy or sell 25-100 %."""
    dead_band: Annotated[Float, Field(ge=0, lt=1)] = 0.1
    """continuous: actions of at most this size hold."""
    trade_limit_percent: Annotated[Float, Field(gt=0)] = 10.0
    """continuous: action 1 trades this percent of equity."""
    allow_short: bool = False
    """May positions be negative."""
    max_leverage: Annotated[Float, Field(gt=0)] = 1.0
    """Largest sum of absolute positions, as a multiple of equity, that a fill may reach."""
    maintenance_margin_percent: Annotated[Float, Field(ge=0, lt=100)] = 25.0
    """Below this percent of the sum of absolute positions the equity is liquidated."""
    ruin_percent: Annotated[Float, Field(gt=0, lt=100)] = 1.0
    """Equity at or below this percent of the starting capital is ruin: positions are sold, the episode terminates."""
    costs: CostConfig = CostConfig()
    reward: Literal["log_return", "fast_profit"] = "log_return"
    """log_return: log of the equity ratio. fast_profit: tanh of the profit over 10 % of the capital."""
    window: Count = 260
    """Bars of history before the first decision; also the window of the outside (Gymnasium-style) observation."""
    initial_cash: Annotated[Float, Field(gt=0)] = 10_000.0
    """Starting capital, in the currency of the prices; the backtest reports money in it."""

    @model_validator(mode="after")
    def _long_only_actions(self) -> Self:
        if self.action == "discrete9" and self.allow_short:
            raise ValueError("action discrete9 is long only; choose continuous or leave allow_short off")
        return self
