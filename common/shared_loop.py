"""A loop that other threads may visit: they do their work as if in a turn of it, and it need not wake.

For a thread that waits for something outside and then has little to do with what the loop owns: handing that over would
cost two switches of threads. One at a time is inside: the loop in its turns, or a visitor.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from deltawire.common.clock import Clock
from deltawire.common.loop import IDLE_S, Action, Loop, Turns
from deltawire.common.waker import Waker


class SharedLoop(Loop):
    """As `Loop`. Its sockets may be used in a visit."""

    def __init__(self, clock: Clock, turns: Turns, *, idle_s: float = IDLE_S) -> None:
        self._lock = threading.Lock()
        # Held by who turns, also in its sleep.
        self._seat = threading.Lock()
        # The thread that holds it and acts.
        self._inside = 0
        # The time of the first timer when the sleep began; nothing is earlier while there is no sleep.
        self._sleeps_until_s = float("-inf")
        self._failure: BaseException | None = None
        self._is_over = False
        super().__init__(clock, turns, idle_s=idle_s)
        self._visited = Waker()
        self.reads(self._visited.fileno(), self._visited.clear)

    def visit(self, action: Action) -> None:
        """Call ``action`` in this thread, as if in a turn; who is inside already has it called at the end.

        What ``action`` raises ends the loop, not the visitor. After `end_visits` nothing is called.
        """
        if self._inside == threading.get_ident():
            self.at_end(action)
            return
        with self as is_open:
            if is_open:
                action()

    def __enter__(self) -> bool:
        """A visit as a block, for a thread that is not inside: True where the block may do its work."""
        self._lock.acquire()
        self._inside = threading.get_ident()
        return not self._is_over

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        try:
            if not self._is_over:
                if error is None:
                    if self._ends:
                        self._end()
                    self._look_again()
                if error is not None or self._is_soon or (self._heap and self._heap[0][0] < self._sleeps_until_s):
                    self._visited.wake()
        except BaseException as own:
            error = own
            self._visited.wake()
        finally:
            self._failure = self._failure or error
            self._inside = 0
            self._lock.release()
        return True

    @contextmanager
    def without_visitors(self) -> Iterator[None]:
        """For the loop's own thread between turns: no visitor is inside during the block."""
        with self._lock:
            self._inside = threading.get_ident()
            try:
                yield
                self._end()
                self._look_again()
            finally:
                self._inside = 0

    def wake(self) -> None:
        """End the sleep of whoever turns; from any thread."""
        self._visited.wake()

    @property
    def is_due(self) -> bool:
        """The first timer has run out; for any thread, as of this moment."""
        try:
            return self._heap[0][0] <= self._clock.now_s()
        except IndexError:
            return False

    def end_visits(self) -> None:
        """Before what visitors use is closed."""
        with self._lock:
            self._is_over = True

    def close(self) -> None:
        """When the loop turns no more. Visitors may still come."""
        self.end_visits()
        self._visited.close()

    def turn(self, after: Action | None = None, *, wait_s_max: float = IDLE_S) -> None:
        """As `Loop.turn`, for any thread; another that turns is waited for. Raises what a visitor's action raised."""
        with self._seat:
            self._turn(after, wait_s_max)

    def _turn(self, after: Action | None, wait_s_max: float) -> None:
        with self._lock:
            wait_ms = 0 if self._is_soon else self._wait_ms(wait_s_max)
            self._sleeps_until_s = self._heap[0][0] if self._heap else float("inf")
        ready = self._poll.poll(wait_ms)
        with self._lock:
            self._sleeps_until_s = float("-inf")
            if self._failure is not None:
                raise self._failure
            self._inside = threading.get_ident()
            try:
                self._act(ready, after)
            finally:
                self._inside = 0
