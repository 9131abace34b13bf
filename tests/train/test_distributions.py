"""Action distributions against scipy.stats, and their samples against their densities."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from train.distributions import CATEGORICAL, GAUSSIAN, GaussianParams

MEAN, LOG_STD = np.array([[0.3, -1.2, 2.0], [0.0, 5.0, -0.1]]), np.array([[-0.5, 0.2, -2.0], [0.0, -1.0, 1.0]])
LOGITS = np.array([[0.0, 1.0, -2.0, 30.0], [1e3, 1e3, 0.0, -1e3], [0.5, 0.5, 0.5, 0.5]])


def gaussian() -> GaussianParams:
    return GaussianParams(jnp.asarray(MEAN, jnp.float32), jnp.asarray(LOG_STD, jnp.float32))


def logits() -> jax.Array:
    return jnp.asarray(LOGITS, jnp.float32)


def test_gaussian_density_and_entropy() -> None:
    action = np.array([[0.1, -1.0, 2.2], [3.0, 4.0, -2.0]])
    law = stats.norm(MEAN, np.exp(LOG_STD))
    found = GAUSSIAN.log_prob(gaussian(), jnp.asarray(action, jnp.float32))
    np.testing.assert_allclose(found, law.logpdf(action).sum(axis=-1), rtol=2e-6)
    np.testing.assert_allclose(GAUSSIAN.entropy(gaussian()), law.entropy().sum(axis=-1), rtol=1e-6)
    np.testing.assert_array_equal(GAUSSIAN.mode(gaussian()), MEAN.astype(np.float32))


def test_gaussian_samples_follow_the_density() -> None:
    count = 20_000
    keys = jax.random.split(jax.random.key(0), count)
    samples = np.asarray(jax.vmap(GAUSSIAN.sample, (0, None))(keys, gaussian()), np.float64)
    assert samples.dtype == np.float64
    scores = (samples - MEAN) / np.exp(LOG_STD)
    for column in scores.reshape(count, -1).T:
        assert stats.kstest(column, "norm").pvalue > 1e-3
    assert np.max(np.abs(np.corrcoef(scores.reshape(count, -1).T) - np.eye(6))) < 0.03, "dimensions are not independent"


def test_categorical_probabilities_and_entropy() -> None:
    """Large logits neither overflow nor lose the smaller ones' probability."""
    shifted = LOGITS - LOGITS.max(axis=-1, keepdims=True)
    probs = np.exp(shifted) / np.exp(shifted).sum(axis=-1, keepdims=True)
    log_probs = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    for action in range(4):
        found = CATEGORICAL.log_prob(logits(), jnp.full(3, action))
        np.testing.assert_allclose(found, log_probs[:, action], rtol=1e-6, atol=1e-6)
    wanted = [stats.entropy(row) for row in probs]
    np.testing.assert_allclose(CATEGORICAL.entropy(logits()), wanted, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(CATEGORICAL.mode(logits())[:1], [3])


def test_categorical_samples_follow_the_probabilities() -> None:
    scores = jnp.asarray([0.0, 1.0, -1.0, 0.5, -30.0])
    keys = jax.random.split(jax.random.key(1), 20_000)
    samples = jax.vmap(CATEGORICAL.sample, (0, None))(keys, scores)
    counts = np.bincount(samples, minlength=5)
    expected = len(keys) * np.asarray(jax.nn.softmax(scores), np.float64)
    assert counts[4] == 0
    assert stats.chisquare(counts[:4], expected[:4] * counts.sum() / expected[:4].sum()).pvalue > 1e-3


@pytest.mark.parametrize("name", ["gaussian", "categorical"])
def test_the_score_has_mean_zero(name: str) -> None:
    """E[d log p / d parameters] = 0 for samples of the very distribution: density and sampler belong together."""
    keys = jax.random.split(jax.random.key(2), 20_000)
    if name == "gaussian":
        law, params = GAUSSIAN, GaussianParams(jnp.asarray([0.5, -1.0]), jnp.asarray([0.3, -0.7]))
    else:
        law, params = CATEGORICAL, jnp.asarray([0.2, -1.0, 1.5])

    def score(key: jax.Array) -> jax.Array:
        return jax.grad(law.log_prob)(params, law.sample(key, params))

    for leaf in jax.tree.leaves(jax.jit(jax.vmap(score))(keys)):
        error = 5 * np.std(leaf, axis=0) / np.sqrt(len(keys))
        assert np.all(np.abs(np.mean(leaf, axis=0)) < error)


def test_a_wrong_scale_would_be_noticed() -> None:
    wrong = GAUSSIAN._replace(sample=lambda key, params: params.mean + jax.random.normal(key, params.mean.shape))
    keys = jax.random.split(jax.random.key(0), 20_000)
    scores = (np.asarray(jax.vmap(wrong.sample, (0, None))(keys, gaussian())) - MEAN) / np.exp(LOG_STD)
    assert stats.kstest(scores[:, 0, 0], "norm").pvalue < 1e-3
