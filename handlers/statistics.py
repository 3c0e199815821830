"""The figures of a handler's process, for its status.

Not here: what a group has still to get (the informer workers know).
"""

from collections import deque
from typing import Any

from deltawire.common.meta.keys import display_key
from deltawire.handlers.dispatch import Call, Outcome, Verdict
from deltawire.handlers.events import INITIAL

# The lags of this many last events make the percentiles.
LAGS_MAX = 4096
LAST_ERROR_CHARS_MAX = 300


class Statistics:
    """Totals since the process began, and the lags of the last events."""

    def __init__(self) -> None:
        self.received: dict[str, int] = {}
        self.ended = dict.fromkeys(Verdict, 0)
        self.hung = 0
        self.dropped = 0
        self.first_ended_at_us = 0
        self.synced: dict[str, set[int]] = {}
        self._last_error: dict[str, Any] | None = None
        self._lags_us: deque[int] = deque(maxlen=LAGS_MAX)
        self._lags = 0
        self._told_at_lags = -1
        self._percentiles: dict[str, float | None] = {}

    def arrived(self, informer: str, count: int) -> None:
        self.received[informer] = self.received.get(informer, 0) + count

    def call_ended(self, call: Call, outcome: Outcome, wall_us: int) -> None:
        """``wall_us``: when, in µs since the epoch."""
        self.ended[outcome.verdict] += 1
        if outcome.error:
            self._last_error = {
                "key": display_key(call.key),
                "error": outcome.error.partition("\n")[0][:LAST_ERROR_CHARS_MAX],
                "attempt": call.newest.attempt,
                "at": wall_us,
            }
        self.first_ended_at_us = self.first_ended_at_us or wall_us
        for ticket in call.tickets:
            delivery = ticket.delivery
            # Of an object that was there before us, or that failed before, the age says nothing.
            if delivery.attempt <= 1 and not delivery.flags & INITIAL and delivery.kind not in "SG":
                self._lags_us.append(max(0, wall_us - delivery.at_us))
                self._lags += 1

    def report(self) -> dict[str, Any]:
        """Plain values; ``lag_ms`` from the reflector's read to the end of the call."""
        ended = self.ended
        if self._told_at_lags != self._lags:
            # Sorted once for all reports in which nothing new stands.
            self._told_at_lags, self._percentiles = self._lags, percentiles(sorted(self._lags_us))
        return {
            "calls": sum(ended.values()),
            "succeeded": ended[Verdict.DONE] + ended[Verdict.REQUEUE],
            "failed": ended[Verdict.RETRY] + ended[Verdict.DEAD],
            "requeued": ended[Verdict.REQUEUE],
            "dead": ended[Verdict.DEAD],
            "hung": self.hung,
            "dropped": self.dropped,
            "last_error": self._last_error,
            "first_ended_at": self.first_ended_at_us,
            "lag_ms": {**self._percentiles, "count": self._lags},
        }


def percentiles(lags_us: list[int]) -> dict[str, float | None]:
    """In ms, of µs in order; None where there are none."""

    def at(share: float) -> float | None:
        return round(lags_us[min(len(lags_us) - 1, int(len(lags_us) * share))] / 1000, 3) if lags_us else None

    return {"p50": at(0.5), "p99": at(0.99)}
