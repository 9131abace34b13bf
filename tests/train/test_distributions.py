"""Action distributions against scipy.stats, and their samples against their densities."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from train.distributions import (
    CATEGORICAL,
    GAUSSIAN,
    SPAN,
    Distribution,
    GaussianParams,
    bounded_log_std,
    multi_categorical,
    squashed_gaussian,
)

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


@pytest.mark.parametrize(
    "name", ["gaussian", "categorical", "squashed", pytest.param("several", marks=pytest.mark.nightly)]
)
def test_the_score_has_mean_zero(name: str) -> None:
    """E[d log p / d parameters] = 0 for samples of the very distribution: density and sampler belong together."""
    keys = jax.random.split(jax.random.key(2), 20_000)
    if name == "gaussian":
        law, params = GAUSSIAN, GaussianParams(jnp.asarray([0.5, -1.0]), jnp.asarray([0.3, -0.7]))
    elif name == "squashed":
        law, params = squashed_gaussian(0.0, 3.0), GaussianParams(jnp.asarray([0.5, -1.0]), jnp.asarray([0.3, -0.7]))
    elif name == "several":
        law, params = multi_categorical((2, 3)), jnp.asarray([0.2, -1.0, 1.5, 0.0, 0.4])
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


def whole_mass(law: Distribution, low: float, high: float, mean: float, std: float) -> float:
    """Integrate the density over what the environment is given, between the bounds."""
    u = jnp.linspace(mean - 8 * std, mean + 8 * std, 4001)
    params = GaussianParams(jnp.full((4001, 1), mean), jnp.full((4001, 1), float(np.log(std))))
    action = np.asarray(law.to_env(u), np.float64)
    assert np.all((action >= low) & (action <= high))
    return float(np.trapezoid(np.exp(np.asarray(law.log_prob(params, u[:, None]), np.float64)), action))


@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (0.0, 3.0)])
@pytest.mark.parametrize(("mean", "std"), [(0.0, 0.3), (1.0, 1.0), (-2.0, 0.5)])
def test_a_squashed_density_integrates_to_one(low: float, high: float, mean: float, std: float, x64: None) -> None:
    law = squashed_gaussian(low, high)
    assert whole_mass(law, low, high, mean, std) == pytest.approx(1, abs=1e-5)
    wrong = law._replace(log_prob=GAUSSIAN.log_prob)  # without the Jacobian
    assert abs(whole_mass(wrong, low, high, mean, std) - 1) > 0.05


def test_a_squashed_density_is_that_of_the_action(x64: None) -> None:
    """Against the density of arctanh by scipy, and finite where tanh has no digits left."""
    law, u = squashed_gaussian(), np.array([[0.4, -1.5, 3.0]])
    params = GaussianParams(jnp.asarray(MEAN[:1]), jnp.asarray(LOG_STD[:1]))
    wanted = stats.norm(MEAN[:1], np.exp(LOG_STD[:1])).logpdf(u) - np.log(1 - np.tanh(u) ** 2)
    np.testing.assert_allclose(law.log_prob(params, jnp.asarray(u)), wanted.sum(axis=-1), rtol=1e-9)
    single = GaussianParams(jnp.zeros(1, jnp.float32), jnp.zeros(1, jnp.float32))
    for far in (-40.0, 40.0):
        found, slope = jax.value_and_grad(law.log_prob)(single, jnp.full(1, far, jnp.float32))
        np.testing.assert_allclose(found, stats.norm.logpdf(far) + 2 * (abs(far) - np.log(2)), rtol=1e-6)
        assert np.isfinite(slope.mean)


@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (0.0, 3.0)])
def test_squashed_samples_lie_within_the_bounds_and_follow_the_law(low: float, high: float) -> None:
    law, params = squashed_gaussian(low, high), GaussianParams(jnp.asarray([0.5]), jnp.asarray([-0.3]))
    keys = jax.random.split(jax.random.key(3), 20_000)
    seen = np.asarray(jax.vmap(lambda key: law.to_env(law.sample(key, params)))(keys), np.float64)[:, 0]
    assert seen.min() > low
    assert seen.max() < high
    back = np.arctanh((2 * seen - low - high) / (high - low))
    assert stats.kstest((back - 0.5) / np.exp(-0.3), "norm").pvalue > 1e-3
    middle = float(law.to_env(law.mode(params))[0])
    assert middle == pytest.approx(low + (high - low) * (1 + np.tanh(0.5)) / 2, rel=1e-6)
    assert np.mean(seen < middle) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("mean", [0.0, 0.7, 3.0])
@pytest.mark.parametrize(("std", "error"), [(0.1, 1e-5), (1.0, 2e-5), (2.0, 5e-3), (5.0, 0.2)])
def test_squashed_entropy(mean: float, std: float, error: float) -> None:
    """Against the integral of -p log p, and the mean of -log p over samples."""
    law = squashed_gaussian(0.0, 3.0)
    params = GaussianParams(jnp.asarray([mean]), jnp.log(jnp.asarray([std])))
    found, u = float(law.entropy(params)), mean + std * np.linspace(-9, 9, 100_001)
    log_p = stats.norm.logpdf(u, mean, std) - np.log(1.5) - 2 * (np.log(2) - u - np.logaddexp(0, -2 * u))
    wanted = -np.trapezoid(stats.norm.pdf(u, mean, std) * log_p, u)
    assert found == pytest.approx(wanted, abs=error)
    drawn = jax.vmap(law.sample, (0, None))(jax.random.split(jax.random.key(5), 20_000), params)
    surprise = -np.asarray(jax.vmap(law.log_prob, (None, 0))(params, drawn), np.float64)
    assert found == pytest.approx(surprise.mean(), abs=5 * surprise.std() / np.sqrt(len(surprise)) + error)
    wrong = float(GAUSSIAN.entropy(params))  # of the number before the tanh
    assert abs(wrong - wanted) > error + 1e-3


def test_squashed_entropy_sums_over_the_actions() -> None:
    law, params = squashed_gaussian(0.0, 2.0), gaussian()
    each = jax.tree.map(lambda leaf: leaf[..., None], params)
    np.testing.assert_allclose(law.entropy(params), jnp.sum(law.entropy(each), axis=-1), rtol=1e-5)
    np.testing.assert_allclose(
        law.log_prob(params, params.mean), jnp.sum(law.log_prob(each, each.mean), axis=-1), rtol=1e-5
    )


def test_several_choices_are_the_product_of_their_categoricals() -> None:
    sizes = (2, 4, 3)
    law, scores = multi_categorical(sizes), jax.random.normal(jax.random.key(0), (5, sum(sizes))) * 2
    parts = [scores[:, :2], scores[:, 2:6], scores[:, 6:]]
    total = np.zeros(5)
    for action in itertools.product(*map(range, sizes)):
        chosen = jnp.broadcast_to(jnp.asarray(action, jnp.int32), (5, 3))
        wanted = [CATEGORICAL.log_prob(part, chosen[:, k]) for k, part in enumerate(parts)]
        np.testing.assert_allclose(law.log_prob(scores, chosen), np.sum(wanted, axis=0), rtol=1e-5)
        total += np.exp(law.log_prob(scores, chosen))
    np.testing.assert_allclose(total, 1, rtol=1e-5)
    np.testing.assert_allclose(law.entropy(scores), np.sum([CATEGORICAL.entropy(part) for part in parts], axis=0), 1e-5)
    mode = law.mode(scores)
    assert mode.dtype == jnp.int32
    np.testing.assert_array_equal(mode, np.stack([np.argmax(part, axis=-1) for part in parts], axis=-1))


def test_several_choices_are_drawn_independently() -> None:
    law, scores = multi_categorical((2, 3)), jnp.asarray([0.3, -0.5, 1.0, 0.0, -1.0])
    drawn = np.asarray(jax.vmap(law.sample, (0, None))(jax.random.split(jax.random.key(1), 20_000), scores))
    assert drawn.dtype == np.int32
    counts = np.zeros((2, 3))
    np.add.at(counts, tuple(drawn.T), 1)
    expected = np.outer(*(np.exp(np.asarray(part, float)) for part in (scores[:2], scores[2:])))
    assert stats.chisquare(counts, expected / expected.sum() * len(drawn), axis=None).pvalue > 1e-3


def test_a_log_std_keeps_within_its_span() -> None:
    raw = jnp.asarray([-1e9, -1.0, 0.0, 1.0, 1e9])
    found = np.asarray(bounded_log_std(raw, -0.5))
    np.testing.assert_allclose(found[[0, 2, 4]], [-0.5 - SPAN, -0.5, -0.5 + SPAN])
    assert np.all(np.diff(found) > 0)
    slope = jax.vmap(jax.grad(lambda each: bounded_log_std(each, -0.5)))(raw)
    assert slope[2] == 1
    assert np.all(np.asarray(slope[1:4]) > 0.8)
