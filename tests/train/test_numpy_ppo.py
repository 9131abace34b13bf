"""The epochs of an update against PPO written again in NumPy: forward pass, loss, gradients, clipping, Adam.

Nothing of JAX or of `train` is used by the second one but the numbers that go in. Its gradients are complex steps
(Squire and Trapp 1998): the loss at theta + i h is analytic wherever no clip is switched, and its imaginary part over h
is the slope to the last digit. Comparisons look at real parts.
"""

from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrade.config import EnvConfig
from jaxtrade.market.splits import Range
from tests.conftest import small_config
from tests.helpers.learning import QUICK, first_knobs, made_up, minibatch_loss, random_params
from train.health import by_name
from train.learner import draw_minibatches, learn, make_samples, minibatch_gradient
from train.schedules import Knobs
from train.state import Setup, TrainState, make_setup

FEATURES, RATE, CLIP, ENTROPY = 3, 0.02, 0.15, 0.02
KEY = jax.random.key(3)
Arrays = dict[str, np.ndarray]


class Given(NamedTuple):
    """One minibatch in NumPy, B samples."""

    row: np.ndarray  # [B, N, F]
    assets: np.ndarray  # [B, N, 4]
    account: np.ndarray  # [B, 3]
    action: np.ndarray  # [B, N] or [B]
    log_prob: np.ndarray  # [B]
    value: np.ndarray  # [B]
    advantage: np.ndarray  # [B]
    target: np.ndarray  # [B]


def dense(p: Arrays, name: str, x: np.ndarray) -> np.ndarray:
    return x @ p[f"{name}/kernel"] + p.get(f"{name}/bias", 0.0)


def network(p: Arrays, given: Given) -> tuple[np.ndarray, np.ndarray]:
    """Return logits [B, K] or means [B, N], and values [B]; real or complex parameters."""
    x = given.row
    for layer in ("encoder/dense_0", "encoder/dense_1"):
        x = np.tanh(dense(p, layer, x))
    first = dense(p, "from_symbol", x) + dense(p, "from_panel", x.mean(axis=1, keepdims=True))
    first = np.tanh(first + dense(p, "from_assets", given.assets) + dense(p, "from_account", given.account)[:, None])
    actor, critic = np.split(first, 2, axis=-1)
    actor = dense(p, "actor_out", np.tanh(dense(p, "actor_hidden", actor)))
    critic = dense(p, "critic_out", np.tanh(dense(p, "critic_hidden", critic)).mean(axis=1))
    return (actor[:, 0] if given.action.ndim == 1 else actor[..., 0]), critic[:, 0]


