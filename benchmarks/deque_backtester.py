"""The peer of the backtester: the stateful environment of older systems, with the same rules for long-only accounts.

As their guides describe it: a pandas DataFrame of bars is walked row by row with `.iloc`, past rows wait in a deque
from which the window of each observation is made, the state is a dictionary, open lots stand in deques, and orders,
trades and equity are lists. docs/accounting.md for actions of kind `continuous`, percentage commissions, no lots.
"""

from collections import deque
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from jaxtrade.assemble import DEAD_BANDS
from jaxtrade.config import EnvConfig
from jaxtrade.market.splits import Range
from jaxtrade.market.table import MarketTable

DUST = 1e-6


def frame_of(table: MarketTable) -> pd.DataFrame:
    """Return the bars, one row per time; columns are open, close and the features of each symbol."""
    opens = np.vstack([table.mark[:1], table.fill_price[:-1]])  # a row of fill prices holds the opens of the next bar
    columns = {f"{symbol}_open": opens[:, n] for n, symbol in enumerate(table.symbols)}
    columns |= {f"{symbol}_close": table.mark[:, n] for n, symbol in enumerate(table.symbols)}
    for n, symbol in enumerate(table.symbols):
        columns |= {f"{symbol}_{name}": table.features[:, n, f] for f, name in enumerate(table.feature_names)}
    return pd.DataFrame(columns, index=pd.DatetimeIndex(table.time))


class DequeBacktester:
    """One account that trades by continuous actions, long only."""

    def __init__(
        self, table: MarketTable, span: Range, config: EnvConfig, window: int = 260, *, as_arrays: bool = False
    ) -> None:
        """Take a market and the rules.

        Args:
            table: The market.
            span: Decisions to take.
            config: The rules.
            window: Bars of an observation.
            as_arrays: Put the rows into the deque as arrays; pandas' own, as they come, is the design of old.
        """
        self.frame, self.symbols, self.span = frame_of(table), table.symbols, span
        self.buy, self.sell = config.costs.buy_percent / 100, config.costs.sell_percent / 100
        self.size = config.trade_limit_percent / 100
        self.dead_band = DEAD_BANDS["continuous"] if config.dead_band is None else config.dead_band
        self.window, self.capital, self.as_arrays = window, float(config.initial_cash), as_arrays

    def run(self, actions: npt.NDArray[np.floating]) -> list[float]:
        """Take one action per decision, [K, N]; return the equity at the marks, [K + 1]."""
        self.rows: deque[Any] = deque(maxlen=self.window)
        for bar in range(self.span.first - self.window + 1, self.span.first):
            self.rows.append(self._features(self.frame.iloc[bar]))
        self.state: dict[str, Any] = {"cash": self.capital, "lots": {symbol: deque() for symbol in self.symbols}}
        self.state["quantity"] = dict.fromkeys(self.symbols, 0.0)
        self.orders: list[dict[str, Any]] = []
        self.trades: list[dict[str, Any]] = []
        self.equity, self.rewards = [self.capital], deque[float]()
        row = self.frame.iloc[self.span.first]
        for step, action in enumerate(actions):
            self.observation = self._observe(row)
            orders = self._orders(row, action)
            bar = self.span.first + step + 1
            row = self.frame.iloc[bar]
            self._fill(row, orders, bar)
            self.equity.append(self._worth(row, "close"))
            self.rewards.append(float(np.log(self.equity[-1] / self.equity[-2])))
        return self.equity

    def _features(self, row: Any) -> Any:
        features = row.iloc[2 * len(self.symbols) :]
        return features.to_numpy() if self.as_arrays else features

    def _worth(self, row: Any, price: str) -> float:
        held = self.state["quantity"]
        return float(self.state["cash"] + sum(held[symbol] * row[f"{symbol}_{price}"] for symbol in self.symbols))

    def _observe(self, row: Any) -> dict[str, Any]:
        """Return the window of rows and the account's figures, as a policy would see them."""
        self.rows.append(self._features(row))
        equity = self.equity[-1]
        weights = [self.state["quantity"][symbol] * row[f"{symbol}_close"] / equity for symbol in self.symbols]
        account = np.array([self.state["cash"] / equity, *weights])
        return {"window": np.array(self.rows), "account": account}

    def _orders(self, row: Any, action: npt.NDArray[np.floating]) -> dict[str, float]:
        """Return the quantities ordered, sized at the close; minus infinity sells all."""
        equity, orders = self.equity[-1], {}
        sizes = np.clip(np.asarray(action, np.float32), -1, 1).tolist()
        band = float(np.float32(self.dead_band))
        for symbol, size in zip(self.symbols, sizes, strict=True):
            if abs(size) > band:
                price, held = row[f"{symbol}_close"], self.state["quantity"][symbol]
                value = size * self.size * equity
                if value < 0 and -value >= held * price - DUST * equity:
                    orders[symbol] = -np.inf
                elif abs(value) > DUST * equity:
                    orders[symbol] = value / price
        return orders

    def _fill(self, row: Any, orders: dict[str, float], bar: int) -> None:
        """Sell first, then buy with what there is, all by one common share."""
        held, dust = self.state["quantity"], DUST * self._worth(row, "open")
        for symbol, quantity in orders.items():
            if quantity < 0 and held[symbol] > 0:
                self._trade(symbol, max(quantity, -held[symbol]), row[f"{symbol}_open"], bar)
        buys = {symbol: quantity * row[f"{symbol}_open"] for symbol, quantity in orders.items() if quantity > 0}
        if not buys:
            return
        equity = self._worth(row, "open")
        invested = equity - self.state["cash"]
        share = min(max((equity - invested) / (sum(buys.values()) * (1 + self.buy)), 0.0), 1.0)
        for symbol, value in buys.items():
            if share * value > dust:
                price = row[f"{symbol}_open"]
                self._trade(symbol, share * value / price, price, bar)

    def _trade(self, symbol: str, quantity: float, price: float, bar: int) -> None:
        """Book a trade: cash, quantity, FIFO lots, and the lists of orders and trades."""
        fee = abs(quantity) * price * (self.buy if quantity > 0 else self.sell)
        self.state["cash"] -= quantity * price + fee
        self.orders.append({"bar": bar, "symbol": symbol, "quantity": quantity, "price": price, "fee": fee})
        lots, held = self.state["lots"][symbol], self.state["quantity"]
        if quantity > 0:
            lots.append({"quantity": quantity, "price": price, "bar": bar})
            held[symbol] += quantity
            return
        held[symbol] = 0.0 if quantity == -held[symbol] else held[symbol] + quantity
        left = -quantity
        while lots and left > 0:
            part = min(left, lots[0]["quantity"])
            profit = part * (price - lots[0]["price"])
            self.trades.append(
                {"symbol": symbol, "quantity": part, "entry": lots[0]["bar"], "exit": bar, "pnl": profit}
            )
            left -= part
            lots[0]["quantity"] -= part
            if lots[0]["quantity"] <= 1e-12 * part or held[symbol] == 0:
                lots.popleft()
