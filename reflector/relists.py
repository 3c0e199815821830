"""When a stream that cannot keep its watch may list again. Pure: time is passed in.

A list for such a cause is rare on purpose: at most one a second for all streams of a cluster, and for one stream after
a delay that doubles to ten minutes while the cause repeats. Between such lists the stream watches again.
"""

from collections.abc import Callable

# Between the beginnings of two such lists of one cluster, up to half as long again.
LIST_EVERY_S = 1.0
# Between two such lists of one stream: doubled each time, up to a quarter longer.
DELAY_S_MIN, DELAY_S_MAX = 1.0, 600.0
# A watch that lived so long, and longer than the delay, ends the doubling.
QUIET_S = 120.0


class ListGate:
    """The turns of one cluster's streams; shared by them. ``random`` returns floats in [0, 1)."""

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self._free_at_s = float("-inf")

    def reserve(self, now_s: float) -> float:
        """The moment at which the caller may list, now or later; no other caller gets it."""
        turn_s = max(now_s, self._free_at_s)
        self._free_at_s = turn_s + LIST_EVERY_S * (1 + self._random() / 2)
        return turn_s


class Relists:
    """One stream's wish for a list. All times are monotonic seconds."""

    def __init__(self, gate: ListGate, random: Callable[[], float]) -> None:
        self.is_wanted = False
        self._is_certain = False
        self._gate = gate
        self._random = random
        self._delay_s = 0.0
        self._not_before_s = float("-inf")
        self._turn_s: float | None = None

    def want(self, *, certain: bool = True) -> None:
        """``certain``: the server said that the watch is over; else it only would not let it begin."""
        self.is_wanted = True
        self._is_certain = self._is_certain or certain

    def doubt_is_over(self) -> None:
        """A watch lives on: a wish that was made since none did is void."""
        if not self._is_certain:
            self.forget()

    def forget(self) -> None:
        """The watch works again, or a list was made for another reason: the wish is void."""
        self.is_wanted = self._is_certain = False
        self._turn_s = None

    def note_life(self, lived_s: float) -> None:
        """A watch was open for so long."""
        if lived_s >= max(QUIET_S, self._delay_s):
            self._delay_s = 0.0
            self._not_before_s = float("-inf")

    def is_due(self, now_s: float) -> bool:
        """True if the wished list may be made now. Takes the stream's place in the cluster's queue."""
        if not self.is_wanted or now_s < self._not_before_s:
            return False
        if self._turn_s is None:
            self._turn_s = self._gate.reserve(now_s)
        return now_s >= self._turn_s

    @property
    def due_s(self) -> float:
        """When `is_due` is to be asked again; inf where nothing is wished."""
        if not self.is_wanted:
            return float("inf")
        return self._not_before_s if self._turn_s is None else self._turn_s

    def made(self, now_s: float) -> None:
        """The wished list begins."""
        self.forget()
        self._delay_s = min(DELAY_S_MAX, max(DELAY_S_MIN, 2 * self._delay_s))
        self._not_before_s = now_s + self._delay_s * (1 + self._random() / 4)
