"""The loop of the supervisor and of the hub: what many processes say at about the same time is one turn.

Other threads look at what it owns between its turns.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

from deltawire.common.clock import Clock
from deltawire.common.loop import IDLE_S, RARE_S, Action, Loop, Turns

# What comes within so long after something came is dealt with together: each process reports and beats by itself.
GATHER_S = 0.05
# Another thread waits so long for a turn to end.
LOCK_TIMEOUT_S = 2.0


class GatheringLoop(Loop):
    """As `Loop`. ``before`` is called in each turn before anything that has come is looked at."""

    def __init__(self, clock: Clock, turns: Turns, before: Callable[[], object]) -> None:
        super().__init__(clock, turns, idle_s=RARE_S)
        self._before = before
        self._lock = Lock()

    def turn(self, after: Action | None = None, *, wait_s_max: float = IDLE_S) -> None:
        """As `Loop.turn`."""
        ready = self._poll.poll(0 if self._is_soon else self._wait_ms(wait_s_max))
        if ready:
            self._clock.sleep(GATHER_S)
            ready = self._poll.poll(0)
        with self._lock:
            self._before()
            self._act(ready, after)

    @contextmanager
    def between_turns(self) -> Iterator[bool]:
        """For another thread: no turn is made during the block. False if one has not ended in `LOCK_TIMEOUT_S`."""
        is_held = self._lock.acquire(timeout=LOCK_TIMEOUT_S)
        try:
            yield is_held
        finally:
            if is_held:
                self._lock.release()


class NoBeats:
    """The turns of a loop that nobody watches."""

    def __init__(self) -> None:
        self.turns = 0

    def show(self) -> None:
        """To nobody."""
