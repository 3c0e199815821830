"""The runner's interface to what makes the calls: threads of this process, or a child process.

Not here: which call is next (``dispatch``).
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from deltawire.common.waker import Waker
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

    def submit(self, calls: Sequence[Call]) -> None: ...

    def overdue(self, since_s: float) -> list[str]: ...

    @property
    def failure(self) -> str: ...

    def close(self, grace_s: float) -> bool: ...


class Results:
    """Outcomes on their way from the threads that call to the loop that acknowledges.

    The loop is woken once for all outcomes that wait, and not at all for those that it will look for by itself:
    while ``are_awaited`` is false it does so by a timer, which is too late for what is urgent while ``looks_late``. It
    sets these, then takes.

    ``hand_over``: what a thread does in place of waking the loop, where ``may_visit``: it visits it. ``waiting``: what
    was not taken yet. ``on_wake``: what follows when the loop was woken, from any thread.
    """

    def __init__(self) -> None:
        self.are_awaited = True
        self.looks_late = False
        self.may_visit = False
        self.waiting: deque[tuple[Call, Outcome]] = deque()
        self.on_wake: Callable[[], None] = lambda: None
        self._waker = Waker()
        self.hand_over: Callable[[], None] = self._waker.wake

    def fileno(self) -> int:
        """For the loop's poller."""
        return self._waker.fileno()

    def put(self, call: Call, outcome: Outcome) -> None:
        """From any thread. The loop takes it now."""
        self.waiting.append((call, outcome))
        self.hand_over()

    def leave(
        self, call: Call, outcome: Outcome, *, unawaited_max: int, is_urgent: bool = False
    ) -> None:
        """As `put`, but without waking the loop while it looks by itself and fewer than ``unawaited_max`` wait."""
        self.waiting.append((call, outcome))
        # Looked at after the outcome was left: the loop sets it before it takes.
        is_too_late = is_urgent and self.looks_late
        if self.are_awaited or is_too_late or len(self.waiting) >= unawaited_max:
            self.hand_over()

    def wake(self) -> None:
        """Makes the loop turn; from any thread."""
        self._waker.wake()
        self.on_wake()

    def clear(self) -> None:
        """The loop was woken; call it before `take`."""
        self._waker.clear()

    def take(self) -> list[tuple[Call, Outcome]]:
        """All outcomes so far; from the loop's thread."""
        waiting = self.waiting
        return [waiting.popleft() for _ in range(len(waiting))]

    def close(self) -> None:
        """Only when no thread is left that may put."""
        self._waker.close()
