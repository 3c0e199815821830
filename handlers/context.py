"""The surroundings of one call: what a function that takes ``ctx`` reaches and writes.

Not here: what it reads and says (``common_context``), the same for async functions (``async_context``), what is written
(``writes``).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from deltawire.handlers import writes
from deltawire.handlers.common_context import (
    LOOK_EVERY_S,
    WAIT_FOR_CACHE_S,
    CommonContext,
    ObjectContext,
    Tree,
)

if TYPE_CHECKING:
    from deltawire.client.dynamic.dynamic_client import DynamicClient
    from deltawire.client.typed.clientset import Clientset


class ProcessContext(CommonContext):
    """What a function of a handler can reach without an event: what timers and the hooks of start and end get."""

    def wait_for_cache(self, obj: Any, *, timeout_s: float = WAIT_FOR_CACHE_S) -> None:
        """Wait until the cache holds ``obj``, which a write returned, in its version or a later one.

        Raises TransportError after ``timeout_s``, also where the object was deleted meanwhile.
        """
        awaited = self._awaited(obj)
        deadline_s = self._clock.now_s() + timeout_s
        while not awaited.is_there:
            if self._clock.now_s() >= deadline_s:
                raise awaited.missing(timeout_s)
            self._clock.sleep(LOOK_EVERY_S)

    @property
    def client(self) -> "Clientset":
        """A `deltawire.Clientset` of the cluster: typed clients; ``.rest`` is the REST client."""
        found: Clientset = self._reach.client
        return found

    @property
    def dynamic(self) -> "DynamicClient":
        """A `deltawire.DynamicClient` of the cluster: objects are dicts, of any resource."""
        return self._reach.dynamic

    def patch(
        self, changes: Any, *, of: Any = None, patch_type: str = "merge", subresource: str = ""
    ) -> Tree:
        """Patch the call's object, or the object ``of``, as the field manager ``handler``; returns it as stored.

        ``patch_type`` is ``json``, ``merge``, ``strategic`` or ``apply``.
        """
        place = self._place(of)
        return writes.patch(
            self._reach,
            place,
            changes,
            patch_type=patch_type,
            subresource=subresource,
            field_manager=self.handler,
        )

    def apply(self, obj: Any, *, force: bool = True) -> Tree:
        """Server-side apply of ``obj``: made, or mended where it drifted. Returns it as stored.

        The handler owns the fields that ``obj`` has, and takes them from others with ``force``.
        """
        return writes.apply(self._reach, obj, field_manager=self.handler, force=force)

    def status(self, status: Mapping[str, Any] | None = None, /, *, of: Any = None, **fields: Any) -> Tree:
        """Write fields of the status, as ``ctx.status(readyReplicas=3)``. Returns the object as stored.

        A server-side apply with the handler as field manager: what the handler wrote before and leaves out now is
        removed, what others wrote stays.
        """
        wanted = {**(status or {}), **fields}
        return writes.apply_status(self._reach, self._place(of), wanted, field_manager=self.handler)


class Context(ObjectContext, ProcessContext):
    """The surroundings of one call for an object. Async functions get an `AsyncContext`."""

    def finalizer(self, name: str = "") -> writes.Finalizer:
        """The finalizer ``name`` of the call's object; by default ``deltawire/<handler>``."""
        place = self._place(None)
        return writes.Finalizer(
            self._reach, place, name or f"deltawire/{self.handler}", self.object, self._clock, self.handler
        )
