"""The trained network's own forward pass, as the reference for the NumPy one."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict

from jaxtrade.rules import AccountView
from train.networks import Policy
from train.state import Setup


def flat_params(params: Any) -> dict[str, np.ndarray]:
    """Return the parameters by their bundle names, float32."""
    flat = flatten_dict(jax.device_get(params), sep="/")
    return {name: np.asarray(leaf, np.float32) for name, leaf in flat.items()}


def random_views(count: int, symbols: int, seed: int = 0, memory: int = 0) -> AccountView:
    """Return random accounts, each field within its bounds, leaves [count, ...]."""
    rng = np.random.default_rng(seed)
    assets = rng.uniform(-1, 1, (count, symbols, 4)).astype(np.float32)
    return AccountView(assets, rng.uniform(0, 1, (count, 3 + memory)).astype(np.float32))


def flax_answers(
    setup: Setup, params: Any, rows: np.ndarray, bars: np.ndarray, view: AccountView
) -> tuple[np.ndarray, np.ndarray]:
    """Return the network's output (logits or means) and value for bars [n] and accounts [n]."""
    policy = exact(setup).policy
    with jax.default_matmul_precision("highest"):
        market = _encode_in_parts(policy, params, jnp.asarray(rows), bars)
        outputs = policy.apply({"params": params}, market, *map(jnp.asarray, view), method="head")
    dist_params, value = outputs
    output = dist_params if setup.policy.discrete else dist_params.mean
    return np.asarray(output), np.asarray(value)


def flax_actions(setup: Setup, output: np.ndarray) -> np.ndarray:
    """Return the most likely actions of the network's output, as the environment is given them."""
    if setup.policy.discrete:
        return np.argmax(output, axis=-1)
    return np.asarray(setup.distribution.to_env(jnp.asarray(output)))


def exact(setup: Setup) -> Setup:
    """Return the setup with the policy that is exported: whatever it was trained in, that is float32."""
    config = setup.policy.config.model_copy(update={"precision": "float32"})
    return setup._replace(policy=setup.policy.clone(config=config))


def _encode_in_parts(policy: Policy, params: Any, rows: jax.Array, bars: np.ndarray, size: int = 512) -> jax.Array:
    first = jnp.zeros(1, jnp.int32)
    encode = jax.jit(lambda part: policy.apply({"params": params}, rows[None], part[None], first, method="market")[0])
    padded = np.concatenate([bars, np.repeat(bars[-1:], -len(bars) % min(size, len(bars)))])
    parts = [encode(jnp.asarray(part)) for part in np.split(padded, len(padded) // min(size, len(bars)))]
    return jnp.concatenate(parts)[: len(bars)]
