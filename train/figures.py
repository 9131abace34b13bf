"""What a compiled update tells the host; every kind of training tells the same."""

from typing import NamedTuple

import jax


class Figures(NamedTuple):
    """The figures of an update; of a chunk, all leaves have a leading axis of its updates."""

    scalars: dict[str, jax.Array]  # [] each: the columns of metrics.csv; sums over episodes are `episode_*`
    gradients: dict[str, jax.Array]  # [] each: mean norm of the gradient of a layer, by the parameter's name
    checks: dict[str, jax.Array]  # [] int32 each: first step or minibatch where the tensor is not finite, or -1
    episodes: dict[str, jax.Array]  # [C] each: the episodes that ended, in order; rows past `episode_rows` are zero
    episode_rows: jax.Array  # [] int32: how many ended; beyond C they are counted but not kept
