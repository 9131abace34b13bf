"""Every step of the books on real gold, FX, crypto and Dow prices, with every kind of action.

The files are not part of this repository: they are looked for in `$JAXTRADE_DATA_DIR`, and in the folder `shared/data`
beside the repository.
"""

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval_bridge.backtester import Backtest, Mismatch, replay_actor, run_backtest
from eval_bridge.books.booking import Books
from eval_bridge.books.ledger import Ledger
from eval_bridge.books.orders import orders_table
from eval_bridge.books.positions import equity_table, positions_table
from eval_bridge.books.trades import trades_table
from jaxtrade.config import EnvConfig, MarketConfig
from jaxtrade.market.loading import load_table
from jaxtrade.market.splits import Range
from jaxtrade.market.table import MarketTable
from tests.helpers.books import METHODS, profit_gap

FOLDERS = (os.environ.get("JAXTRADE_DATA_DIR"), Path(__file__).parents[2].parent / "shared" / "data")
MENDED = {"repair": ("sort", "drop-row", "clip", "rescale")}
PANELS: dict[str, tuple[str, tuple[str, ...], float]] = {  # file, symbols, units of a lot
    "gold": ("gold/XAUUSDm_15min.csv.gz", (), 0.1),
    "fx": ("fx/GBPUSDh1.csv.gz", (), 1000.0),
    "crypto": ("crypto/BTC_USD-Hourly.csv.gz", (), 0.01),
    "dow": ("panel/djia30", (), 1.0),
    "one of the dow": ("panel/djia30", ("AAPL",), 1.0),
}
COSTS = {
    "buy_percent": 0.02,
    "sell_percent": 0.03,
    "min_commission": 1.0,
    "stamp_duty_percent": 0.01,
    "half_spread_bps": 1.0,
    "slippage_bps": 0.5,
    "borrow_percent": 3.0,
    "interest_percent": 5.0,
}
SHORT = {"allow_short": True, "max_leverage": 3.0}
KINDS: dict[str, dict[str, Any]] = {
    "continuous": {},
    "continuous, short": SHORT | {"trade_limit_percent": 50.0},
    "proportional": {"action": "proportional"},
    "discrete9": {"action": "discrete9"},
    "discrete9, lots": {"action": "discrete9", "lots": True},
    "target_weight": {"action": "target_weight", "dead_band": 0.05},
    "target_weight, short, lots": SHORT | {"action": "target_weight", "dead_band": 0.1, "lots": True},
    "positions": SHORT | {"action": "positions", "positions": (-1.0, 0.0, 1.0, 2.5)},
    "orders": {"action": "orders"},
    "orders, short, lots": SHORT | {"action": "orders", "lots": True},
}
ALONE = ("proportional", "discrete9", "positions")
BY_DEFAULT = {("gold", "positions"), ("dow", "target_weight, short, lots"), ("dow", "continuous")}
CELLS = [
    pytest.param(panel, kind, marks=() if (panel, kind) in BY_DEFAULT else pytest.mark.nightly)
    for panel in PANELS
    for kind in KINDS
    if panel != "dow" or kind.split(",")[0] not in ALONE
]


@cache
def table_of(panel: str) -> MarketTable:
    name, symbols, _ = PANELS[panel]
    path = next((Path(folder) / name for folder in FOLDERS if folder and (Path(folder) / name).exists()), None)
    if path is None:
        pytest.skip("the real price files are not there")
    config = {"load": MENDED, "features": {"lagged_returns": (1,)}, "symbols": symbols}
    return load_table(str(path), MarketConfig.model_validate(config), 2)


def config_of(panel: str, kind: str) -> EnvConfig:
    rules = dict(KINDS[kind])
    lot = PANELS[panel][2] if rules.pop("lots", False) else 0.0
    return EnvConfig.model_validate({"window": 2, "initial_cash": 1e5, "costs": COSTS, "lot_size": lot} | rules)


def actions_of(config: EnvConfig, table: MarketTable, span: Range) -> np.ndarray:
    """Return random actions; orders are sized for a third of the capital, now and then all-in."""
    random, shape = np.random.default_rng(7), (span.decisions, len(table.symbols))
    if config.choices is not None:
        return np.where(random.random(shape[0]) < 0.3, random.integers(0, config.choices, shape[0]), 1)
    actions = random.normal(0.1, 0.7, shape)
    if config.action == "orders":
        lot = np.max(np.asarray(config.lot_size)) or 1.0
        with np.errstate(invalid="ignore"):
            actions = np.round(actions * 3e4 / shape[1] / (lot * table.mark[span.first : span.last]), 1)
        actions = np.where(random.random(shape) < 0.005, np.copysign(np.inf, actions), actions)
    return np.where(random.random(shape) < 0.5, 0.0, actions)


