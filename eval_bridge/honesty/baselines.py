"""Rules without skill, through the same engine: same bars, fills, costs, lots and leverage as the policy.

Their limits on the size of an order and of a position are lifted. What they trade on is known at the close, as it is
for the policy.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from eval_bridge.backtester import Backtest, buy_and_hold, run_backtest
from eval_bridge.evaluation import Baseline
from eval_bridge.honesty.path import Path, path_of
from eval_bridge.honesty.random_rule import random_lanes
from eval_bridge.honesty.shift import sharpes_per_bar
from eval_bridge.honesty.weights import toward, weight_rules
from eval_bridge.metrics import curve_metrics
from eval_bridge.metrics.activity import exposure, turnover_per_year
from eval_bridge.metrics.relative import at_the_marks
from eval_bridge.metrics.values import FloatArray, TimeArray
from jaxtrade.market.table import MarketTable

Rule = Callable[[int], FloatArray]  # bar -> weights to trade to at its close, [S]; NaN holds
LOOK_BACK = np.timedelta64(365, "D")
TITLES = {
    "cash": "Cash",
    "buy_and_hold": "Buy and hold",
    "equal_weight": "Equal weight",
    "random": "Random, equal turnover",
    "momentum": "Momentum",
}
NOTES = {
    "cash": "Never trades.",
    "buy_and_hold": "Puts an equal share of the capital into every symbol when it can first be bought, and holds.",
    "equal_weight": "Trades to equal weights at the first bar, and again at the first bar of every month.",
    "random": "Holds weights that the policy held, at random times, with its turnover; the median of {paths} paths.",
    "momentum": "Gives an equal share to each symbol that rose over the past year{shorts}; looks once a month.",
}


def run_baselines(result: Backtest) -> dict[str, Baseline]:
    """Return the baselines of a backtest by name: cash, buy_and_hold, equal_weight, random, momentum.

    They run over the bars that the policy lived through. `random` is the path of median Sharpe ratio among those of
    `random_lanes`; its figures hold `paths` and `percentile`, the share of them that the policy's Sharpe ratio exceeds.
    """
    path, table = path_of(result), result.table
    symbols, shorts = len(table.symbols), result.config.allow_short
    cash, equal = np.full(symbols, np.nan), np.full(symbols, 1 / symbols)
    market = buy_and_hold(table, path.span, result.config)
    runs = {
        "cash": _follow(result, path, lambda bar: cash),
        "buy_and_hold": market,
        "equal_weight": _follow(result, path, _monthly(table, path, lambda bar: equal)),
        "momentum": _follow(result, path, _monthly(table, path, momentum_rule(table, shorts))),
    }
    found = {name: _run_figures(result, run, market.equity) for name, run in runs.items()}
    found["random"] = _random_figures(result, path, market.equity)
    words: dict[str, object] = {
        "paths": int(found["random"][1]["paths"]),
        "shorts": ", and sells short those that fell" if shorts else "",
    }
    return {name: _baseline(name, words, *found[name]) for name in TITLES}


def months_begin(time: TimeArray) -> npt.NDArray[np.bool_]:
    """Return which bars are the first of their month, [T]; the first bar is not known to be."""
    months = time.astype("datetime64[M]")
    return np.concatenate([[False], months[1:] != months[:-1]])


def momentum_rule(table: MarketTable, shorts: bool) -> Rule:
    """Return the rule that holds what rose over the past year: weights 1/S; and what fell short, -1/S, if allowed.

    Time-series momentum after Moskowitz, Ooi and Pedersen (2012). The price is compared with that of the last bar a
    year of 365 days ago or more, of the first bar where the data does not go back so far; without a price then, nothing
    is held.
    """
    past = np.maximum(np.searchsorted(table.time, table.time - LOOK_BACK, side="right") - 1, 0)

    def rule(bar: int) -> FloatArray:
        sign = np.nan_to_num(np.sign(table.mark[bar] - table.mark[past[bar]]))
        return np.asarray(np.where(shorts, sign, np.maximum(sign, 0)) / len(table.symbols))

    return rule


def _monthly(table: MarketTable, path: Path, rule: Rule) -> Rule:
    """Return the rule that follows another at the first bar and at the first bar of every month, and holds between."""
    look, hold = months_begin(table.time), np.full(len(table.symbols), np.nan)
    look[path.span.first] = True
    return lambda bar: rule(bar) if look[bar] else hold


def _follow(result: Backtest, path: Path, rule: Rule) -> Backtest:
    config = weight_rules(result.config)
    return run_backtest(result.table, path.span, config, lambda bar, view: (toward(rule(bar), view), float("nan")))


def _run_figures(result: Backtest, run: Backtest, market: FloatArray) -> tuple[FloatArray, dict[str, float]]:
    """Return equity at the marks of the policy, [K + 1], and figures; after a ruin it stays where it ended."""
    time, equity, path = result.time, at_the_marks(run.equity, len(result.time)), path_of(run)
    gross = np.sum(np.abs(path.held), axis=1)
    fees = sum(float(np.sum(run.history.column(name))) for name in ("fill_fees", "mark_fees"))
    return equity, {
        **curve_metrics(time, equity, market).values,
        "turnover_per_year": float(turnover_per_year(path.turnover, time)),
        "exposure": float(exposure(gross, np.ones_like(gross))),
        "fees": fees * run.capital,
    }


def _random_figures(result: Backtest, path: Path, market: FloatArray) -> tuple[FloatArray, dict[str, float]]:
    paths, time = random_lanes(result, path), result.time
    shown = paths.median
    equity = paths.equity[:, shown]
    return equity, {
        **curve_metrics(time, equity, market).values,
        "turnover_per_year": float(turnover_per_year(paths.turnover[[shown]], time)),
        "fees": float(paths.fees[shown]),
        "paths": float(len(paths.sharpe)),
        "percentile": paths.percentile(float(sharpes_per_bar(path.returns[:, None])[0])),
    }


def _baseline(name: str, words: dict[str, object], equity: FloatArray, figures: dict[str, float]) -> Baseline:
    return Baseline(TITLES[name], NOTES[name].format(**words), equity, figures)
