"""The probability of backtest overfitting: how often the best of several is below the median elsewhere."""

from itertools import combinations
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from eval_bridge.metrics.values import FloatArray
from jaxtrade.errors import InputError


class Overfitting(NamedTuple):
    """What combinatorially symmetric cross-validation found."""

    probability: float  # PBO: share of the splits with a logit of 0 or less
    logits: FloatArray  # [C] of the relative rank out of sample of the best in sample


def overfitting(returns: FloatArray, blocks: int = 16) -> Overfitting:
    """Return the probability of backtest overfitting by CSCV, with the Sharpe ratio as the measure.

    The bars are cut into S blocks; each choice of S/2 of them is "in sample" once, the rest "out of sample". For the
    strategy that is best in sample, w = its rank out of sample (1 for the worst) / (N + 1), and the logit is
    ln(w / (1 - w)).
    Bailey, Borwein, López de Prado and Zhu, "The Probability of Backtest Overfitting" (2017). Strategies without skill
    give about one half.

    Args:
        returns: [T, N] of N strategies over the same bars.
        blocks: S, even; T // S bars each, those left over at the beginning are not used.

    Raises:
        InputError: Fewer than two strategies or two bars a block, or an odd number of blocks.
    """
    bars, strategies = returns.shape
    if strategies < 2 or blocks % 2 or blocks < 2 or bars < 2 * blocks:
        what = f"{strategies} strategies over {bars} bars cannot be cut into {blocks} blocks"
        raise InputError("overfitting", what, "Give two strategies, an even number of blocks, and two bars a block")
    length = bars // blocks
    cut = returns[bars - blocks * length :].reshape(blocks, length, strategies)
    chosen = _choices(blocks)
    inside, outside = _sharpes(cut, chosen), _sharpes(cut, ~chosen)
    rows = np.arange(len(chosen))
    best = np.argmax(inside, axis=1)
    own = outside[rows, best][:, None]
    below, equal = np.sum(outside < own, axis=1), np.sum(outside == own, axis=1)
    rank = below + (equal + 1) / 2  # ties share the mean of their ranks
    relative = rank / (strategies + 1)
    logits = np.log(relative / (1 - relative))
    return Overfitting(float(np.mean(logits <= 0)), logits)


def _choices(blocks: int) -> npt.NDArray[np.bool_]:
    """Return every choice of half of the blocks, [C, S]."""
    members = np.array(list(combinations(range(blocks), blocks // 2)))
    chosen = np.zeros((len(members), blocks), bool)
    np.put_along_axis(chosen, members, True, axis=1)
    return chosen


def _sharpes(cut: FloatArray, chosen: npt.NDArray[np.bool_]) -> FloatArray:
    """Return the Sharpe ratio per bar of each strategy over the chosen blocks, [C, N]; 0 without variation.

    Args:
        cut: Returns, [S, length, N].
        chosen: [C, S].
    """
    half = chosen.astype(np.float64)
    count = chosen.shape[1] // 2 * cut.shape[1]
    mean = half @ cut.sum(axis=1) / count
    centred = cut - cut.mean(axis=(0, 1))
    offset = mean - cut.mean(axis=(0, 1))
    variance = np.maximum(half @ (centred**2).sum(axis=1) - count * offset**2, 0) / (count - 1)
    spread = np.sqrt(variance)
    return np.asarray(np.divide(mean, spread, out=np.zeros_like(mean), where=spread > 1e-12))
