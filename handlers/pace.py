"""How many calls may begin now: a token bucket over all calls of a process. Pure.

Not here: the delay of a failed event (``rate_limiters``, ``dispatch``), who asks (``runner``).
"""

import math


class Pace:
    """``rate_per_s`` calls a second on average, ``burst`` at once; by default what a second brings, at least one."""

    def __init__(self, rate_per_s: float, burst: int | None, now_s: float) -> None:
        self._rate_per_s = rate_per_s
        self._burst = float(burst or max(1, math.ceil(rate_per_s)))
        self._tokens = self._burst
        self._counted_s = now_s

    def room(self, now_s: float) -> int:
        """The number of calls that may begin."""
        self._tokens = min(self._burst, self._tokens + (now_s - self._counted_s) * self._rate_per_s)
        self._counted_s = now_s
        # What was earned in parts may be a hair below one.
        return int(self._tokens + 1e-9)

    def took(self, calls: int) -> None:
        """So many have begun, at most `room`."""
        self._tokens -= calls

    @property
    def due_s(self) -> float:
        """When the next call may begin, by the clock of `room`."""
        return self._counted_s + max(0.0, 1 - self._tokens) / self._rate_per_s
