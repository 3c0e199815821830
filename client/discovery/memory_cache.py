"""Discovery, read once and kept until `invalidate`: client-go's ``cached/memory``."""

import threading
from typing import Protocol

from deltawire.client.discovery.model import ApiResource, Discovered
from deltawire.client.schema import GroupVersion
from deltawire.common.errors import DeltawireError


class Discovery(Protocol):
    """Lists what a server offers: a DiscoveryClient, or a cache in front of one."""

    def server_groups_and_resources(self) -> Discovered:
        """All groups and resources. Raises StatusError and TransportError if nothing can be read."""

    def server_resources_for(self, group_version: GroupVersion) -> tuple[ApiResource, ...]:
        """One group and version. Raises StatusError (404: not served) and TransportError."""


class CachedDiscovery(Discovery, Protocol):
    """Discovery that may be older than the server's."""

    @property
    def is_fresh(self) -> bool:
        """True if this process has read everything from the server: `invalidate` would bring nothing newer."""

    def invalidate(self) -> None:
        """Drop the cache; the next call reads from the server."""


class MemoryCache:
    """Safe to use from many threads: one reads, the others wait for its result.

    A read that fails is not cached. A group and version that failed for a reason that may pass is read again at each
    use. One that failed for another reason stays failed until `invalidate`.
    """

    def __init__(self, delegate: Discovery) -> None:
        self._delegate = delegate
        self._lock = threading.Lock()
        self._known: Discovered | None = None

    @property
    def is_fresh(self) -> bool:
        """As the delegate says, once something is known."""
        with self._lock:
            return self._known is not None and bool(getattr(self._delegate, "is_fresh", True))

    def server_groups_and_resources(self) -> Discovered:
        with self._lock:
            return self._known_locked()

    def server_resources_for(self, group_version: GroupVersion) -> tuple[ApiResource, ...]:
        """Raises the error that asking it ended with, and StatusError 404 for what is not served."""
        with self._lock:
            known = self._known_locked()
            failure = known.failures.get(str(group_version))
            if failure is None:
                return known.resources_of(group_version)
            if not failure.retryable:
                raise failure
            try:
                found = self._delegate.server_resources_for(group_version)
            except DeltawireError as error:
                self._known = known.with_failure(group_version, error)
                raise
            self._known = known.with_resources(group_version, found)
            return found

    def invalidate(self) -> None:
        """Also the delegate's, where it is a cache."""
        with self._lock:
            self._known = None
            forget = getattr(self._delegate, "invalidate", None)
            if forget is not None:
                forget()

    def _known_locked(self) -> Discovered:
        if self._known is None:
            self._known = self._delegate.server_groups_and_resources()
        return self._known
