"""Probe environments through the real update: every part of the learner that one of them needs is right."""

from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.helpers import probe_envs as probes
from train import control as room
from train.control import train_control
from train.control_config import ControlConfig
from train.control_rollout import Steps, collect, init_control, make_control
from train.gae import gae


class Size(NamedTuple):
    """How much is learned, and whether the compiler takes its time for it."""

    seeds: int = 5
    updates: int = 500
    quickly: bool = False


FULL = Size()

PPO = {
    "rollout_length": 16,
    "minibatches": 2,
    "gamma": probes.GAMMA,
    "learning_rate": 1e-2,
    "learning_rate_schedule": {"kind": "linear", "end": 0.5},
    "entropy_weight": 0.0,
    "value_clip": 0.0,
    "max_grad_norm": 10.0,
}


def config_of(actions: str, network: str, updates: int) -> ControlConfig:
    name = {"discrete": "Probe", "continuous": "ContinuousProbe"}[actions]
    return ControlConfig.model_validate(
        {
            "env": f"tests.helpers.probe_envs:{name}",
            "num_envs": 8,
            "total_timesteps": updates * 8 * PPO["rollout_length"],
            "network": {"kind": network, "layers": (16,), "hidden": 8, "reach": 4},
            "ppo": PPO,
        }
    )


@lru_cache
def learned(actions: str, network: str, kinds: tuple[int, ...], size: Size = FULL) -> Steps:
    """Return a rollout of the trained policies, leaves [kinds, seeds, L, E, ...]; all learn in one program."""
    control = make_control(config_of(actions, network, size.updates))

    def run(kind: jax.Array, seed: jax.Array) -> Steps:
        params = control.world.params.replace(kind=kind)
        state, _ = train_control(control, init_control(control, params, seed), params, size.updates)
        return collect(control, state, params, jax.random.key(1))[1]

    every = jax.jit(jax.vmap(jax.vmap(run, (None, 0)), (0, None)))
    arguments = jnp.array(kinds, jnp.int32), jnp.arange(size.seeds, dtype=jnp.int32)
    program = every.lower(*arguments).compile({"xla_backend_optimization_level": 0} if size.quickly else None)
    return jax.device_get(program(*arguments))


def value_errors(
    actions: str, network: str, kinds: tuple[int, ...] = tuple(range(7)), size: Size = FULL
) -> dict[str, Any]:
    """Return the largest error of any value in the rollouts of each probe, by seed."""
    steps = learned(actions, network, kinds, size)
    return {
        probes.NAMES[kind]: np.abs(steps.value[at] - probes.true_value(kind, steps.obs[at][..., 0])).max((1, 2))
        for at, kind in enumerate(kinds)
        if kind != probes.RECALL
    }


def recalled(steps: Steps) -> np.ndarray:
    """Return the mean return of each seed on the memory probe, the last of the kinds."""
    return (steps.reward[-1] * steps.ended[-1]).sum((1, 2)) / steps.ended[-1].sum((1, 2))


def check(actions: str, network: str) -> None:
    errors = value_errors(actions, network)
    for name, error in errors.items():
        assert (error <= (1.0 if name == "infinite horizon" else 0.1)).all(), (name, error)
    found = recalled(learned(actions, network, tuple(range(7))))
    if network == "lstm":
        assert (found > 0.9).all(), found
    else:
        assert (np.abs(found) < 0.5).all(), found


QUICK = Size(seeds=2, updates=60, quickly=True)


def test_probes() -> None:
    """A small version: two seeds, an mlp and choices, what needs few updates."""
    errors = value_errors("discrete", "mlp", tuple(range(5)), QUICK)
    assert all((error <= 0.1).all() for error in errors.values()), errors


@pytest.mark.nightly
@pytest.mark.parametrize("network", ["mlp", "lstm"])
@pytest.mark.parametrize("actions", ["discrete", "continuous"])
def test_every_probe(actions: str, network: str) -> None:
    check(actions, network)


@pytest.mark.nightly
def test_truncation_as_termination_gives_the_value_of_eight_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """(1 - gamma^8) / (1 - gamma) = 7.46 at the start of an episode, where the truth is 50."""

    def mutant(rewards: Any, values: Any, after: Any, terminated: Any, truncated: Any, discount: Any) -> jax.Array:
        return gae(rewards, values, after, terminated | truncated, truncated, discount)

    monkeypatch.setattr(room, "gae", mutant)
    steps = learned.__wrapped__("discrete", "mlp", (probes.FOREVER,))
    first = np.array([value[obs[..., 0] == 0].mean() for value, obs in zip(steps.value[0], steps.obs[0], strict=True)])
    np.testing.assert_allclose(first, 7.46, atol=0.2)
