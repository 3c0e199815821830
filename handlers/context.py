"""The surroundings of one call: what a function that takes ``ctx`` reads, writes and says.

Not here: the caches themselves (``lister``), clients (``reach``), what is written (``writes``).
"""

import logging
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload

import msgspec

from deltawire.common.clock import Clock
from deltawire.common.errors import StateError, TransportError
from deltawire.handlers import writes
from deltawire.handlers.events import Event
from deltawire.handlers.lister import Lister, TypedLister
from deltawire.handlers.models import resource_of
from deltawire.handlers.reach import Place, Reach, as_tree, kind_of, place_at

if TYPE_CHECKING:
    from deltawire.client.dynamic.dynamic_client import DynamicClient
    from deltawire.client.typed.clientset import Clientset

T = TypeVar("T")
Tree = dict[str, Any]

# How long `Context.wait_for_cache` waits, and how often it looks.
WAIT_FOR_CACHE_S = 5.0
LOOK_EVERY_S = 0.005


class Surroundings(Protocol):
    """What the process offers to the calls it makes."""

    def lister(self, cluster: str, resource: str) -> Lister: ...

    def reach(self, cluster: str) -> Reach: ...


class Context:
    """The surroundings of one call.

    event      the event; in a reconcile the last one that asked for this call (with ``owner=`` one of an owned object)
    log        a logger that bears the handler's name; its level "info" is shown
    key        ``namespace/name``, or the bare name, of the object that the call is about
    handler    the handler's name: also the field manager of what `apply` and `status` write
    """

    def __init__(
        self,
        event: Event,
        target: str,
        key: str,
        surroundings: Surroundings,
        log: logging.Logger,
        *,
        handler: str,
        clock: Clock,
        read: Callable[[], Tree | None] | None = None,
    ) -> None:
        """``target``: the informer whose key ``key`` is. ``read``: the object; without it the cache's."""
        self.event = event
        self.log = log
        self.key = key
        self.handler = handler
        self._target = target
        self._surroundings = surroundings
        self._clock = clock
        self._read = read

    # -- reading

    @cached_property
    def object(self) -> Tree | None:
        """The object that the call is about, decoded: the event's; in a reconcile the cache's, None if it is gone."""
        if self._read is not None:
            return self._read()
        cached = self.lister().get_key(self.key)
        return None if cached is None else cached.object

    @property
    def is_deleting(self) -> bool:
        """The object is gone, or has a deletionTimestamp."""
        obj = self.object
        return self.event.kind == "deleted" if obj is None else bool(obj["metadata"].get("deletionTimestamp"))

    @overload
    def lister(self, what: str | None = None) -> Lister: ...

    @overload
    def lister(self, what: type[T]) -> TypedLister[T]: ...

    def lister(self, what: Any = None) -> Any:
        """The cache of the call's own resource (of the owner, with ``owner=``), or of another one of the cluster.

        By name it gives decoded objects, as ``ctx.lister("nodes").get("", "n1")``; by class objects of that class, as
        ``ctx.lister(Node)``.
        """
        cluster, _, resource = self._target.partition("/")
        if what is None:
            return self._surroundings.lister(cluster, resource)
        if isinstance(what, str):
            return self._surroundings.lister(cluster, what)
        return TypedLister(self._surroundings.lister(cluster, resource_of(what)), what)

    def wait_for_cache(self, obj: Any, *, timeout_s: float = WAIT_FOR_CACHE_S) -> None:
        """Wait until the cache holds ``obj``, which a write returned, in its version or a later one.

        Raises TransportError after ``timeout_s``, also where the object was deleted meanwhile.
        """
        place = self._reach.place_of(obj)
        version = int(as_tree(obj)["metadata"]["resourceVersion"])
        lister = self.lister(place.resource.name)
        deadline_s = self._clock.now_s() + timeout_s
        while True:
            cached = lister.get_key(place.key)
            if cached is not None and int(cached.resource_version) >= version:
                return
            if self._clock.now_s() >= deadline_s:
                raise TransportError(
                    f"{place.resource.name} {place.key} is not in the cache at version {version} after {timeout_s:g} s",
                    reason="timeout",
                )
            self._clock.sleep(LOOK_EVERY_S)

    # -- the cluster

    @property
    def client(self) -> "Clientset":
        """A `deltawire.Clientset` of the event's cluster: typed clients; ``.rest`` is the REST client."""
        found: Clientset = self._reach.client
        return found

    @property
    def dynamic(self) -> "DynamicClient":
        """A `deltawire.DynamicClient` of the event's cluster: objects are dicts, of any resource."""
        return self._reach.dynamic

    def patch(
        self, changes: Any, *, of: Any = None, patch_type: str = "merge", subresource: str = ""
    ) -> Tree:
        """Patch the call's object, or the object ``of``; returns it as stored.

        ``patch_type`` is ``json``, ``merge``, ``strategic`` or ``apply``.
        """
        place = self._place(of)
        return writes.patch(self._reach, place, changes, patch_type=patch_type, subresource=subresource)

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

    def own(self, child: Any) -> Tree:
        """``child`` with the call's object as its controller (deleted with it), in its namespace. Nothing is written.

        Raises ConfigError where another object controls it already.
        """
        obj = self.object
        if obj is None:
            raise StateError(f"{self.key} is gone: it cannot own anything")
        api_version, kind = kind_of(obj, obj)
        if not kind:
            resource = self._reach.named(self._resource)
            api_version, kind = resource.api_version, resource.kind
        return writes.owned(child, obj, api_version, kind)

    def finalizer(self, name: str = "") -> writes.Finalizer:
        """The finalizer ``name`` of the call's object; by default ``deltawire/<handler>``."""
        place = self._place(None)
        return writes.Finalizer(
            self._reach, place, name or f"deltawire/{self.handler}", self.object, self._clock
        )

    def record(self, reason: str, message: str, *, type: str = "Normal", of: Any = None) -> None:
        """A Kubernetes Event about the call's object, or the object ``of``: ``kubectl describe`` shows it.

        ``type`` is ``Normal`` or ``Warning``. Never waits and never fails: what repeats is counted in one Event, and a
        flood is bounded.
        """
        about: Any = self.object if of is None else as_tree(of)
        if about is not None:
            api_version, kind = kind_of(about if of is None else of, about)
            if not kind:
                resource = self._reach.named(self._resource)
                api_version, kind = resource.api_version, resource.kind
            about = {**about, "apiVersion": api_version, "kind": kind}
        self._reach.recorder.event({} if about is None else about, type, reason, message)

    @property
    def _reach(self) -> Reach:
        return self._surroundings.reach(self.event.cluster)

    @property
    def _resource(self) -> str:
        return self._target.partition("/")[2]

    def _place(self, of: Any) -> Place:
        if of is not None:
            return self._reach.place_of(of)
        return place_at(self._reach.named(self._resource), self.key)


def decoded(body: bytes) -> Tree:
    """An object from its JSON."""
    return msgspec.json.decode(body, type=dict[str, Any])
