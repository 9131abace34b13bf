"""One writer a run: a lock that the system itself releases when its holder ends, however that happens."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from jaxtrade.errors import InputError

LOCK, HOLDER = ".lock", ".lock-holder"


@contextmanager
def hold(run: Path) -> Iterator[None]:
    """Hold a run for the time of the block.

    Raises:
        InputError: Another process holds it, or the folder cannot be written.
    """
    lock, holder = FileLock(run / LOCK), run / HOLDER
    try:
        lock.acquire(timeout=0)
        holder.write_text(f"process {os.getpid()} on {socket.gethostname()}", encoding="utf-8")
    except Timeout:
        remedy = "Wait until it has ended or end it; or train another run, by another --name"
        raise InputError(run, f"{_name(holder)} trains here", remedy) from None
    except OSError as error:
        lock.release()
        what = f"cannot be written ({error.strerror})"
        raise InputError(run, what, "Make the folder writable, or free space on its disk") from None
    try:
        yield
    finally:
        with suppress(OSError):
            holder.unlink()
        lock.release()


def _name(holder: Path) -> str:
    """Return who holds the lock; it may not have said so yet."""
    try:
        return holder.read_text(encoding="utf-8") or "another process"
    except OSError:
        return "another process"
