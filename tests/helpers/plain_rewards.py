"""The rewards once more, one account at a time in plain Python, from the formulas and their sources.

Every function takes the bars of an episode and returns one reward a bar. The differential ratios are written as in the
papers, in raw moments: J. Moody and M. Saffell, "Reinforcement learning for trading", NIPS 11 (1998), and "Learning to
trade via direct reinforcement", IEEE Trans. Neural Networks 12 (2001).
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

WARM_UP, FLOOR, BOUND = 20, 1e-4, 10.0


class Bar(NamedTuple):
    """What a reward reads of a bar."""

    equity: float  # before
    pnl: float
    realized: float = 0.0
    closing_fees: float = 0.0
    idle: tuple[float, ...] = (0.0,)
    turnover: float = 0.0


class Numbers(NamedTuple):
    """The numbers of the rewards that have some."""

    gain_weight: float = 1.0
    loss_weight: float = 1.0
    idle_decay: float = 0.0
    trade_penalty: float = 0.0
    adaptation: float = 0.01


Bars = Sequence[Bar]
Plain = Callable[[Bars, Numbers], list[float]]


def log_return(bars: Bars, _: Numbers) -> list[float]:
    return [math.log((bar.equity + bar.pnl) / bar.equity) for bar in bars]


def fast_profit(bars: Bars, _: Numbers) -> list[float]:
    return [math.tanh(bar.pnl / 0.1) for bar in bars]


def simple_momentum(bars: Bars, _: Numbers) -> list[float]:
    return [math.tanh(100 * bar.pnl / bar.equity) for bar in bars]


def profit(bars: Bars, _: Numbers) -> list[float]:
    return [bar.pnl / bar.equity for bar in bars]


def realized_profit(bars: Bars, numbers: Numbers) -> list[float]:
    rewards = []
    for bar in bars:
        net = bar.realized - bar.closing_fees
        paid = (numbers.gain_weight * net if net > 0 else numbers.loss_weight * net) / bar.equity
        idling = sum(idle / (idle + 20) for idle in bar.idle) / len(bar.idle)
        traded = 1.0 if bar.turnover > 0 else 0.0
        rewards.append(paid - numbers.idle_decay * idling - numbers.trade_penalty * traded)
    return rewards


def averaged(bars: Bars, power: Callable[[float], float], rate: float) -> tuple[list[float], list[float]]:
    """Return the moving averages of r and of `power(r)` before each bar: plain ones until 1/n falls to the rate."""
    a = b = 0.0
    before_a, before_b = [], []
    for count, bar in enumerate(bars):
        before_a.append(a)
        before_b.append(b)
        r, weight = bar.pnl / bar.equity, max(1 / (count + 1), rate)
        a += weight * (r - a)
        b += weight * (power(r) - b)
    return before_a, before_b


def clipped(value: float, count: int) -> float:
    return 0.0 if count < WARM_UP else min(max(value, -BOUND), BOUND)


def differential_sharpe(bars: Bars, numbers: Numbers) -> list[float]:
    """D = (B dA - A dB / 2) / (B - A^2)^(3/2), dA = R - A, dB = R^2 - B (1998, eq. 9); (R - A) / floor below it."""
    means, squares = averaged(bars, lambda r: r * r, numbers.adaptation)
    rewards = []
    for count, (bar, a, b) in enumerate(zip(bars, means, squares, strict=True)):
        r, variance = bar.pnl / bar.equity, b - a * a
        above = variance > FLOOR**2
        d = (b * (r - a) - 0.5 * a * (r * r - b)) / variance**1.5 if above else (r - a) / FLOOR
        rewards.append(clipped(d, count))
    return rewards


def differential_sortino(bars: Bars, numbers: Numbers) -> list[float]:
    """D = (R - A / 2) / DD for gains, (DD^2 (R - A / 2) - A R^2 / 2) / DD^3 for losses (2001, eq. 12 and 13);
    (R - A) / floor below it.
    """
    means, squares = averaged(bars, lambda r: min(r, 0.0) ** 2, numbers.adaptation)
    rewards = []
    for count, (bar, a, square) in enumerate(zip(bars, means, squares, strict=True)):
        r, dd = bar.pnl / bar.equity, math.sqrt(square)
        if square <= FLOOR**2:
            d = (r - a) / FLOOR
        elif r > 0:
            d = (r - 0.5 * a) / dd
        else:
            d = (dd * dd * (r - 0.5 * a) - 0.5 * a * r * r) / dd**3
        rewards.append(clipped(d, count))
    return rewards


def calmar(bars: Bars, _: Numbers) -> list[float]:
    """The change of log(E' / E_start) / max(deepest drawdown so far, 5 %), over the whole past at every bar."""
    curve = [1.0]
    for bar in bars:
        curve.append(curve[-1] * (1 + bar.pnl / bar.equity))
    drawdowns = [1 - equity / max(curve[: number + 1]) for number, equity in enumerate(curve)]
    ratios = [math.log(equity) / max(0.05, *drawdowns[: end + 1]) for end, equity in enumerate(curve)]
    return [after - before for before, after in pairwise(ratios)]


PLAIN: dict[str, Plain] = {
    function.__name__: function
    for function in (
        log_return,
        fast_profit,
        simple_momentum,
        profit,
        realized_profit,
        differential_sharpe,
        differential_sortino,
        calmar,
    )
}
