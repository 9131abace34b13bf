"""Traders without skill: the policy's own weights at random times, as often changed as the policy trades."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from eval_bridge.backtester import Backtest
from eval_bridge.honesty.path import Path
from eval_bridge.honesty.shift import sharpes_per_bar
from eval_bridge.honesty.weights import toward, weight_rules
from eval_bridge.lanes import run_lanes
from eval_bridge.metrics import returns_of
from eval_bridge.metrics.values import FloatArray
from jaxtrade.rules import AccountView

PATHS = 200
FEWEST = 20
CELLS = 5_000_000  # bars x paths at most: their equity takes 80 MB
SEED = 20_260_804


@dataclass(frozen=True)
class RandomPaths:
    """What random traders made. `N` paths over `K` bars."""

    equity: FloatArray  # [K + 1, N] money
    fees: FloatArray  # [N] commission and stamp duty, money
    turnover: FloatArray  # [N] sum over the bars
    sharpe: FloatArray  # [N] per bar

    @property
    def median(self) -> int:
        """The path whose Sharpe ratio is the median, the lower of two."""
        return int(np.argsort(self.sharpe, kind="stable")[(len(self.sharpe) - 1) // 2])

    def percentile(self, sharpe: float) -> float:
        """Return the share of the paths below a Sharpe ratio per bar; equal ones count half."""
        below, equal = self.sharpe < sharpe - 1e-9, np.abs(self.sharpe - sharpe) <= 1e-9
        return float(np.mean(below) + np.mean(equal) / 2)


def random_lanes(result: Backtest, path: Path, paths: int = PATHS) -> RandomPaths:
    """Return the accounts of random traders over the bars of a backtest.

    Each starts with weights that the policy held at a bar drawn at random; at every bar it draws anew with the
    probability of `change_rate`, and in between it holds. Very long runs get fewer paths, 20 at least.

    Args:
        result: The policy's backtest.
        path: Its positions.
        paths: How many traders, N.
    """
    bars, count = path.span.decisions, min(paths, max(FEWEST, CELLS // path.span.decisions))
    random, rate = np.random.default_rng(SEED), change_rate(path)

    def act(now: npt.NDArray[np.intp], view: AccountView) -> FloatArray:
        anew = (random.random(count) < rate) | (now == path.span.first)
        drawn = path.held[random.integers(0, bars, count)]
        return np.asarray(toward(np.where(anew[:, None], drawn, np.nan), view))

    starts = np.full(count, path.span.first)
    lanes = run_lanes(result.table, starts, bars, weight_rules(result.config), act)
    fees = (lanes.sums["commission"] + lanes.sums["duty"]) * result.capital
    return RandomPaths(lanes.equity, fees, lanes.sums["turnover"], sharpes_per_bar(returns_of(lanes.equity)))


def change_rate(path: Path) -> float:
    """Return the probability of a change at which a random trader's turnover is the policy's in expectation.

    Of a policy with turnover V over K bars: V = E|w| + (K - 1) rate E|w - w'|, with w and w' weights of two bars drawn
    at random, summed over the symbols: what opens the account, and what changes it. At most 1.
    """
    bars = len(path.held)
    order = 2 * np.arange(bars)[:, None] - bars + 1
    change = 2 / bars**2 * float(np.sum(order * np.sort(path.held, axis=0)))
    opening = float(np.mean(np.sum(np.abs(path.held), axis=1)))
    wanted = float(np.sum(path.turnover)) - opening
    return float(np.clip(wanted / ((bars - 1) * change), 0, 1)) if change > 1e-12 and bars > 1 else 0.0
