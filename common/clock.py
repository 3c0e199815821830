"""Clocks that are passed in: the system's, and one that a test moves by hand.

Nothing outside this module calls ``time.monotonic``, ``time.time`` or ``time.sleep``.
"""

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """What code that waits may ask of time. All durations and instants are seconds."""

    def now_s(self) -> float:
        """Monotonic: for deadlines and durations, meaningless between processes."""
        ...

    def wall_s(self) -> float:
        """Seconds since 1970: for people and for time stamps in objects, may jump."""
        ...

    def sleep(self, seconds: float, stop: threading.Event | None = None) -> bool:
        """Wait ``seconds``, or less if ``stop`` is set first. True if ``stop`` is set."""
        ...

    def wait_until(self, condition: threading.Condition, deadline_s: float | None) -> None:
        """Wait for a notification, at the latest until ``now_s()`` reaches ``deadline_s`` (None: no limit).

        The caller holds ``condition`` and looks at its predicate again afterwards: a return promises
        nothing. The deadline is an instant and not a duration, so that a clock that moves between the
        caller's reckoning and the wait makes no wait too long.
        """
        ...


class SystemClock:
    """The machine's own time."""

    # The functions themselves: loops ask for the time several times a turn.
    now_s = staticmethod(time.monotonic)
    wall_s = staticmethod(time.time)

    def sleep(self, seconds: float, stop: threading.Event | None = None) -> bool:
        if stop is None:
            time.sleep(max(0.0, seconds))
            return False
        return stop.wait(max(0.0, seconds))

    def wait_until(self, condition: threading.Condition, deadline_s: float | None) -> None:
        if deadline_s is None:
            condition.wait()
            return
        left_s = deadline_s - time.monotonic()
        if left_s > 0:
            condition.wait(left_s)


class FakeClock:
    """A clock that stands still until `advance` moves it. Starts at 0 s (monotonic).

    `sleep` advances it by itself, as if the sleep had just ended; a wait on a condition ends when another
    thread advances the clock past the deadline, or notifies.
    """

    def __init__(self, wall_s: float = 1_700_000_000.0) -> None:
        self._lock = threading.Lock()
        self._now_s = 0.0
        self._wall_at_start_s = wall_s
        self._waiting: list[tuple[float, threading.Condition]] = []

    def now_s(self) -> float:
        with self._lock:
            return self._now_s

    def wall_s(self) -> float:
        return self._wall_at_start_s + self.now_s()

    def advance(self, seconds: float) -> None:
        """Move time on and wake every wait whose deadline has come."""
        with self._lock:
            self._now_s += seconds
            due = [condition for deadline_s, condition in self._waiting if deadline_s <= self._now_s]
        # Outside our lock: a waiter takes ours while it holds its condition, never the other way round.
        for condition in due:
            with condition:
                condition.notify_all()

    def waiters(self) -> int:
        """How many waits with a deadline are under way: a test advances when the thread has arrived."""
        with self._lock:
            return len(self._waiting)

    def sleep(self, seconds: float, stop: threading.Event | None = None) -> bool:
        if stop is not None and stop.is_set():
            return True
        self.advance(max(0.0, seconds))
        return stop is not None and stop.is_set()

    def wait_until(self, condition: threading.Condition, deadline_s: float | None) -> None:
        if deadline_s is None:
            condition.wait()
            return
        entry = (deadline_s, condition)
        with self._lock:
            if self._now_s >= deadline_s:
                return
            self._waiting.append(entry)
        try:
            condition.wait()
        finally:
            with self._lock:
                self._waiting.remove(entry)
