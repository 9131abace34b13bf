"""programme_summary.json: what the iterations did, what it cost, and what there is to be said about luck."""

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from eval_bridge.evaluation import Evaluation
from train.programme.config import SWITCHES, ProgrammeConfig
from train.programme.intervals import Interval, candidate_overfitting, iqm_interval
from train.programme.iteration import CURVES, Record

SUMMARY = "programme_summary.json"


class Clock(NamedTuple):
    """Wall-clock facts of a programme."""

    seconds: float  # over all starts
    starts: int
    setup_seconds: float  # of one start: reading and compiling
    compilations: int  # of this start


def make_summary(
    config: ProgrammeConfig,
    symbols: tuple[str, ...],
    results: list[Record],
    clock: Clock,
    honesty: Record | None = None,
    legs: list[Record] | None = None,
) -> Record:
    """Return the summary; everything outside of keys named `timing` is the same in every run of the same seeds.

    Args:
        config: The programme.
        symbols: What is traded.
        results: Of the iterations that are done, in order.
        clock: Wall clock.
        honesty: What there is to be said about the stitched backtest, once it is done.
        legs: Figures of each iteration's part of it; of fixed windows none.
    """
    lineup = config.lineup
    parts = legs or [None] * len(results)
    return {
        "schema": 1,
        "name": config.name,
        "data": config.data,
        "symbols": list(symbols),
        "network": config.network.kind,
        "seed": config.seed,
        "finished": honesty is not None,
        "planned_iterations": config.iterations,
        "candidates": config.candidates,
        "settings": [candidate.settings for candidate in lineup],
        "seeds": [candidate.seed for candidate in lineup],
        "switches": {name: getattr(config, name) for name in SWITCHES},
        "schedule": config.schedule if config.progressive else None,
        "iterations": [row_of(result, part) for result, part in zip(results, parts, strict=True)],
        "totals": totals_of(config, results, clock),
        "honesty": honesty,
    }


def row_of(result: Record, leg: Record | None) -> Record:
    """Return an iteration's row."""
    left_out = {"spans", "from_iteration"}
    row = {name: value for name, value in result.items() if name not in left_out}
    return row | {"validation": interval_record(iqm_interval(scores_of([result]))), "out_of_sample": leg}


def scores_of(results: list[Record]) -> npt.NDArray[np.float64]:
    """Return the best validation of each candidate in each iteration, [K, M]; NaN where there is none."""
    scores = [[each["validation"]["log_growth"] for each in result["candidates"]] for result in results]
    return np.array([[math.nan if score is None else score for score in row] for row in scores]).T


def interval_record(found: Interval) -> Record:
    """Return an interval as JSON has it."""
    return found._asdict()


def totals_of(config: ProgrammeConfig, results: list[Record], clock: Clock) -> Record:
    """Return the sums over the iterations, and what the plain schedule would have taken."""
    names = ("plain", "planned", "done", "saved")
    count = config.candidates
    plain = plain_seconds(config, results, clock)
    empty = Interval(None, None, None, 0.95)
    return {
        "steps": {name: sum(result["steps"][name] for result in results) for name in names},
        "early_stops": sum(result["early_stopped"] for result in results),
        "warm_starts": sum(count for result in results if result["warm_started"]),
        "starts": count * len(results),
        "validation": interval_record(iqm_interval(scores_of(results)) if results else empty),
        "timing": {
            "seconds": clock.seconds,
            "estimated_plain_seconds": plain,
            "speedup": plain / clock.seconds if clock.seconds else None,
            "compilations": clock.compilations,
            "resumed": clock.starts - 1,
        },
    }


def plain_seconds(config: ProgrammeConfig, results: list[Record], clock: Clock) -> float:
    """Return an estimate of what the plain schedule takes for these iterations.

    Every update and validation at the pace that was measured, as many as the plain schedule has; and what is shared by
    all iterations once for each. That an update has fewer epochs in some phases is left out. `--benchmark` measures.
    """
    apart = clock.seconds - clock.setup_seconds - sum(result["timing"]["seconds"] for result in results)
    seconds = clock.setup_seconds + max(apart, 0.0)  # what no schedule changes: the stitched backtest, the pages
    for result in results:
        timing, updates = result["timing"], result["updates"]
        work = timing["training_seconds"] + timing["validation_seconds"]
        seconds += work * updates["plain"] / max(updates["done"], 1) + timing["setup_seconds"]
    return seconds + (clock.setup_seconds * (len(results) - 1) if config.caching and results else 0.0)


def honesty_of(config: ProgrammeConfig, run: Path, results: list[Record], evaluation: Evaluation) -> Record:
    """Return what is to be said about luck: of the stitched backtest, and of choosing among candidates."""
    found, figures, result = evaluation.honesty, evaluation.figures, evaluation.result
    growth, market = math.log(result.equity[-1] / result.equity[0]), evaluation.baselines["buy_and_hold"].equity
    stitched = {
        "log_growth": growth,
        "total_return": math.expm1(growth),
        "sharpe": _number(figures["sharpe"]),
        "max_drawdown": _number(figures["max_drawdown"]),
        "buy_and_hold_return": float(market[-1] / market[0] - 1),
        "from": str(result.time[0]),
        "until": str(result.time[-1]),
    }
    names = ("p_value", "deflated_sharpe", "probabilistic_sharpe")
    return {
        "trials": found["trials"],
        **{name: _number(found[name]) for name in names},
        "verdict": found["verdict"],
        "significant": bool(found["significant"]),
        "overfitting": candidate_overfitting(validation_returns(config, run, results)),
        "out_of_sample": stitched,
    }


def validation_returns(config: ProgrammeConfig, run: Path, results: list[Record]) -> npt.NDArray[np.float64]:
    """Return the returns of each candidate's best policies over the validation ranges, [T, K].

    The validations of windows that walk forward follow one another, and a candidate is the same settings and seed in
    all of them. On a fixed window every round is another candidate on the same bars, [T, K * M].
    """
    curves = [np.load(run / result["folder"] / CURVES) for result in results]
    starts = [np.concatenate([np.ones((1, curve.shape[1])), curve]) for curve in curves]
    returns = [curve[1:] / curve[:-1] - 1 for curve in starts]
    return np.concatenate(returns, axis=1 if config.windows.kind == "fixed" else 0)


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
