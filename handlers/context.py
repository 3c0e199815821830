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
from deltawire.handlers.conditions import condition
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

    def awaits(self, cluster: str, resource: str, obj: dict[str, Any]) -> None:
        """A call waits from now on until the cache of ``resource`` holds ``obj``."""


class ProcessContext:
    """What a function of a handler can reach without an event: what timers and the hooks of start and end get.

    cluster    the name of the cluster that `client`, `lister` and the writes are of
    log        a logger that bears the handler's name; its level "info" is shown
    handler    the handler's name: also the field manager of what `apply` and `status` write
    """

    def __init__(
        self, cluster: str, surroundings: Surroundings, log: logging.Logger, *, handler: str, clock: Clock
    ) -> None:
        self.cluster = cluster
        self.log = log
        self.handler = handler
        self._surroundings = surroundings
        self._clock = clock

    # -- reading

    @overload
    def lister(self, what: str | None = None) -> Lister: ...

    @overload
    def lister(self, what: type[T]) -> TypedLister[T]: ...

    def lister(self, what: Any = None) -> Any:
        """The cache of a resource, or (None) of the call's own (of the owner, with ``owner=``).

        By name it gives decoded objects, as ``ctx.lister("nodes").get("", "n1")``; by class objects of that class, as
        ``ctx.lister(Node)``.
        """
        if what is None:
            return self._surroundings.lister(self.cluster, self._own_resource())
        if isinstance(what, str):
            return self._surroundings.lister(self.cluster, what)
        return TypedLister(self._surroundings.lister(self.cluster, resource_of(what)), what)

    def wait_for_cache(self, obj: Any, *, timeout_s: float = WAIT_FOR_CACHE_S) -> None:
        """Wait until the cache holds ``obj``, which a write returned, in its version or a later one.

        Raises TransportError after ``timeout_s``, also where the object was deleted meanwhile.
        """
        place = self._reach.place_of(obj)
        tree = as_tree(obj)
        version = int(tree["metadata"]["resourceVersion"])
        self._surroundings.awaits(self.cluster, place.resource.name, tree)
        deadline_s = self._clock.now_s() + timeout_s
        while True:
            cached = self.lister(place.resource.name).get_key(place.key)
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

    def record(self, reason: str, message: str, *, type: str = "Normal", of: Any = None) -> None:
        """A Kubernetes Event about the call's object, or the object ``of``: ``kubectl describe`` shows it.

        ``type`` is ``Normal`` or ``Warning``. Never waits and never fails: what repeats is counted in one Event, and a
        flood is bounded.
        """
        self._reach.recorder.event(self._about(of), type, reason, message)

    @property
    def _reach(self) -> Reach:
        return self._surroundings.reach(self.cluster)

    def _own_resource(self) -> str:
        raise StateError(
            "this call is about no object", hint="name one: ctx.lister('pods'), ctx.patch(…, of=obj)"
        )

    def _about(self, of: Any) -> Tree:
        """The object ``of`` with its apiVersion and kind."""
        if of is None:
            self._own_resource()
        tree = as_tree(of)
        tree["apiVersion"], tree["kind"] = kind_of(of, tree)
        return tree

    def _place(self, of: Any) -> Place:
        if of is None:
            self._own_resource()
        return self._reach.place_of(of)


class Context(ProcessContext):
    """The surroundings of one call for an object.

    event      the event; in a reconcile the last one that asked for this call (with ``owner=`` one of an owned object)
    key        ``namespace/name``, or the bare name, of the object that the call is about
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
        cluster, _, self._resource = target.partition("/")
        super().__init__(cluster, surroundings, log, handler=handler, clock=clock)
        self.event = event
        self.key = key
        self._read = read

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
        return True if obj is None else bool(obj["metadata"].get("deletionTimestamp"))

    @property
    def generation(self) -> int:
        """The number of the object's spec, which rises with each change of it; 0 where there is none."""
        return int(((self.object or {}).get("metadata") or {}).get("generation") or 0)

    @property
    def is_observed(self) -> bool:
        """``status.observedGeneration`` is the object's generation: what stands in the status is about this spec."""
        status = (self.object or {}).get("status") or {}
        return self.generation > 0 and status.get("observedGeneration") == self.generation

    def condition(self, type: str, status: bool | None, reason: str, message: str = "") -> Tree:
        """An entry of ``status.conditions``: ``ctx.status(conditions=[ctx.condition("Ready", True, "AllUp")])``.

        Its ``lastTransitionTime`` moves only with its status; ``observedGeneration`` is the object's generation.
        """
        return condition(self.object or {}, type, status, reason, message, now_s=self._clock.wall_s())

    def own(self, child: Any) -> Tree:
        """``child`` with the call's object as its controller (deleted with it), in its namespace. Nothing is written.

        Raises ConfigError where another object controls it already.
        """
        obj = self.object
        if obj is None:
            raise StateError(f"{self.key} is gone: it cannot own anything")
        about = self._about(None)
        return writes.owned(child, obj, about["apiVersion"], about["kind"])

    def finalizer(self, name: str = "") -> writes.Finalizer:
        """The finalizer ``name`` of the call's object; by default ``deltawire/<handler>``."""
        place = self._place(None)
        return writes.Finalizer(
            self._reach, place, name or f"deltawire/{self.handler}", self.object, self._clock
        )

    def _own_resource(self) -> str:
        return self._resource

    def _about(self, of: Any) -> Tree:
        if of is not None:
            return super()._about(of)
        tree = dict(self.object or {})
        if not tree.get("kind"):
            resource = self._reach.named(self._resource)
            tree["apiVersion"], tree["kind"] = resource.api_version, resource.kind
        tree.setdefault("metadata", place_at(self._reach.named(self._resource), self.key).metadata)
        return tree

    def _place(self, of: Any) -> Place:
        if of is not None:
            return super()._place(of)
        return place_at(self._reach.named(self._resource), self.key)


def decoded(body: bytes) -> Tree:
    """An object from its JSON."""
    return msgspec.json.decode(body, type=dict[str, Any])
