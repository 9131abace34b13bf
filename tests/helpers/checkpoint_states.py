"""States to save: every dtype that a learner carries, keys, and figures that tell one update from another."""

from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from train.checkpoint import Checkpoints
from train.config import CheckpointConfig
from train.leaves import to_host

FACTS = {"data_sha256": "abc", "features": ["returns", "rsi"], "network.kind": "mlp"}


class State(NamedTuple):
    """As a learner's, in small."""

    params: Any
    opt_state: Any
    env_state: Any
    key: jax.Array
    update: jax.Array


def make_state(update: int, hidden: int = 6, dtype: Any = jnp.float32) -> State:
    """Return the state after an update; each number depends on it."""
    rng = np.random.default_rng(update)
    kernel = jnp.asarray(rng.normal(size=(hidden, 3)), dtype)
    bias = jnp.asarray(rng.normal(size=3), jnp.bfloat16)
    return State(
        params={"encoder": {"kernel": kernel, "bias": bias}},
        opt_state=(jnp.int32(update), {"mu": kernel * 2}, ()),
        env_state={
            "keys": jax.random.split(jax.random.key(update), (2, 3)),
            "open": jnp.asarray(rng.random((2, 3)) > 0.5),
            "lots": jnp.asarray(rng.integers(0, 99, 5), jnp.int8),
            "none": jnp.zeros((0, 4)),
            "price": jnp.asarray([jnp.nan, jnp.inf, -0.0, update]),
        },
        key=jax.random.key(update),
        update=jnp.int32(update),
    )


def save_updates(run: Path, metrics: dict[int, float | None], **config: int) -> None:
    """Save the states of some updates in a run's folder."""
    with Checkpoints(run, CheckpointConfig(**config), FACTS) as saves:
        for update, metric in metrics.items():
            saves.save(update, make_state(update), metric, {"callbacks": {"Evaluation": {"best": update}}})


def assert_bitwise(found: Any, wanted: Any) -> None:
    """Assert that two trees are equal in structure, names, dtypes and every bit."""
    assert jax.tree.structure(found) == jax.tree.structure(wanted)
    mine, theirs = to_host(found), to_host(wanted)
    assert list(mine) == list(theirs)
    for name, array in mine.items():
        assert array.dtype == theirs[name].dtype, name
        assert array.shape == theirs[name].shape, name
        assert array.tobytes() == theirs[name].tobytes(), name
