"""Many independent paths of every process, drawn once for all tests of a session, and how far they are from theory."""

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxtrade.envs.processes import Increments, regime_path, simulate
from jaxtrade.market.process_kinds import GARCH, GBM, OU, Jumps, Process, Regimes, Shape

PATHS, BARS = 400, 600
SHAPE = Shape(overnight=0.3, correlation=0.6)
NIGHT = 0.3
WALK = GBM(drift=0.005, volatility=0.1)  # its log price has no drift
CASES: dict[str, Process] = {
    "gbm": WALK,
    "ou": OU(theta=0.5, volatility=0.02),
    "regimes": Regimes(drift=(0.004, -0.01, 0.0), volatility=(0.007, 0.03, 0.015), stay=(0.9, 0.8, 0.5)),
    "garch": GARCH(drift=0.001, volatility=0.02, alpha=0.15, beta=0.7),
    "jumps": Jumps(drift=0.001, volatility=0.01, rate=0.3, jump_mean=-0.02, jump_volatility=0.05),
}
STAY = (0.95, 0.8)
Sample = Increments  # leaves [K, T, N] float64
Statistic = tuple[np.ndarray, float]  # of each path [K], and what theory says


@cache
def everything() -> dict[str, Any]:
    """Draw all kinds, path by path: `vmap` would take four times as long to compile."""

    def draw(key: jax.Array) -> dict[str, Any]:
        made: dict[str, Any] = {kind: simulate(key, process, SHAPE, BARS, 2) for kind, process in CASES.items()}
        return made | {"states": regime_path(key, jnp.array(STAY, jnp.float32), BARS)}

    drawn = jax.jit(lambda keys: jax.lax.map(draw, keys))(jax.random.split(jax.random.key(7), PATHS))
    return jax.tree.map(np.asarray, drawn)


def sample(kind: str) -> Sample:
    return jax.tree.map(lambda leaf: leaf.astype(np.float64), everything()[kind])


def errors(moments: dict[str, Statistic]) -> dict[str, float]:
    """Return by how many standard errors each statistic misses theory."""
    return {
        name: abs(values.mean() - theory) / (values.std() / np.sqrt(len(values)))
        for name, (values, theory) in moments.items()
    }
