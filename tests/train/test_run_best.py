"""The best checkpoint by validation outlives figures that are no number."""

from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import pytest

from train import checkpoint
from train.config import CheckpointConfig


class FewParams(NamedTuple):
    """A state that is a number."""

    params: dict[str, jax.Array]


@pytest.mark.parametrize("worst", [float("nan"), float("inf"), -float("inf")])
def test_no_number_never_displaces_the_best(worst: float, tmp_path: Path) -> None:
    growth = {1: worst, 2: 0.5, 3: worst, 4: -0.1, 5: worst, 6: worst}
    with checkpoint.Checkpoints(tmp_path, CheckpointConfig(), {}) as saves:
        for update, value in growth.items():
            saves.save(update, FewParams({"w": jnp.float32(update)}), value, {})
        assert saves.best() == (2, 0.5)
        assert saves.updates() == [2, 5, 6]
    for which, update in {"best": 2, "latest": 6}.items():
        found, state = checkpoint.load(tmp_path, which, FewParams({"w": jnp.float32(0)}))
        assert (found, float(state.params["w"])) == (update, update)
