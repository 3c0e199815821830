"""The faults that are set, and which of them meets a request or an open watch."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from deltawire.common.errors import StatusError

# Faults set at one time; setting more is refused.
FAULTS_MAX = 100

LATENCY = "latency"
THROTTLE = "throttle"
ERROR = "error"
UNAUTHORIZED = "unauthorized"
DROP = "drop"
BARE_STATUS = "bare-status"
CUT = "cut"
BLACK_HOLE = "black-hole"
SLOW = "slow"
NO_BOOKMARKS = "no-bookmarks"
NO_INITIAL_END = "no-initial-end"
ERROR_EVENT = "error-event"

# Kind to (what its value means, the value without one). Those of the second group are about watches.
REQUEST_FAULTS = {
    LATENCY: ("seconds each request waits", 1.0),
    THROTTLE: ("seconds in Retry-After of the 429", 1.0),
    ERROR: ("the HTTP code, 400 to 599", 500.0),
    UNAUTHORIZED: ("", 0.0),
    DROP: ("", 0.0),
    BARE_STATUS: ("the code in the Status, 400 to 599; the answer is 200", 500.0),
}
WATCH_FAULTS = {
    CUT: ("events after which the stream breaks off", 1.0),
    BLACK_HOLE: ("", 0.0),
    SLOW: ("bytes a second", 1024.0),
    NO_BOOKMARKS: ("", 0.0),
    NO_INITIAL_END: ("", 0.0),
    ERROR_EVENT: ("the code in the Status, 400 to 599; 0: none", 500.0),
}
LATENCY_MAX_S = 3600.0


@dataclass(frozen=True, slots=True)
class Came:
    """A request as faults look at it. ``resource`` and ``verb`` are "" where it is for no resource (discovery,
    health); ``user`` is the name that it acts for."""

    resource: str
    verb: str
    path: str = ""
    user: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """``resource`` (``pods``, ``deployments.apps``), ``verb``, ``path`` and ``user`` narrow it down; "" means any.

    ``path`` is the path of a URL, or the beginning of one and ``*``. Requests that are for no resource are met
    only by a fault with a path.

    ``count`` is how many requests or watches it meets before it is gone; None until it is cleared.
    """

    kind: str
    value: float | None = None
    resource: str = ""
    verb: str = ""
    count: int | None = None
    path: str = ""
    user: str = ""
    id: int = 0
    met: int = 0

    @property
    def amount(self) -> float:
        """``value``, or what the kind has without one."""
        default = (REQUEST_FAULTS | WATCH_FAULTS)[self.kind][1]
        return default if self.value is None else self.value

    def matches(self, came: Came) -> bool:
        if not came.resource and not self.path:
            return False
        narrowed = self.resource in ("", came.resource) and self.verb in ("", came.verb)
        return narrowed and self.user in ("", came.user) and self._is_of_path(came.path)

    def _is_of_path(self, path: str) -> bool:
        if self.path.endswith("*"):
            return path.startswith(self.path[:-1])
        return self.path in ("", path)

    def as_tree(self) -> dict[str, Any]:
        """As the admin endpoint shows it: ``left`` is None for a fault without a count."""
        left = None if self.count is None else self.count - self.met
        shown = {"id": self.id, "kind": self.kind, "value": self.amount, "met": self.met, "left": left}
        return shown | {"resource": self.resource, "verb": self.verb, "path": self.path, "user": self.user}


@dataclass
class FaultPlan:
    """For one thread. ``met`` counts by kind since the start, faults that are gone included."""

    met: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._faults: dict[int, Fault] = {}
        self._ids = itertools.count(1)
        self._listeners: list[Callable[[], None]] = []
        self._cleared: set[int] = set()
        self._cleared_below = 0
        # Rises whenever faults are set or cleared.
        self.changes = 0

    @property
    def faults(self) -> list[Fault]:
        """Those that are set, oldest first."""
        return list(self._faults.values())

    def add(self, fault: Fault) -> Fault:
        """Set a fault; returns it with its id. Raises StatusError 400 for one that makes no sense, 429 for too many."""
        _check(fault)
        if len(self._faults) >= FAULTS_MAX:
            raise StatusError(429, "TooManyRequests", f"{FAULTS_MAX} faults are set; clear some")
        fault = replace(fault, id=next(self._ids), met=0)
        self._faults[fault.id] = fault
        self._changed()
        return fault

    def clear(self, fault_id: int = 0) -> int:
        """Take away one fault, or all; how many there were."""
        gone = [fault_id] if fault_id in self._faults else [] if fault_id else list(self._faults)
        for key in gone:
            del self._faults[key]
        # A watch may live with a fault that is used up: to end it there, clear all.
        if fault_id:
            self._cleared.add(fault_id)
        else:
            self._cleared = set()
            self._cleared_below = next(self._ids)
        self._changed()
        return len(gone)

    def is_cleared(self, fault: Fault) -> bool:
        """True for a fault that was taken away, not one that is only used up."""
        return fault.id < self._cleared_below or fault.id in self._cleared

    def take(self, kinds: tuple[str, ...], came: Came) -> list[Fault]:
        """The faults of these kinds that meet this request, oldest first; each is counted."""
        found = [f for f in self._faults.values() if f.kind in kinds and f.matches(came)]
        for fault in found:
            self.met[fault.kind] = self.met.get(fault.kind, 0) + 1
            counted = replace(fault, met=fault.met + 1)
            if fault.count is not None and counted.met >= fault.count:
                del self._faults[fault.id]
            else:
                self._faults[fault.id] = counted
        return found

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` after faults were set or cleared."""
        self._listeners.append(listener)

    def _changed(self) -> None:
        self.changes += 1
        for listener in self._listeners:
            listener()


def _check(fault: Fault) -> None:
    if fault.kind not in REQUEST_FAULTS | WATCH_FAULTS:
        known = ", ".join(sorted(REQUEST_FAULTS | WATCH_FAULTS))
        raise _bad(f"unknown fault {fault.kind!r}: one of {known}")
    if fault.count is not None and fault.count < 1:
        raise _bad(f"count: {fault.count} is not at least 1")
    amount = fault.amount
    if not 0 <= amount < float("inf"):
        raise _bad(f"value: {amount} is not a number from 0 on")
    # The Status of an ERROR event may have no code at all.
    is_code = (400 <= amount <= 599 and amount == int(amount)) or (fault.kind == ERROR_EVENT and not amount)
    if fault.kind in (ERROR, BARE_STATUS, ERROR_EVENT) and not is_code:
        raise _bad(f"value: {amount:g} is not an HTTP code from 400 to 599")
    if fault.path and not fault.path.startswith("/"):
        raise _bad(f"path: {fault.path!r} does not begin with a slash")
    if fault.kind == LATENCY and amount > LATENCY_MAX_S:
        raise _bad(f"value: at most {LATENCY_MAX_S:g} seconds")
    if fault.kind == SLOW and amount < 1:
        raise _bad("value: at least 1 byte a second")


def _bad(message: str) -> StatusError:
    return StatusError(400, "BadRequest", message)
