"""A RESTMapper that reads discovery at its first use, and again after a miss."""

import threading
from collections.abc import Callable
from typing import TypeVar

from deltawire.client.discovery.memory_cache import CachedDiscovery
from deltawire.client.discovery.model import Discovered
from deltawire.client.restmapper.mapper import NoMatchError, RESTMapper
from deltawire.client.schema import GroupVersionKind, GroupVersionResource
from deltawire.common.clock import Clock, SystemClock
from deltawire.common.meta.resources import ResourceType

T = TypeVar("T")

# Lookups of names that do not exist must not cause a discovery request each.
RESET_INTERVAL_S = 5.0


class Misses:
    """How often a miss may lead to discovery. Not safe to use from many threads by itself."""

    def __init__(self, interval_s: float, clock: Clock) -> None:
        self._interval_s = interval_s
        self._clock = clock
        self._looked_at_s: float | None = None

    def may_look_again(self) -> bool:
        """True, and noted, if the last time is at least the interval ago."""
        now_s = self._clock.now_s()
        if self._looked_at_s is not None and now_s - self._looked_at_s < self._interval_s:
            return False
        self._looked_at_s = now_s
        return True


def mapper_of(discovered: Discovered) -> RESTMapper:
    """Groups that do not answer are left out. Raises the error of one of them where none answers."""
    if not discovered.resources and discovered.failures:
        raise next(iter(discovered.failures.values()))
    return RESTMapper(discovered)


class DeferredRESTMapper:
    """As RESTMapper, over cached discovery. A miss drops the cache and looks once more, so that a CRD is found as soon
    as it is served, at most each `RESET_INTERVAL_S`; client-go does so over a disk cache only.

    Groups that do not answer are left out. If no group answers, that error is raised. Safe to use from many threads.
    """

    def __init__(
        self,
        discovery: CachedDiscovery,
        *,
        reset_interval_s: float = RESET_INTERVAL_S,
        clock: Clock | None = None,
    ) -> None:
        self._discovery = discovery
        self._misses = Misses(reset_interval_s, clock or SystemClock())
        self._lock = threading.Lock()
        self._mapper: RESTMapper | None = None

    def rest_mapping(self, group: str, kind: str, *versions: str) -> ResourceType:
        return self._ask(lambda mapper: mapper.rest_mapping(group, kind, *versions))

    def rest_mappings(self, group: str, kind: str) -> tuple[ResourceType, ...]:
        return self._ask(lambda mapper: mapper.rest_mappings(group, kind))

    def resource_for(self, partial: GroupVersionResource) -> GroupVersionResource:
        return self._ask(lambda mapper: mapper.resource_for(partial))

    def resources_for(self, partial: GroupVersionResource) -> tuple[GroupVersionResource, ...]:
        return self._ask(lambda mapper: mapper.resources_for(partial))

    def resource_type_for(self, partial: GroupVersionResource) -> ResourceType:
        return self._ask(lambda mapper: mapper.resource_type_for(partial))

    def kind_for(self, partial: GroupVersionResource) -> GroupVersionKind:
        return self._ask(lambda mapper: mapper.kind_for(partial))

    def kinds_for(self, partial: GroupVersionResource) -> tuple[GroupVersionKind, ...]:
        return self._ask(lambda mapper: mapper.kinds_for(partial))

    def singular_for(self, resource: str) -> str:
        return self._ask(lambda mapper: mapper.singular_for(resource))

    def reset(self) -> None:
        """Forget discovery and all that was made of it."""
        with self._lock:
            self._reset_locked()

    def current(self) -> RESTMapper:
        """The mapper of what is known now. Raises StatusError and TransportError."""
        with self._lock:
            if self._mapper is None:
                self._mapper = mapper_of(self._discovery.server_groups_and_resources())
            return self._mapper

    def _ask(self, question: Callable[[RESTMapper], T]) -> T:
        asked = self.current()
        try:
            return question(asked)
        except NoMatchError:
            if not self._reset_after_miss(asked):
                raise
        return question(self.current())

    def _reset_after_miss(self, asked: RESTMapper) -> bool:
        """True if there may be a better answer now."""
        with self._lock:
            if self._mapper is not asked:
                return True  # another thread has looked again meanwhile
            if not self._misses.may_look_again():
                return False
            self._reset_locked()
            return True

    def _reset_locked(self) -> None:
        self._discovery.invalidate()
        self._mapper = None
