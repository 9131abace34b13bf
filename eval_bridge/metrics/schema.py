"""The keys of metrics.json: what each means, and a check that a file has them and no other."""

import math
from collections.abc import Mapping
from typing import Any

from eval_bridge.metrics.catalog import FIGURES

KEYS = {
    "schema_version": "1; it rises when a key changes its meaning or goes.",
    "about": "What was run, as text by row: the rows of the report's table, all but the trial ledger.",
    "calendar": "`first` and `last` mark, `bars` (decisions), `years` between them, `periods_per_year`: bars a year.",
    "initial_cash": "Starting capital, in the currency of the prices.",
    "policy": "The figures of the table above, in its order; null where one is not defined.",
    "undefined": "Why a figure of `policy` is null, by its name.",
    "baselines": "Figures of each rule without skill, by its name; `random` has `paths` and `percentile` too.",
    "honesty": "What speaks for skill and against it: the keys below.",
    "constraints": "How many orders each limit bound, by its name; limits that bound none are left out.",
    "rewards": "Sum of each reward over the backtest, by its name.",
    "stress": "With `--stress`: `break_even`, `break_even_bps` and the rows of the `grid` of fees and delays.",
    "stochastic": "With `--stochastic N`: number of `samples`, and the distribution of the `figures` over them.",
}
OPTIONAL = ("stress", "stochastic")
CALENDAR = ("first", "last", "bars", "years", "periods_per_year")
OF_BASELINES = ("paths", "percentile")  # of the random rule, beside figures of the catalog
HONESTY = {
    "p_value": "The declared p-value: the larger of the shift null's and 1 - deflated Sharpe.",
    "verdict": "The plain line that stands beside every result.",
    "significant": "True where the p-value is at most 0.05 and the account was not ruined.",
    "shift_null": "`p_value`, the `observed` ratio, number of `shifts`, their `median` and `high` (95 %) ratio.",
    "probabilistic_sharpe": "Probability that the true Sharpe ratio is above 0.",
    "deflated_sharpe": "The same above what the best of as many trials without skill reaches.",
    "trials": "Number of trials counted, this one among them.",
    "trials_on_these_bars": "Those whose Sharpe ratio over these bars is recorded.",
    "trial_sharpe_deviation": "Standard deviation of the Sharpe ratios of the trials, annual.",
    "sharpe_threshold": "Sharpe ratio that the best of the trials reaches without skill, annual.",
    "track_record_years": "Years that the backtest covers.",
    "minimum_track_record_years": "Years after which this Sharpe ratio would be significant.",
    "minimum_backtest_length_years": "Years below which the best of the trials reaches this ratio without skill.",
    "sharpe_standard_error": "Standard error of the Sharpe ratio, annual.",
    "intervals": "By figure: `[low, high]` by stationary bootstrap.",
    "interval_level": "Share of the resamples inside the intervals.",
    "block_length": "Mean length of the blocks of the bootstrap, in bars.",
    "resamples": "Number of bootstrap resamples.",
    "constant_policy": "True where the policy is nearly buy and hold, or nearly its opposite.",
    "correlation_with_buy_and_hold": "Correlation of the returns of policy and market.",
    "random": "The random rule: number of `paths`, `percentile` of the policy among them, their median `sharpe`.",
    "undefined": "Why a number here is null, by its key.",
}


def check_schema(metrics: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the content of a metrics.json, one line each; nothing if it is as documented.

    Args:
        metrics: As read from the file, or as it will be written; NaN counts as null.
    """
    wrong = _names("", metrics, [name for name in KEYS if name not in OPTIONAL], KEYS)
    if wrong:
        return wrong
    wrong += _names("policy.", metrics["policy"], FIGURES, FIGURES)
    wrong += _names("calendar.", metrics["calendar"], CALENDAR, CALENDAR)
    wrong += _names("honesty.", metrics["honesty"], HONESTY, HONESTY)
    for name, figures in metrics["baselines"].items():
        wrong += _names(f"baselines.{name}.", figures, (), (*FIGURES, *OF_BASELINES))
    if list(metrics["policy"]) != list(FIGURES):
        wrong.append("policy: the figures are not in the order of the catalog")
    nulls = {name for name, value in metrics["policy"].items() if value is None or math.isnan(value)}
    wrong += [f"policy.{name}: null without a reason" for name in sorted(nulls - set(metrics["undefined"]))]
    wrong += [f"undefined.{name}: the figure has a value" for name in sorted(set(metrics["undefined"]) - nulls)]
    return wrong


def _names(place: str, found: Mapping[str, Any], needed: Any, known: Any) -> list[str]:
    """Return the names that are missing, and those that nobody documented."""
    missing = [f"{place}{name}: missing" for name in needed if name not in found]
    return missing + [f"{place}{name}: not documented" for name in found if name not in known]
