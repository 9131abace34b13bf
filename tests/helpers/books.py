"""Backtests with books in which everything occurs that a ledger has to book, and what a plain loop makes of them."""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from eval_bridge.backtester import Backtest, replay_actor, run_backtest
from eval_bridge.books.ledger import LotMethod
from jaxtrade.config import EnvConfig, MarketConfig
from jaxtrade.market.bars import Bars
from jaxtrade.market.scales import Scaler
from jaxtrade.market.splits import Range
from jaxtrade.market.table import MarketTable, drop_impossible, make_outcome, marks
from jaxtrade.rules import Known
from tests.helpers.parity_cases import (
    CASES,
    COSTS,
    FINANCE,
    IMPACT,
    SHORT,
    SMALLEST,
    Case,
    actions_of,
    make_table,
    table_of,
)

METHODS: tuple[LotMethod, ...] = ("fifo", "lifo", "average")


@cache
def played(name: str, lots: LotMethod = "fifo", decisions: int = 300) -> Backtest:
    """Return the backtest of a parity case by its random actions."""
    table, case = table_of(name), CASES[name]
    first = table.ranges["all"].first
    span = Range(first, first + decisions)
    return run_backtest(table, span, case.config, replay_actor(actions_of(case, 1)[0], first), lots=lots)


def profit_gap(result: Backtest, trades: pd.DataFrame) -> float:
    """Return the profits of all trades, less what was paid beside them, less the change of equity; in money."""
    records = result.records
    beside = records.income + records.shortfall - records.borrow - records.interest
    change = result.equity[-1] - result.capital
    return float(trades["profit"].sum() + np.sum(beside) * result.capital - change)


class Closed(NamedTuple):
    """A lot closed, as a plain loop has it."""

    symbol: int
    quantity: float
    entry_bar: int
    exit_bar: int
    profit: float  # before fees


def plain_lots(result: Backtest, method: str) -> list[Closed]:
    """Match the fills of a backtest lot by lot, from lists alone; `method` is fifo or lifo."""
    lots: dict[int, list[list[float]]] = {}
    closed = []
    for order in result.ledger.orders:
        n = result.table.symbols.index(order.symbol)
        mine, left = lots.setdefault(n, []), order.quantity
        while abs(left) > 1e-9 * abs(order.quantity) and mine and mine[0][0] * left < 0:
            lot = mine[0] if method == "fifo" else mine[-1]
            part = np.sign(lot[0]) * min(abs(lot[0]), abs(left))
            closed.append(Closed(n, part, int(lot[2]), order.bar, part * (order.price - lot[1])))
            lot[0], left = lot[0] - part, left + part
            if abs(lot[0]) <= 1e-9 * abs(part):
                mine.remove(lot)
        if abs(left) > 1e-9 * abs(order.quantity):
            mine.append([left, order.price, order.bar])
    return closed


def market(rows: Any, fill: str = "next_open") -> MarketTable:
    """Return daily bars [T, 4] or [T, N, 4] of open, high, low, close through the real clock, without features."""
    values = np.array(rows, float)
    values = values[:, None] if values.ndim == 2 else values
    time = np.datetime64("2024-01-01", "s") + np.arange(len(values)) * np.timedelta64(1, "D")
    symbols = tuple("ABCDEFGH"[: values.shape[1]])
    bars = drop_impossible(Bars(time, symbols, *(values[..., n] for n in range(4)), np.full(values.shape[:2], np.nan)))
    mark, nothing = marks(bars), np.zeros(0)
    return MarketTable(
        bars=bars,
        window=1,
        time=time,
        symbols=symbols,
        feature_names=(),
        features=np.zeros((*mark.shape, 0), np.float32),
        known=Known(tradable=np.isfinite(bars.close), close=mark),
        outcome=make_outcome(bars, mark, fill),
        mark=mark,
        ranges={"all": Range(0, len(time) - 1)},
        scaler=Scaler("zscore", nothing, nothing, np.zeros((0, 0)), 1.0),
        config=MarketConfig.model_validate({"fill": fill}),
        data_hash="",
        stale_opens=0.0,
    )


def flat(*prices: float) -> list[list[float]]:
    """Return bars [T, 4] whose four prices are one."""
    return [[price] * 4 for price in prices]


def ordered(table: MarketTable, units: Any, lots: LotMethod = "fifo", **rules: Any) -> Backtest:
    """Return the backtest of orders in units (lots where there is a lot size), [K] or [K, N]; no costs by default."""
    costs = {"buy_percent": 0.0, "sell_percent": 0.0} | rules.pop("costs", {})
    config = EnvConfig.model_validate({"action": "orders", "window": 1, "costs": costs} | rules)
    actions = np.array(units, float).reshape(-1, len(table.symbols))
    span = table.ranges["all"]
    return run_backtest(table, Range(0, min(len(actions), span.last)), config, replay_actor(actions, 0), lots=lots)


EVERYTHING = Case(
    SHORT
    | {"trade_limit_percent": 40.0, "costs": COSTS | IMPACT | SMALLEST | FINANCE, "delisting_recovery_percent": 40.0},
    symbols=5,
    missing=0.05,
    delisted=True,
    income=True,
)


@cache
def everything() -> tuple[MarketTable, EnvConfig]:
    """Return a market with holes, dividends and a delisting, and rules with every cost."""
    return make_table(EVERYTHING), EVERYTHING.config


def eventful(lots: LotMethod = "fifo") -> list[Backtest]:
    """Return backtests that together hold every event: one through `everything`, two that end in a liquidation."""
    table, config = everything()
    first = table.ranges["all"].first
    long = run_backtest(
        table, Range(first, first + 560), config, replay_actor(actions_of(EVERYTHING, 1)[0], first), lots=lots
    )
    costs = {"buy_percent": 1.0, "half_spread_bps": 50.0, "slippage_bps": 30.0, "borrow_percent": 10.0}
    rules: dict[str, Any] = {"costs": costs, "allow_short": True, "max_leverage": 3.0, "initial_cash": 1000.0}
    at_open = ordered(market(flat(10, 10, 17, 17)), [-200, 0, 0], lots, **rules)
    at_mark = ordered(market([[10] * 4, [10] * 4, [10, 17, 10, 17], [17] * 4]), [-200, 0, 0], lots, **rules)
    return [long, at_open, at_mark]
