"""What a policy does when it draws its actions, as in training: many runs of one range, each from a seed of its own."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from eval_bridge.lanes import LanesActor, run_lanes
from eval_bridge.policy import Odds
from eval_bridge.stress import Watch, lane_figures, watched
from jaxtrade.config import EnvConfig
from jaxtrade.market.splits import Range
from jaxtrade.market.table import MarketTable
from jaxtrade.rules import AccountView

QUANTILES = {"low": 0.05, "median": 0.5, "high": 0.95}


def run_stochastic(
    policy: Any, table: MarketTable, span: Range, config: EnvConfig, samples: int, watch: Watch = None
) -> pd.DataFrame:
    """Trade a range several times with drawn actions.

    Sample `k` draws from the generator of seed `k`, so that it is the same however many there are.

    Args:
        policy: A `NumpyPolicy`, or whatever answers like one.
        table: The market.
        span: Decisions to take.
        config: The rules.
        samples: Number of runs.
        watch: Told the decisions done.

    Returns:
        Rows: sample, final_equity, total_return, sharpe, max_drawdown.
    """
    actor = drawn(policy, table, span, samples)
    starts, steps = [span.first] * samples, span.last - span.first
    lanes = run_lanes(table, starts, steps, config, watched(actor, watch))
    time = table.time[span.first :]
    return pd.DataFrame([{"sample": k} | lane_figures(time, lanes, k) for k in range(samples)])


def drawn(policy: Any, table: MarketTable, span: Range, samples: int) -> LanesActor:
    """Return the actor that draws the action of lane `k` from the generator of seed `k`."""
    market = policy.market(table.features, np.arange(span.first, span.last))
    generators = [np.random.default_rng(np.random.SeedSequence(seed)) for seed in range(samples)]

    def act(bars: npt.NDArray[np.intp], view: AccountView) -> Any:
        odds = policy.odds(market[bars - span.first], view)
        return np.stack([policy.sample(of_lane(odds, k), generator) for k, generator in enumerate(generators)])

    return act


def of_lane(odds: Odds, lane: int) -> Odds:
    """Return the odds of one account of many."""

    def cut(part: Any) -> Any:
        if isinstance(part, tuple):  # the members of an ensemble
            return tuple(of_lane(member, lane) for member in part)
        return None if part is None else part[lane]

    return Odds(*map(cut, odds))


def summary(runs: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Return mean, standard deviation (ddof 1) and quantiles of each figure over the runs where it is defined."""
    return {str(name): _spread(column.dropna()) for name, column in runs.drop(columns="sample").items()}


def _spread(values: "pd.Series[float]") -> dict[str, float]:
    found = {"mean": float(values.mean()), "deviation": float(values.std(ddof=1))}
    return found | {name: float(values.quantile(share)) for name, share in QUANTILES.items()}
