"""What the runner needs of whoever makes the calls: threads of this process, or a child process.

Not here: which call is next (``dispatch``).
"""

import os
from collections import deque
from typing import Protocol

from deltawire.handlers.dispatch import Call, Outcome


class Executor(Protocol):
    """Makes calls. The runner hands in at most ``capacity`` calls that have not ended.

    ``results`` wakes the runner's loop. `overdue` names the calls that began before ``since_s`` (monotonic)
    and still run. `close` is False if a thread may still put results. `failure` is not "" when no further
    call can be made, and says why. ``malformed`` counts answers that could not be understood.
    """

    capacity: int
    results: "Results"
    malformed: int

    def submit(self, call: Call) -> None: ...

    def overdue(self, since_s: float) -> list[str]: ...

    @property
    def failure(self) -> str: ...

    def close(self, grace_s: float) -> bool: ...


class Results:
    """Outcomes on their way from the threads that call to the loop that acknowledges.

    A pipe wakes the loop, once for all outcomes that wait, so that a busy handler pays one wake-up for many
    calls. `fileno` is for a poller.
    """

    def __init__(self) -> None:
        self._outcomes: deque[tuple[Call, Outcome]] = deque()
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._woken = False

    def fileno(self) -> int:
        return self._reader

    def put(self, call: Call, outcome: Outcome) -> None:
        """From any thread."""
        self._outcomes.append((call, outcome))
        self.wake()

    def wake(self) -> None:
        """Makes the loop turn; from any thread."""
        if not self._woken:
            self._woken = True
            try:
                os.write(self._writer, b"!")
            except BlockingIOError:
                # Full: the loop is going to wake anyway.
                pass

    def take(self) -> list[tuple[Call, Outcome]]:
        """All outcomes so far; from the loop's thread."""
        try:
            os.read(self._reader, 4096)
        except BlockingIOError:
            pass
        # Cleared before the queue is emptied: an outcome put after this line wakes the loop again.
        self._woken = False
        taken = []
        while self._outcomes:
            taken.append(self._outcomes.popleft())
        return taken

    def close(self) -> None:
        """Only when no thread is left that may put: the pipe's number may be another file's afterwards."""
        os.close(self._reader)
        os.close(self._writer)
