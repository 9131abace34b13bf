"""How sure a Sharpe ratio is, and how high luck alone lifts the best of several.

Everywhere here a Sharpe ratio is per bar: mean / standard deviation (ddof 1) of the returns of a bar. Skew is g3 and
kurtosis the plain g4, 3 for the normal distribution; both from moments over T.
"""

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from eval_bridge.metrics.ratios import sharpe
from eval_bridge.metrics.tails import kurtosis, skew
from eval_bridge.metrics.values import FloatArray

EULER = 0.5772156649015329
NORMAL = NormalDist()


class Sample(NamedTuple):
    """What the formulas need to know of T returns."""

    sharpe: float  # per bar
    bars: int  # T
    skew: float = 0.0
    kurtosis: float = 3.0  # not in excess

    @property
    def variance(self) -> float:
        """T - 1 times the variance of the Sharpe ratio: 1 - g3 SR + (g4 - 1) / 4 SR^2 (Mertens 2002)."""
        return 1 - self.skew * self.sharpe + (self.kurtosis - 1) / 4 * self.sharpe**2


def sample_of(returns: FloatArray) -> Sample:
    """Return the figures of returns, [T]; NaN where they do not vary."""
    return Sample(sharpe(returns, 1), len(returns), skew(returns), kurtosis(returns) + 3)


def probabilistic_sharpe(sample: Sample, threshold: float = 0.0) -> float:
    """Return how probable it is that the true Sharpe ratio exceeds a threshold.

    Phi((SR - SR*) sqrt(T - 1) / sqrt(1 - g3 SR + (g4 - 1) / 4 SR^2)): Bailey and López de Prado, "The Sharpe Ratio
    Efficient Frontier" (2012).

    Args:
        sample: The returns.
        threshold: SR*, per bar.
    """
    if math.isnan(sample.sharpe) or sample.variance <= 0:
        return math.nan
    return NORMAL.cdf((sample.sharpe - threshold) * math.sqrt((sample.bars - 1) / sample.variance))


def expected_maximum(trials: int) -> float:
    """Return the expected maximum of N independent standard normal numbers; 0 for one.

    (1 - g) Phi^-1(1 - 1/N) + g Phi^-1(1 - 1/(N e)), g the constant of Euler and Mascheroni: Bailey and López de Prado,
    "The Deflated Sharpe Ratio" (2014). An approximation from extreme value theory, good from N = 5 on.
    """
    if trials <= 1:
        return 0.0
    high, higher = NORMAL.inv_cdf(1 - 1 / trials), NORMAL.inv_cdf(1 - 1 / (trials * math.e))
    return (1 - EULER) * high + EULER * higher


def luck_threshold(trials: int, variance: float) -> float:
    """Return the Sharpe ratio per bar that the best of N trials without skill is expected to show.

    Args:
        trials: N.
        variance: V, of the Sharpe ratios of the trials, per bar.
    """
    return math.sqrt(variance) * expected_maximum(trials)


def deflated_sharpe(sample: Sample, trials: int, variance: float) -> float:
    """Return the probabilistic Sharpe ratio against what luck alone would have shown (Bailey, López de Prado 2014)."""
    return probabilistic_sharpe(sample, luck_threshold(trials, variance))


def trial_variance(sharpes: tuple[float, ...], bars: int) -> float:
    """Return V, the variance of the trials' Sharpe ratios per bar: of the sample, but never below 1 / (T - 1).

    That is what the Sharpe ratios of policies without skill vary by, independent ones. Two trials that happen to be
    alike, or none on record, therefore do not make V small.

    Args:
        sharpes: Those on record, per bar.
        bars: T.
    """
    found = float(np.var(sharpes, ddof=1)) if len(sharpes) >= 2 else 0.0
    return max(found, 1 / max(bars - 1, 1))


def standard_error(sample: Sample) -> float:
    """Return sqrt((1 + SR^2 / 2) / T), for independent normal returns: Lo, "The Statistics of Sharpe Ratios" (2002)."""
    return math.sqrt((1 + sample.sharpe**2 / 2) / sample.bars) if sample.bars else math.nan


def minimum_track_record(sample: Sample, threshold: float = 0.0, confidence: float = 0.95) -> float:
    """Return how many bars it takes until a Sharpe ratio like this one exceeds a threshold with confidence.

    1 + (1 - g3 SR + (g4 - 1) / 4 SR^2) (Phi^-1(confidence) / (SR - SR*))^2: Bailey and López de Prado (2012). NaN if it
    does not exceed it.
    """
    if not sample.sharpe > threshold:
        return math.nan
    return 1 + sample.variance * (NORMAL.inv_cdf(confidence) / (sample.sharpe - threshold)) ** 2


def minimum_backtest_years(annual_sharpe: float, trials: int) -> float:
    """Return the length of a backtest below which the best of N trials without skill shows this Sharpe ratio.

    (E[max_N] / SR)^2 years: Bailey, Borwein, López de Prado and Zhu, "Pseudo-Mathematics and Financial Charlatanism"
    (2014). NaN unless the Sharpe ratio is above 0.

    Args:
        annual_sharpe: The Sharpe ratio found, of a year.
        trials: N.
    """
    return (expected_maximum(trials) / annual_sharpe) ** 2 if annual_sharpe > 0 else math.nan
