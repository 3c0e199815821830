"""The recent events of one resource, kept so that watches can resume and lists can look back.

A ring: bounded in events and in bytes. Readers hold a sequence number into it and are never waited for; one
that falls behind the oldest event kept has lost its place (410). `floor` is the version from which on every
event is still here.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import msgspec

from deltawire.apiserver.core.record import Record


@dataclass(frozen=True, slots=True)
class WindowLimits:
    """Bounds of one resource's window. The newest event is kept even when it alone is too large."""

    events_max: int = 10_000
    bytes_max: int = 64 << 20


class Event(msgspec.Struct, gc=False):
    """One change of one object: ``old`` and ``new`` are None where there was or is nothing."""

    version: int
    old: Record | None
    new: Record | None
    _last_body: bytes | None = None

    @property
    def record(self) -> Record:
        """The newer of the two that exists."""
        record = self.new or self.old
        assert record is not None, "an event has at least one side"  # noqa: S101 - states the type's invariant
        return record

    @property
    def last_body(self) -> bytes:
        """What was there before, under this event's version; encoded once for all watchers."""
        if self._last_body is None:
            self._last_body = (self.old or self.record).body_with_version(self.version)
        return self._last_body

    @property
    def size_bytes(self) -> int:
        return len(self.record.body)


class EventWindow:
    """The ring. ``head`` is the sequence number of the next event, ``tail`` that of the oldest one kept."""

    def __init__(self, limits: WindowLimits, floor: int = 0) -> None:
        self._limits = limits
        self._ring: list[Event | None] = []  # grows to the bound: most resources never have that many events
        self._bytes = 0
        self._listeners: set[Callable[[], None]] = set()
        self.is_closed = False
        self.floor = floor
        self.tail = 0
        self.head = 0

    def append(self, event: Event) -> None:
        """Add the newest event, drop what is beyond the bounds, wake the listeners."""
        if self.head - self.tail == self._limits.events_max:
            self._drop_oldest()
        if self.head < self._limits.events_max:
            self._ring.append(event)
        else:
            self._ring[self.head % self._limits.events_max] = event
        self.head += 1
        self._bytes += event.size_bytes
        while self._bytes > self._limits.bytes_max and self.head - self.tail > 1:
            self._drop_oldest()
        self._wake()

    def close(self) -> None:
        """No event will follow: the resource is no longer served."""
        self.is_closed = True
        self._wake()

    def compact(self, version: int) -> None:
        """Forget every event; resuming below ``version`` is then refused."""
        while self.tail < self.head:
            self._drop_oldest()
        self.floor = max(self.floor, version)

    def at(self, sequence: int) -> Event:
        """The event with that number, tail ≤ sequence < head."""
        event = self._ring[sequence % self._limits.events_max]
        if event is None or not self.tail <= sequence < self.head:
            raise IndexError(sequence)
        return event

    def after(self, version: int) -> int:
        """The number of the first event newer than ``version``."""
        return (
            bisect_right(range(self.tail, self.head), version, key=lambda n: self.at(n).version) + self.tail
        )

    def newest_first(self, above: int) -> Iterator[Event]:
        """The events newer than ``above``, last one first: the way back in time."""
        for sequence in range(self.head - 1, self.tail - 1, -1):
            event = self.at(sequence)
            if event.version <= above:
                return
            yield event

    def rewound(self, version: int) -> "EventWindow":
        """A window with the events up to ``version``, which is not below `floor`."""
        earlier = EventWindow(self._limits, floor=self.floor)
        for sequence in range(self.tail, self.after(version)):
            earlier.append(self.at(sequence))
        return earlier

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` after each append and at the end; it must not raise and not block."""
        self._listeners.add(listener)

    def unsubscribe(self, listener: Callable[[], None]) -> None:
        self._listeners.discard(listener)

    def _wake(self) -> None:
        for listener in tuple(self._listeners):
            listener()

    def _drop_oldest(self) -> None:
        event = self.at(self.tail)
        self._ring[self.tail % self._limits.events_max] = None
        self._bytes -= event.size_bytes
        self.floor = event.version
        self.tail += 1
