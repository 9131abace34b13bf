"""The identities of an update: ratio one, exact gradients, whole epochs, and chunks that are only a way to count."""

import logging
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrade.config import EnvConfig
from jaxtrade.envs.trading import EnvParams
from tests.helpers.learning import (
    MLP,
    VIOLENT,
    Fresh,
    Learner,
    assert_bitwise,
    copied,
    first_knobs,
    fresh_of,
    learner_of,
    make_learner,
    minibatch_loss,
    ratios,
    world_of,
)
from tests.helpers.worlds import env_params, make_table
from train.config import PPOConfig
from train.health import by_name
from train.learner import CHUNK, Descent, compile_chunk, draw_minibatches, learn, minibatch_gradient
from train.optimizer import apply_gradients, make_optimizer
from train.state import TrainState

LOG = logging.getLogger(__name__)
TARGET = 1e-6  # divergence
RUINS = "mlp, continuous, ruins"
IN_DOUBLE = (
    "carried lstm",
    *(pytest.param(name, marks=pytest.mark.nightly) for name in (RUINS, "lstm, discrete9", "lstm, shuffled")),
)
MORE = [pytest.param(name, marks=pytest.mark.nightly) for name in ("lstm, discrete9", "mlp, discrete9", "flat mlp")]
IN_SINGLE = ("lstm, continuous", RUINS, *MORE)

# The first minibatch -------------------------------------------------------------------------------------------------


def check_ratio(name: str, learner: Learner, fresh: Fresh, limit: float) -> None:
    assert (fresh.rollout.terminated.sum() > 5) == ("ruins" in name)
    with jax.default_matmul_precision("highest"):
        ratio, figures = ratios(learner, fresh)
    assert ratio.dtype == learner.market.outcome.gap.dtype
    worst = float(np.max(np.abs(np.asarray(ratio) - 1)))
    LOG.info("%s, %s: %.3g", name, ratio.dtype, worst)
    assert worst <= limit, f"a ratio is off by {worst:.3g}"
    assert abs(figures["approx_kl"]) <= limit
    assert figures["clip_fraction"] == 0


@pytest.mark.parametrize("name", IN_SINGLE)
def test_ratio_is_one_on_fresh_data(name: str) -> None:
    check_ratio(name, learner_of(name), fresh_of(name), 1e-5)


@pytest.mark.parametrize("name", IN_DOUBLE)
def test_ratio_is_one_on_fresh_data_in_float64(name: str, x64: None) -> None:
    check_ratio(name, learner_of(name, double=True), fresh_of(name, double=True), 1e-9)


def test_rows_one_bar_late_are_noticed() -> None:
    fresh = fresh_of(RUINS)
    late = fresh._replace(samples=fresh.samples._replace(rows=jnp.roll(fresh.samples.rows, 1, axis=1)))
    with pytest.raises(AssertionError, match="a ratio is off by"):
        check_ratio(RUINS, learner_of(RUINS), late, 1e-5)


def test_an_epoch_covers_every_bar_of_every_lane_once() -> None:
    learner = learner_of(RUINS)
    parts = np.asarray(draw_minibatches(learner.setup, jax.random.key(0)))
    assert parts.shape == (4 * 4, 4, 4)
    epochs = np.swapaxes(parts.reshape(4, 4, 4, 4), 1, 2).reshape(4, 4, 16)  # [epoch, lane, step]
    np.testing.assert_array_equal(np.sort(epochs, axis=-1), np.broadcast_to(np.arange(16), (4, 4, 16)))
    assert len({tuple(order) for order in epochs.reshape(-1, 16)}) == 16, "two lanes or epochs share a permutation"


# Gradients -----------------------------------------------------------------------------------------------------------


@pytest.mark.nightly  # every day: tests/train/test_lstm.py and test_numpy_ppo.py
def test_the_gradient_through_the_encoder_is_exact(x64: None) -> None:
    """Central differences in float64 on entries of every leaf, encoder first; after a step, so that ratios differ."""
    learner, fresh = world_of("lstm, discrete9", double=True)
    random = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: leaf + 0.02 * random.normal(size=leaf.shape), learner.state.params)
    both = jax.jit(
        jax.value_and_grad(lambda each: minibatch_loss(each, learner.setup, fresh.samples, fresh.steps[0])[0])
    )
    leaves, tree = jax.tree.flatten(jax.tree.map(np.asarray, params))
    slopes, names = jax.tree.leaves(jax.device_get(both(params)[1])), jax.tree.leaves_with_path(params)
    for number, (path, leaf) in enumerate(names):
        for _ in range(3):
            at = tuple(random.integers(0, size) for size in leaf.shape)
            ends = []
            for sign in (-1, 1):
                moved = [np.array(each) for each in leaves]
                moved[number][at] += sign * 1e-6
                ends.append(float(both(tree.unflatten(moved))[0]))
            wanted = (ends[1] - ends[0]) / 2e-6
            message = f"{jax.tree_util.keystr(path)}{at}"
            np.testing.assert_allclose(slopes[number][at], wanted, rtol=2e-5, atol=2e-9, err_msg=message)
    encoder = [np.abs(slope).max() for slope, (path, _) in zip(slopes, names, strict=True) if "encoder" in str(path)]
    assert len(encoder) == 3
    assert min(encoder) > 1e-6, "no gradient reaches the encoder"


