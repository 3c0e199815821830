"""Waiting until objects are as they should be (semantics §33.4)."""

import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any, TypeVar

from deltawire.client.rest.decode import decoder_of
from deltawire.client.rest.resource_client import ResourceClient
from deltawire.client.rest.watch import ADDED, DELETED, MODIFIED, Watch, WatchEvent
from deltawire.client.tools.objects import key, metadata
from deltawire.client.tools.retry_watcher import OpenWatch, RetryWatcher
from deltawire.common.clock import Clock, SystemClock
from deltawire.common.errors import ConfigError, StatusError, WaitError

T = TypeVar("T")
Condition = Callable[[WatchEvent[T]], bool]

PAGE_ITEMS = 500
# Before a list that answers an ERROR event other than 410.
RELIST_S = 1.0

_decode = decoder_of(Any)


def until_without_retry(
    watch: OpenWatch[T],
    *conditions: Condition[T],
    timeout_s: float | None = None,
    clock: Clock | None = None,
) -> WatchEvent[T]:
    """The event that met the last of ``conditions``, which are met in their order.

    The event that met one is tried on the next first. The watch is stopped at the end. Raises WaitError
    (``timeout``, or ``closed`` where the watch ended before), and what the watch or a condition raises.
    """
    if not conditions:
        raise ConfigError("there is no condition to wait for")
    is_late, is_done = threading.Event(), threading.Event()
    timer: threading.Thread | None = None
    if timeout_s is not None:
        timer = threading.Thread(
            target=_stop_late, args=(watch, timeout_s, clock or SystemClock(), is_done, is_late), daemon=True
        )
        timer.start()
    left = list(conditions)
    try:
        for event in watch:
            while left and left[0](event):
                left.pop(0)
            if not left:
                return event
    finally:
        is_done.set()
        watch.stop()
        if timer is not None:
            timer.join()
    met = f"{len(conditions) - len(left)} of {len(conditions)} conditions were met"
    if is_late.is_set():
        raise WaitError(f"not within {timeout_s:g} s: {met}", reason="timeout")
    raise WaitError(f"the watch ended before: {met}", reason="closed")


def until(
    open_watch: Callable[[str], OpenWatch[T]],
    resource_version: str,
    *conditions: Condition[T],
    timeout_s: float | None = None,
    clock: Clock | None = None,
) -> WatchEvent[T]:
    """As `until_without_retry`, on a watch from ``resource_version`` that is opened again when it ends."""
    watcher = RetryWatcher(open_watch, resource_version, clock=clock)
    return until_without_retry(watcher, *conditions, timeout_s=timeout_s, clock=clock)


def until_with_sync(
    client: ResourceClient,
    *conditions: Condition[Any],
    label_selector: str = "",
    field_selector: str = "",
    known: Iterable[dict[str, Any]] = (),
    timeout_s: float | None = None,
    clock: Clock | None = None,
) -> WatchEvent[Any]:
    """As `until`, from what there is now: each object that exists comes first, as ADDED.

    Survives 410: it lists again, and what changed or went meanwhile comes as MODIFIED and DELETED. So does what
    became of ``known``, objects that the caller has seen, before the first list. Objects are dicts.
    """
    selectors: dict[str, str | None] = {"labelSelector": label_selector, "fieldSelector": field_selector}
    watch = ListThenWatch(client, selectors, known=known, clock=clock)
    return until_without_retry(watch, *conditions, timeout_s=timeout_s, clock=clock)


class ListThenWatch:
    """The objects of a resource as events: those that exist, then what happens, over any 410."""

    def __init__(
        self,
        client: ResourceClient,
        selectors: dict[str, str | None],
        *,
        known: Iterable[dict[str, Any]] = (),
        clock: Clock | None = None,
    ) -> None:
        self._client = client
        self._selectors = selectors
        self._clock = clock or SystemClock()
        self._stop = threading.Event()
        self._known: dict[str, Any] = {key(item): item for item in known}
        self._lock = threading.Lock()
        self._watcher: RetryWatcher[Any] | None = None
        self._is_stopped = False

    def __iter__(self) -> Iterator[WatchEvent[Any]]:
        while not self._is_stopped:
            version = yield from self._list()
            with self._lock:
                if self._is_stopped:
                    return
                self._watcher = RetryWatcher(
                    self._open, version, clock=self._clock, is_lost=_is_lost
                )
            try:
                for event in self._watcher:
                    if event.type == DELETED:
                        self._known.pop(key(event.object), None)
                    else:
                        self._known[key(event.object)] = event.object
                    yield event
                return
            except StatusError as error:
                if not error.is_expired and not _is_lost(error):
                    raise
                if not error.is_expired and self._clock.sleep(RELIST_S, self._stop):
                    return

    def stop(self) -> None:
        self._stop.set()
        with self._lock:
            self._is_stopped = True
            watcher = self._watcher
        if watcher is not None:
            watcher.stop()

    def _open(self, version: str) -> Watch[Any]:
        params = {**self._selectors, "resourceVersion": version, "allowWatchBookmarks": True}
        return Watch(self._client.open_watch(params), _decode)

    def _list(self) -> Generator[WatchEvent[Any], None, str]:
        """The differences to what is known; returns the version of the list."""
        found: dict[str, Any] = {}
        token = ""
        while True:
            params = {**self._selectors, "limit": PAGE_ITEMS, "continue": token}
            page = _decode(self._client.list_page(params))
            found |= {key(item): item for item in page.get("items") or []}
            meta = page.get("metadata") or {}
            token = meta.get("continue") or ""
            if not token:
                break
        gone = [self._known[name] for name in self._known if name not in found]
        before, self._known = self._known, found
        for item in gone:
            yield WatchEvent(DELETED, item)
        for name, item in found.items():
            old = before.get(name)
            if old is None:
                yield WatchEvent(ADDED, item)
            elif metadata(old, "resourceVersion") != metadata(item, "resourceVersion"):
                yield WatchEvent(MODIFIED, item)
        return meta.get("resourceVersion") or ""


def _is_lost(error: StatusError) -> bool:
    """An ERROR event that says nothing of the load: only a list tells what went on, as in an informer."""
    return error.code not in (401, 403, 429)


def _stop_late(
    watch: OpenWatch[Any], timeout_s: float, clock: Clock, is_done: threading.Event, is_late: threading.Event
) -> None:
    if not clock.sleep(timeout_s, is_done):
        is_late.set()
        watch.stop()
