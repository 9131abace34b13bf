"""How sure the figures of the ladder are, and how they are told."""

import sys

import numpy as np
import numpy.typing as npt
from arch.bootstrap import StationaryBootstrap

FloatArray = npt.NDArray[np.float64]


def tell(line: str) -> None:
    """Write a line of figures; pytest shows it with -s."""
    sys.stdout.write(f"\n{line}")


def sharpe(returns: FloatArray) -> float:
    """Return mean / standard deviation (ddof 1) per bar; 0 for who never trades."""
    spread = np.std(returns, ddof=1)
    return float(np.mean(returns) / spread) if spread > 0 else 0.0


def sharpe_error(returns: FloatArray) -> float:
    """Return the standard error sqrt((1 + S^2 / 2) / K) of the Sharpe ratio of independent returns (Lo 2002)."""
    return float(np.sqrt((1 + sharpe(returns) ** 2 / 2) / len(returns)))


def sharpe_interval(returns: FloatArray, level: float = 0.95) -> tuple[float, float]:
    """Return the percentile interval of the stationary bootstrap (Politis & Romano 1994), mean block 10 bars."""
    bootstrap = StationaryBootstrap(10, returns, seed=0)
    low, high = bootstrap.conf_int(sharpe, reps=1000, method="percentile", size=level).ravel()
    return float(low), float(high)


def share_of(mine: FloatArray, best: FloatArray, blocks: int = 20) -> tuple[float, float]:
    """Return sum(mine) / sum(best) and its standard error by the jackknife that leaves out a block of bars at a time.

    Args:
        mine: [K] log returns of a policy.
        best: [K] those of the best one on the same bars.
        blocks: Consecutive blocks.
    """
    parts = np.array([[np.sum(each) for each in np.array_split(side, blocks)] for side in (mine, best)])
    rest = np.sum(parts, axis=1, keepdims=True) - parts
    left_out = rest[0] / rest[1]
    error = np.sqrt((blocks - 1) * np.mean((left_out - np.mean(left_out)) ** 2))
    return float(np.sum(mine) / np.sum(best)), float(error)
