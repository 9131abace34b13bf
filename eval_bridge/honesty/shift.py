"""The null of luck in time: the same positions at other times, through the same engine at the same costs.

A policy that knows when to hold what loses by being shifted; one that does not does as well at any other time. The
weights that it traded to are moved round the range in a circle. So the null has the exposure, the holding times, the
turnover and the costs of the policy, and the market that it met: a long policy does not gain by a rising market.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from eval_bridge.backtester import Backtest
from eval_bridge.honesty.path import Path, path_of
from eval_bridge.honesty.weights import toward, weight_rules
from eval_bridge.lanes import Lanes, LanesActor, run_lanes
from eval_bridge.metrics import returns_of
from eval_bridge.metrics.values import FloatArray

SHIFTS = 999
SEED = 20_260_801
CELLS = 10_000_000  # bars x shifts at most: their equity takes 160 MB
WORK = 30_000_000  # bars x symbols x shifts at most, for the time it takes
FEWEST = 19  # shifts that are taken however long the run is
GROUP = 50  # paths whose returns are looked at together, for the memory it takes
TIE = 0.02  # standard errors of a Sharpe ratio, 1 / sqrt(K), below which two are equal


@dataclass(frozen=True)
class ShiftNull:
    """The Sharpe ratios per bar of shifted paths, beside that of the policy."""

    observed: float
    shifted: FloatArray  # [N]
    p_value: float  # (1 + number >= observed) / (1 + N)


def shift_null(result: Backtest, shifts: int = SHIFTS) -> ShiftNull:
    """Return where the policy's Sharpe ratio stands among those of its own positions at other times.

    Ratios closer than 0.02 / sqrt(K), a fiftieth of their standard error, count as equal, and equal ones against the
    policy: a shifted path buys what it starts with and trades to the first weights where the circle closes, two trades
    more than the policy made, which must not look like skill.

    Args:
        result: The policy's backtest.
        shifts: How many shifts to try at most; all if there are no more bars. Long runs get fewer, 19 at least.
    """
    path = path_of(result)
    observed = float(sharpes_per_bar(path.returns[:, None])[0])
    bars, symbols = path.held.shape
    chosen = choose_shifts(bars, symbols, shifts)
    shifted = np.empty(0)
    if len(chosen):
        equity = shifted_lanes(result, path, chosen).equity
        groups = [equity[:, at : at + GROUP] for at in range(0, len(chosen), GROUP)]
        shifted = np.concatenate([sharpes_per_bar(returns_of(group)) for group in groups])
    return ShiftNull(observed, shifted, p_value(observed, shifted, TIE / math.sqrt(max(bars, 1))))


def p_value(observed: float, null: FloatArray, tie: float = 1e-9) -> float:
    """Return (1 + number of the null's >= observed) / (1 + N); those within `tie` below it count."""
    return float((1 + np.sum(null >= observed - tie)) / (1 + len(null)))


def choose_shifts(bars: int, symbols: int, most: int) -> npt.NDArray[np.intp]:
    """Return the shifts to try, 1..K-1 in bars, in order, drawn with a fixed seed where there are more than wanted."""
    wanted = min(most, max(FEWEST, min(CELLS // max(bars, 1), WORK // max(bars * symbols, 1))))
    every = np.arange(1, bars, dtype=np.intp)
    if len(every) <= wanted:
        return every
    return np.sort(np.random.default_rng(SEED).choice(every, wanted, replace=False))


def shifted_lanes(result: Backtest, path: Path, shifts: npt.NDArray[np.intp]) -> Lanes:
    """Return the accounts that trade the path's weights some bars later, [N]; shift 0 is the backtest itself."""
    starts = np.full(len(shifts), path.span.first)
    actor = shifted_actor(path, shifts)
    return run_lanes(result.table, starts, path.span.decisions, weight_rules(result.config), actor)


def shifted_actor(path: Path, shifts: npt.NDArray[np.intp]) -> LanesActor:
    """Return the actor that trades to the weight that the policy intended so many bars before, and holds where it held.

    A shifted path begins in the middle of the policy's: its first order buys what the policy held there, [S] weights.
    Where the circle closes, the policy's last position meets its first one: everything is traded to what the policy
    held after its first bar.
    """
    bars = path.span.decisions

    def act(now: npt.NDArray[np.intp], view: object) -> object:
        step = now - path.span.first
        source = (step - shifts) % bars
        boundary = (shifts > 0) & ((step == 0) | (source == 0))
        target = np.where(boundary[:, None], path.held[source], path.intended[source])
        return toward(target, view)  # type: ignore[arg-type]

    return act


def sharpes_per_bar(returns: FloatArray) -> FloatArray:
    """Return mean / standard deviation (ddof 1) of each column of returns, [K, N] -> [N]; 0 without variation."""
    if len(returns) < 2:
        return np.zeros(returns.shape[1])
    spread = np.std(returns, axis=0, ddof=1)
    mean = np.mean(returns, axis=0)
    return np.asarray(np.divide(mean, spread, out=np.zeros_like(spread), where=spread > 1e-12))
