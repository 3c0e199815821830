"""Informers that begin and end together: what all factories have in common."""

import threading
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from deltawire.common.clock import Clock, SystemClock
from deltawire.local.informer import SharedIndexInformer

K = TypeVar("K")


class InformerSet(Generic[K]):
    """One informer for each resource, made at the first request for it. Nothing is watched before `start`."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock: Clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._informers: dict[K, SharedIndexInformer[Any]] = {}
        self._started: dict[K, SharedIndexInformer[Any]] = {}
        self._is_shutting_down = False

    def get(self, key: K, make: Callable[[], SharedIndexInformer[Any]]) -> SharedIndexInformer[Any]:
        with self._lock:
            found = self._informers.get(key)
            if found is None:
                found = self._informers[key] = make()
            return found

    def start(self, stop: threading.Event) -> None:
        """Start those that are not started yet; they end when ``stop`` is set. Does not wait.

        To be called again after more informers were asked for. Does nothing once `shutdown` was called.
        """
        with self._lock:
            if self._is_shutting_down:
                return
            new = {key: informer for key, informer in self._informers.items() if key not in self._started}
            self._started |= new
        if not new:
            return
        for informer in new.values():
            informer.start()
        threading.Thread(
            target=_stop_with, args=(stop, list(new.values())), name="informers' stop", daemon=True
        ).start()

    def wait_for_cache_sync(
        self, stop: threading.Event | None = None, timeout_s: float | None = None
    ) -> dict[K, bool]:
        """Wait for the caches of all started informers. False for those that had not synced when ``stop`` was set
        or the time was over; ``status`` says why."""
        deadline_s = None if timeout_s is None else self._clock.now_s() + timeout_s
        synced: dict[K, bool] = {}
        for key, informer in self.started.items():
            left_s = None if deadline_s is None else max(0.0, deadline_s - self._clock.now_s())
            synced[key] = informer.wait_for_cache_sync(stop, left_s)
        return synced

    def shutdown(self, timeout_s: float | None = None) -> bool:
        """Wait until all threads of all informers have ended, after their ``stop`` was set. True if they have.

        Nothing is started any more. May be called again, and from many threads.
        """
        with self._lock:
            self._is_shutting_down = True
        deadline_s = None if timeout_s is None else self._clock.now_s() + timeout_s
        ended = []
        for informer in self.started.values():
            left_s = None if deadline_s is None else max(0.0, deadline_s - self._clock.now_s())
            ended.append(informer.join(left_s))
        return all(ended)

    @property
    def started(self) -> Mapping[K, SharedIndexInformer[Any]]:
        with self._lock:
            return dict(self._started)

    @property
    def all(self) -> Mapping[K, SharedIndexInformer[Any]]:
        with self._lock:
            return dict(self._informers)


def _stop_with(stop: threading.Event, informers: list[SharedIndexInformer[Any]]) -> None:
    stop.wait()
    for informer in informers:
        informer.stop()
