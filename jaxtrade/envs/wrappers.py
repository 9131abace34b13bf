"""A gymnax environment for the clients of Gymnasium, such as Stable-Baselines3."""

from typing import Any, ClassVar

import jax
import numpy as np
from gymnax.environments.spaces import gymnax_space_to_gym_space

from jaxtrade.errors import InputError

try:
    import gymnasium
    from gymnasium.envs.registration import EnvSpec
except ImportError:
    raise InputError("ToGymnasium", "gymnasium is not installed", "pip install gymnasium") from None


class ToGymnasium(gymnasium.Env[Any, Any]):
    """One environment of gymnax 1.x that steps one action at a time.

    What a step returns is always of the step itself: the last observation of an episode is where it ended, and
    `terminated` (the future ends) is told apart from `truncated` (we stop looking). All draws come from Gymnasium's own
    generator, so that `reset(seed=...)` repeats them.

    `TradingEnv` observes its whole window; with `env.window: 1` one bar and the account. At the end of an episode its
    figures are in `info["statistics"]`.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": []}

    def __init__(self, env: Any, params: Any = None, render_mode: None = None) -> None:
        """Wrap an environment.

        Args:
            env: The environment, with an observation of arrays.
            params: Its parameters (default: its own).
            render_mode: None, as there is nothing to see.
        """
        params = env.default_params if params is None else params
        self.render_mode, self._env, self._state = render_mode, env, None
        self.observation_space = finite(gymnax_space_to_gym_space(env.observation_space(params)))
        self.action_space = finite(gymnax_space_to_gym_space(env.action_space(params)))
        self.spec = EnvSpec(f"{type(env).__name__}-v0", ToGymnasium, kwargs={"env": env, "params": params})

        def step(seed: jax.Array, state: Any, action: jax.Array) -> tuple[Any, ...]:
            obs, state, reward, terminated, info = env.step_env(jax.random.key(seed), state, action, params)
            return state, (obs, reward, terminated, env.is_truncated(state, params)), info

        # The parameters are part of the programs: to hand them over would cost as much as the step.
        self._step = jax.jit(step)
        self._reset = jax.jit(lambda seed: env.reset_env(jax.random.key(seed), params))
        self._reset_at = jax.jit(lambda seed, bar: env.reset_at(jax.random.key(seed), params, bar))
        self._bars = (int(params.first_bar), int(params.last_bar)) if hasattr(env, "reset_at") else None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode.

        Args:
            seed: Seeds all draws from here on; None: they go on.
            options: `{"bar": t}` opens the account at the close of bar t, in a trading environment.

        Raises:
            InputError: There is no such option, or no decision at that bar.
        """
        super().reset(seed=seed)
        if options:
            obs, self._state = self._reset_at(self._seed(), self._bar(options))
        else:
            obs, self._state = self._reset(self._seed())
        return to_numpy(obs), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take an action; return observation, reward, terminated, truncated and info."""
        if self._state is None:
            raise gymnasium.error.ResetNeeded("call reset() before step()")
        given = np.asarray(action, self.action_space.dtype)
        self._state, seen, info = self._step(self._seed(), self._state, given)
        statistics = info.pop("episode", None)  # a name that Gymnasium's own wrappers keep for themselves
        (obs, reward, terminated, truncated), info = to_numpy((seen, info))
        if statistics is not None and (terminated or truncated):
            info["statistics"] = to_numpy(statistics)
        return obs, float(reward), bool(terminated), bool(truncated), info

    def _seed(self) -> np.uint32:
        return self.np_random.integers(2**32, dtype=np.uint32)

    def _bar(self, options: dict[str, Any]) -> np.int32:
        if set(options) != {"bar"} or self._bars is None:
            remedy = "Leave them out" if self._bars is None else "Give {'bar': t} or nothing"
            raise InputError("reset options", f"{', '.join(map(str, options))}: no such option", remedy)
        first, last = self._bars
        if not first <= options["bar"] < last:
            raise InputError("reset options", f"no decision at bar {options['bar']}", f"Take {first} to {last - 1}")
        return np.int32(options["bar"])


def to_numpy(tree: Any) -> Any:
    """Return a copy in NumPy; in a step that takes a fifth of a millisecond, jax.device_get would be half of it."""
    return jax.tree.map(np.array, tree)


def finite(space: gymnasium.Space[Any]) -> gymnasium.Space[Any]:
    """Return the space with the largest floats as its bounds where it has none: Gymnasium takes infinity for a slip."""
    if isinstance(space, gymnasium.spaces.Box):
        most = np.finfo(space.dtype).max if np.issubdtype(space.dtype, np.floating) else np.inf
        low, high = np.clip(space.low, -most, most), np.clip(space.high, -most, most)
        return gymnasium.spaces.Box(low, high, dtype=space.dtype)
    if isinstance(space, gymnasium.spaces.Dict):
        return gymnasium.spaces.Dict({name: finite(each) for name, each in space.spaces.items()})
    return space
