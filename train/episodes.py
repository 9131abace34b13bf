"""The episodes that end in an update, one row each."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

MOST = 16_384  # rows an update


class EpisodeLog(NamedTuple):
    """Rows in the order in which the episodes ended; beyond C they are counted and summed, but not kept."""

    figures: dict[str, jax.Array]  # [C] each
    rows: jax.Array  # [] int32
    sums: dict[str, jax.Array]  # [] each, over all rows

    @property
    def scalars(self) -> dict[str, jax.Array]:
        """The number of episodes and the sums of their figures, as the scalars of an update."""
        dtype = next(iter(self.sums.values())).dtype
        sums = {f"episode_{name}": total for name, total in self.sums.items()}
        return {"episode_count": self.rows.astype(dtype), **sums}


def empty_log(figures: dict[str, jax.Array], environments: int) -> EpisodeLog:
    """Return an empty log for figures like these, with room for two episodes of each environment."""
    room = min(2 * environments, MOST)
    return EpisodeLog(
        figures={name: jnp.zeros(room, value.dtype) for name, value in figures.items()},
        rows=jnp.int32(0),
        sums={name: jnp.zeros((), value.dtype) for name, value in figures.items()},
    )


def append(log: EpisodeLog, figures: dict[str, jax.Array], ended: jax.Array) -> EpisodeLog:
    """Add a row for each environment whose episode ended; `ended` and the figures are [E]."""
    room = next(iter(log.figures.values())).shape[0]
    row = log.rows + jnp.cumsum(ended, dtype=jnp.int32) - 1
    row = jnp.where(ended, row, room)  # out of range: dropped
    return EpisodeLog(
        figures={name: log.figures[name].at[row].set(value, mode="drop") for name, value in figures.items()},
        rows=log.rows + jnp.sum(ended, dtype=jnp.int32),
        sums={name: log.sums[name] + jnp.sum(value, where=ended) for name, value in figures.items()},
    )
