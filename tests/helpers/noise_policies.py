"""Markets of planted returns and policies of planted skill, for the tests of honesty."""

import numpy as np
import numpy.typing as npt
import pytest

from eval_bridge.backtester import Backtest, run_backtest
from eval_bridge.evaluation import Baseline
from eval_bridge.honesty import bootstrap
from jaxtrade.config import CostConfig, EnvConfig, MarketConfig
from jaxtrade.market.bars import Bars
from jaxtrade.market.splits import Range
from jaxtrade.market.table import MarketTable, build_table

FloatArray = npt.NDArray[np.float64]
FREE = CostConfig(buy_percent=0.0, sell_percent=0.0)
DAY, WEEK = np.timedelta64(1, "D"), np.timedelta64(7, "D")
VOLATILITY = 0.01


def planted_market(returns: FloatArray, step: np.timedelta64 = DAY) -> MarketTable:
    """Return the market with these returns from a bar's close to the next, [T, S]; each bar opens at the last close."""
    start = np.full((2, returns.shape[1]), 100.0)  # a bar of history for the only feature
    close = np.concatenate([start, 100 * np.cumprod(1 + returns, axis=0)])
    opening = np.concatenate([close[:1], close[:-1]])
    bars = Bars(
        time=np.datetime64("2000-01-03", "s") + np.arange(len(close)) * step,
        symbols=tuple(f"S{n}" for n in range(returns.shape[1])),
        open=opening,
        high=np.maximum(opening, close),
        low=np.minimum(opening, close),
        close=close,
        volume=np.ones_like(close),
    )
    return build_table(bars, MarketConfig(features={"lagged_returns": (1,)}), window=1)


def follow(table: MarketTable, weights: FloatArray, **rules: object) -> Backtest:
    """Return the backtest that trades to weights, [K, S], where a row differs from the one before, and else holds."""
    config = EnvConfig(window=1, action="target_weight", allow_short=True, **({"costs": FREE} | rules))
    last = len(table.time) - 1
    first = last - len(weights)
    new = np.concatenate([[True], np.any(weights[1:] != weights[:-1], axis=1)])
    actions = np.where(new[:, None], weights, np.nan)
    return run_backtest(table, Range(first, last), config, lambda bar, view: (actions[bar - first], 0.0))


def holdings(bars: int, choices: tuple[float, ...], holding: int, random: np.random.Generator) -> FloatArray:
    """Return weights, [bars, 1], drawn from choices and held for geometric times of a mean length."""
    drawn, anew = random.choice(choices, bars), random.random(bars) < 1 / holding
    anew[0] = True
    return drawn[np.maximum.accumulate(np.where(anew, np.arange(bars), 0))][:, None]


def few_resamples(patch: pytest.MonkeyPatch) -> None:
    """Draw 20 resamples instead of 1,000: intervals are no part of the p-value."""
    patch.setattr(bootstrap, "RESAMPLES", 20)
    patch.setattr(bootstrap, "FEWEST", 20)


def plain_baselines(result: Backtest) -> dict[str, Baseline]:
    """Return what `judge` asks of the baselines, without running them: no part of the p-value."""
    figures = {"sharpe": 0.0, "paths": 0.0, "percentile": 0.0}
    held = Baseline("", "", np.linspace(1, 2, len(result.time)), figures)
    return {"buy_and_hold": held, "random": held}
