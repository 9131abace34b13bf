"""Every number of an update is checked; what is not finite is named by its cause, and the update is discarded."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict

ROLLOUT = ("price", "feature", "observation", "log_prob", "value", "reward")  # one causes the next, within a step
Checks = dict[str, jax.Array]  # [] int32 each: first step or minibatch where the tensor is not finite, or -1


def by_name(tree: Any) -> dict[str, Any]:
    """Return the leaves of nested dictionaries by their path, such as encoder/lstm_5/kernel_x."""
    return dict(flatten_dict(tree, sep="/"))


def first_true(flags: jax.Array) -> jax.Array:
    """Return the first index at which a flag, [L], is set, or -1; int32."""
    return jnp.where(jnp.any(flags), jnp.argmax(flags).astype(jnp.int32), jnp.int32(-1))


def bad_steps(x: jax.Array) -> jax.Array:
    """Return True for each leading index of [L, ...] that holds a number that is not finite, [L]."""
    return jnp.any(~jnp.isfinite(x), axis=tuple(range(1, x.ndim)))


def first_bad(x: jax.Array) -> jax.Array:
    """Return the first leading index of [L, ...] that holds a number that is not finite, or -1; int32."""
    return first_true(bad_steps(x))


def is_finite(tree: Any) -> jax.Array:
    """True if every floating-point number of a tree is finite, []."""
    leaves = [leaf for leaf in jax.tree.leaves(tree) if jnp.issubdtype(leaf.dtype, jnp.floating)]
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in leaves]))


def parameter_checks(params: Any) -> Checks:
    """Check the parameters that an update begins with."""
    return {f"parameter {name}": first_bad(leaf[None]) for name, leaf in by_name(params).items()}


def all_well(checks: Checks) -> jax.Array:
    """True if nothing was found, []."""
    return jnp.all(jnp.stack(list(checks.values())) < 0)


def keep(ok: jax.Array, new: Any, old: Any) -> Any:
    """Return the new tree where all is well, [], else the old one, bit for bit."""
    return jax.tree.map(lambda yes, no: jnp.where(ok, yes, no), new, old)


def cause(checks: Mapping[str, Any]) -> tuple[str, int] | None:
    """Return, on the host, the first tensor that was not finite and its step or minibatch; None if all are.

    In the order of cause: parameters; step by step price, feature, observation, policy, reward; advantage; minibatch by
    minibatch loss, gradients, parameters after the step.
    """
    found = [(_order(name, int(step)), name, int(step)) for name, step in checks.items() if step >= 0]
    return min(found)[1:] if found else None


def _order(name: str, step: int) -> tuple[int, int, int]:
    """Return (stage, step, rank within the step)."""
    if name in ROLLOUT:
        return 1, step, ROLLOUT.index(name)
    if name == "advantage":
        return 2, step, 0
    if name.startswith("parameter ") and not name.endswith(" after the step"):
        return 0, step, 0
    return 3, step, 0 if name == "loss" else 1 if name.startswith("gradient ") else 2
