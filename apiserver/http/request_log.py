"""Which requests came: totals by verb and resource, and the newest ones in full.

Tests and people count lists and watches with it. Written by the event loop, read from any thread.
"""

import threading
from collections import Counter, deque
from dataclasses import asdict, dataclass
from typing import Any

# Requests kept in full; the totals go on counting beyond it.
ENTRIES_MAX = 10_000


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """One request of a resource, as it arrived. ``time`` is Unix seconds; ``verb`` as in RBAC."""

    time: float
    verb: str
    resource: str
    namespace: str
    path: str
    query: dict[str, str]
    user_agent: str


class RequestLog:
    """Counts requests of resources; discovery, health and admin requests are not logged."""

    def __init__(self, entries_max: int = ENTRIES_MAX) -> None:
        self._lock = threading.Lock()
        self._totals: Counter[tuple[str, str]] = Counter()
        self._entries: deque[LoggedRequest] = deque(maxlen=entries_max)

    def add(self, request: LoggedRequest) -> None:
        with self._lock:
            self._totals[request.verb, request.resource] += 1
            self._entries.append(request)

    def count(self, verb: str, resource: str = "") -> int:
        """Requests since the start (or `clear`) of that verb, of one resource or of all."""
        with self._lock:
            return sum(
                n for (v, r), n in self._totals.items() if v == verb and (not resource or r == resource)
            )

    @property
    def entries(self) -> list[LoggedRequest]:
        """The newest requests, oldest first, at most the bound given at the start."""
        with self._lock:
            return list(self._entries)

    def clear(self) -> None:
        with self._lock:
            self._totals.clear()
            self._entries.clear()

    def report(self) -> dict[str, Any]:
        """``{"totals": {verb: {resource: n}}, "requests": [...]}``."""
        totals: dict[str, dict[str, int]] = {}
        with self._lock:
            for (verb, resource), n in sorted(self._totals.items()):
                totals.setdefault(verb, {})[resource] = n
            return {"totals": totals, "requests": [asdict(entry) for entry in self._entries]}
