"""One handler of an attached informer: what it was told, what an event is to it, and the thread of its calls."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from deltawire.common.clock import Clock
from deltawire.fifo.deltas import Tombstone
from deltawire.handlers.events import FINAL_STATE_UNKNOWN, INITIAL, Delivery
from deltawire.local.listener import Listener
from deltawire.local.notifications import Added, Deleted, Notification, ResourceEventHandler, Updated

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Version:
    """Of a life of an object."""

    uid: str
    version: str

    def is_before(self, other: "Version") -> bool:
        """Of the same life, and known to be older; versions that are no numbers are only compared for equality."""
        if not (self.version.isdecimal() and other.version.isdecimal()):
            return False
        return self.uid == other.uid and int(self.version) < int(other.version)


class Told(Generic[T]):
    """What one handler knows. Pure: from an event to what it is told, None for nothing.

    The first sight of an object is an add, whatever the group was told before this process began. A deletion of an
    object that this handler was never shown is told as a `Tombstone`: it happened while nobody was here.
    """

    def __init__(self) -> None:
        self._known: dict[str, Version] = {}
        # While the cache is listed: keys whose deletion came meanwhile. The list may still show them.
        self._gone: set[str] | None = set()

    def listed(self, key: str, version: Version, obj: T) -> Notification[T] | None:
        """An object of the first list."""
        if key in self._known or (self._gone is not None and key in self._gone):
            return None
        self._known[key] = version
        return Added(obj, True)

    def list_ended(self) -> None:
        self._gone = None

    def event(self, delivery: Delivery, key: str, obj: T | None, old: T | None) -> Notification[T] | None:
        now, before = Version(delivery.uid, delivery.version), self._known.get(key)
        if delivery.kind == "D":
            return self._deleted(delivery, key, obj, before)
        if obj is None:
            return None
        if before is None:
            self._known[key] = now
            return Added(obj, bool(delivery.flags & INITIAL))
        if delivery.kind == "S":
            return Updated(obj, obj)
        if now == before or now.is_before(before):
            return None
        self._known[key] = now
        return Updated(old, obj)  # type: ignore[arg-type]  # None where it is not known any more

    def _deleted(self, delivery: Delivery, key: str, obj: T | None, before: Version | None) -> Notification[T] | None:
        if before is not None and before.uid != delivery.uid:
            # A former life: the handler was shown the present one only.
            return None
        if self._gone is not None:
            self._gone.add(key)
        self._known.pop(key, None)
        if before is None or obj is None or delivery.flags & FINAL_STATE_UNKNOWN:
            return Deleted(Tombstone(key, obj))
        return Deleted(obj)


class Audience(Generic[T]):
    """A handler with its thread. `tell` and `show` belong to who holds the informer's lock; `wait` to nobody."""

    def __init__(
        self,
        handler: ResourceEventHandler[T],
        *,
        name: str,
        notifications_max: int,
        clock: Clock,
    ) -> None:
        self._counted = _Counted(handler, clock)
        self.told: Told[T] = Told()
        self.is_listed = False
        self.listener: Listener[T] = Listener(
            self._counted,
            name=name,
            resync_s=0.0,
            notifications_max=notifications_max,
            is_upstream_synced=lambda: self.is_listed,
            clock=clock,
        )
        self._put = 0

    def tell(self, notification: Notification[T] | None) -> int:
        """A number for `wait`; 0 for nothing."""
        if notification is None:
            return 0
        self._put += 1
        self.listener.put(notification)
        return self._put

    def wait(self, number: int) -> bool:
        """Until the call has ended. False if it never will be made."""
        return self._counted.wait(number)

    def close(self) -> None:
        """No further call begins."""
        self.listener.close()
        self._counted.close()


class _Counted(Generic[T]):
    """Counts the calls that have ended, however they ended."""

    def __init__(self, handler: ResourceEventHandler[T], clock: Clock) -> None:
        self._handler = handler
        self._clock = clock
        self._changed = threading.Condition()
        self._ended = 0
        self._is_closed = False

    def on_add(self, obj: T, is_in_initial_list: bool) -> None:
        self._count(lambda: self._handler.on_add(obj, is_in_initial_list))

    def on_update(self, old: T, new: T) -> None:
        self._count(lambda: self._handler.on_update(old, new))

    def on_delete(self, obj: T | Tombstone[T]) -> None:
        self._count(lambda: self._handler.on_delete(obj))

    def wait(self, number: int) -> bool:
        with self._changed:
            while self._ended < number and not self._is_closed:
                self._clock.wait_until(self._changed, None)
            return self._ended >= number

    def close(self) -> None:
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _count(self, call: Callable[[], Any]) -> None:
        try:
            call()
        finally:
            with self._changed:
                self._ended += 1
                self._changed.notify_all()
