"""What goes into and comes out of the Decimal ledger; see `decimal_ledger.py`."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import ROUND_FLOOR, Decimal
from typing import NamedTuple

ZERO = Decimal(0)
ONE = Decimal(1)
DUST = Decimal("1e-6")
INFINITE = float("inf")

Rate = float | tuple[float, ...]


@dataclass(frozen=True)
class LedgerParams:
    """The rules of one account; numbers are taken at their exact binary value, money is money, not capital."""

    buy_rate: Rate = 0.0
    sell_rate: Rate = 0.0
    min_commission: Rate = 0.0
    duty_buy: Rate = 0.0
    duty_sell: Rate = 0.0
    half_spread: Rate = 0.0
    slippage: Rate = 0.0
    borrow_rate: Rate = 0.0
    interest_rate: float = 0.0
    lot_size: Rate = 0.0
    min_notional: Rate = 0.0
    max_trade: float = INFINITE
    max_position: float = INFINITE
    max_leverage: float = 1.0
    maintenance_margin: float = 0.0
    ruin_floor: float = 0.0
    dead_band: float = 0.0
    trade_limit: float = 1.0
    recovery: Rate = 1.0
    capital: float = 1.0
    allow_short: bool = False
    action_kind: str = "continuous"
    exposures: tuple[float, ...] = ()


class Rules:
    """The same rules as Decimals: lists by symbol where they may differ by symbol, money divided by the capital."""

    def __init__(self, params: LedgerParams, symbols: int) -> None:
        def listed(rate: Rate) -> list[Decimal]:
            values = rate if isinstance(rate, tuple) else (rate,) * symbols
            if len(values) != symbols:
                raise ValueError(f"{len(values)} values for {symbols} symbols")
            return [Decimal(value) for value in values]

        self.params = params
        self.capital = Decimal(params.capital)
        self.buy_rate = listed(params.buy_rate)
        self.sell_rate = listed(params.sell_rate)
        self.duty_buy = listed(params.duty_buy)
        self.duty_sell = listed(params.duty_sell)
        self.half_spread = listed(params.half_spread)
        self.slippage = listed(params.slippage)
        self.borrow_rate = listed(params.borrow_rate)
        self.lot_size = listed(params.lot_size)
        self.min_commission = [money / self.capital for money in listed(params.min_commission)]
        self.min_notional = [money / self.capital for money in listed(params.min_notional)]
        self.interest_rate = Decimal(params.interest_rate)
        self.max_trade = Decimal(params.max_trade)
        self.max_position = Decimal(params.max_position)
        self.max_leverage = Decimal(params.max_leverage)
        self.maintenance_margin = Decimal(params.maintenance_margin)
        self.ruin_floor = Decimal(params.ruin_floor)
        self.trade_limit = Decimal(params.trade_limit)
        self.recovery = listed(params.recovery)

    def lot_value(self, symbol: int, price: float) -> Decimal:
        """What one lot is worth at a price, or one unit of a symbol without lots."""
        return (self.lot_size[symbol] or ONE) * Decimal(price) / self.capital


@dataclass(frozen=True)
class LedgerBar:
    """What is known at the close of a bar, and its outcome; by symbol, but for the years."""

    tradable: Sequence[bool]
    close: Sequence[float]
    gap: Sequence[float]
    move: Sequence[float]
    can_fill: Sequence[bool]
    years: float
    fill_price: Sequence[float]
    mark: Sequence[float]
    income: Sequence[float]
    exit: Sequence[bool]


class Margin(NamedTuple):
    """How far one yes-or-no decision was from its boundary, relative to the numbers compared."""

    decision: str
    distance: float


@dataclass
class LedgerRecord:
    """What one bar did to the account; traded values are signed (buys are positive), costs are sums over symbols.

    `fill_value` is the value traded at the open before spread and slippage, liquidation at the open included, and
    `filled_lots` the lots of it; `mark_value` is what was liquidated at the mark, `exit_value` what a delisting closed,
    at its value before recovery. `closing_fees` are duty and commission of reducing fills and of liquidations.
    """

    equity_before: Decimal
    fill_value: list[Decimal]
    mark_value: list[Decimal]
    exit_value: list[Decimal]
    filled_lots: list[Decimal]
    blocked: list[bool]
    rejected: list[bool]
    equity: Decimal = ZERO
    pnl: Decimal = ZERO
    commission: Decimal = ZERO
    duty: Decimal = ZERO
    spread: Decimal = ZERO
    slippage: Decimal = ZERO
    borrow: Decimal = ZERO
    interest: Decimal = ZERO
    income: Decimal = ZERO
    exit_loss: Decimal = ZERO
    shortfall: Decimal = ZERO
    realized: Decimal = ZERO
    closing_fees: Decimal = ZERO
    turnover: Decimal = ZERO
    called: bool = False
    ruined: bool = False
    margins: list[Margin] = field(default_factory=list)
    events: Counter[str] = field(default_factory=Counter)  # what happened, by name, for the tests' coverage

    @classmethod
    def blank(cls, equity: Decimal, symbols: int) -> "LedgerRecord":
        """A record of a bar on which nothing has happened yet."""
        values = [[ZERO] * symbols for _ in range(4)]
        return cls(equity, *values, [False] * symbols, [False] * symbols)

    def compare(self, decision: str, left: Decimal, right: Decimal) -> int:
        """The sign of `left - right`, noting how close the two were."""
        scale = max(abs(left), abs(right))
        if scale and scale.is_finite():
            self.margins.append(Margin(decision, float(abs(left - right) / scale)))
        return (left > right) - (left < right)

    def whole(self, decision: str, count: Decimal) -> Decimal:
        """`floor*` of a number of lots that is not negative, noting how close it was to the next whole number."""
        raised = count + min(DUST * count, Decimal("0.25"))
        floor = raised.to_integral_value(ROUND_FLOOR)
        distance = min(raised - floor, floor + 1 - raised)
        self.margins.append(Margin(decision, float(distance / max(raised, ONE))))
        return floor


def size(values: Sequence[Decimal]) -> Decimal:
    """The sum of absolute values."""
    return sum(map(abs, values), ZERO)


def sign(value: Decimal) -> int:
    """-1, 0 or 1."""
    return (value > 0) - (value < 0)
