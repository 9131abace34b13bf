"""Ctrl-C and SIGTERM while a compiled program runs, which Python cannot handle before the program returns."""

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

GRACE_SECONDS = 2.0  # what is under way may end within this; saving takes well under another second
POLL_SECONDS = 0.05  # a signal may be delivered to any thread, so that the main one must look from time to time
T = TypeVar("T")


class Abandoned(Exception):  # noqa: N818  it is no error
    """A computation was left running; it cannot be cancelled, and the process must leave by `os._exit`."""


class Stop:
    """Set by the first Ctrl-C or SIGTERM; a second one interrupts at once."""

    def __init__(self) -> None:
        self.name = ""  # of the signal; empty: none came
        self._since = 0.0

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Handle the signal."""
        if self.name:
            raise KeyboardInterrupt
        self.name, self._since = signal.Signals(number).name, time.monotonic()
        sys.stderr.write(f"\n{self.name}: saving, then stopping; once more to stop at once\n")

    @property
    def overdue(self) -> bool:
        """Whether what is under way has had its time."""
        return bool(self.name) and time.monotonic() - self._since > GRACE_SECONDS


@contextmanager
def stop_signals() -> Iterator[Stop]:
    """Catch SIGINT and SIGTERM for the time of the block."""
    stop = Stop()
    old = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


@contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """Let SIGTERM raise KeyboardInterrupt, as Ctrl-C does, for the time of the block; not where `stop_signals` is."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    old = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, old)


def call_aside(work: Callable[[], T], stop: Stop) -> T:
    """Return what `work` returns, called in a thread of its own, so that signals are handled meanwhile.

    Settings of JAX that are local to a thread do not reach it: `work` calls what is compiled already.

    Raises:
        Abandoned: `stop` is overdue.
        KeyboardInterrupt: A second signal came; `work` is left running as well.
    """
    answer: Future[T] = Future()

    def settle() -> None:
        try:
            answer.set_result(work())
        except BaseException as error:  # raised again where the answer is read
            answer.set_exception(error)

    threading.Thread(target=settle, daemon=True).start()
    while not wait([answer], POLL_SECONDS).done:
        if stop.overdue:
            raise Abandoned
    return answer.result()
