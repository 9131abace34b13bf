"""Superior predictive ability: does the best of several runs beat the benchmark, given that it was chosen?"""

import math
from typing import Any

import numpy as np

from eval_bridge.honesty.bootstrap import SHORTEST, mean_block
from eval_bridge.metrics.values import FloatArray, deviation
from jaxtrade.errors import InputError

RESAMPLES = 1000
SEED = 20_260_803
SAME = "no run differs from the benchmark by more than a constant"
TOO_FEW = f"there are fewer than {SHORTEST} bars"


def superior(returns: dict[str, FloatArray], benchmark: FloatArray) -> dict[str, Any]:
    """Return the p-values of "no run has a higher mean return than the benchmark".

    Hansen, "A Test for Superior Predictive Ability" (2005), and White, "A Reality Check for Data Snooping" (2000), by
    arch, with stationary blocks and a fixed seed; losses are negative returns. `consistent` is Hansen's and the one to
    read; `lower` and `upper` bound it. White's is not studentised and counts bad runs against the best.

    Args:
        returns: Simple returns of each run over the same bars, [K] each.
        benchmark: Simple returns of buy and hold, [K].

    Returns:
        p_value (consistent), lower, consistent, upper, reality_check, block_length, resamples, best (the run with the
        highest mean), tested (names), and undefined: why there is none, or "".

    Raises:
        InputError: The runs do not have the same number of bars.
    """
    bars = len(benchmark)
    for name, series in returns.items():
        if len(series) != bars:
            what = f"has {len(series)} bars and the benchmark {bars}"
            raise InputError(f"run '{name}'", what, "Compare runs over the same bars")
    tested = [name for name, each in returns.items() if bars >= SHORTEST and deviation(each - benchmark) > 0]
    best = max(returns, key=lambda name: float(np.mean(returns[name]))) if bars and returns else None
    about: dict[str, Any] = {"best": best, "tested": tested, "resamples": RESAMPLES if tested else 0}
    if not tested:
        nothing = dict.fromkeys(("p_value", "lower", "consistent", "upper", "reality_check", "block_length"), math.nan)
        return nothing | about | {"undefined": TOO_FEW if bars < SHORTEST else SAME}
    return _test(np.stack([returns[name] for name in tested], axis=1), benchmark) | about | {"undefined": ""}


def _test(models: FloatArray, benchmark: FloatArray) -> dict[str, float]:
    """Return the p-values for models, [K, M]."""
    from arch.bootstrap import SPA, RealityCheck

    length = max(mean_block(column - benchmark) for column in models.T)
    kind: dict[str, Any] = {"block_size": length, "reps": RESAMPLES, "bootstrap": "stationary"}
    hansen = SPA(-benchmark, -models, **kind, seed=np.random.default_rng(SEED))
    white = RealityCheck(-benchmark, -models, **kind, studentize=False, seed=np.random.default_rng(SEED))
    hansen.compute()
    white.compute()
    found = {name: float(hansen.pvalues[name]) for name in ("lower", "consistent", "upper")}
    check = float(white.pvalues["upper"])
    return {"p_value": found["consistent"], **found, "reality_check": check, "block_length": float(length)}
