"""Spreads what the streams of one cluster ask for first: lists and watches. Pure: time is passed in.

A server that comes back would meet all streams of all reflectors in the same moment.
"""

from collections.abc import Callable

# Of one cluster and reflector: so many at once, then so many a second, each delayed by up to half an interval more.
OPENINGS_AT_ONCE = 25
OPENINGS_PER_S = 50.0


class Openings:
    """``random`` returns floats in [0, 1). Times are monotonic seconds."""

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self._next_s = float("-inf")

    def reserve(self, now_s: float) -> float:
        """When the caller may ask, now or later."""
        interval_s = 1 / OPENINGS_PER_S
        self._next_s = max(self._next_s, now_s - OPENINGS_AT_ONCE * interval_s) + interval_s
        if self._next_s <= now_s:
            return now_s
        return self._next_s + interval_s * self._random() / 2
