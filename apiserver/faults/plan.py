"""The faults that are set, and which of them meets a request or an open watch."""

import itertools
import random
import time
from collections.abc import Callable
from dataclasses import replace

from deltawire.apiserver.faults.fault import Came, Fault, check
from deltawire.common.errors import StatusError

# Faults set at one time; setting more is refused.
FAULTS_MAX = 100


class FaultPlan:
    """For one thread. ``met`` counts by kind since the start, faults that are gone included.

    ``now_s`` counts seconds, ``draw`` gives numbers from 0 up to 1.
    """

    def __init__(
        self, *, now_s: Callable[[], float] = time.monotonic, draw: Callable[[], float] = random.random
    ) -> None:
        self.met: dict[str, int] = {}
        self._now_s = now_s
        self._draw = draw
        self._ends: dict[int, float] = {}
        self._faults: dict[int, Fault] = {}
        self._ids = itertools.count(1)
        self._listeners: list[Callable[[], None]] = []
        self._cleared: set[int] = set()
        self._cleared_below = 0
        # Rises whenever faults are set or cleared.
        self.changes = 0
        # Kinds that this server cannot carry out, and why.
        self.impossible: dict[str, str] = {}

    @property
    def faults(self) -> list[Fault]:
        """Those that are set, oldest first."""
        self.expire()
        return list(self._faults.values())

    def add(self, fault: Fault) -> Fault:
        """Set a fault; returns it with its id. Raises StatusError 400 for one that makes no sense, 429 for too many."""
        check(fault)
        if fault.kind in self.impossible:
            raise StatusError(400, "BadRequest", f"{fault.kind}: {self.impossible[fault.kind]}")
        if len(self._faults) >= FAULTS_MAX:
            raise StatusError(429, "TooManyRequests", f"{FAULTS_MAX} faults are set; clear some")
        fault = replace(fault, id=next(self._ids), met=0)
        self._faults[fault.id] = fault
        if fault.lasts_s is not None:
            self._ends[fault.id] = self._now_s() + fault.lasts_s
        self._changed()
        return fault

    def clear(self, fault_id: int = 0) -> int:
        """Take away one fault, or all; how many there were."""
        gone = [fault_id] if fault_id in self._faults else [] if fault_id else list(self._faults)
        for key in gone:
            del self._faults[key]
            self._ends.pop(key, None)
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
        self.expire()
        return fault.id < self._cleared_below or fault.id in self._cleared

    def take(self, kinds: tuple[str, ...], came: Came) -> list[Fault]:
        """The faults of these kinds that meet this request, oldest first; each is counted."""
        self.expire()
        found = [f for f in self._faults.values() if f.kind in kinds and f.matches(came)]
        found = [f for f in found if f.share >= 1 or self._draw() < f.share]
        for fault in found:
            self.met[fault.kind] = self.met.get(fault.kind, 0) + 1
            counted = replace(fault, met=fault.met + 1)
            if fault.count is not None and counted.met >= fault.count:
                del self._faults[fault.id]
            else:
                self._faults[fault.id] = counted
        return found

    @property
    def next_end_s(self) -> float | None:
        """In how many seconds the next fault's time is over; None where no fault has one."""
        return max(min(self._ends.values()) - self._now_s(), 0.0) if self._ends else None

    def expire(self) -> None:
        """Those whose time is over are as if they had been cleared."""
        now_s = self._now_s()
        over = [key for key, ends_s in self._ends.items() if ends_s <= now_s]
        for key in over:
            del self._ends[key]
            self._faults.pop(key, None)
            self._cleared.add(key)
        if over:
            self._changed()

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` after faults were set or cleared."""
        self._listeners.append(listener)

    def _changed(self) -> None:
        self.changes += 1
        for listener in self._listeners:
            listener()
