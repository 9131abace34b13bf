"""Configurations, markets and actions in which everything that the rules know occurs, for free-running episodes."""

from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from jaxtrade.config import EnvConfig, MarketConfig
from jaxtrade.envs.synthetic import random_bars
from jaxtrade.market.table import MarketTable, build_table
from tests.helpers.worlds import holed

WINDOW, STEPS, BARS = 30, 1000, 1700

COSTS = {"buy_percent": 0.1, "sell_percent": 0.15}
IMPACT = {"half_spread_bps": 2.0, "slippage_bps": 1.0, "stamp_duty_percent": 0.05}
FINANCE = {"borrow_percent": 5.0, "interest_percent": 8.0}
SMALLEST = {"min_commission": 0.2}
SHORT = {"allow_short": True, "max_leverage": 3.0}


NIGHTLY = ("continuous", "target_weight, short", "orders")  # the other cases hold all that these do, apart


class Case(NamedTuple):
    """A configuration and a market."""

    rules: dict[str, Any]
    symbols: int = 1
    missing: float = 0.0
    volatility: float = 0.01
    delisted: bool = False
    income: bool = False

    @property
    def config(self) -> EnvConfig:
        return EnvConfig(window=WINDOW, **{"costs": COSTS} | self.rules)


TWO_REWARDS = {"simple_momentum": 0.2, "differential_sharpe": 1.0}
EVERY_REWARD = {
    "log_return": 0.5, "fast_profit": 0.1, "simple_momentum": -0.2, "profit": 1.0, "realized_profit": 2.0,
    "calmar": 0.1, "differential_sharpe": 0.05, "differential_sortino": 0.05,
}  # fmt: skip
CASES = {
    "continuous": Case({}),
    "continuous, all costs": Case(
        {"costs": COSTS | IMPACT | SMALLEST, "reward": "realized_profit", "max_trade_percent": 6.0,
         "reward_params": {"loss_weight": 2.0, "idle_decay": 0.01, "trade_penalty": 1e-3}}, 5, 0.05),
    "continuous, short, financed, delisted": Case(
        SHORT | {"trade_limit_percent": 40.0, "costs": COSTS | FINANCE, "delisting_recovery_percent": 40.0,
                 "reward": TWO_REWARDS}, 5, 0.05, delisted=True, income=True),
    "continuous, until ruin": Case(
        SHORT | {"trade_limit_percent": 40.0, "reward": TWO_REWARDS}, 5, 0.05, 0.04, delisted=True, income=True),
    "proportional": Case({"action": "proportional", "costs": COSTS | IMPACT, "reward": "fast_profit"}, 1, 0.05),
    "discrete9, lots": Case(
        {"action": "discrete9", "lot_size": 1.0, "costs": COSTS | SMALLEST, "reward": "profit"}, 1, 0.05),
    "target_weight, lots": Case(
        {"action": "target_weight", "dead_band": 0.05, "max_position_percent": 40.0, "min_notional": 300.0,
         "lot_size": {"S0": 1.0, "S1": 10.0, "S2": 0.01, "default": 0.0}, "reward": "differential_sortino"}, 4, 0.05),
    "target_weight, short": Case(
        SHORT | {"action": "target_weight", "costs": COSTS | FINANCE, "reward": "calmar"}, 4, delisted=True),
    "positions": Case(
        SHORT | {"action": "positions", "positions": (-1.0, -0.5, 0.0, 1.0, 2.0), "costs": COSTS | IMPACT | FINANCE,
                 "reward": EVERY_REWARD}, 1, 0.05, income=True),
    "orders": Case({"action": "orders", "reward": "log_return"}, 3, 0.05),
    "orders, short, lots": Case(
        SHORT | {"action": "orders", "lot_size": 1.0, "costs": COSTS | SMALLEST | FINANCE,
                 "reward": {"log_return": 0.9, "calmar": 0.1}}, 3, 0.05, delisted=True, income=True),
}  # fmt: skip


def make_table(case: Case, seed: int = 0) -> MarketTable:
    """Return random bars with holes, the last symbol leaving half-way, and dividends now and then."""
    bars = random_bars(BARS, case.symbols, seed, case.volatility)
    bars = holed(bars, case.missing, seed) if case.missing else bars
    if case.delisted:
        last = np.arange(BARS)[:, None] > np.where(np.arange(case.symbols) == case.symbols - 1, 700, BARS)
        bars = bars._replace(open=np.where(last, np.nan, bars.open), close=np.where(last, np.nan, bars.close))
    table = build_table(bars, MarketConfig(), WINDOW)
    if not case.income:
        return table
    paid = np.random.default_rng(seed).random(table.mark.shape) < 0.02
    return replace(table, outcome=table.outcome._replace(income=np.where(paid, 0.01, 0.0)))


@lru_cache
def table_of(name: str) -> MarketTable:
    return make_table(CASES[name])


def actions_of(case: Case, accounts: int, seed: int = 0) -> np.ndarray:
    """Return actions [accounts, steps, ...]: beyond the bounds, in the dead band, all-in, and some that are none."""
    random, shape = np.random.default_rng(seed), (accounts, STEPS, case.symbols)
    if case.config.choices is not None:
        return random.integers(0, case.config.choices, shape[:2]).astype(np.int32)
    actions = random.normal(0.0, 0.6, shape)
    if case.config.action == "target_weight":
        actions = np.repeat(actions[:, ::10], 10, axis=1)
    if case.config.action == "orders":
        actions = np.where(random.random(shape) < 0.02, np.inf * np.sign(actions), np.round(8 * actions, 1))
    actions[:, ::97] = np.nan
    return np.where(random.random(shape) < 0.02, 0.0, actions).astype(np.float32)
