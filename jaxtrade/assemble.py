"""From configuration to rules: the same book and the same numbers for both engines."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jaxtrade.amounts import Amount, by_symbol, middle
from jaxtrade.config import EnvConfig
from jaxtrade.custom import load_reward
from jaxtrade.rules import RewardParams, RuleBook, RuleParams, make_rule_book

DEAD_BANDS = {"continuous": 0.1, "proportional": 0.05}
TOGETHER = {"duty_sell": "duty_buy"}  # drawn as one number
Pick = Callable[[Amount], float | dict[str, float]]


def rule_book(env: EnvConfig) -> RuleBook:
    """Return the static half of the rules.

    Raises:
        InputError: A reward is unknown or cannot be loaded.
    """
    return make_rule_book(
        env.action,
        tuple(load_reward(name) for name in env.reward),
        allow_short=env.allow_short,
        lots=any(size > 0 for size in by_symbol_values(env.lot_size)),
        exposures=env.positions,
    )


def by_symbol_values(amount: Amount) -> list[float]:
    """Return all numbers of a configured amount."""
    if isinstance(amount, dict):
        return list(amount.values())
    return list(amount) if isinstance(amount, tuple) else [amount]


def rule_params(env: EnvConfig, symbols: Sequence[str], pick: Pick = middle) -> RuleParams:
    """Return the rules' numbers as float64 arrays; percentages become fractions here and nowhere else.

    Args:
        env: The configuration.
        symbols: The symbols traded, for amounts that differ by symbol.
        pick: What to take of a range.

    Raises:
        InputError: An amount does not fit the symbols.
    """
    costs = env.costs

    def each(name: str, amount: Amount, unit: float = 1.0) -> Any:
        return np.array(by_symbol(name, pick(amount), symbols)) * unit

    def limit(percent: float | None) -> Any:
        return np.array([math.inf if percent is None else percent / 100])

    duty = each("costs.stamp_duty_percent", costs.stamp_duty_percent, 0.01)
    dead_band = DEAD_BANDS.get(env.action, 0.0) if env.dead_band is None else env.dead_band
    return RuleParams(
        buy_rate=each("costs.buy_percent", costs.buy_percent, 0.01),
        sell_rate=each("costs.sell_percent", costs.sell_percent, 0.01),
        min_commission=each("costs.min_commission", costs.min_commission),
        duty_buy=duty * (costs.stamp_duty_side != "sell"),
        duty_sell=duty * (costs.stamp_duty_side != "buy"),
        half_spread=each("costs.half_spread_bps", costs.half_spread_bps, 1e-4),
        slippage=each("costs.slippage_bps", costs.slippage_bps, 1e-4),
        borrow_rate=each("costs.borrow_percent", costs.borrow_percent, 0.01),
        interest_rate=np.array(pick(costs.interest_percent)) / 100,
        lot_size=each("lot_size", env.lot_size),
        min_notional=each("min_notional", env.min_notional),
        max_trade=limit(env.max_trade_percent),
        max_position=limit(env.max_position_percent),
        max_leverage=np.array(env.max_leverage),
        maintenance_margin=np.array(env.maintenance_margin_percent / 100),
        ruin_floor=np.array(env.ruin_percent / 100),
        dead_band=np.array([dead_band]),
        trade_limit=np.array([env.trade_limit_percent / 100]),
        recovery=each("delisting_recovery_percent", env.delisting_recovery_percent, 0.01),
        capital=np.array(pick(env.initial_cash)),
        reward=RewardParams(
            weights=np.array(list(env.reward.values())),
            **{name: np.array(value) for name, value in env.reward_params.model_dump().items()},
        ),
    )


def rule_ranges(env: EnvConfig, symbols: Sequence[str]) -> dict[str, tuple[Any, Any]]:
    """Return the lower and upper ends, float64 arrays, of the rules' numbers that are given as ranges."""

    def end(index: int) -> dict[str, Any]:
        params = rule_params(env, symbols, lambda amount: amount[index] if isinstance(amount, tuple) else amount)
        return {name: value for name, value in params._asdict().items() if name != "reward"}

    low, high = end(0), end(1)
    return {name: (low[name], high[name]) for name in low if np.any(low[name] != high[name])}


def capital(env: EnvConfig) -> float:
    """Return the starting capital in money; of a range, its middle."""
    return float(np.asarray(middle(env.initial_cash)))
