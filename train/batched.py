"""One compiled program for any number of rows, which are taken a fixed number at a time."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np


class Batched(NamedTuple):
    """A program that takes B rows at once."""

    program: Callable[[Any, Any], Any]  # (what all rows share, rows with leaves [B, ...]) -> leaves [B, ...]
    size: int  # B

    def __call__(self, shared: Any, rows: Any) -> Any:
        """Return the program's answers to rows, as NumPy arrays.

        The last part is filled up with copies of the last row, whose answers are dropped.

        Args:
            shared: What all rows share.
            rows: Leaves [n, ...], n at least 1.

        Returns:
            Leaves [n, ...].
        """
        count = len(jax.tree.leaves(rows)[0])
        full = jax.tree.map(lambda leaf: fill_up(leaf, -count % self.size), rows)
        parts = [
            jax.device_get(self.program(shared, jax.tree.map(lambda leaf, at=at: leaf[at : at + self.size], full)))
            for at in range(0, count, self.size)
        ]
        return jax.tree.map(lambda *leaves: np.concatenate(leaves)[:count], *parts)


def fill_up(leaf: Any, more: int) -> Any:
    """Return an array [n, ...] with its last row `more` times again."""
    return np.concatenate([leaf, np.repeat(leaf[-1:], more, axis=0)]) if more else leaf
