"""The PPO loss by hand, piece by piece, and the direction of its gradient."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from train import losses
from train.config import PPOConfig
from train.distributions import CATEGORICAL, GAUSSIAN, GaussianParams
from train.losses import Batch, normalize_advantages
from train.schedules import hyper_of, knobs_at

PLAIN = PPOConfig(value_weight=0.5, entropy_weight=0.01)
RATIO = np.array([1.0, 1.5, 0.5, 1.1, 1.3, 0.6])
ADVANTAGE = np.array([1.0, 2.0, -1.0, -2.0, -0.5, 0.5])
OLD_VALUE, VALUE, TARGET = np.zeros((1, 6)), np.array([[0.1, 0.5, -0.5, 0.05, 1.0, -1.0]]), np.full((1, 6), 0.3)
LOG_P = np.log(0.25)  # of every action, four of them equally likely


def ppo_loss(
    dist_params: Any, value: jax.Array, batch: Batch, distribution: Any, config: PPOConfig
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Return the loss of a whole minibatch in the first update."""
    knobs = knobs_at(config, hyper_of(config, 1), 0, value.dtype)
    return losses.ppo_loss(dist_params, value, normalize_advantages(batch), distribution, config, knobs)


def batch() -> Batch:
    """Return a batch whose ratios are RATIO under uniform logits."""
    leaves = (np.full((1, 6), 1), LOG_P - np.log(RATIO)[None], OLD_VALUE, ADVANTAGE[None], TARGET)
    first, *rest = leaves
    return Batch(jnp.asarray(first, jnp.int32), *(jnp.asarray(leaf, jnp.float32) for leaf in rest))


def loss_of(config: PPOConfig, value: np.ndarray = VALUE) -> dict[str, float]:
    logits = jnp.zeros((1, 6, 4))
    loss, parts = ppo_loss(logits, jnp.asarray(value, jnp.float32), batch(), CATEGORICAL, config)
    assert loss == parts["loss"]
    return {name: float(part) for name, part in parts.items()}


def test_every_part_by_hand() -> None:
    parts = loss_of(PLAIN)
    scaled = (ADVANTAGE - ADVANTAGE.mean()) / ADVANTAGE.std()
    np.testing.assert_allclose(scaled, ADVANTAGE / np.sqrt(1.75), rtol=1e-12)  # the mean is 0, the variance 10.5 / 6
    # ratio 1.5 at advantage 2 counts as 1.2; 0.5 at -1 as 0.8; 1.3 at -0.5 and 0.6 at 0.5 are the worse: unclipped
    surrogate = np.array([1.0 * 1.0, 1.2 * 2.0, 0.8 * -1.0, 1.1 * -2.0, 1.3 * -0.5, 0.6 * 0.5]) / np.sqrt(1.75)
    np.testing.assert_allclose(parts["policy_loss"], -surrogate.mean(), rtol=1e-5)
    np.testing.assert_allclose(parts["value_loss"], 0.5 * np.mean((VALUE - 0.3) ** 2), rtol=1e-5)
    np.testing.assert_allclose(parts["entropy"], np.log(4), rtol=1e-6)
    np.testing.assert_allclose(parts["clip_fraction"], 4 / 6, rtol=1e-6)
    np.testing.assert_allclose(parts["approx_kl"], np.mean(RATIO - 1 - np.log(RATIO)), rtol=1e-4)
    total = parts["policy_loss"] + 0.5 * parts["value_loss"] - 0.01 * parts["entropy"]
    np.testing.assert_allclose(parts["loss"], total, rtol=1e-6)


def test_value_clipping_takes_the_worse_error() -> None:
    """Clipped to 0.2 around the old value 0: the errors to 0.3 by hand."""
    parts = loss_of(PLAIN.model_copy(update={"value_clip": 0.2}))
    errors = [0.2**2, max(0.2**2, 0.1**2), max(0.8**2, 0.5**2), 0.25**2, max(0.7**2, 0.1**2), max(1.3**2, 0.5**2)]
    np.testing.assert_allclose(parts["value_loss"], 0.5 * np.mean(errors), rtol=1e-5)
    assert parts["value_loss"] == loss_of(PLAIN)["value_loss"]  # here the unclipped error is the worse one everywhere
    near = np.full((1, 6), 0.29)  # an error of almost 0; clipped at 0.2 it is 0.1
    clipped = loss_of(PLAIN.model_copy(update={"value_clip": 0.2}), near)["value_loss"]
    np.testing.assert_allclose(clipped, 0.5 * 0.1**2, rtol=1e-5)
    assert loss_of(PLAIN, near)["value_loss"] < 1e-4


FAR = [(1.5, 1, False), (1.5, -1, True), (0.5, 1, True), (0.5, -1, False), (1.1, 1, True), (0.9, -1, True)]


@jax.jit
def surrogate_slope(params: GaussianParams, given: Batch) -> GaussianParams:
    """Return the gradient of the loss of two samples without the entropy bonus."""
    config = PLAIN.model_copy(update={"entropy_weight": 0.0})
    return jax.grad(lambda each: ppo_loss(each, jnp.zeros(2), given, GAUSSIAN, config)[0])(params)


@pytest.mark.parametrize(("ratio", "advantage", "learns"), FAR)
def test_the_gradient_stops_where_the_ratio_has_gone_far_enough(ratio: float, advantage: int, learns: bool) -> None:
    """Two samples, so that normalising leaves the sign; the second has ratio 1 and its own parameter."""
    advantages = jnp.asarray([advantage, -advantage], jnp.float32)
    params = GaussianParams(jnp.zeros((2, 1)), jnp.zeros((2, 1)))
    action = jnp.asarray([[0.5], [0.0]])
    old = GAUSSIAN.log_prob(params, action) - jnp.log(jnp.asarray([ratio, 1.0], jnp.float32))
    given = Batch(action, old, jnp.zeros(2), advantages, jnp.zeros(2))
    slope = float(surrogate_slope(params, given).mean[0, 0])
    assert (slope != 0) == learns
    if learns:
        assert np.sign(slope) == -np.sign(advantage)  # a good action becomes more likely: the mean moves to it


def test_advantages_are_normalised_in_the_minibatch() -> None:
    scaled = batch()._replace(advantage=batch().advantage * 100 + 7)
    logits, value = jnp.zeros((1, 6, 4)), jnp.asarray(VALUE, jnp.float32)
    found = ppo_loss(logits, value, scaled, CATEGORICAL, PLAIN)[1]["policy_loss"]
    np.testing.assert_allclose(found, loss_of(PLAIN)["policy_loss"], rtol=1e-5)
    same = batch()._replace(advantage=jnp.ones((1, 6)))
    assert ppo_loss(logits, value, same, CATEGORICAL, PLAIN)[1]["policy_loss"] == 0


def test_ratio_one_has_no_divergence() -> None:
    given = batch()._replace(log_prob=CATEGORICAL.log_prob(jnp.zeros((1, 6, 4)), jnp.ones((1, 6), jnp.int32)))
    parts = ppo_loss(jnp.zeros((1, 6, 4)), jnp.asarray(VALUE, jnp.float32), given, CATEGORICAL, PLAIN)[1]
    assert parts["approx_kl"] == parts["clip_fraction"] == 0
    np.testing.assert_allclose(parts["policy_loss"], 0, atol=1e-7)
