"""One declared p-value, and what it says in plain words. docs/honesty.md explains every number."""

import math
from typing import Any, NamedTuple

import numpy as np

from eval_bridge.backtester import Backtest
from eval_bridge.evaluation import Baseline
from eval_bridge.honesty.bootstrap import bootstrap_intervals
from eval_bridge.honesty.path import Path, path_of
from eval_bridge.honesty.sharpe import (
    Sample,
    deflated_sharpe,
    luck_threshold,
    minimum_backtest_years,
    minimum_track_record,
    probabilistic_sharpe,
    sample_of,
    standard_error,
    trial_variance,
)
from eval_bridge.honesty.shift import SHIFTS, ShiftNull, shift_null
from eval_bridge.metrics import correlation, periods_per_year, returns_of
from eval_bridge.metrics.returns import years_of
from jaxtrade.trials import Trials

SIGNIFICANT = 0.05
ALIKE = 0.99  # correlation with buy and hold beyond which a policy may be a constant one
NOT_ABOVE_ZERO = "the Sharpe ratio is not above 0"
NO_VARIATION = "the returns do not vary"
NO_NULL = "there are too few bars to shift the positions"


class Luck(NamedTuple):
    """What speaks against luck."""

    shifted: ShiftNull
    probabilistic: float  # PSR against 0
    deflated: float  # DSR; the PSR where there was one trial
    p_value: float  # the larger of the null's and 1 - DSR; 1 where either is undefined
    reason: str  # why it is 1 by definition, or ""


def judge(result: Backtest, baselines: dict[str, Baseline], trials: Trials, shifts: int = SHIFTS) -> dict[str, Any]:
    """Return what is to be said about luck: the part `honesty` of metrics.json. Sharpe ratios in it are annual.

    The declared p-value is the larger of that of the shift null and 1 - DSR: a result has to be better than the same
    positions at other times, and better than the best of as many trials without skill.

    Args:
        result: The policy's backtest.
        baselines: As from `run_baselines`.
        trials: How much was tried, this policy included: record its result before reading them.
        shifts: Shifted paths to try at most.
    """
    path = path_of(result)
    sample, variance = sample_of(path.returns), trial_variance(trials.sharpes, len(path.returns))
    luck = weigh(result, path, sample, trials, shifts)
    annual = math.sqrt(periods_per_year(result.time))
    drawn = bootstrap_intervals(result.time, path.returns)
    market = baselines["buy_and_hold"]
    constant = nearly_constant(path, market, sample.sharpe * annual, drawn.intervals["sharpe"])
    figures = {
        "p_value": luck.p_value,
        "verdict": verdict(result, path, luck, trials, constant),
        "significant": luck.p_value <= SIGNIFICANT and not path.ruined,
        "shift_null": _null(luck.shifted, annual),
        "probabilistic_sharpe": luck.probabilistic,
        "deflated_sharpe": luck.deflated,
        "trials": trials.count,
        "trials_on_these_bars": len(trials.sharpes),
        "trial_sharpe_deviation": math.sqrt(variance) * annual,
        "sharpe_threshold": luck_threshold(trials.count, variance) * annual,
        **lengths(result, sample, trials, annual),
        "sharpe_standard_error": standard_error(sample) * annual,
        "intervals": {name: list(pair) for name, pair in drawn.intervals.items()},
        "interval_level": drawn.level,
        "block_length": drawn.block_length,
        "resamples": drawn.resamples,
        "constant_policy": not math.isnan(constant),
        "correlation_with_buy_and_hold": float(correlation(path.returns, returns_of(market.equity))),
        "random": {name: baselines["random"].figures[name] for name in ("paths", "percentile", "sharpe")},
    }
    reasons = {f"intervals.{name}": why for name, why in drawn.undefined.items()}
    return figures | {"undefined": _undefined(figures, luck, sample) | reasons}


