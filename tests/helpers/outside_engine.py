"""Lists of whole-lot orders, and their way through backtrader, an engine that others wrote (GPLv3+: for tests only).

backtrader keeps its own books in money, with sizes and prices, in an event loop of its own; nothing here computes a
fill, a position or an equity. Orders go in by `Strategy.buy`/`sell` at the close of a bar, and the curve is what its
broker says at every close.
"""

import importlib.util
import warnings
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

from jaxtrade.market.bars import Bars

CAPITAL = 100_000.0


@dataclass(frozen=True)
class Costs:
    """What trading costs, as plain fractions; borrow is a rate per year of 365 days."""

    buy: float = 0.0
    sell: float = 0.0
    slippage: float = 0.0
    borrow: float = 0.0


class Run(NamedTuple):
    """What backtrader says."""

    equity: np.ndarray  # [T] at every close
    cash: np.ndarray  # [T]
    held: np.ndarray  # [T, N] units at every close
    commission: float  # in money, all together
    fills: int  # completed orders
    refused: int  # orders cut or refused for want of cash


def outside_library() -> ModuleType:
    """Return backtrader; skip where it is not installed."""
    if importlib.util.find_spec("backtrader") is None:
        pytest.skip("the outside engine backtrader is not installed: pip install -e .[bench]")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own, of 2023
        return importlib.import_module("backtrader")


def random_orders(bars: Bars, seed: int, *, allow_short: bool, share: float = 0.5) -> np.ndarray:
    """Return whole-lot orders [T - 1, N], decided at the closes, that keep a symbol's position near its bounds or less.

    The bound is `share` of the capital over all symbols together, so that no engine finds too little cash. Most bars
    order nothing; the others open, add, reduce, close or turn the position around.
    """
    random = np.random.default_rng(seed)
    bound = share * CAPITAL / len(bars.symbols)
    orders = np.zeros((len(bars.time) - 1, len(bars.symbols)))
    held = np.zeros(len(bars.symbols))
    for bar, close in enumerate(bars.close[:-1]):
        target = random.uniform(-bound if allow_short else 0.0, bound, len(held)) // close
        target = np.where(random.random(len(held)) < 0.25, 0.0, target)
        orders[bar] = np.where(random.random(len(held)) < 0.3, target - held, 0.0)
        held = held + orders[bar]
    return orders


def run_backtrader(library: Any, bars: Bars, orders: np.ndarray, costs: Costs) -> Run:
    """Send `orders[t]` at the close of bar `t` as market orders; backtrader fills them at the open of `t + 1`."""
    cerebro = library.Cerebro(stdstats=False)
    cerebro.broker.setcash(CAPITAL)
    cerebro.broker.set_slippage_perc(costs.slippage, slip_open=True, slip_match=True, slip_out=True)
    cerebro.broker.set_int2pnl(False)  # or it reports borrow fees among the commissions
    cerebro.broker.addcommissioninfo(_scheme(library, costs))
    for n, symbol in enumerate(bars.symbols):
        columns = {name: getattr(bars, name)[:, n] for name in ("open", "high", "low", "close", "volume")}
        frame = pd.DataFrame(columns, index=pd.DatetimeIndex(bars.time))
        cerebro.adddata(library.feeds.PandasData(dataname=frame), name=symbol)
    cerebro.addstrategy(_replay(library), orders=orders)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (played,) = cerebro.run()
    return Run(
        np.array(played.equity), np.array(played.cash), np.array(played.held),
        played.commission, played.fills, played.refused,
    )  # fmt: skip


def _scheme(library: Any, costs: Costs) -> Any:
    """Return the commissions: a percentage of the value at the open, and borrow fees on the value at the open."""

    class Scheme(library.CommInfoBase):
        params = (("stocklike", True), ("commtype", library.CommInfoBase.COMM_PERC))

        def _getcommission(self, size: float, price: float, pseudoexec: bool) -> float:  # `price` has slipped
            rate = costs.buy / (1 + costs.slippage) if size > 0 else costs.sell / (1 - costs.slippage)
            return abs(size) * rate * price

        def _get_credit_interest(self, data, size, price, days, dt0, dt1):  # `price` is what was paid
            return days * costs.borrow / 365 * abs(size) * data.open[0]

    return Scheme()


def _replay(library: Any) -> type:
    """Return the strategy that sends a list of orders and writes down what the broker says."""

    class Replay(library.Strategy):
        params = (("orders", None),)

        def __init__(self) -> None:
            self.equity, self.cash, self.held = [], [], []
            self.commission, self.fills, self.refused = 0.0, 0, 0

        def notify_order(self, order: Any) -> None:
            if order.status == order.Completed:
                self.fills, self.commission = self.fills + 1, self.commission + order.executed.comm
            self.refused += order.status in (order.Margin, order.Rejected, order.Partial)

        def next(self) -> None:
            self.equity.append(self.broker.getvalue())
            self.cash.append(self.broker.getcash())
            self.held.append([self.getposition(data).size for data in self.datas])
            bar = len(self) - 1
            for data, lots in zip(self.datas, self.p.orders[bar] if bar < len(self.p.orders) else (), strict=False):
                if lots:
                    (self.buy if lots > 0 else self.sell)(data=data, size=abs(lots))

    return Replay
