"""The peer on CartPole: PPO of the package rejax, the other compiled trainer, one compiled call for some updates."""

from typing import Any

import gymnax
import jax
import rejax
from gymnax.wrappers import LegacyStepAPIWrapper

from benchmarks.harness import Work

STEPS = 128
SETTINGS = {"num_steps": STEPS, "num_epochs": 4, "num_minibatches": 4, "max_grad_norm": 0.5, "learning_rate": 2.5e-4}
NETWORK = {"hidden_layer_sizes": (64, 64), "activation": "tanh"}


class FiveValues(LegacyStepAPIWrapper):
    """What rejax steps: terminated or truncated as one flag; its copies must not look up special names inside."""

    def __getattr__(self, name: str) -> Any:
        """Look up what the wrapper lacks in the environment."""
        if name == "_env" or (name.startswith("__") and name.endswith("__")):
            raise AttributeError(name)
        return getattr(self._env, name)


def make_algorithm(copies: int) -> rejax.PPO:
    """Return rejax's PPO on CartPole-v1 with the settings above; it never evaluates in the measured time."""
    env, params = gymnax.make("CartPole-v1")
    return rejax.PPO.create(
        env=FiveValues(env),
        env_params=params,
        num_envs=copies,
        agent_kwargs=dict(NETWORK),
        **SETTINGS,
    )


def rejax_work(copies: int, updates: int) -> Work:
    """Return the work of some whole updates."""
    algorithm = make_algorithm(copies)

    def several(state: Any) -> Any:
        return jax.lax.fori_loop(0, updates, lambda _, inner: algorithm.train_iteration(inner), state)

    program = jax.jit(several, donate_argnums=0)
    state = jax.jit(algorithm.init_state)(jax.random.key(0))

    def work() -> int:
        nonlocal state
        state = program(state)
        jax.block_until_ready(state)
        return updates * copies * STEPS

    return work
