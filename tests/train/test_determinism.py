"""The same seed gives the same parameters, to the last bit, in every process."""

from pathlib import Path

import pytest

from tests.helpers.checkpoint_runs import arguments, finish
from train.saved import read_meta

NETWORKS = {
    "mlp": ("--network.kind", "mlp"),
    "lstm": ("--network.kind", "multiscale_lstm", "--network.branches", "1", "5", "20"),
}
UPDATES, PROCESSES = 6, 10


def outcome(runs: Path, name: str, network: str, seed: int, hash_seed: int) -> tuple[str, str, bytes]:
    """Train in a process of its own; return the hashes of parameters and state, and metrics.csv."""
    more = (*NETWORKS[network], "--seed", str(seed), "--eval-every", "3", "--no-tensorboard")
    run = finish(runs, name, *arguments(runs, name, UPDATES, *more), PYTHONHASHSEED=str(hash_seed))
    meta = read_meta(run / "checkpoints" / str(UPDATES))
    return meta["parameters_sha256"], meta["state_sha256"], (run / "metrics.csv").read_bytes()


@pytest.mark.nightly
@pytest.mark.parametrize("network", NETWORKS)
def test_ten_processes_give_the_same_parameters(network: str, tmp_path: Path) -> None:
    """Each with another order of Python's sets; the first compiles, the others read what it compiled."""
    found = {outcome(tmp_path, f"same-{number}", network, 3, number) for number in range(PROCESSES)}
    assert len(found) == 1
    other = outcome(tmp_path, "other", network, 4, 0)
    assert all(mine != theirs for mine, theirs in zip(found.pop(), other, strict=True))
