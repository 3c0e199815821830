"""What every function that takes ``ctx`` reads and says, sync or async: caches, the object, the log, Kubernetes Events.

Not here: what it writes (``context``, ``async_context``), the caches themselves (``lister``), clients (``reach``).
"""

import logging
from collections.abc import Callable
from functools import cached_property
from typing import Any, Protocol, TypeVar, overload

import msgspec

from deltawire.common.clock import Clock
from deltawire.common.errors import StateError, TransportError
from deltawire.handlers import writes
from deltawire.handlers.conditions import condition
from deltawire.handlers.events import Event
from deltawire.handlers.lister import Lister, TypedLister
from deltawire.handlers.models import resource_of
from deltawire.handlers.reach import Place, Reach, as_tree, kind_of, place_at

T = TypeVar("T")
Tree = dict[str, Any]

# How long `wait_for_cache` of a context waits, and how often it looks.
WAIT_FOR_CACHE_S = 5.0
LOOK_EVERY_S = 0.005


class Surroundings(Protocol):
    """What the process offers to the calls it makes."""

    def lister(self, cluster: str, resource: str) -> Lister: ...

    def reach(self, cluster: str) -> Reach: ...

    def awaits(self, cluster: str, resource: str, obj: dict[str, Any]) -> None:
        """A call waits from now on until the cache of ``resource`` holds ``obj``."""


class CommonContext:
    """What a function of a handler can read and say without an event.

    cluster    the name of the cluster that `lister` and the writes are of
    log        a logger that bears the handler's name; its level "info" is shown
    handler    the handler's name: also the field manager of what is applied
    """

    def __init__(
        self, cluster: str, surroundings: Surroundings, log: logging.Logger, *, handler: str, clock: Clock
    ) -> None:
        self.cluster = cluster
        self.log = log
        self.handler = handler
        self._surroundings = surroundings
        self._clock = clock

    @overload
    def lister(self, what: str | None = None, *, cluster: str | None = None) -> Lister: ...

    @overload
    def lister(self, what: type[T], *, cluster: str | None = None) -> TypedLister[T]: ...

    def lister(self, what: Any = None, *, cluster: str | None = None) -> Any:
        """The cache of a resource, or (None) of the call's own (of the owner, with ``owner=``).

        By name it gives decoded objects, as ``ctx.lister("nodes").get("", "n1")``; by class objects of that class, as
        ``ctx.lister(Node)``. ``cluster``: another cluster of the config than the call's own. Raises StateError for what
        nothing caches.
        """
        where = cluster or self.cluster
        if what is None:
            return self._surroundings.lister(where, self._own_resource())
        if isinstance(what, str):
            return self._surroundings.lister(where, what)
        return TypedLister(self._surroundings.lister(where, resource_of(what)), what)

    def record(self, reason: str, message: str, *, type: str = "Normal", of: Any = None) -> None:
        """A Kubernetes Event about the call's object, or the object ``of``: ``kubectl describe`` shows it.

        ``type`` is ``Normal`` or ``Warning``. Never waits and never fails: what repeats is counted in one Event, and a
        flood is bounded.
        """
        self._reach.recorder.event(self._about(of), type, reason, message)

    def _awaited(self, obj: Any) -> "Awaited":
        """``obj``, which a write returned, to be waited for in its cache."""
        place = self._reach.place_of(obj)
        tree = as_tree(obj)
        self._surroundings.awaits(self.cluster, place.resource.name, tree)
        return Awaited(self.lister(place.resource.name), place, int(tree["metadata"]["resourceVersion"]))

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


class ObjectContext(CommonContext):
    """What one call for an object can read and say.

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


class Awaited:
    """An object that a cache is to hold, in its version or a later one."""

    def __init__(self, lister: Lister, place: Place, version: int) -> None:
        self._lister = lister
        self._place = place
        self._version = version

    @property
    def is_there(self) -> bool:
        cached = self._lister.get_key(self._place.key)
        return cached is not None and int(cached.resource_version) >= self._version

    def missing(self, timeout_s: float) -> TransportError:
        """The error after ``timeout_s``."""
        return TransportError(
            f"{self._place.resource.name} {self._place.key} is not in the cache at version {self._version} "
            f"after {timeout_s:g} s",
            reason="timeout",
        )


def decoded(body: bytes) -> Tree:
    """An object from its JSON."""
    return msgspec.json.decode(body, type=dict[str, Any])
