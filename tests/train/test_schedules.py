"""Each schedule against its formula, worked out by hand."""

from math import cos, exp, pi

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrade.errors import InputError
from tests.conftest import small_config
from train.config import PPOConfig, ScheduleConfig
from train.schedules import hyper_of, knobs_at, make_schedule

UPDATES = 200
LATE = {"warmup": 0.2}  # 40 updates of warm-up, 160 after it
BY_HAND = {
    "constant": ({}, {0: 1, 100: 1, 199: 1, 200: 1}),
    "linear": ({}, {0: 1, 50: 0.75, 100: 0.5, 199: 0.005, 200: 0}),
    "linear to a tenth": ({"end": 0.1}, {0: 1, 100: 0.55, 200: 0.1}),
    "exponential": ({"rate": 3.0}, {0: 1, 50: exp(-0.75), 100: exp(-1.5), 200: exp(-3)}),
    "exponential, rate 0": ({"rate": 0.0}, {0: 1, 100: 1, 200: 1}),
    "exponential_to_target": ({"end": 0.01}, {0: 1, 50: 10**-0.5, 100: 0.1, 150: 10**-1.5, 200: 0.01}),
    "cosine": (
        LATE | {"end": 0.2},
        {0: 0, 20: 0.5, 39: 39 / 40, 40: 1, 80: 0.2 + 0.4 * (1 + cos(pi / 4)), 120: 0.6, 200: 0.2},
    ),
    "cosine without warm-up": ({"warmup": 0.0}, {0: 1, 100: 0.5, 150: 0.5 * (1 + cos(0.75 * pi)), 200: 0}),
    "cosine, warm-up to the end": ({"warmup": 1.0}, {0: 0, 100: 0.5, 199: 0.995}),
    "warmup_exponential": (
        LATE | {"rate": 4.0},
        {0: 0, 10: 0.25, 40: 1, 80: exp(-1), 120: exp(-2), 199: exp(-4 * 159 / 160), 200: exp(-4)},
    ),
    "warmup_exponential, warm-up to the end": ({"warmup": 1.0}, {0: 0, 100: 0.5, 199: 0.995}),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_factors_by_hand(name: str) -> None:
    settings, wanted = BY_HAND[name]
    schedule = make_schedule(ScheduleConfig(kind=name.replace(",", "").split(" ")[0], **settings))
    with jax.numpy_dtype_promotion("standard"):
        found = [float(schedule(jnp.float32(update / UPDATES))) for update in wanted]
    np.testing.assert_allclose(found, list(wanted.values()), rtol=2e-6, atol=1e-6)


def test_each_number_has_its_own_schedule(x64: None) -> None:
    """The compiled numbers of an update, in the precision that is asked for."""
    ppo = PPOConfig(
        learning_rate=2e-3,
        learning_rate_schedule={"kind": "cosine", "warmup": 0.5},
        clip=0.3,
        clip_schedule="linear",
        entropy_weight=0.04,
        entropy_schedule={"kind": "exponential_to_target", "end": 0.25},
    )
    knobs = jax.jit(lambda update: knobs_at(ppo, hyper_of(ppo, 8), update, jnp.float64))
    found = np.array([knobs(jnp.int32(update)) for update in (0, 2, 4, 6, 8)])
    np.testing.assert_allclose(found[:, 0], 2e-3 * np.array([0, 0.5, 1, 0.5, 0]), rtol=1e-12, atol=1e-18)
    np.testing.assert_allclose(found[:, 1], 0.3 * np.array([1, 0.75, 0.5, 0.25, 0]), rtol=1e-12)
    np.testing.assert_allclose(found[:, 2], 0.04 * np.array([1, 2**-0.5, 0.5, 2**-1.5, 0.25]), rtol=1e-12)
    assert {leaf.dtype for leaf in knobs(jnp.int32(1))} == {jnp.dtype(jnp.float64)}
    assert {leaf.dtype for leaf in knobs_at(ppo, hyper_of(ppo, 8), 1, jnp.float32)} == {jnp.dtype(jnp.float32)}


def test_a_run_of_another_length_has_the_same_shares() -> None:
    """What was done before counts as a share of the new length: nothing of the schedule is kept in any state."""
    ppo = PPOConfig()
    short, long = (
        knobs_at(ppo, hyper_of(ppo, whole), done, jnp.float32).learning_rate for done, whole in ((5, 10), (5, 40))
    )
    np.testing.assert_allclose([short, long], [0.5e-3, 0.875e-3], rtol=1e-6)


def test_a_target_of_zero_is_refused() -> None:
    with pytest.raises((ValueError, InputError), match="never reaches an end of 0"):
        small_config(ppo={"rollout_length": 16, "clip_schedule": "exponential_to_target"})
