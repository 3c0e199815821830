"""Wakes a thread that sleeps in a poll."""

import os


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