@lru_cache
def learning() -> Callable[..., Any]:
    """Return the compiled `(rate, key) -> parameters, what it tells` of the epochs over a fresh rollout.

    The epochs stop at a target KL; `rate` is the learning rate.
    """
    (setup, _, state), fresh = world_of(RUINS, double=False)

    def run(rate: jax.Array, key: jax.Array) -> tuple[Any, Descent]:
        settings = setup.config.ppo.model_copy(update={"target_kl": TARGET})
        changed = setup._replace(config=setup.config.model_copy(update={"ppo": settings}))
        knobs = first_knobs(setup)._replace(learning_rate=rate)
        params, _, told = learn(changed, state, (knobs, None), (fresh.rollout, fresh.estimated), key)
        return params, told

    return jax.jit(run)


def test_a_learning_rate_of_zero_leaves_every_bit() -> None:
    params, told = learning()(jnp.float32(0), jax.random.key(8))
    assert_bitwise(params, learner_of(RUINS).state.params)
    assert told.scalars["grad_norm"] > 0
    assert told.scalars["minibatches"] == 16
    assert abs(told.scalars["approx_kl"]) < 1e-7
    with pytest.raises(AssertionError):
        assert_bitwise(learning()(jnp.float32(1e-7), jax.random.key(8))[0], learner_of(RUINS).state.params)


def test_the_divergence_stops_the_epochs() -> None:
    """Parameters are those of the minibatches up to the one that went too far, taken one by one."""
    setup, _, state = learner_of(RUINS)
    params, told = learning()(jnp.float32(setup.config.ppo.learning_rate), jax.random.key(8))
    count = int(told.scalars["minibatches"])
    assert 2 <= count < 16
    fresh, by_hand, opt_state, knobs = fresh_of(RUINS), state.params, state.opt_state, first_knobs(setup)

    @jax.jit
    def descend(params: Any, opt_state: Any, steps: jax.Array) -> tuple[Any, Any, jax.Array, Any]:
        grads, parts = minibatch_gradient(params, setup, knobs, fresh.samples, steps)
        after = apply_gradients(setup.optimizer, knobs.learning_rate, grads, opt_state, params)
        return *after, parts["approx_kl"], jax.tree.map(jnp.linalg.norm, grads)

    norms = []
    for number in range(count):
        by_hand, opt_state, divergence, norm = descend(by_hand, opt_state, fresh.steps[number])
        norms.append(by_name(norm))
        assert (divergence > TARGET) == (number == count - 1)
    for name, mean in told.gradients.items():
        np.testing.assert_allclose(mean, np.mean([norm[name] for norm in norms]), rtol=1e-4, err_msg=name)
    assert told.gradients.keys() == by_name(state.params).keys()
    assert "encoder/dense_0/kernel" in told.gradients
    for mine, theirs in zip(jax.tree.leaves(params), jax.tree.leaves(by_hand), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-6)
    assert any(np.any(a != b) for a, b in zip(*map(jax.tree.leaves, (params, state.params)), strict=True))


def test_the_gradient_is_clipped() -> None:
    """Gradients beyond the global norm count as that norm; below it, Adam hears their size by its epsilon alone."""
    optimizer, rate = make_optimizer(PPOConfig(max_grad_norm=1e-3)), jnp.float32(1e-2)
    params = {"w": jnp.ones(3), "b": jnp.zeros(())}
    opt_state = optimizer.init(params)
    step = jax.jit(lambda *args: apply_gradients(optimizer, rate, *args))
    sizes = (100.0, 200.0, 1e-6)
    moved = [
        step(jax.tree.map(lambda leaf, size=size: size * jnp.ones_like(leaf), params), opt_state, params)[0]
        for size in sizes
    ]
    np.testing.assert_allclose(moved[0]["w"], moved[1]["w"], rtol=1e-6)
    clipped = 1e-3 / 2  # of four equal entries
    np.testing.assert_allclose(moved[0]["b"], -1e-2 * clipped / (clipped + 1e-5), rtol=1e-4)
    np.testing.assert_allclose(moved[2]["b"], -1e-2 * 1e-6 / (1e-6 + 1e-5), rtol=1e-4)


