"""The objects of a resource as events: those that exist, then what happens, whatever ends a watch."""

import logging
import threading
from collections.abc import Generator, Iterable, Iterator
from typing import Any

from deltawire.client.rest.decode import decoder_of
from deltawire.client.rest.resource_client import ResourceClient
from deltawire.client.rest.watch import ADDED, BOOKMARK, DELETED, MODIFIED, Watch, WatchEvent
from deltawire.client.tools.objects import key, metadata
from deltawire.client.tools.retry_watcher import OpenWatch, RetryWatcher
from deltawire.common.clock import Clock, SystemClock
from deltawire.common.errors import ConfigError, DeltawireError, StatusError

log = logging.getLogger(__name__)

PAGE_ITEMS = 500
# Before a list that follows an error, doubled while nothing comes between. After a 410 the first one is made at once.
RELIST_S_MIN, RELIST_S_MAX = 1.0, 30.0

_decode = decoder_of(Any)


class ListThenWatch:
    """Iterate over it; `stop` it from any thread. ``error`` is what failed last, None once a list went well.

    As client-go's informer it goes on after every error of the server, 401 and 403 included: it lists again. Raises
    only StatusError 400 and 422, since no repetition mends the question, and ConfigError. ``known``: objects that the
    caller has seen. A server whose lists have no version is watched from any version, and listed again when that ends.
    """

    def __init__(
        self,
        client: ResourceClient,
        selectors: dict[str, str | None],
        *,
        known: Iterable[dict[str, Any]] = (),
        clock: Clock | None = None,
    ) -> None:
        self.error: DeltawireError | None = None
        self._client = client
        self._selectors = selectors
        self._clock = clock or SystemClock()
        self._stop = threading.Event()
        self._known: dict[str, Any] = {key(item): item for item in known}
        self._lock = threading.Lock()
        self._watcher: OpenWatch[Any] | None = None
        self._delay_s = 0.0

    def __iter__(self) -> Iterator[WatchEvent[Any]]:
        while not self._stop.is_set():
            try:
                version = yield from self._list()
                self.error = None
                yield from self._watch(version)
                wait_s = RELIST_S_MIN
            except DeltawireError as error:
                if self._stop.is_set():
                    return
                wait_s = self._failed(error)
            if wait_s and self._clock.sleep(wait_s, self._stop):
                return

    def stop(self) -> None:
        """End it; an iteration that waits in another thread ends. May be called again."""
        self._stop.set()
        with self._lock:
            watcher = self._watcher
        if watcher is not None:
            watcher.stop()

    def _failed(self, error: DeltawireError) -> float:
        """Seconds until the next list. Raises the error where no repetition helps."""
        if isinstance(error, ConfigError):
            raise error
        retry_after_s = 0.0
        if isinstance(error, StatusError):
            if error.code in (400, 422):
                raise error
            retry_after_s = error.retry_after_s or 0.0
            if error.is_expired and not self._delay_s:
                self._delay_s = RELIST_S_MIN / 2  # a server that answers so repeatedly is not asked again at once
                return 0.0
        if str(error) != str(self.error):
            log.warning("a wait lists again after an error: %s", error)
        self.error = error
        self._delay_s = min(max(RELIST_S_MIN, 2 * self._delay_s), RELIST_S_MAX)
        return max(self._delay_s, retry_after_s)

    def _watch(self, version: str) -> Iterator[WatchEvent[Any]]:
        """What happens after the list; ends, or raises, when the next list is due."""
        if version in ("", "0"):
            yield from self._watch_from_anywhere()
            return
        watcher = RetryWatcher(
            self._open, version, clock=self._clock, is_lost=_is_lost, takes_unversioned=True
        )
        if not self._hold(watcher):
            return
        for event in watcher:
            if event.type == DELETED:
                self._known.pop(key(event.object), None)
            else:
                self._known[key(event.object)] = event.object
            self._delay_s = 0.0
            yield event

    def _watch_from_anywhere(self) -> Iterator[WatchEvent[Any]]:
        """One watch of a server whose lists have no version. It begins with what exists, which is known already."""
        watch = self._open("")
        try:
            if not self._hold(watch):
                return
            for event in watch:
                if event.type == BOOKMARK:
                    continue
                name = key(event.object)
                before = self._known.pop(name, None)
                if event.type == DELETED:
                    yield event
                    continue
                self._known[name] = event.object
                if before is None:
                    yield WatchEvent(ADDED, event.object)
                elif _differ(before, event.object):
                    yield WatchEvent(MODIFIED, event.object)
                self._delay_s = 0.0
        finally:
            watch.stop()

    def _hold(self, watcher: OpenWatch[Any]) -> bool:
        """Let `stop` reach the watcher; False if it was stopped before."""
        with self._lock:
            self._watcher = watcher
        return not self._stop.is_set()

    def _open(self, version: str) -> Watch[Any]:
        params = {**self._selectors, "resourceVersion": version, "allowWatchBookmarks": True}
        return Watch(self._client.open_watch(params), _decode)

    def _list(self) -> Generator[WatchEvent[Any], None, str]:
        """The differences to what is known; returns the version of the list, "" where it has none."""
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
            elif _differ(old, item):
                yield WatchEvent(MODIFIED, item)
        return meta.get("resourceVersion") or ""


def _differ(old: Any, new: Any) -> bool:
    """By their versions; an object without one by all that it is."""
    version = metadata(new, "resourceVersion")
    return version != metadata(old, "resourceVersion") or (not version and old != new)


def _is_lost(error: StatusError) -> bool:
    """An ERROR event that is not about the server's load: a list must follow, as in an informer."""
    return error.code != 429
