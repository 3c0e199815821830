"""What a run does later: end a stop, give a right back. Each is tried until it has succeeded.

An API server that is away at that moment takes nothing. A right that is not given back would look like a loss.
"""

import heapq
import itertools
from collections.abc import Callable

from deltawire.common.clock import Clock
from deltawire.common.errors import DeltawireError

# What did not succeed is tried again after this.
AGAIN_S = 0.2
# At the end of a run, when nothing is away any more, all must succeed within this.
FINISH_S = 60.0


class Later:
    """Acts that return whether they succeeded, in the order in which they are due."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._numbers = itertools.count()
        self._due: list[tuple[float, int, str, Callable[[], bool]]] = []

    def add(self, after_s: float, what: str, act: Callable[[], bool]) -> None:
        """``what`` names the act where it never succeeds."""
        heapq.heappush(self._due, (self._clock.now_s() + after_s, next(self._numbers), what, act))

    def do(self) -> None:
        """All that is due now, each once; what does not succeed is due again `AGAIN_S` later."""
        now_s = self._clock.now_s()
        while self._due and self._due[0][0] <= now_s:
            _, _, what, act = heapq.heappop(self._due)
            if not act():
                self.add(AGAIN_S, what, act)

    def finish(self) -> None:
        """All that is left, at once. Raises DeltawireError for what does not succeed within `FINISH_S`."""
        left, self._due = sorted(self._due, key=lambda entry: entry[:2]), []
        for _, _, what, act in left:
            until_it_succeeds(self._clock, what, act)


def until_it_succeeds(clock: Clock, what: str, act: Callable[[], bool]) -> None:
    """Try it every `AGAIN_S`. Raises DeltawireError after `FINISH_S`."""
    deadline_s = clock.now_s() + FINISH_S
    while not act():
        if clock.now_s() >= deadline_s:
            raise DeltawireError(
                f"the run cannot {what}: tried for {FINISH_S:.0f} s",
                hint="see server.log in the run's folder; a machine that is very busy needs more time",
            )
        clock.sleep(AGAIN_S)