def density(p: Arrays, out: np.ndarray, action: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return log probability and entropy, [B]."""
    if action.ndim == 1:
        chances = np.exp(out) / np.exp(out).sum(axis=1, keepdims=True)
        return np.log(chances[np.arange(len(out)), action]), -(chances * np.log(chances)).sum(axis=1)
    log_std = p["log_std"]
    score = (action - out) / np.exp(log_std)
    log_prob = (-(score**2) / 2 - log_std - np.log(2 * np.pi) / 2).sum(axis=1)
    return log_prob, action.shape[1] * (log_std + np.log(2 * np.pi * np.e) / 2) * np.ones(len(out))


def larger(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.where(np.real(a) > np.real(b), a, b)


def within(x: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.where(np.real(x) < low, low, np.where(np.real(x) > high, high, x))


def loss_of(p: Arrays, given: Given, value_clip: float, value_weight: float) -> Any:
    """Return the loss; advantages are normalised over the minibatch."""
    out, value = network(p, given)
    log_prob, entropy = density(p, out, given.action)
    advantage = (given.advantage - given.advantage.mean()) / (given.advantage.std() + 1e-8)
    ratio = np.exp(log_prob - given.log_prob)
    surrogate = -larger(-ratio * advantage, -within(ratio, 1 - CLIP, 1 + CLIP) * advantage)
    error = (value - given.target) ** 2
    if value_clip:
        near = given.value + within(value - given.value, -value_clip, value_clip)
        error = larger(error, (near - given.target) ** 2)
    return -surrogate.mean() + value_weight * 0.5 * error.mean() - ENTROPY * entropy.mean()


def slopes(p: Arrays, loss: Any) -> Arrays:
    """Return the gradient of `loss(parameters)`, entry by entry."""
    found = {name: np.empty_like(leaf) for name, leaf in p.items()}
    for name, leaf in p.items():
        for at in np.ndindex(leaf.shape):
            moved = np.array(leaf, complex)
            moved[at] += 1e-30j
            found[name][at] = np.imag(loss(p | {name: moved})) / 1e-30
    return found


class Adam:
    """Adam (Kingma and Ba 2015) behind a clipped global norm."""

    def __init__(self, p: Arrays, most: float) -> None:
        self.first, self.second = ({name: np.zeros_like(leaf) for name, leaf in p.items()} for _ in range(2))
        self.most, self.count = most, 0

    def step(self, p: Arrays, grads: Arrays) -> tuple[Arrays, float]:
        """Return the new parameters and the norm of the gradient before it was clipped."""
        norm = np.sqrt(sum((leaf**2).sum() for leaf in grads.values()))
        self.count, new = self.count + 1, {}
        for name, leaf in grads.items():
            g = leaf * min(1.0, self.most / norm)
            self.first[name] = 0.9 * self.first[name] + 0.1 * g
            self.second[name] = 0.999 * self.second[name] + 0.001 * g**2
            mean = self.first[name] / (1 - 0.9**self.count)
            new[name] = p[name] - RATE * mean / (np.sqrt(self.second[name] / (1 - 0.999**self.count)) + 1e-5)
        return new, float(norm)


MEMORY = {"multiscale_lstm": {"branches": (1, 4)}, "lstm": {"chunk": 6, "burn_in": 5}}


def setup_of(action: str, kind: str = "mlp", **ppo: object) -> tuple[Setup, int]:
    """Return a tiny learner and its number of symbols."""
    network = {"kind": kind, "hidden": 3, "head": 3} | MEMORY.get(kind, {})
    ppo = {"rollout_length": 16, "lanes": 2, "epochs": 2, "minibatches": 4, "max_grad_norm": 0.3} | ppo
    config = small_config(num_envs=6, env=EnvConfig(window=30, action=action), network=network, ppo=ppo)
    symbols = 1 if action == "discrete9" else 2
    return make_setup(config, Range(30, 600), symbols), symbols


def minibatch(rollout: Any, batch: Any, steps: np.ndarray) -> Given:
    """Take steps [G, n] of every lane out of a rollout of a network without memory."""
    lanes = np.arange(len(steps))[:, None]
    row = np.asarray(rollout.rows)[lanes, steps]  # [G, n, N, F]; the reach is one bar
    accounts = rollout.assets.shape[2]
    leaves = [np.repeat(row[:, :, None], accounts, axis=2)]
    leaves += [np.asarray(leaf)[steps, lanes] for leaf in (rollout.assets, rollout.account, *batch)]
    return Given(*(leaf.reshape(-1, *leaf.shape[3:]) for leaf in leaves))


@lru_cache
def ours(action: str, value_clip: float) -> tuple[Setup, Any, Any, Any]:
    """Return a setup, the numbers of its batch, its first parameters, and what the compiled epochs make of them."""
    setup, symbols = setup_of(action, value_clip=value_clip)
    rollout, batch = made_up(setup, symbols, FEATURES)
    params = random_params(setup, symbols, FEATURES)
    state = TrainState(params, setup.optimizer.init(params), *[None] * 5)
    knobs = Knobs(*map(jnp.float64, (RATE, CLIP, ENTROPY)))
    return (
        setup,
        (rollout, batch),
        params,
        jax.jit(lambda each: learn(setup, each, (knobs, None), (rollout, batch), KEY))(state),
    )


def check_epochs(action: str, value_clip: float) -> None:
    """Take the minibatches one by one in NumPy and compare."""
    setup, (rollout, batch), params, (found, opt_state, told) = ours(action, value_clip)
    p = {name: np.asarray(leaf) for name, leaf in by_name(params).items()}
    adam, losses, norms = Adam(p, 0.3), [], []
    for steps in np.asarray(draw_minibatches(setup, KEY)):
        given = minibatch(rollout, batch, steps)
        loss = partial(loss_of, given=given, value_clip=value_clip, value_weight=setup.config.ppo.value_weight)
        losses.append(loss(p))
        p, norm = adam.step(p, slopes(p, loss))
        norms.append(norm)
    assert min(norms) > 0.3
    assert 0.1 < told.scalars["clip_fraction"] < 0.97
    np.testing.assert_allclose(told.scalars["loss"], np.mean(losses), rtol=1e-9)
    np.testing.assert_allclose(told.scalars["grad_norm"], np.mean(norms), rtol=1e-9)
    for name, leaf in by_name(found).items():
        np.testing.assert_allclose(leaf, p[name], rtol=1e-9, atol=1e-11, err_msg=name)
        assert np.abs(p[name] - np.asarray(by_name(params)[name])).max() > 1e-3, name
    for name, leaf in by_name(opt_state[1].nu).items():
        np.testing.assert_allclose(leaf, adam.second[name], rtol=1e-8, atol=1e-15, err_msg=name)


@pytest.mark.parametrize("action", ["continuous", pytest.param("discrete9", marks=pytest.mark.nightly)])
@pytest.mark.parametrize("value_clip", [0.4, pytest.param(0.0, marks=pytest.mark.nightly)])
def test_the_epochs_are_those_of_numpy(action: str, value_clip: float, x64: None) -> None:
    """Two epochs of four minibatches; every gradient is clipped by its norm, and ratios and values by their ranges."""
    check_epochs(action, value_clip)


@pytest.mark.parametrize(("name", "value"), [("RATE", 0.0200001), ("CLIP", 0.16), ("ENTROPY", -0.02)])
def test_another_learner_is_noticed(name: str, value: float, x64: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), name, value)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        check_epochs("continuous", 0.4)


KINDS = [(kind, action) for kind in ("mlp", "lstm", "multiscale_lstm") for action in ("continuous", "discrete9")]
NOW = {("mlp", "continuous")}
EACH = [each if each in NOW else pytest.param(*each, marks=pytest.mark.nightly) for each in KINDS]


def direction_error(kind: str, action: str) -> float:
    """Return by how much the gradient's slope along a random direction is off, as a share of it.

    The slope is that of the whole loss by differences of fourth order in float64.
    """
    setup, symbols = setup_of(action, kind)
    rollout, batch = made_up(setup, symbols, FEATURES)
    params, samples = random_params(setup, symbols, FEATURES), make_samples(setup, rollout, batch)
    steps, rng = draw_minibatches(setup, KEY)[0], np.random.default_rng(5)
    knobs = first_knobs(setup, jnp.float64)
    direction = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape)), params)

    @partial(jax.jit, compiler_options=QUICK)
    def along(far: jax.Array) -> jax.Array:
        moved = jax.tree.map(lambda leaf, way: leaf + far * way, params, direction)
        return minibatch_loss(moved, setup, samples, steps)[0]

    def slope(h: float) -> float:
        return float(along(jnp.float64(h)) - along(jnp.float64(-h))) / (2 * h)

    gradient = jax.jit(lambda each: minibatch_gradient(each, setup, knobs, samples, steps)[0], compiler_options=QUICK)
    grads = gradient(params)
    found = sum(float(jnp.vdot(mine, way)) for mine, way in zip(*map(jax.tree.leaves, (grads, direction)), strict=True))
    wanted = (4 * slope(1e-4) - slope(2e-4)) / 3
    return abs(found / wanted - 1)


@pytest.mark.parametrize(("kind", "action"), EACH)
def test_the_gradient_is_that_of_differences(kind: str, action: str, x64: None) -> None:
    assert direction_error(kind, action) < 1e-6


def test_complex_steps_are_slopes() -> None:
    """d/dx of exp(x) sin(y), both ways; and the clip has the slope of the side it is on."""
    p = {"x": np.array([0.3]), "y": np.array([1.1])}
    found = slopes(p, lambda q: (np.exp(q["x"]) * np.sin(q["y"]))[0])
    np.testing.assert_allclose(found["x"], np.exp(0.3) * np.sin(1.1), rtol=1e-14)
    np.testing.assert_allclose(found["y"], np.exp(0.3) * np.cos(1.1), rtol=1e-14)
    clipped = slopes({"x": np.array([0.3, 0.9])}, lambda q: within(q["x"], 0.0, 0.5).sum())
    np.testing.assert_array_equal(clipped["x"], [1, 0])
