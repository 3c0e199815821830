"""A watch that outlives its connections: opened again at the last version seen."""

import logging
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

from deltawire.client.rest.watch import BOOKMARK, WatchEvent
from deltawire.client.tools.objects import metadata
from deltawire.common.clock import Clock, SystemClock
from deltawire.common.errors import ConfigError, DeltawireError, StatusError, TransportError

log = logging.getLogger(__name__)

T = TypeVar("T")

# Between the beginnings of two watches: one that lived longer is followed by the next at once.
REOPEN_S_MIN = 1.0


class OpenWatch(Protocol[T]):
    """The part of a Watch that is used here."""

    def __iter__(self) -> Iterator[WatchEvent[T]]: ...

    def stop(self) -> None: ...


class RetryWatcher(Generic[T]):
    """Iterate over it for the events after ``resource_version``; `stop` it from any thread.

    ``open_watch`` opens a watch at a version, and should ask for bookmarks: they move the version on and are
    not passed on. Cut connections, time-outs and errors of the server are followed by a new watch.
    It ends with an error for 410 (list again), 401 and 403, an event that cannot be read, an object without a
    version. client-go retries for ever when the opening itself is answered with 410.
    ``is_lost`` names further ERROR events that end it; with ``takes_unversioned`` objects without a version pass and
    move nothing.
    """

    def __init__(
        self,
        open_watch: Callable[[str], OpenWatch[T]],
        resource_version: str,
        *,
        clock: Clock | None = None,
        is_lost: Callable[[StatusError], bool] = lambda error: False,
        takes_unversioned: bool = False,
    ) -> None:
        if resource_version in ("", "0"):
            raise ConfigError(
                f"a watch that is to be opened again cannot begin at {resource_version!r}",
                path="resource_version",
                hint="give the version of a list or of an object",
            )
        self._open_watch = open_watch
        self.resource_version = resource_version
        self.opened = 0
        self._clock = clock or SystemClock()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._watch: OpenWatch[T] | None = None
        self._is_lost = is_lost
        self._takes_unversioned = takes_unversioned
        self._is_in_stream = False
        self._events = self._read()

    def __iter__(self) -> Iterator[WatchEvent[T]]:
        return self._events

    def __next__(self) -> WatchEvent[T]:
        return next(self._events)

    def stop(self) -> None:
        """End it; an iteration that waits in another thread ends. May be called again."""
        self._stop.set()
        with self._lock:
            watch = self._watch
        if watch is not None:
            watch.stop()

    def _read(self) -> Iterator[WatchEvent[T]]:
        opened_at_s: float | None = None
        delay_s = 0.0
        while not self._stop.is_set():
            if opened_at_s is not None:
                delay_s = max(delay_s, opened_at_s + REOPEN_S_MIN - self._clock.now_s())
                if delay_s > 0 and self._clock.sleep(delay_s, self._stop):
                    return
            opened_at_s, delay_s = self._clock.now_s(), 0.0
            try:
                yield from self._one_watch()
            except DeltawireError as error:
                if self._stop.is_set():
                    return
                if _is_final(error):
                    raise
                if self._is_in_stream and isinstance(error, StatusError) and self._is_lost(error):
                    raise
                log.debug("the watch at %s ended and is opened again: %s", self.resource_version, error)
                delay_s = getattr(error, "retry_after_s", None) or 0.0

    def _one_watch(self) -> Iterator[WatchEvent[T]]:
        self._is_in_stream = False
        watch = self._open_watch(self.resource_version)
        self.opened += 1
        self._is_in_stream = True
        with self._lock:
            self._watch = watch
        try:
            if self._stop.is_set():  # set while the watch was being opened
                return
            for event in watch:
                version = metadata(event.object, "resourceVersion")
                if not version and not self._takes_unversioned:
                    raise TransportError(
                        f"a {event.type} event of the watch has no resourceVersion", reason="garbage"
                    )
                if event.type != BOOKMARK:
                    yield event
                # After the yield: what was not taken comes again.
                self.resource_version = version or self.resource_version
        finally:
            with self._lock:
                self._watch = None
            watch.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _is_final(error: DeltawireError) -> bool:
    if isinstance(error, StatusError):
        return error.is_expired or error.code == 410 or error.is_unauthorized or error.is_forbidden
    if isinstance(error, TransportError):
        return error.reason == "garbage"
    return not error.retryable
