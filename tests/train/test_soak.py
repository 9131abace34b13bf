"""Ten thousand updates in one process: memory and open files stay where they were."""

import sys
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.checkpoint_runs import arguments, finish

UPDATES, WARM = 10_000, 1_500
GROWTH = 0.01


def growth(held: np.ndarray) -> float:
    """Return the relative growth of resident memory from after the warm-up to the end, each a median of 100 updates."""
    update, resident = held[:, 0], held[:, 1]
    first = np.median(resident[(update > WARM) & (update <= WARM + 500)])
    return float(np.median(resident[update > UPDATES - 500]) / first - 1)


@pytest.mark.nightly
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")
def test_memory_and_open_files_stay_constant(tmp_path: Path) -> None:
    meter = ("--callbacks", "tests.helpers.checkpoint_meter:Meter", "--jsonl", "--eval-every", "50")
    run = finish(tmp_path, "long", *arguments(tmp_path, "long", UPDATES, "--network.kind", "mlp", *meter))
    held = np.loadtxt(run / "held.csv", delimiter=",")
    sys.stdout.write(f"resident {held[-1, 1] / 2**20:.1f} MiB, {growth(held):+.2%} after the warm-up\n")
    assert held[-1, 0] == UPDATES
    assert len(set(held[held[:, 0] > WARM, 2])) == 1
    assert growth(held) <= GROWTH


def test_growth_is_noticed() -> None:
    """Planted: 200 bytes an update, in 100 MiB."""
    update = np.arange(1, UPDATES + 1.0)
    still = np.stack([update, np.full(UPDATES, 100 * 2**20), np.full(UPDATES, 7)], axis=1)
    assert growth(still) == 0
    leaking = still + np.outer(update, [0, 200, 0])
    assert growth(leaking) > GROWTH
