"""The trained network's own forward pass, as the reference for the NumPy one."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict

from jaxtrade.rules import AccountView
from train.batched import Batched
from train.evaluate import BARS_AT_ONCE
from train.state import Setup


class Answers(NamedTuple):
    """What a network answers for n bars."""

    output: np.ndarray  # [n, choices] logits, or [n, N] means
    value: np.ndarray  # [n]
    action: np.ndarray  # [n] or [n, N] the most likely one, as the environment is given it


def flat_params(params: Any) -> dict[str, np.ndarray]:
    """Return the parameters by their bundle names, float32."""
    flat = flatten_dict(jax.device_get(params), sep="/")
    return {name: np.asarray(leaf, np.float32) for name, leaf in flat.items()}


def random_views(count: int, symbols: int, seed: int = 0, memory: int = 0) -> AccountView:
    """Return random accounts, each field within its bounds, leaves [count, ...]."""
    rng = np.random.default_rng(seed)
    assets = rng.uniform(-1, 1, (count, symbols, 4)).astype(np.float32)
    return AccountView(assets, rng.uniform(0, 1, (count, 3 + memory)).astype(np.float32))


def compile_forward(setup: Setup, size: int = BARS_AT_ONCE) -> Batched:
    """Return the network as `((params, rows), (bars, view)) -> Answers`, in parts of `size` bars."""
    policy, distribution = exact(setup).policy, setup.distribution

    def answer(shared: tuple[Any, jax.Array], asked: tuple[jax.Array, AccountView]) -> Answers:
        (params, rows), (bars, view) = shared, asked
        variables, first = {"params": params}, jnp.zeros(1, jnp.int32)
        with jax.default_matmul_precision("highest"):
            market = policy.apply(variables, rows[None], bars[None], first, method="market")[0]
            dist_params, value = policy.apply(variables, market, *view, method="head")
        output = dist_params if policy.discrete else dist_params.mean
        return Answers(output, value, distribution.to_env(distribution.mode(dist_params)))

    return Batched(jax.jit(answer), size)


def flax_answers(
    setup: Setup, params: Any, rows: np.ndarray, bars: np.ndarray, view: AccountView, forward: Batched | None = None
) -> Answers:
    """Return the network's answers.

    Args:
        setup: The static parts.
        params: Of the policy.
        rows: [T, N, F] features.
        bars: [n] indices of the rows to answer at.
        view: The accounts there, leaves [n, ...].
        forward: The compiled network; made for this call when None.
    """
    forward = forward or compile_forward(setup, min(BARS_AT_ONCE, len(bars)))
    answers: Answers = forward((params, jnp.asarray(rows)), (bars.astype(np.int32), view))
    return answers


def exact(setup: Setup) -> Setup:
    """Return the setup with the policy that is exported: whatever it was trained in, that is float32."""
    config = setup.policy.config.model_copy(update={"precision": "float32"})
    return setup._replace(policy=setup.policy.clone(config=config))
