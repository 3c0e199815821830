"""What the runner needs of whoever makes the calls: threads of this process, or a child process.

Not here: which call is next (``dispatch``).
"""

from collections import deque
from typing import Protocol

from deltawire.common.loop import Waker
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

    The loop is woken once for all outcomes that wait, so that a busy handler pays one wake-up for many calls.
    """

    def __init__(self) -> None:
        self._outcomes: deque[tuple[Call, Outcome]] = deque()
        self._waker = Waker()

    def fileno(self) -> int:
        """For the loop's poller."""
        return self._waker.fileno()

    def put(self, call: Call, outcome: Outcome) -> None:
        """From any thread."""
        self._outcomes.append((call, outcome))
        self._waker.wake()

    def wake(self) -> None:
        """Makes the loop turn; from any thread."""
        self._waker.wake()

    def take(self) -> list[tuple[Call, Outcome]]:
        """All outcomes so far; from the loop's thread."""
        self._waker.clear()
        taken = []
        while self._outcomes:
            taken.append(self._outcomes.popleft())
        return taken

    def close(self) -> None:
        """Only when no thread is left that may put."""
        self._waker.close()
