"""AsyncDeferredRESTMapper: `client.restmapper.deferred` for async code."""

import asyncio
from collections.abc import Callable
from typing import Protocol, TypeVar

from deltawire.client.discovery.model import Discovered
from deltawire.client.restmapper.deferred import RESET_INTERVAL_S, Misses, mapper_of
from deltawire.client.restmapper.mapper import NoMatchError, RESTMapper
from deltawire.client.schema import GroupVersionKind, GroupVersionResource
from deltawire.common.clock import Clock, SystemClock
from deltawire.common.meta.resources import ResourceType

T = TypeVar("T")


class AsyncDiscovery(Protocol):
    """Lists what a server offers: an AsyncDiscoveryClient."""

    async def server_groups_and_resources(self) -> Discovered: ...


class AsyncDeferredRESTMapper:
    """As DeferredRESTMapper, awaited; it keeps what it has read itself, so that ``discovery`` needs no cache.

    For tasks of one event loop: one reads, the others wait for it. A read that fails is not kept.
    """

    def __init__(
        self,
        discovery: AsyncDiscovery,
        *,
        reset_interval_s: float = RESET_INTERVAL_S,
        clock: Clock | None = None,
    ) -> None:
        self._discovery = discovery
        self._misses = Misses(reset_interval_s, clock or SystemClock())
        self._lock = asyncio.Lock()
        self._mapper: RESTMapper | None = None

    async def rest_mapping(self, group: str, kind: str, *versions: str) -> ResourceType:
        return await self._ask(lambda mapper: mapper.rest_mapping(group, kind, *versions))

    async def rest_mappings(self, group: str, kind: str) -> tuple[ResourceType, ...]:
        return await self._ask(lambda mapper: mapper.rest_mappings(group, kind))

    async def resource_for(self, partial: GroupVersionResource) -> GroupVersionResource:
        return await self._ask(lambda mapper: mapper.resource_for(partial))

    async def resources_for(self, partial: GroupVersionResource) -> tuple[GroupVersionResource, ...]:
        return await self._ask(lambda mapper: mapper.resources_for(partial))

    async def resource_type_for(self, partial: GroupVersionResource) -> ResourceType:
        return await self._ask(lambda mapper: mapper.resource_type_for(partial))

    async def kind_for(self, partial: GroupVersionResource) -> GroupVersionKind:
        return await self._ask(lambda mapper: mapper.kind_for(partial))

    async def kinds_for(self, partial: GroupVersionResource) -> tuple[GroupVersionKind, ...]:
        return await self._ask(lambda mapper: mapper.kinds_for(partial))

    async def singular_for(self, resource: str) -> str:
        return await self._ask(lambda mapper: mapper.singular_for(resource))

    def reset(self) -> None:
        """Forget all that was read; the next call reads from the server."""
        self._mapper = None

    async def current(self) -> RESTMapper:
        """The mapper of what is known now. Raises StatusError and TransportError."""
        async with self._lock:
            if self._mapper is None:
                self._mapper = mapper_of(await self._discovery.server_groups_and_resources())
            return self._mapper

    async def _ask(self, question: Callable[[RESTMapper], T]) -> T:
        asked = await self.current()
        try:
            return question(asked)
        except NoMatchError:
            if self._mapper is asked:  # else another task has looked again meanwhile
                if not self._misses.may_look_again():
                    raise
                self.reset()
        return question(await self.current())
