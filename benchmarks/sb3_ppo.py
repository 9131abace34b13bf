"""The peer of training in PyTorch: PPO of stable-baselines3 on the single NumPy environment of the same rules."""

import itertools
import sys
import types
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecEnv

from benchmarks.harness import Work
from benchmarks.numpy_env import Market, NumpyEnv, Rules
from benchmarks.sb3_env import SB3Env, SB3Factory


class Trainer(NamedTuple):
    """The settings of one peer; the others are stable-baselines3's own."""

    envs: int = 8
    steps: int = 2048
    batch: int = 256
    epochs: int = 10
    threads: int = 1
    window: int = 1
    batched: bool = False

    @property
    def samples(self) -> int:
        """Steps of one update."""
        return self.envs * self.steps

    def __str__(self) -> str:
        """Say what differs from peer to peer."""
        where = "batched NumPy environment" if self.batched else "DummyVecEnv"
        batch = f"n_steps {self.steps}, batch {self.batch}, {self.epochs} epochs"
        return f"SB3 {where} x{self.envs}, {batch}, {self.threads} thread{'s'[: self.threads - 1]}"


def make_vec_env(market: Market, rules: Rules, count: int, window: int = 1, processes: bool = False) -> Any:
    """Return `count` environments that step in turn, or each in a process of its own."""
    factories: list[Callable[[], Any]] = [SB3Factory(market, rules, window, seed) for seed in range(count)]
    if not processes:
        return DummyVecEnv(factories)
    with main_left_out():
        return SubprocVecEnv(factories)


@contextmanager
def main_left_out() -> Iterator[None]:
    """Keep worker processes from importing the script that is running, and JAX with it."""
    script = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script


class BatchedVecEnv(VecEnv):
    """The batched NumPy environment as a vector environment: what a careful user would write for many symbols.

    Episodes that are truncated are not bootstrapped, which makes it cheaper.
    """

    def __init__(self, market: Market, rules: Rules, count: int) -> None:
        single, self.render_mode = SB3Env(market, rules), None
        super().__init__(count, single.observation_space, single.action_space)
        self.inner = NumpyEnv(market, rules, count)

    def reset(self) -> Any:
        """Open all accounts on random bars."""
        return self.inner.reset()

    def step_async(self, actions: Any) -> None:
        """Take note of the actions."""
        self.actions = actions

    def step_wait(self) -> tuple[Any, Any, Any, list[dict[str, Any]]]:
        """Step; accounts whose episode ended are observed after their reset."""
        result = self.inner.step(self.actions)
        ended = result.terminated | result.truncated
        infos = [{"terminal_observation": result.observation[n]} if end else {} for n, end in enumerate(ended)]
        return result.observation, result.reward.astype(np.float32), ended, infos

    def close(self) -> None:
        """Do nothing."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Return an attribute of the environment, once for each account."""
        return [getattr(self, attr_name, None)] * self.num_envs

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Set an attribute of the environment."""
        setattr(self, attr_name, value)

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        """Call a method of the environment."""
        return [getattr(self, method_name)(*args, **kwargs)]

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """Return that nothing is wrapped."""
        return [False] * self.num_envs


def make_trainer(market: Market, rules: Rules, settings: Trainer, policy: Mapping[str, Any]) -> PPO:
    """Return a PPO of stable-baselines3 with an `MlpPolicy` of the given keywords, on the CPU."""
    env = make_vec_env(market, rules, settings.envs, settings.window)
    if settings.batched:
        env = BatchedVecEnv(market, rules, settings.envs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a batch does not divide the rollout: the last one is then smaller
        return PPO(
            "MlpPolicy",
            env,
            n_steps=settings.steps,
            batch_size=settings.batch,
            n_epochs=settings.epochs,
            policy_kwargs=dict(policy),
            device="cpu",
            seed=0,
        )


def trainer_work(market: Market, rules: Rules, settings: Trainer, policy: Mapping[str, Any], updates: int = 1) -> Work:
    """Return the work of some whole updates: rollout, advantages and every epoch."""
    model = make_trainer(market, rules, settings, policy)
    fresh = itertools.chain([True], itertools.repeat(False))

    def work() -> int:
        torch.set_num_threads(settings.threads)
        model.learn(updates * settings.samples, reset_num_timesteps=next(fresh))
        return updates * settings.samples

    return work


def walk_work(market: Market, rules: Rules, count: int, steps: int, processes: bool = False) -> Work:
    """Return the work of stepping a vector of environments under random actions, without a trainer."""
    env, rng = make_vec_env(market, rules, count, processes=processes), np.random.default_rng(0)
    shape = (count, *env.action_space.shape)
    env.reset()

    def work() -> int:
        for _ in range(steps):
            env.step(rng.random(shape, np.float32) * 2 - 1)
        return steps * count

    return work
