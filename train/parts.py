"""Minibatches in parts that fit a processor's cache (docs/adr/0005-the-learner-is-written-for-the-cache.md)."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

ROWS = 4096  # of a network's head in one part: their layers stay in the cache, and products are still fast


def count_parts(steps: int, rows: int = 1) -> int:
    """Return into how many equal parts to take `steps` of `rows` rows each; on other devices than a CPU, one."""
    if jax.default_backend() != "cpu":
        return 1
    most = max(1, steps * rows // ROWS)
    return max(parts for parts in range(1, min(most, steps) + 1) if steps % parts == 0)


def mean_in_parts(function: Callable[[Any, Any], Any], params: Any, minibatch: Any) -> Any:
    """Return the mean of `function(params, part)` over the parts of a minibatch, leaves [B, ...]."""
    parts = count_parts(len(jax.tree.leaves(minibatch)[0]))
    split = jax.tree.map(lambda leaf: leaf.reshape(parts, -1, *leaf.shape[1:]), minibatch)
    like = jax.eval_shape(function, params, jax.tree.map(lambda leaf: leaf[0], split))
    nothing = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), like)

    def add(total: Any, part: Any) -> tuple[Any, None]:
        return jax.tree.map(jnp.add, total, function(params, part)), None

    return jax.tree.map(lambda leaf: leaf / parts, jax.lax.scan(add, nothing, split)[0])