def walk(panel: str, kind: str, decisions: int | None) -> Iterator[Backtest]:
    """Trade the whole of a panel, or its first decisions; who is ruined starts again with the next method for lots."""
    table, config = table_of(panel), config_of(panel, kind)
    first, last = table.ranges["all"]
    last = last if decisions is None else first + decisions
    actions = actions_of(config, table, Range(first, last))
    begin, number = first, 0
    while begin < last:
        lots = METHODS[number % 3]
        yield (result := run_backtest(table, Range(begin, last), config, replay_actor(actions, first), lots=lots))
        begin, number = begin + len(result.history), number + 1


def check_every_mark(result: Backtest) -> None:
    """Cash and equity at every mark from the orders alone: what was bought, at which price, with which fee."""
    count, symbols, first = len(result.history), len(result.table.symbols), result.span.first
    bar, number, quantity, price, _, fees, _ = map(np.array, result.ledger.order_columns())
    step = bar.astype(np.intp) - first - 1  # of the mark after it, under fills at the next open
    held, paid = np.zeros((count, symbols)), np.zeros((count, symbols))
    np.add.at(held, (step, number.astype(np.intp)), quantity)
    np.add.at(paid, (step, number.astype(np.intp)), quantity * price + fees)
    record, capital = result.records, result.capital
    beside = record.income + record.shortfall - record.borrow - record.interest
    cash = capital + np.cumsum(beside * capital - paid.sum(axis=1))
    held = np.cumsum(held, axis=0)
    mark = np.nan_to_num(result.table.mark[first + 1 : first + 1 + count])
    scale = np.maximum(1.0, np.abs(result.equity[1:])) + np.cumsum(np.abs(paid).sum(axis=1)) * 1e-4
    assert np.max(np.abs(cash - result.accounts.cash * capital) / scale) < 1e-9
    assert np.max(np.abs(cash + np.sum(held * mark, axis=1) - result.equity[1:]) / scale) < 1e-9
    near = 1e-9 * np.maximum(1.0, np.max(np.abs(result.accounts.position), axis=0)) * capital
    assert np.all(np.abs(held * mark - result.accounts.position * capital) <= near)


def check_tables(result: Backtest) -> None:
    trades, orders = trades_table(result), orders_table(result)
    assert abs(profit_gap(result, trades)) < 1e-9 * (
        result.capital + (trades["quantity"] * trades["entry_price"]).sum()
    )
    assert orders["fees"].sum() == pytest.approx(np.sum(result.records.fees) * result.capital, rel=1e-9)
    last = positions_table(result)
    last = last[last["time"] == result.time[-1]]
    still = trades[trades["status"] == "open"].assign(
        signed=lambda each: np.where(each["side"] == "long", each["quantity"], -each["quantity"])
    )
    still = still.groupby("symbol")["signed"].sum()
    np.testing.assert_allclose(still.reindex(last["symbol"]), last["quantity"], rtol=1e-8)
    assert len(equity_table(result)) == len(result.time)


@pytest.mark.parametrize(("panel", "kind"), CELLS)
def test_the_books_balance_at_every_step(panel: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger is compared with the rules at every bar (counted here), then everything is added up afresh."""
    compared: list[Any] = []
    real = Ledger.reconcile

    def reconcile(self: Ledger, time: Any, *given: Any) -> None:
        compared.append(time)
        real(self, time, *given)

    monkeypatch.setattr(Ledger, "reconcile", reconcile)
    decisions = 500 if (panel, kind) in BY_DEFAULT else None
    for result in walk(panel, kind, decisions):
        assert compared == list(result.time[1:])
        compared.clear()
        check_every_mark(result)
        check_tables(result)


def test_a_cent_at_one_bar_of_gold_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    real, at = Books.book, table_of("gold").ranges["all"].first + 321

    def book(self: Books, bar: int, row: Any) -> None:
        self.ledger.cash += 0.01 * (bar == at)
        real(self, bar, row)

    monkeypatch.setattr(Books, "book", book)
    time = str(table_of("gold").time[at + 1])
    with pytest.raises(Mismatch, match=f"{time}: cash is"):
        list(walk("gold", "positions", 500))
