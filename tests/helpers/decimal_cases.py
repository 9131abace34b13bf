"""The cases in which the rule book meets the Decimal ledger, and what must occur in them, at least so often."""

from dataclasses import replace
from typing import Any
from zlib import crc32

from tests.helpers.decimal_market import Case
from tests.helpers.decimal_types import LedgerParams

CAPITAL = 10_000.0
COSTS = LedgerParams(
    buy_rate=0.001,
    sell_rate=0.002,
    duty_buy=0.0003,
    duty_sell=0.001,
    half_spread=0.0005,
    slippage=0.0004,
    borrow_rate=0.3,
    interest_rate=0.2,
    recovery=0.6,
    ruin_floor=0.05,
    dead_band=0.05,
    trade_limit=0.9,
    capital=CAPITAL,
)
DEAR = replace(COSTS, buy_rate=0.02, sell_rate=0.01, duty_sell=0.01, half_spread=0.004, min_commission=100.0)
FREE = LedgerParams(ruin_floor=0.05, trade_limit=0.7, capital=CAPITAL)
TRIPLE = {"allow_short": True, "max_leverage": 3.0, "maintenance_margin": 0.2}
BY_SYMBOL = {
    "buy_rate": (0.001, 0.0, 0.01),
    "sell_rate": (0.0, 0.003, 0.002),
    "min_commission": (5.0, 0.0, 40.0),
    "duty_buy": (0.0, 0.004, 0.0),
    "duty_sell": (0.001, 0.0, 0.0),
    "half_spread": (0.0, 0.0005, 0.002),
    "slippage": (0.0003, 0.0, 0.001),
    "borrow_rate": (0.1, 0.5, 0.0),
    "min_notional": (0.0, 300.0, 1000.0),
    "recovery": (0.0, 0.5, 1.0),
}


def _case(kind: str, symbols: int, params: LedgerParams, **changes: Any) -> Case:
    usual: dict[str, Any] = {"batch": (10,), "exit_rate": 0.01, "income_rate": 0.05, "crash_rate": 0.03}
    return Case(symbols, replace(params, action_kind=kind), seed=0, **usual | changes)


DRAWN = {
    "continuous, long": _case("continuous", 3, COSTS),
    "continuous, one account": _case("continuous", 3, COSTS, batch=(), steps=300),
    "continuous, many symbols": _case("continuous", 8, COSTS, steps=60),
    "continuous, by symbol, short": _case("continuous", 3, replace(COSTS, **BY_SYMBOL, **TRIPLE)),
    "continuous, triple, short": _case("continuous", 2, replace(COSTS, **TRIPLE), batch=(2, 6)),
    "continuous, free, short": _case("continuous", 2, replace(FREE, **TRIPLE)),
    "continuous, lots, limits": _case(
        "continuous", 3, replace(COSTS, **BY_SYMBOL, max_trade=0.4, max_position=0.6, lot_size=(0.0, 1.0, 30.0))
    ),
    "continuous, dear": _case("continuous", 2, replace(DEAR, allow_short=True, trade_limit=0.03, dead_band=0.0)),
    "proportional": _case("proportional", 1, replace(COSTS, ruin_floor=0.3), batch=(12,), crash_rate=0.06),
    "proportional, lots": _case("proportional", 1, replace(DEAR, lot_size=10.0, min_notional=400.0)),
    "discrete": _case("discrete9", 1, replace(COSTS, ruin_floor=0.3), crash_rate=0.06),
    "discrete, dear": _case("discrete9", 1, replace(DEAR, max_leverage=0.5)),
    "discrete, one account, lots": _case("discrete9", 1, replace(COSTS, lot_size=1.0), batch=(), steps=200),
    "weights, long": _case("target_weight", 3, COSTS),
    "weights, triple, short": _case("target_weight", 3, replace(COSTS, **BY_SYMBOL, **TRIPLE, dead_band=0.0)),
    "weights, lots": _case(
        "target_weight", 3, replace(COSTS, **TRIPLE, max_position=1.5, lot_size=1.0, min_commission=5.0)
    ),
    "weights, same close": _case(
        "target_weight", 2, replace(COSTS, allow_short=True, max_leverage=1.1), same_close=True
    ),
    "positions, short": _case(
        "positions", 1, replace(COSTS, **TRIPLE, exposures=(-1.0, -0.3, 0.0, 0.5, 1.0, 2.5)), exit_rate=0.03
    ),
    "positions, lots": _case(
        "positions", 1, replace(DEAR, lot_size=1.0, exposures=(0.0, 0.3, 1.0), dead_band=0.0), batch=(8,)
    ),
    "orders, long": _case("orders", 2, COSTS),
    "orders, triple, short": _case("orders", 2, replace(COSTS, **TRIPLE, lot_size=(0.0, 1.0))),
    "orders, lots, limits": _case(
        "orders",
        3,
        replace(COSTS, **BY_SYMBOL, **TRIPLE, max_trade=2.0, max_position=2.0, lot_size=(10.0, 1.0, 0.0)),
    ),
    "orders, big lots, limits": _case(
        "orders", 2, replace(COSTS, allow_short=True, max_position=0.7, lot_size=(100.0, 200.0)), crash_rate=0.06
    ),
    "orders, full, short": _case("orders", 2, replace(COSTS, allow_short=True, max_trade=1.0)),
    "orders, full, one symbol": _case("orders", 1, replace(COSTS, allow_short=True, max_position=1.0)),
    "orders, dear, same close": _case("orders", 2, replace(DEAR, lot_size=1.0), same_close=True),
}
CASES = {name: replace(case, seed=crc32(name.encode())) for name, case in DRAWN.items()}

# What must occur in all cases together, at least so often.
WANTED = {"fills": 8000, "blocked": 1000, "rejected": 3000, "idle": 3000, "closes": 1500, "flips": 1500, "short": 3000}
WANTED |= {"borrowed": 1000, "scaled down": 1500, "unaffordable": 500, "borrow fee": 2000, "interest": 1000}
WANTED |= {"ruined at open": 50, "ruined at mark": 40, "liquidated without an open": 8, "shortfalls": 50}
WANTED |= {"delisted long": 100, "delisted short": 40, "income": 500, "income paid by a short": 200}
WANTED |= {"minimum commission": 3000, "capped commission": 150, "short refused": 1000, "notional dropped": 200}
WANTED |= {"trade limit": 150, "position limit": 500, "all in": 150, "all-in cut": 80, "dust dropped": 40}
WANTED |= {"order cut to lots": 1500, "fill cut to lots": 1000, "reduced by lots": 700, "closed by lots": 12}
WANTED |= {"closed within dust": 5}
# What must occur with every kind of action, and with every kind that has a case with shorts.
IN_EACH = {"fills": 400, "blocked": 50, "rejected": 100, "scaled down": 20, "closes": 50, "delisted long": 5}
IN_EACH |= {"income": 10, "ruined": 3, "minimum commission": 50, "order cut to lots": 50}
IN_SHORT = {
    "flips": 100,
    "interest": 100,
    "delisted short": 4,
    "income paid by a short": 5,
    "borrow fee": 100,
    "ruined at open": 2,
}