# Chunks --------------------------------------------------------------------------------------------------------------


RUN = {"env": VIOLENT, "network": MLP}


@lru_cache
def chunked() -> tuple[Learner, Callable[..., Any]]:
    """Return one learner and its compiled chunk, which all tests below share."""
    learner = make_learner(**RUN)
    return learner, compile_chunk(learner.setup)


def run(state: TrainState, *counts: int, market: Any = None) -> tuple[TrainState, list[dict[str, np.ndarray]]]:
    """Run chunks of so many updates; return the state and the figures of each update."""
    learner, chunk = chunked()
    state, rows = copied(state), []
    for count in counts:
        state, figures = chunk(state, learner.market if market is None else market, jnp.int32(count))
        assert all(not np.any(np.asarray(values)[count:]) for values in jax.tree.leaves(figures))
        rows += [{name: np.asarray(values)[k] for name, values in figures.scalars.items()} for k in range(count)]
    return state, rows


@lru_cache
def other_seed() -> TrainState:
    """Return the first state of another seed."""
    return make_learner(**RUN, seed=1).state


@pytest.mark.nightly
def test_a_chunk_of_three_is_three_chunks_of_one() -> None:
    first = chunked()[0].state
    whole, parts = run(first, 3), run(first, 1, 1, 1)
    assert_bitwise(whole, parts)
    assert whole[0].update == 3
    assert all(np.isfinite(list(row.values())).all() for row in whole[1])
    assert_bitwise(run(first, 2, 1), whole)


def test_the_seed_is_the_run() -> None:
    first = chunked()[0].state
    one, other = run(first, 2), run(other_seed(), 2)
    assert_bitwise(one, run(first, 2))
    assert_bitwise(make_learner(**RUN).state, first)
    assert one[1][-1]["loss"] != other[1][-1]["loss"]
    assert np.any(np.asarray(one[0].lanes.bar) != np.asarray(other[0].lanes.bar))


def dear_market(seed: int, percent: float) -> EnvParams:
    """Return another market with other costs and limits, of the same shape."""
    changes = {"max_leverage": 2.0 + seed, "maintenance_margin_percent": 5.0, "costs": {"buy_percent": percent}}
    config = EnvConfig(**{**VIOLENT.model_dump(), **changes})
    return env_params(make_table(30, 700, seed=seed, volatility=0.3), config)


def test_lanes_do_not_hear_actions() -> None:
    """Another policy, another market, other costs: the same bars."""
    first = chunked()[0].state
    for count in (1, 5):
        bars = run(first, count)[0].lanes
        assert_bitwise(run(first._replace(params=other_seed().params), count)[0].lanes, bars)
        assert_bitwise(run(first, count, market=dear_market(9, 2.0))[0].lanes, bars)


def test_new_costs_data_and_counts_compile_nothing() -> None:
    learner, chunk = chunked()
    losses = set()
    for seed, percent in enumerate((0.0, 0.1, 1.0)):
        losses.add(float(run(learner.state, 1 + seed, market=dear_market(seed, percent))[1][0]["loss"]))
    assert len(losses) == 3
    assert chunk._cache_size() == 1


@pytest.mark.nightly
def test_another_shape_is_another_program() -> None:
    """The count of compilations counts."""
    learner, chunk = chunked()
    before = chunk._cache_size()
    run(learner.state, 1)
    run(learner.state, 1, market=env_params(make_table(30, 701, volatility=0.3), VIOLENT))
    assert chunk._cache_size() == max(before, 1) + 1


def test_a_chunk_is_bounded() -> None:
    """Figures have one row for each of at most CHUNK updates."""
    learner, chunk = chunked()
    shapes = jax.eval_shape(chunk, learner.state, learner.market, jnp.int32(1))[1]
    assert {leaf.shape for leaf in jax.tree.leaves(shapes)} == {(CHUNK,), (CHUNK, 2 * 16)}


def test_the_schedules_are_columns() -> None:
    """Of six updates: the learning rate falls to 0, clip range and entropy weight stay."""
    rows = run(chunked()[0].state, 4)[1]
    np.testing.assert_allclose(
        [row["learning_rate"] for row in rows], [1e-3 * (1 - k / 6) for k in range(4)], rtol=1e-6
    )
    assert {(float(row["clip"]), float(row["entropy_weight"])) for row in rows} == {
        (np.float32(0.2), np.float32(0.001))
    }
