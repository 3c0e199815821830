"""Keeping a rate: how many writes are due by now, and what rate came out."""

from collections import deque

# How much of a delay is made up for. What was missed beyond it is counted, not written in a burst.
CATCH_UP_S = 0.5
_METER_SPAN_S = 5.0
_METER_STEP_S = 0.25


class Pace:
    """Tokens that arrive at ``per_s``. Times are seconds of any steady clock."""

    def __init__(self, per_s: float, now_s: float) -> None:
        self.per_s = per_s
        self.missed = 0
        self._tokens = 0.0
        self._at_s = now_s

    def due(self, now_s: float) -> int:
        """How many writes are due now; call `spend` with the number made."""
        self._tokens += max(0.0, now_s - self._at_s) * self.per_s
        self._at_s = now_s
        most = max(1.0, self.per_s * CATCH_UP_S)
        if self._tokens > most:
            self.missed += int(self._tokens - most)
            self._tokens = most
        return max(0, int(self._tokens))

    def spend(self, writes: int) -> None:
        """Writes were made. One step may make more than was due: the debt delays the next."""
        self._tokens -= writes

    def delay_s(self) -> float:
        """How long until the next write is due; infinite at a rate of 0."""
        return max(0.0, 1.0 - self._tokens) / self.per_s if self.per_s > 0 else float("inf")


class RateMeter:
    """The rate over the last few seconds."""

    def __init__(self) -> None:
        self._marks: deque[tuple[float, int]] = deque()

    def mark(self, now_s: float, total: int) -> None:
        """Note that ``total`` writes were done by now."""
        if self._marks and now_s - self._marks[-1][0] < _METER_STEP_S:
            return
        self._marks.append((now_s, total))
        while now_s - self._marks[0][0] > _METER_SPAN_S:
            self._marks.popleft()

    def per_s(self, now_s: float, total: int) -> float:
        if not self._marks or now_s <= self._marks[0][0]:
            return 0.0
        since_s, before = self._marks[0]
        return (total - before) / (now_s - since_s)

    def clear(self) -> None:
        self._marks.clear()
