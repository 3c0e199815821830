"""Counters that survive the restart of who counts."""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

# The span that a rate is taken over.
RATE_SPAN_S = 3.0

# Fields of reports that are totals since a process began: they are carried over its restarts.
COUNTERS = frozenset(
    (
        *("lists", "watches", "events", "bytes", "refused", "unsupported", "reads"),
        *("published", "popped", "dedup_deletes", "dedup_updates", "redelivered"),
        *("applied", "delivered", "acknowledged", "coalesced", "filtered", "gaps"),
        *("calls", "succeeded", "failed", "unanswered", "connections_refused"),
    )
)


@dataclass(slots=True)
class Carried:
    """The totals of one process name: those of its present life, and the sum of the lives before.

    ``latest`` is the last report of the present life, nested maps with numbers as leaves.
    """

    pid: int = 0
    latest: dict[str, Any] = field(default_factory=dict)
    received_at_s: float = float("-inf")
    _before: dict[tuple[str, ...], float] = field(default_factory=dict)

    def take(self, pid: int, report: dict[str, Any], now_s: float, counters: frozenset[str]) -> None:
        """A report of process ``pid``. Leaves whose name is in ``counters`` are carried over to the next pid."""
        if self.pid and pid != self.pid:
            for path, value in _leaves(self.latest):
                if path[-1] in counters:
                    self._before[path] = self._before.get(path, 0) + value
        self.pid, self.latest, self.received_at_s = pid, report, now_s

    def before(self, *path: str) -> int:
        """What the earlier lives had counted at ``path``."""
        return int(self._before.get(path, 0))


def _leaves(tree: dict[str, Any], prefix: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], float]]:
    found: list[tuple[tuple[str, ...], float]] = []
    for name, value in tree.items():
        path = (*prefix, str(name))
        if isinstance(value, dict):
            found += _leaves(value, path)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found.append((path, value))
    return found


class Rate:
    """Events a second over the last `RATE_SPAN_S`, from totals seen now and then."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def take(self, now_s: float, total: int) -> None:
        self._samples.append((now_s, total))
        while len(self._samples) > 2 and now_s - self._samples[1][0] >= RATE_SPAN_S:
            self._samples.popleft()

    def per_s(self) -> float:
        if len(self._samples) < 2:
            return 0.0
        (first_s, first), (last_s, last) = self._samples[0], self._samples[-1]
        return max(0.0, (last - first) / (last_s - first_s)) if last_s > first_s else 0.0
