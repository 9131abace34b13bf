"""The peer with one account: plain Python floats, as the single environments of older systems have at their best.

For so few numbers NumPy's calls cost more than the arithmetic, so only the observation is an array.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.numpy_env import DUST, Market, Rules

Floats = list[float]


class SingleResult(NamedTuple):
    """What a step returns; the caller resets."""

    observation: npt.NDArray[np.floating]  # [S * F + 4 * S + 3]
    reward: float
    terminated: bool
    truncated: bool


class SingleEnv:
    """One account that trades `S` symbols by continuous actions."""

    def __init__(self, market: Market, rules: Rules, seed: int = 0, dtype: type = np.float32) -> None:
        self.rules, self.features = rules, market.features.astype(dtype)
        self.first, self.last = market.first, market.last
        self.gap, self.move = market.gap.T.tolist(), market.move.T.tolist()
        self.tradable, self.can_fill = market.tradable.T.tolist(), market.can_fill.T.tolist()
        self.symbols = range(len(market.gap))
        self.dead_band = float(np.float32(rules.dead_band))
        self.rng = np.random.default_rng(seed)

    def reset(self, bar: int | None = None) -> npt.NDArray[np.floating]:
        """Open an account on a bar, a random one by default."""
        self.t = int(self.rng.integers(self.first, self.last)) if bar is None else bar
        self.cash = self.peak = 1.0
        self.position, self.basis, self.idle = ([0.0 for _ in self.symbols] for _ in range(3))
        return self.observe()

    def step(self, action: npt.NDArray[np.floating]) -> SingleResult:
        """Carry the account from the close of its bar to the next. `action` is [S]."""
        t = self.t
        before = self.cash + sum(self.position)
        order, close = self._orders(action, before)
        for s, gap in enumerate(self.gap[t]):
            self.position[s] *= 1 + gap
            order[s] *= 1 + gap
        held = [s for s in self.symbols if self.position[s]]
        ruined = self._liquidate_if_ruined()
        if ruined:
            order, close = [0.0 for _ in self.symbols], [False for _ in self.symbols]
        self._fill(order, close)
        for s in held if ruined else ():
            self.idle[s] = 0
        for s, move in enumerate(self.move[t]):
            self.position[s] *= 1 + move
        ruined = self._liquidate_if_ruined() or ruined
        equity = self.cash + sum(self.position)
        self.peak = max(self.peak, equity)
        self.t += 1
        return SingleResult(self.observe(), math.log(equity / before), ruined, self.t >= self.last)

    def _orders(self, action: npt.NDArray[np.floating], equity: float) -> tuple[Floats, list[bool]]:
        """Return signed orders at the close and which of them close a position."""
        order, close = [0.0 for _ in self.symbols], [False for _ in self.symbols]
        sizes = np.clip(action, -1, 1).astype(np.float32).tolist()
        asked = np.isfinite(action).tolist()
        for s, size in enumerate(sizes):
            if asked[s] and abs(size) > self.dead_band and self.tradable[self.t][s]:
                order[s] = size * self.rules.trade_limit * equity
                if not self.rules.allow_short and order[s] < 0 and order[s] <= -self.position[s]:
                    order[s], close[s] = -self.position[s], self.position[s] > 0
                if abs(order[s]) <= DUST * equity and not close[s]:
                    order[s] = 0.0
        return order, close

    def _liquidate_if_ruined(self) -> bool:
        """Sell everything at the mark if the account is ruined, and return whether it is."""
        rules, gross = self.rules, sum(map(abs, self.position))
        equity = self.cash + sum(self.position)
        if equity > rules.ruin_floor and equity >= rules.maintenance_margin * gross:
            return False
        self.cash = max(equity - sum(self._commission(-value) for value in self.position), rules.ruin_floor)
        self.position, self.basis = [0.0 for _ in self.symbols], [0.0 for _ in self.symbols]
        return True

    def _commission(self, value: float) -> float:
        return value * self.rules.buy_rate if value > 0 else -value * self.rules.sell_rate

    def _fill(self, order: Floats, close: list[bool]) -> None:
        """Fill the reducing parts of the orders in full, then the increasing parts by one common share."""
        increasing: dict[int, float] = {}
        dust = DUST * (self.cash + sum(self.position))
        for s in self.symbols:
            self.idle[s] += 1
            held = self.position[s]
            wanted = -held if close[s] else order[s]
            if wanted == 0 or not self.can_fill[self.t][s]:
                continue
            if wanted * held >= 0:
                increasing[s] = wanted
                continue
            reducing = wanted if abs(wanted) < abs(held) - dust else -held
            self._trade(s, reducing, self.basis[s] * (reducing / held))
            if wanted != reducing and not close[s]:
                increasing[s] = wanted - reducing
        if not increasing:
            return
        leverage = self.rules.max_leverage
        room = leverage * (self.cash + sum(self.position)) - sum(map(abs, self.position))
        need = sum(abs(value) + leverage * self._commission(value) for value in increasing.values())
        share = min(max(room / need, 0.0), 1.0)
        for s, value in increasing.items():
            if abs(share * value) > dust:
                self._trade(s, share * value, share * value)

    def _trade(self, s: int, value: float, basis: float) -> None:
        """Book a trade of a signed value, which changes the basis by `basis`."""
        if value != 0:
            self.cash -= value + self._commission(value)
            self.position[s] += value
            self.basis[s] += basis
            self.idle[s] = 0

    def observe(self) -> npt.NDArray[np.floating]:
        """Return the features of the bar, four figures per symbol and three of the account."""
        equity = self.cash + sum(self.position)
        account = []
        for s, (position, basis) in enumerate(zip(self.position, self.basis, strict=True)):
            profit = (position - basis) / abs(basis) if basis else 0.0
            account += [math.tanh(position / equity), math.tanh(5 * profit), self.idle[s] / (self.idle[s] + 20)]
            account.append(float(self.tradable[self.t][s]))
        margin = self.rules.maintenance_margin * sum(map(abs, self.position)) / equity
        account += [math.tanh(self.cash / equity), 1 - equity / self.peak, 1 - min(margin, 1.0)]
        features = self.features[self.t]
        return np.concatenate([features, np.array(account, features.dtype)])
