"""Shared configuration: what a market table and the rules need. One definition is default, help text and file format.

Percentages are in percent (0.1 means 0.1 %); prices and rates elsewhere in the code are plain fractions.
"""

import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    PlainSerializer,
    PlainValidator,
    model_validator,
)

from jaxtrade.amounts import Amount, AmountRule, parse_weights


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


AS_DATA = PlainSerializer(lambda amount: list(amount) if isinstance(amount, tuple) else amount)
Percent = Annotated[Amount, PlainValidator(AmountRule(below=100)), AS_DATA]
YearlyPercent = Annotated[Amount, PlainValidator(AmountRule()), AS_DATA]
BasisPoints = Annotated[Amount, PlainValidator(AmountRule(below=5000)), AS_DATA]
Money = Annotated[Amount, PlainValidator(AmountRule()), AS_DATA]
OneRate = Annotated[Amount, PlainValidator(AmountRule(by_symbol=False)), AS_DATA]
Capital = Annotated[Amount, PlainValidator(AmountRule(above=0, by_symbol=False)), AS_DATA]
Fixed = Annotated[Amount, PlainValidator(AmountRule(ranges=False)), AS_DATA]
FixedPercent = Annotated[Amount, PlainValidator(AmountRule(most=100, ranges=False)), AS_DATA]


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
    fill: Literal["next_open", "same_close"] = "next_open"
    """Where orders decided at a close fill. same_close fills at the price just observed: for comparisons only."""
    features: FeatureConfig = FeatureConfig()
    split: SplitConfig = SplitConfig()


class CostConfig(Section):
    """What trading costs.

    Each is a number, a number by symbol (`AAPL=0.05 default=0.1`, a mapping in a file), or a range of two numbers from
    which each environment draws at each reset; in validation and in the backtest its middle holds.
    """

    buy_percent: Percent = 0.1
    """Commission on buys, in percent."""
    sell_percent: Percent = 0.1
    """Commission on sells, in percent."""
    min_commission: Money = 0.0
    """Smallest commission of an order, in money."""
    stamp_duty_percent: Percent = 0.0
    """Stamp duty, in percent."""
    stamp_duty_side: Literal["buy", "sell", "both"] = "buy"
    """Side that pays the stamp duty."""
    half_spread_bps: BasisPoints = 0.0
    """Half the quoted spread, in basis points of the price; part of the fill price."""
    slippage_bps: BasisPoints = 0.0
    """Slippage, in basis points of the price; part of the fill price."""
    borrow_percent: YearlyPercent = 0.0
    """Fee on the value of short positions, in percent a year."""
    interest_percent: OneRate = 0.0
    """Interest on negative cash, in percent a year."""


class RewardConfig(Section):
    """Numbers of the rewards that have some."""

    gain_weight: Annotated[Float, Field(ge=0)] = 1.0
    """realized_profit: weight of realised gains."""
    loss_weight: Annotated[Float, Field(ge=0)] = 1.0
    """realized_profit: weight of realised losses."""
    idle_decay: Annotated[Float, Field(ge=0)] = 0.0
    """realized_profit: largest cost of a bar without a trade, as a share of equity."""
    trade_penalty: Annotated[Float, Field(ge=0)] = 0.0
    """realized_profit: cost of a bar with a trade, as a share of equity."""
    adaptation: Annotated[Float, Field(gt=0, le=1)] = 0.01
    """differential_sharpe, differential_sortino: weight of the newest bar in the moving averages."""


class EnvConfig(Section):
    """The rules of the account and of an episode."""

    action: Literal["continuous", "proportional", "discrete9", "target_weight", "positions", "orders"] = "continuous"
    """What an action means: docs/actions.md. proportional, discrete9 and positions trade one symbol; orders is for
    replays."""
    positions: tuple[Float, ...] = (0.0, 1.0)
    """positions: the exposures to choose from, in equities."""
    dead_band: Share | None = None
    """Smallest action that trades (default: 0.1 for continuous, 0.05 for proportional), or smallest change of weight
    (default: 0)."""
    trade_limit_percent: Annotated[Float, Field(gt=0)] = 10.0
    """continuous: action 1 trades this percent of equity."""
    allow_short: bool = False
    """May positions be negative."""
    max_trade_percent: Annotated[Float, Field(gt=0)] | None = None
    """Largest increase of a position by one order, in percent of equity (default: no limit)."""
    max_position_percent: Annotated[Float, Field(gt=0)] | None = None
    """Largest position of one symbol that an order may reach, in percent of equity (default: no limit)."""
    max_leverage: Annotated[Float, Field(gt=0)] = 1.0
    """Largest sum of absolute positions, as a multiple of equity, that a fill may reach."""
    lot_size: Fixed = 0.0
    """Units of one lot; 0: any fraction of a unit may be held. By symbol if need be."""
    min_notional: Fixed = 0.0
    """Smallest order, in money; a full close ignores it."""
    maintenance_margin_percent: Annotated[Float, Field(ge=0, lt=100)] = 25.0
    """Below this percent of the sum of absolute positions the equity is liquidated."""
    ruin_percent: Annotated[Float, Field(ge=0.01, lt=100)] = 1.0
    """Equity at or below this percent of the starting capital is ruin: positions are sold, the episode terminates."""
    delisting_recovery_percent: FixedPercent = 100.0
    """What a position in a delisted symbol pays, in percent of its last price."""
    costs: CostConfig = CostConfig()
    reward: Annotated[dict[str, float], PlainValidator(parse_weights)] = {"log_return": 1.0}
    """A reward, or several with weights (`log_return=0.9 calmar=0.1`): docs/accounting.md; or your own
    `package.module:function`."""
    reward_params: RewardConfig = RewardConfig()
    window: Count = 260
    """Bars of history before the first decision; also the window of the outside (Gymnasium-style) observation."""
    initial_cash: Capital = 10_000.0
    """Starting capital, in the currency of the prices; the backtest reports money in it. May be a range."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.action in ("discrete9", "proportional") and self.allow_short:
            raise ValueError(f"action {self.action} is long only; choose another or leave allow_short off")
        if self.action == "positions":
            check_exposures(self)
        if self.max_leverage * self.maintenance_margin_percent >= 100:
            margin = f"maintenance_margin_percent {self.maintenance_margin_percent:g}"
            raise ValueError(
                f"max_leverage {self.max_leverage:g} with {margin} liquidates an account at full leverage; lower one"
            )
        return self

    @property
    def choices(self) -> int | None:
        """Number of discrete actions; None for continuous ones."""
        return {"discrete9": 9, "positions": len(self.positions)}.get(self.action)

    @property
    def one_symbol(self) -> bool:
        """True if the action trades one symbol only."""
        return self.action in ("proportional", "discrete9", "positions")


def check_exposures(env: EnvConfig) -> None:
    """Raise ValueError for exposures that the account cannot take."""
    if len(env.positions) < 2 or len(set(env.positions)) < len(env.positions):
        raise ValueError("positions must hold two different exposures at least")
    if min(env.positions) < 0 and not env.allow_short:
        raise ValueError(f"positions holds {min(env.positions)}, which needs allow_short")
    largest = max(abs(exposure) for exposure in env.positions)
    if largest > env.max_leverage:
        raise ValueError(f"positions holds an exposure of {largest}, beyond max_leverage {env.max_leverage}")
