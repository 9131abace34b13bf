"""The single NumPy environment as stable-baselines3 wants it: a `gymnasium.Env` around `SingleEnv`, the same rules.

`flat` observes the features of the bar and the account. `window` observes the last rows of features, oldest first, and
then the account, for networks that run over windows.
"""

from typing import Any, ClassVar

import gymnasium
import numpy as np
import numpy.typing as npt

from benchmarks.numpy_env import Market, Rules
from benchmarks.numpy_single import SingleEnv

Floats = npt.NDArray[np.float32]


class SB3Env(gymnasium.Env[Floats, Floats]):
    """One account that trades `S` symbols by continuous actions; `window` rows of features are observed."""

    metadata: ClassVar[dict[str, Any]] = {"render_modes": []}

    def __init__(self, market: Market, rules: Rules, window: int = 1, seed: int = 0) -> None:
        self.inner, self.window = SingleEnv(market, rules, seed), window
        symbols, width = len(market.gap), market.features.shape[1]
        self.account = 4 * symbols + 3
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (symbols,), np.float32)
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (window * width + self.account,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Floats, dict[str, Any]]:
        """Open an account on a random bar, or on `options["bar"]`."""
        super().reset(seed=seed)
        if seed is not None:
            self.inner.rng = np.random.default_rng(seed)
        return self._see(self.inner.reset((options or {}).get("bar"))), {}

    def step(self, action: Floats) -> tuple[Floats, float, bool, bool, dict[str, Any]]:
        """Carry the account to the next bar."""
        result = self.inner.step(action)
        return self._see(result.observation), result.reward, result.terminated, result.truncated, {}

    def _see(self, seen: Floats) -> Floats:
        """Put the earlier rows before what the inner environment observes."""
        if self.window == 1:
            return seen
        t = self.inner.t
        return np.concatenate([self.inner.features[t - self.window + 1 : t].ravel(), seen])


class SB3Factory:
    """Makes one environment; an object and no lambda, since worker processes must unpickle it."""

    def __init__(self, market: Market, rules: Rules, window: int = 1, seed: int = 0) -> None:
        self.arguments = (market, rules, window, seed)

    def __call__(self) -> SB3Env:
        """Make it."""
        return SB3Env(*self.arguments)
