"""Wakes a thread that sleeps in a poll."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Waker:
    """Wakes a loop's poll from another thread. `wake` may be called from any thread, `clear` from the loop's."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._is_rung = False

    def fileno(self) -> int:
        """For the poller: can be read once `wake` was called."""
        return self._reader

    @property
    def writer(self) -> int:
        """A byte written there wakes, too; for who can only write to a file's number."""
        return self._writer

    def wake(self) -> None:
        if not self._is_rung:
            self._is_rung = True
            try:
                os.write(self._writer, b"!")
            except BlockingIOError:
                pass  # full: it is awake anyway

    def clear(self) -> None:
        """Call it before looking at what there is: whatever is added later rings again."""
        try:
            os.read(self._reader, 4096)
        except BlockingIOError:
            pass
        self._is_rung = False

    def close(self) -> None:
        """Only when no thread is left that may wake: the pipe's number may be another file's afterwards."""
        self._is_rung = True
        if self._reader >= 0:
            os.close(self._reader)
            os.close(self._writer)
            self._reader = -1


@contextmanager
def woken_by_signals(waker: Waker) -> Iterator[bool]:
    """During the block a signal wakes ``waker``'s poll. False where another thread than this one handles signals."""
    if threading.current_thread() is not threading.main_thread():
        yield False
        return
    before = signal.set_wakeup_fd(waker.writer, warn_on_full_buffer=False)
    try:
        yield True
    finally:
        signal.set_wakeup_fd(before)
