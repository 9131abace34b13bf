"""The peer: docs/accounting.md as a batched NumPy environment, in its own code; nothing of `jaxtrade.rules` is called.

Written as one would to be fast: float64 arrays of all accounts with the accounts last (`[S, E]`, so that sums over
symbols are vector additions), commissions from two sums, and the rare cases (ruin, reset) on their indices alone. It
keeps no episode statistics and counts no rejected orders, which the compiled environment does.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from jaxtrade.assemble import DEAD_BANDS
from jaxtrade.config import EnvConfig
from jaxtrade.market.splits import Range
from jaxtrade.market.table import MarketTable

Array = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
DUST = 1e-6


class Market(NamedTuple):
    """What the environment needs of a market table. `T` bars, `S` symbols, `F` features."""

    features: npt.NDArray[np.float32]  # [T, S * F]
    gap: Array  # [S, T]
    move: Array  # [S, T]
    tradable: Bools  # [S, T]
    can_fill: Bools  # [S, T]
    first: int  # first decision
    last: int  # the bar at which an episode is truncated


class Rules(NamedTuple):
    """The numbers of the rules, as fractions."""

    buy_rate: float
    sell_rate: float
    max_leverage: float
    maintenance_margin: float
    ruin_floor: float
    dead_band: float
    trade_limit: float
    allow_short: bool

    def commission(self, total: Array, net: Array) -> Array:
        """Return the fees of trades whose absolute values sum to `total` and whose signed values sum to `net`."""
        return (self.buy_rate + self.sell_rate) / 2 * total + (self.buy_rate - self.sell_rate) / 2 * net


class StepResult(NamedTuple):
    """What a step returns; accounts whose episode ended have been reset, and are observed after the reset."""

    observation: npt.NDArray[np.floating]  # [E, S * F + 4 * S + 3]
    reward: Array  # [E]
    terminated: Bools  # [E]
    truncated: Bools  # [E]


def market_of(table: MarketTable, span: Range) -> Market:
    """Lay a table out for the environment."""
    outcome = table.outcome
    by_symbol = (np.ascontiguousarray(leaf.T) for leaf in (outcome.gap, outcome.move))
    flags = (np.ascontiguousarray(leaf.T) for leaf in (table.known.tradable, outcome.can_fill))
    return Market(table.features.reshape(len(table.features), -1), *by_symbol, *flags, span.first, span.last)


def rules_of(config: EnvConfig) -> Rules:
    """Return the numbers of a configuration."""
    return Rules(
        buy_rate=config.costs.buy_percent / 100,
        sell_rate=config.costs.sell_percent / 100,
        max_leverage=config.max_leverage,
        maintenance_margin=config.maintenance_margin_percent / 100,
        ruin_floor=config.ruin_percent / 100,
        dead_band=DEAD_BANDS["continuous"] if config.dead_band is None else config.dead_band,
        trade_limit=config.trade_limit_percent / 100,
        allow_short=config.allow_short,
    )


class NumpyEnv:
    """`E` accounts that trade `S` symbols by continuous actions, each on a bar of its own; resets by itself."""

    def __init__(self, market: Market, rules: Rules, accounts: int, seed: int = 0, dtype: type = np.float32) -> None:
        self.market, self.rules, self.accounts, self.dtype = market, rules, accounts, dtype
        self.symbols = len(market.gap)
        self.rng = np.random.default_rng(seed)

    def reset(self) -> npt.NDArray[np.floating]:
        """Open all accounts on random bars and observe them."""
        count, symbols = self.accounts, self.symbols
        self.t = self._draw_bars(count)
        self.cash, self.peak = np.ones(count), np.ones(count)
        self.position, self.basis, self.idle = (np.zeros((symbols, count)) for _ in range(3))
        return self.observe()

    def step(self, action: npt.NDArray[np.floating]) -> StepResult:
        """Carry every account from the close of its bar to the next. `action` is [E, S]."""
        market, t = self.market, self.t
        before = self.cash + self.position.sum(axis=0)
        order, close = self._orders(action.T, before, market.tradable[:, t])
        growth = 1 + market.gap[:, t]
        self.position *= growth
        order *= growth
        ruined = self._liquidate_ruined()
        if ruined.any():
            order[:, ruined], close[:, ruined] = 0, False
        self._fill(order, close, market.can_fill[:, t])
        self.position *= 1 + market.move[:, t]
        ruined |= self._liquidate_ruined()
        equity = self.cash + self.position.sum(axis=0)
        np.maximum(self.peak, equity, out=self.peak)
        reward = np.log(equity / before)
        self.t += 1
        truncated = self.t >= market.last
        self._reopen(np.flatnonzero(ruined | truncated))
        return StepResult(self.observe(), reward, ruined, truncated)

    def _draw_bars(self, count: int) -> npt.NDArray[np.int64]:
        return self.rng.integers(self.market.first, self.market.last, count)

    def _reopen(self, which: npt.NDArray[np.int64]) -> None:
        """Open fresh accounts in place of those that ended."""
        if len(which):
            self.t[which] = self._draw_bars(len(which))
            self.cash[which] = self.peak[which] = 1
            self.position[:, which] = self.basis[:, which] = self.idle[:, which] = 0

    def _orders(self, action: Array, equity: Array, tradable: Bools) -> tuple[Array, Bools]:
        """Return signed orders at the close and which of them close a position, [S, E]."""
        rules = self.rules
        size = np.clip(np.where(np.isfinite(action), action, 0), -1, 1).astype(np.float32)
        wanted = (np.abs(size) > np.float32(rules.dead_band)) & tradable
        order = np.where(wanted, size * (rules.trade_limit * equity), 0.0)
        close = np.zeros_like(wanted)
        if not rules.allow_short:
            floor = -self.position
            close = (order <= floor) & (order < 0) & (floor < 0)
            np.maximum(order, floor, out=order)
        order[(np.abs(order) <= DUST * equity) & ~close] = 0
        return order, close

    def _liquidate_ruined(self) -> Bools:
        """Sell out ruined accounts at the mark and return which they are, [E]."""
        rules, gross = self.rules, np.abs(self.position).sum(axis=0)
        equity = self.cash + self.position.sum(axis=0)
        ruined = (equity <= rules.ruin_floor) | (equity < rules.maintenance_margin * gross)
        which = np.flatnonzero(ruined)
        if len(which):
            fees = rules.commission(gross[which], -self.position[:, which].sum(axis=0))
            self.cash[which] = np.maximum(equity[which] - fees, rules.ruin_floor)
            self.position[:, which] = self.basis[:, which] = 0
        return ruined

    def _fill(self, order: Array, close: Bools, can_fill: Bools) -> None:
        """Fill the reducing parts of the orders in full and the increasing parts by one common share."""
        rules, held = self.rules, -self.position
        np.copyto(order, held, where=close)
        order *= can_fill
        dust = DUST * (self.cash + self.position.sum(axis=0))
        reducing = np.clip(order, np.minimum(held, 0), np.maximum(held, 0))
        np.copyto(reducing, held, where=(reducing != 0) & (np.abs(held - reducing) <= dust))
        increasing = order - reducing
        left = self.position + reducing
        self.basis *= np.divide(left, self.position, out=np.zeros_like(left), where=self.position != 0)
        self.position = left
        net = reducing.sum(axis=0)
        self.cash -= net + rules.commission(np.abs(reducing).sum(axis=0), net)

        total, net = np.abs(increasing).sum(axis=0), increasing.sum(axis=0)
        equity = self.cash + left.sum(axis=0)
        room = rules.max_leverage * equity - np.abs(left).sum(axis=0)
        need = total + rules.max_leverage * rules.commission(total, net)
        share = np.divide(room, need, out=np.ones_like(room), where=need > 0)
        increasing *= np.clip(share, 0, 1, out=share)
        size = np.abs(increasing)
        increasing *= size > dust
        net = increasing.sum(axis=0)
        self.cash -= net + rules.commission((size * (size > dust)).sum(axis=0), net)
        self.position += increasing
        self.basis += increasing
        self.idle += 1
        self.idle[reducing + increasing != 0] = 0

    def observe(self) -> npt.NDArray[np.floating]:
        """Return the features of each account's bar, four figures per symbol and three per account, [E, ...]."""
        market, position, basis = self.market, self.position, self.basis
        width = market.features.shape[1]
        seen = np.empty((self.accounts, width + 4 * self.symbols + 3), self.dtype)
        seen[:, :width] = market.features[self.t]
        equity = self.cash + position.sum(axis=0)
        size = np.abs(basis)
        profit = np.divide(position - basis, size, out=np.zeros_like(basis), where=size > 0)
        assets = seen[:, width:-3].reshape(self.accounts, self.symbols, 4).transpose(2, 1, 0)
        assets[0] = np.tanh(position / equity)
        assets[1] = np.tanh(5 * profit)
        assets[2] = self.idle / (self.idle + 20)
        assets[3] = market.tradable[:, self.t]
        margin = self.rules.maintenance_margin * np.abs(position).sum(axis=0) / equity
        seen[:, -3] = np.tanh(self.cash / equity)
        seen[:, -2] = 1 - equity / self.peak
        seen[:, -1] = 1 - np.minimum(margin, 1)
        return seen
