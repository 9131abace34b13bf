"""A minibatch that goes through the head in parts has the gradient of the whole."""

from typing import Any

import jax
import numpy as np
import pytest

from tests.helpers.learning import first_knobs, minibatch_loss, world_of
from train.learner import head_loss, minibatch_gradient
from train.losses import normalize_advantages
from train.parts import count_parts

RUINS = "mlp, continuous, ruins"


def in_parts(monkeypatch: pytest.MonkeyPatch, name: str) -> tuple[Any, Any, dict, dict]:
    """Return the gradient in four parts and all at once, and the figures of both."""
    (setup, _, state), fresh = world_of(name, double=True)
    params, steps = jax.tree.map(lambda leaf: leaf * 1.01, state.params), fresh.steps[0]
    rows = fresh.samples.assets[:, 0, ..., 0].size
    monkeypatch.setattr("train.parts.ROWS", rows * steps.shape[1] // 4)
    assert count_parts(steps.shape[1], rows) == 4
    knobs = first_knobs(setup, fresh.samples.assets.dtype)
    parts, figures = jax.jit(lambda each: minibatch_gradient(each, setup, knobs, fresh.samples, steps))(params)
    whole, wanted = jax.jit(jax.grad(lambda each: minibatch_loss(each, setup, fresh.samples, steps), has_aux=True))(
        params
    )
    return parts, whole, figures, wanted


LATER = [pytest.param(name, marks=pytest.mark.nightly) for name in ("lstm, shuffled", "lstm, discrete9", RUINS)]


@pytest.mark.parametrize("name", ["carried lstm", *LATER])
def test_a_minibatch_in_parts_is_the_minibatch(name: str, x64: None, monkeypatch: pytest.MonkeyPatch) -> None:
    parts, whole, figures, wanted = in_parts(monkeypatch, name)
    for mine, theirs in zip(*map(jax.tree.leaves, (parts, whole)), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-14)
    assert figures.keys() == wanted.keys()
    for figure, value in figures.items():
        np.testing.assert_allclose(value, wanted[figure], rtol=1e-9, atol=1e-14, err_msg=figure)


def test_advantages_of_each_part_alone_are_noticed(x64: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Normalised part by part, the gradient is another."""
    real = head_loss

    def alone(params: Any, market: jax.Array, setup: Any, knobs: Any, samples: Any) -> Any:
        return real(params, market, setup, knobs, samples._replace(batch=normalize_advantages(samples.batch)))

    monkeypatch.setattr("train.learner.head_loss", alone)
    parts, whole, _, _ = in_parts(monkeypatch, RUINS)
    apart = [
        np.max(np.abs(a - b)) / np.max(np.abs(b)) for a, b in zip(*map(jax.tree.leaves, (parts, whole)), strict=True)
    ]
    assert max(apart) > 1e-3
