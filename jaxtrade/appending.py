"""Adding a line to a file that several processes write to: one at a time, and whole or not at all."""

import errno
import io
import os
import sys


def lock(file: io.FileIO, alone: bool) -> None:
    """Wait for the other processes that have the file, until it is closed; Windows has no such locks."""
    if sys.platform != "win32":
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)


def write_whole(file: io.FileIO, size: int, line: bytes) -> None:
    """Append a line and wait until it is on the disk; if it cannot be whole, cut the file to the size it had."""
    try:
        written = file.write(line)
        if written != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(file.fileno())
    except OSError:
        os.ftruncate(file.fileno(), size)  # half a line would bar the way to all that follow
        raise
