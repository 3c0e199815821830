"""The surroundings of one call of an ``async def`` function: as ``context``, awaited.

Not here: what it reads and says (``common_context``), what is written (``writes``).
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from deltawire.handlers import writes
from deltawire.handlers.common_context import (
    LOOK_EVERY_S,
    WAIT_FOR_CACHE_S,
    CommonContext,
    ObjectContext,
    Tree,
)

if TYPE_CHECKING:
    from deltawire.client.aio.clientset import AsyncClientset
    from deltawire.client.aio.dynamic_client import AsyncDynamicClient

T = TypeVar("T")


class AsyncProcessContext(CommonContext):
    """What an async function of a handler can reach without an event: for timers, and hooks of start and end."""

    async def wait_for_cache(self, obj: Any, *, timeout_s: float = WAIT_FOR_CACHE_S) -> None:
        """Wait until the cache holds ``obj``, which a write returned, in its version or a later one.

        Raises TransportError after ``timeout_s``, also where the object was deleted meanwhile.
        """
        import asyncio

        awaited = await in_thread(self._awaited, obj)
        now_s = asyncio.get_running_loop().time
        deadline_s = now_s() + timeout_s
        while not await in_thread(lambda: awaited.is_there):
            if now_s() >= deadline_s:
                raise awaited.missing(timeout_s)
            await asyncio.sleep(LOOK_EVERY_S)

    @property
    def client(self) -> "AsyncClientset":
        """A `deltawire.AsyncClientset` of the cluster: typed clients, awaited; ``.rest`` is the REST client."""
        found: AsyncClientset = self._reach.aio
        return found

    @property
    def dynamic(self) -> "AsyncDynamicClient":
        """A `deltawire.AsyncDynamicClient` of the cluster: objects are dicts, of any resource."""
        return self._reach.aio_dynamic

    async def patch(
        self, changes: Any, *, of: Any = None, patch_type: str = "merge", subresource: str = ""
    ) -> Tree:
        """Patch the call's object, or the object ``of``, as the field manager ``handler``; returns it as stored.

        ``patch_type`` is ``json``, ``merge``, ``strategic`` or ``apply``.
        """
        place = await in_thread(self._place, of)
        resource = self._reach.aio_at(place)
        return await resource.patch(
            place.name, changes, patch_type=patch_type, subresource=subresource, field_manager=self.handler
        )

    async def apply(self, obj: Any, *, force: bool = True) -> Tree:
        """Server-side apply of ``obj``: made, or mended where it drifted. Returns it as stored.

        The handler owns the fields that ``obj`` has, and takes them from others with ``force``.
        """
        place, tree = await in_thread(writes.applied, self._reach, obj)
        return await self._reach.aio_at(place).apply(tree, field_manager=self.handler, force=force)

    async def status(
        self, status: Mapping[str, Any] | None = None, /, *, of: Any = None, **fields: Any
    ) -> Tree:
        """Write fields of the status, as ``await ctx.status(readyReplicas=3)``. Returns the object as stored.

        A server-side apply with the handler as field manager: what the handler wrote before and leaves out now is
        removed, what others wrote stays.
        """
        place = await in_thread(self._place, of)
        tree = writes.status_tree(place, {**(status or {}), **fields})
        return await self._reach.aio_at(place).apply_status(tree, field_manager=self.handler, force=True)


class AsyncContext(ObjectContext, AsyncProcessContext):
    """The surroundings of one call of an ``async def`` function for an object: what writes or waits is awaited."""

    def finalizer(self, name: str = "") -> writes.AsyncFinalizer:
        """The finalizer ``name`` of the call's object, by default ``deltawire/<handler>``: for ``async with``."""
        chosen = name or f"deltawire/{self.handler}"
        return writes.AsyncFinalizer(self._reach, lambda: self._place(None), chosen, self.object, self.handler)


async def in_thread(function: Callable[..., T], *arguments: Any) -> T:
    """What may ask the API server or wait for a cache, beside the event loop."""
    import asyncio  # loaded by the loop that this runs in; plug-ins that are not async need not pay for it

    return await asyncio.to_thread(function, *arguments)
