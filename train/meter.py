"""Where the time of a run goes, and what it runs on."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax

from train.compilation import Compilations
from train.config import RunConfig
from train.folder import versions

PHASES = ("chunk", "validation", "callbacks", "checkpoint")


class Meter:
    """Counts updates, and adds up the seconds of each phase, since it was made."""

    def __init__(self, config: RunConfig, done: int, compilations: Compilations, samples: int) -> None:
        """Begin to count after `done` updates of `samples` steps each."""
        self.done, self.compilations = done, compilations
        self._config, self._from, self._samples = config, done, samples
        self._began = time.perf_counter()
        self._seconds = dict.fromkeys(PHASES, 0.0)

    def add(self, count: int, seconds: float, validation_seconds: float) -> None:
        """Add a chunk of updates."""
        self.done += count
        self._seconds["chunk"] += seconds
        self._seconds["validation"] += validation_seconds

    @contextmanager
    def measure(self, phase: str) -> Iterator[None]:
        """Add the time of the block to a phase."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[phase] += time.perf_counter() - began

    def about(self) -> dict[str, Any]:
        """Return the performance so far, as JSON has it."""
        samples = (self.done - self._from) * self._samples
        total = time.perf_counter() - self._began
        device = jax.devices()[0]
        compiled = self.compilations
        return {
            "device": {"platform": device.platform, "kind": device.device_kind, "cores": os.cpu_count()},
            "versions": versions(),
            "environments": self._config.num_envs,
            "updates": {"from": self._from, "to": self.done},
            "samples": samples,
            "seconds": {**{name: round(each, 4) for name, each in self._seconds.items()}, "total": round(total, 4)},
            "samples_per_second": {
                "chunk": samples / max(self._seconds["chunk"], 1e-9),
                "total": samples / max(total, 1e-9),
            },
            "memory": {"process_peak_bytes": _process_peak_bytes(), "device_peak_bytes": _device_peak_bytes(device)},
            "compilation": {
                "programs": compiled.total,
                "from_cache": compiled.cached,
                "seconds": round(compiled.seconds, 3),
            },
        }


def _process_peak_bytes() -> int | None:
    """Return the largest resident memory of this process, where the system tells."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _device_peak_bytes(device: jax.Device) -> int | None:
    stats = device.memory_stats()
    return stats.get("peak_bytes_in_use") if stats else None