def weigh(result: Backtest, path: Path, sample: Sample, trials: Trials, shifts: int = SHIFTS) -> Luck:
    """Return the declared p-value and its parts.

    Args:
        result: The policy's backtest.
        path: Its positions.
        sample: Its returns.
        trials: How much was tried.
        shifts: Shifted paths to try at most.
    """
    null = shift_null(result, shifts)
    probabilistic = probabilistic_sharpe(sample)
    deflated = probabilistic
    if trials.count > 1:
        deflated = deflated_sharpe(sample, trials.count, trial_variance(trials.sharpes, sample.bars))
    reason = ""
    if not path.traded.any():
        reason = "it never traded"
    elif math.isnan(deflated):
        reason = "its equity never moved" if math.isnan(sample.sharpe) else "its returns are too few or too skewed"
    p_value = 1.0 if reason else max(null.p_value, 1 - deflated)
    return Luck(null, probabilistic, deflated, p_value, reason)


def nearly_constant(path: Path, market: Baseline, annual: float, interval: tuple[float, float]) -> float:
    """Return the correlation with buy and hold of a policy that is nearly a constant one, NaN of others.

    It moves with the market (or against it: a constant short), and its Sharpe ratio differs from that of buy and hold
    (of its opposite) by less than half the width of its interval.
    """
    alike = float(correlation(path.returns, returns_of(market.equity)))
    apart = abs(annual - math.copysign(1, alike) * market.figures["sharpe"])
    return alike if abs(alike) > ALIKE and apart < (interval[1] - interval[0]) / 2 else math.nan


def verdict(result: Backtest, path: Path, luck: Luck, trials: Trials, constant: float) -> str:
    """Return the plain line that stands beside every result.

    Args:
        result: The policy's backtest.
        path: Its positions.
        luck: The declared p-value.
        trials: How much was tried.
        constant: As `nearly_constant` returns it.
    """
    if path.ruined:
        return f"no evidence of skill: the account was ruined on {str(result.time[-1])[:10]}"
    if luck.reason:
        return f"no evidence of skill: p = 1 ({luck.reason})"
    tried = f"after {trials.count} trials" if trials.count > 1 else "after one trial"
    parts = f"the same positions at other times {_p(luck.shifted.p_value)}, luck {tried} {_p(1 - luck.deflated)}"
    found = luck.p_value <= SIGNIFICANT
    said = "evidence of skill at the 5 % level" if found else "no evidence of skill"
    like = f"; it is nearly {'buy and hold' if constant > 0 else 'a constant short'} (correlation {constant:.3f})"
    return f"{said}: p = {_p(luck.p_value)} ({parts})" + ("" if math.isnan(constant) else like)


def lengths(result: Backtest, sample: Sample, trials: Trials, annual: float) -> dict[str, float]:
    """Return how long the record is, and how long it would have to be, in years."""
    return {
        "track_record_years": years_of(result.time),
        "minimum_track_record_years": minimum_track_record(sample) / annual**2,
        "minimum_backtest_length_years": minimum_backtest_years(sample.sharpe * annual, trials.count),
    }


def _null(null: ShiftNull, annual: float) -> dict[str, Any]:
    """Return the shift null in annual Sharpe ratios; `values` are those of all shifts, for the picture."""
    found = null.shifted if len(null.shifted) else np.array([math.nan])
    return {
        "p_value": null.p_value,
        "observed": null.observed * annual,
        "shifts": len(null.shifted),
        "median": float(np.median(found)) * annual,
        "high": float(np.quantile(found, 1 - SIGNIFICANT)) * annual,
        "values": (null.shifted * annual).tolist(),
    }


def _undefined(figures: dict[str, Any], luck: Luck, sample: Sample) -> dict[str, str]:
    """Return why figures are not a number, by name, `part.name` inside a part."""
    usual = NO_VARIATION if math.isnan(sample.sharpe) else NOT_ABOVE_ZERO
    parts = {"shift_null": NO_NULL if not len(luck.shifted.shifted) else usual, "random": NO_VARIATION}
    flat = {name: (value, usual) for name, value in figures.items()}
    flat |= {f"{part}.{name}": (value, why) for part, why in parts.items() for name, value in figures[part].items()}
    return {name: why for name, (value, why) in flat.items() if isinstance(value, float) and math.isnan(value)}


def _p(value: float) -> str:
    """Return a probability as text, never 0."""
    return f"{value:.2g}" if value >= 0.001 else "below 0.001"
