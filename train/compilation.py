"""Compiled programs: kept from run to run in a private folder of the user, and counted as they are made.

Whoever can write to a compilation cache decides what the process executes, so the folder is the user's alone or is not
used. JAX names an entry by program, options, XLA version and, on a CPU, the instruction sets of the machine: in a home
folder that several kinds of machine share, each finds its own entries only.
"""

import os
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from jaxtrade.errors import InputError
from jaxtrade.private import cache_folder, make_private

VARIABLE = "JAXTRADE_COMPILATION_CACHE"
MIN_SECONDS = 0.2  # a faster compilation is not kept: reading it back, and its file, would cost about as much
MOST_BYTES = 1 << 30  # a program of ours takes half a megabyte; beyond this the oldest go


def use_compilation_cache() -> Path | None:
    """Let JAX keep what it compiles; for commands, before their first compilation.

    Returns:
        The folder, or None where there is no cache: switched off, left to the user's own setting, or not safe to use.
    """
    import jax

    if jax.config.jax_compilation_cache_dir is not None:
        return None
    try:
        folder = cache_folder(os.environ, VARIABLE, "xla")
        if folder is None:
            return None
        make_private(folder, VARIABLE)
        prune(folder, MOST_BYTES)
    except InputError as error:
        sys.stderr.write(f"warning: no compilation cache: {error}\n")
        return None
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", MIN_SECONDS)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    return folder


def prune(folder: Path, most_bytes: int) -> None:
    """Delete the oldest entries of a cache that has grown beyond `most_bytes`, down to half of it."""
    entries = [(path.stat(), path) for path in folder.glob("*-cache")]
    total = sum(found.st_size for found, _ in entries)
    if total <= most_bytes:
        return
    for found, path in sorted(entries, key=lambda entry: entry[0].st_mtime):
        path.unlink(missing_ok=True)
        total -= found.st_size
        if total <= most_bytes / 2:
            return


class Compilations:
    """Counts the programs that become ready to run while it is open; a context manager."""

    def __init__(self) -> None:
        self.total = 0  # programs, compiled or read from the cache
        self.cached = 0  # of these, read from the cache
        self.seconds = 0.0

    @property
    def fresh(self) -> int:
        """Programs that were compiled."""
        return self.total - self.cached

    def __enter__(self) -> Self:
        import jax

        jax.monitoring.register_event_duration_secs_listener(self._on_duration)
        jax.monitoring.register_event_listener(self._on_event)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        import jax

        jax.monitoring.unregister_event_duration_listener(self._on_duration)
        jax.monitoring.unregister_event_listener(self._on_event)

    def _on_duration(self, event: str, seconds: float, **_: str | int) -> None:
        if event == "/jax/core/compile/backend_compile_duration":  # also fires when the cache has the program
            self.total += 1
            self.seconds += seconds

    def _on_event(self, event: str, **_: str | int) -> None:
        if event == "/jax/compilation_cache/cache_hits":
            self.cached += 1

    def __str__(self) -> str:
        """Return the counts for people."""
        cached = f" and read {self.cached} from the cache" if self.cached else ""
        return f"compiled {self.fresh} programs{cached} in {self.seconds:.1f} s"
