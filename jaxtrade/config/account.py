"""The rules of the account: actions, limits, costs and rewards."""

import math
from typing import Annotated, Literal, Self

from pydantic import Field, PlainValidator, model_validator

from jaxtrade.amounts import parse_weights
from jaxtrade.config.kinds import (
    BasisPoints,
    Capital,
    Count,
    Fixed,
    FixedPercent,
    Float,
    Money,
    OneRate,
    Percent,
    Section,
    Share,
    YearlyPercent,
)


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
    reward: Annotated[dict[str, float], PlainValidator(parse_weights)] = Field(default={"log_return": 1.0})
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
    def bounds(self) -> tuple[float, float]:
        """Least and largest action that the decoder does not clip, of continuous ones."""
        most = {"target_weight": self.max_leverage, "orders": math.inf}.get(self.action, 1.0)
        return (0.0 if self.action == "target_weight" and not self.allow_short else -most), most

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
