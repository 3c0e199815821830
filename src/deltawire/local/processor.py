"""All handlers of one informer: who is told what."""

import threading
from typing import Generic, TypeVar

from deltawire.local.listener import Listener
from deltawire.local.notifications import Notification

T = TypeVar("T")

# A handler may not ask for resyncs more often.
RESYNC_S_MIN = 1.0


class Processor(Generic[T]):
    """The lock is held for moments only, never while a handler runs or while somebody waits for room."""

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
        """Removed already: nothing happens."""
        listener.close()  # first: somebody may wait for its room
        with self._lock:
            if listener in self._listeners:
                self._listeners.remove(listener)

    def wait_for_room(self) -> None:
        for listener in self.listeners:
            listener.wait_for_room()

    def distribute(self, notification: Notification[T], *, is_sync: bool) -> None:
        """To all; what is a repetition (``is_sync``) to those who want one now.

        Who wants no resyncs gets none from a list that is made again either (client-go gives them to all then).
        """
        with self._lock:
            for listener in self._listeners:
                if not is_sync or (listener.is_syncing and listener.resync_s > 0):
                    listener.put(notification)

    def is_resync_due(self, now_s: float) -> bool:
        """Choose who takes part in this resync; False if nobody does."""
        with self._lock:
            for listener in self._listeners:
                listener.is_syncing = listener.is_resync_due(now_s)
                if listener.is_syncing:
                    listener.resynced(now_s)
            return any(listener.is_syncing for listener in self._listeners)

    def check_resyncs_every(self, check_s: float) -> None:
        """No handler is resynced more often than is looked, none at all where nobody looks."""
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
        """True if every handler's thread has ended, but for the one that asks."""
        ended = [listener.join(timeout_s) for listener in self.listeners]
        return all(ended)


def resync_period(wanted_s: float, check_s: float) -> float:
    """What a handler gets that wants a resync each ``wanted_s``, where is looked each ``check_s``; 0 is never."""
    if wanted_s <= 0 or check_s <= 0:
        return 0.0
    return max(wanted_s, check_s)
