"""All handlers of one informer, and which of them gets a notification."""

import threading
from typing import Generic, TypeVar

from deltawire.local.listener import Listener
from deltawire.local.notifications import Notification

T = TypeVar("T")

# A handler may not ask for resyncs more often.
RESYNC_S_MIN = 1.0


class Processor(Generic[T]):
    """The lock is held for moments only, never while a handler runs or while a thread waits for room."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: list[Listener[T]] = []
        self._is_started = False

    @property
    def listeners(self) -> list[Listener[T]]:
        with self._lock:
            return list(self._listeners)

    def start(self) -> None:
        with self._lock:
            self._is_started = True
            for listener in self._listeners:
                listener.start()

    def add(self, listener: Listener[T]) -> None:
        with self._lock:
            self._listeners.append(listener)
            if self._is_started:
                listener.start()

    def remove(self, listener: Listener[T]) -> None:
        """No-op for a listener that was removed already."""
        listener.close()  # first: somebody may wait for its room
        with self._lock:
            if listener in self._listeners:
                self._listeners.remove(listener)

    def wait_for_room(self) -> None:
        for listener in self.listeners:
            listener.wait_for_room()

    def distribute(self, notification: Notification[T], *, is_sync: bool) -> None:
        """Give ``notification`` to all handlers; a repetition (``is_sync``) only to those that are due for a resync.

        So a handler without resyncs gets no repetition from a second list (client-go gives it to all then).
        """
        with self._lock:
            for listener in self._listeners:
                if not is_sync or (listener.is_syncing and listener.resync_s > 0):
                    listener.put(notification)

    def is_resync_due(self, now_s: float) -> bool:
        """Choose the handlers that take part in this resync; False if there is none."""
        with self._lock:
            for listener in self._listeners:
                listener.is_syncing = listener.is_resync_due(now_s)
                if listener.is_syncing:
                    listener.resynced(now_s)
            return any(listener.is_syncing for listener in self._listeners)

    def check_resyncs_every(self, check_s: float) -> None:
        """Check each ``check_s`` for due resyncs: no handler's period is shorter. 0: no handler is resynced."""
        with self._lock:
            for listener in self._listeners:
                listener.resync_s = resync_period(listener.resync_wanted_s, check_s)

    def release(self) -> None:
        for listener in self.listeners:
            listener.release()

    def close(self) -> None:
        for listener in self.listeners:
            listener.close()

    def join(self, timeout_s: float | None = None) -> bool:
        """True if every handler's thread has ended, except the calling one."""
        ended = [listener.join(timeout_s) for listener in self.listeners]
        return all(ended)


def resync_period(wanted_s: float, check_s: float) -> float:
    """The resync period of a handler that asks for ``wanted_s``, with a check each ``check_s``; 0 is never."""
    if wanted_s <= 0 or check_s <= 0:
        return 0.0
    return max(wanted_s, check_s)
