"""What a call can reach of one cluster: its clients, the names of its resources, the recorder of Events.

Made when first used, one for all calls of a process; safe to use from several threads.

Not here: what a function does with it (``context``, ``writes``), caches (``caches``).
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec

from deltawire.common.clock import Clock
from deltawire.common.errors import ConfigError, StateError
from deltawire.common.meta import resources
from deltawire.common.meta.keys import display_key, key_of, split_key
from deltawire.common.meta.resources import ResourceType
from deltawire.handlers.models import RESOURCE

if TYPE_CHECKING:
    from deltawire.client.aio.dynamic_client import AsyncDynamicClient, AsyncDynamicResource
    from deltawire.client.dynamic.dynamic_client import DynamicClient, DynamicResource
    from deltawire.client.restmapper.deferred import DeferredRESTMapper
    from deltawire.client.tools.events.recorder import EventBroadcaster, EventRecorder


@dataclass(frozen=True, slots=True)
class Place:
    """Where an object is: its resource, namespace ("" for cluster-scoped) and name."""

    resource: ResourceType
    namespace: str
    name: str

    @property
    def key(self) -> str:
        """``namespace/name``, or the bare name."""
        return display_key(key_of(self.namespace, self.name))

    @property
    def metadata(self) -> dict[str, str]:
        """As an object's metadata."""
        return {"name": self.name, **({"namespace": self.namespace} if self.namespace else {})}


class Reach:
    """One cluster, for one handler. ``new_client`` makes a RESTClient or a Clientset, when first used."""

    def __init__(self, new_client: Callable[[], Any], *, handler: str, clock: Clock) -> None:
        self._new_client = new_client
        self._handler = handler
        self._clock = clock
        self._lock = threading.RLock()
        self._made: Any = None
        self._mapper: DeferredRESTMapper | None = None
        self._broadcaster: EventBroadcaster | None = None
        self._recorder: EventRecorder | None = None

    @property
    def client(self) -> Any:
        """A `Clientset`; what else a test gave, as it is."""
        with self._lock:
            if self._made is None:
                self._made = _as_clientset(self._new_client())
            return self._made

    @cached_property
    def dynamic(self) -> "DynamicClient":
        from deltawire.client.dynamic.dynamic_client import DynamicClient

        rest = getattr(self.client, "rest", None)
        if rest is None:
            raise StateError("the client given has no .rest", hint="give Harness(client=…) a FakeClientset")
        return DynamicClient(rest)

    @cached_property
    def aio(self) -> Any:
        """An `AsyncClientset` beside the sync one; what else a test gave, as it is."""
        return getattr(self.client, "aio", self.client)

    @cached_property
    def aio_dynamic(self) -> "AsyncDynamicClient":
        from deltawire.client.aio.dynamic_client import AsyncDynamicClient
        from deltawire.client.aio.rest import AsyncRESTClient

        rest = getattr(self.aio, "rest", None)
        return AsyncDynamicClient(rest if isinstance(rest, AsyncRESTClient) else AsyncRESTClient(self.dynamic.rest))

    def aio_at(self, place: Place) -> "AsyncDynamicResource":
        """As `at`, awaited."""
        resource = self.aio_dynamic.resource(place.resource)
        return resource.namespace(place.namespace) if place.namespace else resource

    @property
    def recorder(self) -> "EventRecorder":
        """Writes Kubernetes Events in a thread of its own, aggregated and bounded."""
        with self._lock:
            if self._recorder is None:
                from deltawire.client.tools.events.recorder import EventBroadcaster
                from deltawire.client.tools.events.sink import ApiSink

                self._broadcaster = EventBroadcaster(clock=self._clock)
                self._broadcaster.start_recording_to_sink(ApiSink(self.dynamic.rest))
                self._recorder = self._broadcaster.new_recorder(self._handler)
            return self._recorder

    def close(self, timeout_s: float) -> None:
        """Write what Events wait, for at most ``timeout_s``."""
        with self._lock:
            if self._broadcaster is not None:
                self._broadcaster.shutdown(timeout_s)

    def named(self, resource: str) -> ResourceType:
        """The resource of an informer (``pods``, ``websites.example.com``) as it is served. Raises ConfigError."""
        found = resources.find(resource, resources.BUILTIN)
        if found is not None:
            return found
        from deltawire.client.schema import GroupVersionResource

        plural, _, group = resource.partition(".")
        return self._mapping.resource_type_for(GroupVersionResource(group, "", plural))

    def of_kind(self, api_version: str, kind: str) -> ResourceType:
        """The resource of a kind. Raises ConfigError for one that is not served."""
        for known in resources.BUILTIN:
            if (known.api_version, known.kind) == (api_version, kind):
                return known
        group, _, version = api_version.rpartition("/")
        return self._mapping.rest_mapping(group, kind, version)

    def place_of(self, obj: Any) -> Place:
        """Where an object is, by its apiVersion, kind, namespace and name. Raises ConfigError where one is missing."""
        tree = as_tree(obj)
        metadata = tree.get("metadata") or {}
        name = metadata.get("name")
        api_version, kind = kind_of(obj, tree)
        if name and not kind and isinstance(getattr(type(obj), RESOURCE, None), str):
            return self._place_in(self.named(getattr(type(obj), RESOURCE)), metadata, name)
        if not (name and api_version and kind):
            raise ConfigError(f"an object needs apiVersion, kind and metadata.name; this has {sorted(tree)}")
        return self._place_in(self.of_kind(api_version, kind), metadata, name)

    def _place_in(self, resource: ResourceType, metadata: Mapping[str, Any], name: str) -> Place:
        namespace = metadata.get("namespace") or ""
        if resource.namespaced and not namespace:
            raise ConfigError(
                f"{resource.kind} {name}: metadata.namespace is missing", hint="ctx.own(obj) sets it"
            )
        return Place(resource, namespace if resource.namespaced else "", name)

    def at(self, place: Place) -> "DynamicResource":
        """The verbs for the place's resource in its namespace."""
        resource = self.dynamic.resource(place.resource)
        return resource.namespace(place.namespace) if place.namespace else resource

    @property
    def _mapping(self) -> "DeferredRESTMapper":
        with self._lock:
            if self._mapper is None:
                from deltawire.client.discovery.discovery_client import DiscoveryClient
                from deltawire.client.discovery.memory_cache import MemoryCache
                from deltawire.client.restmapper.deferred import DeferredRESTMapper

                discovery = MemoryCache(DiscoveryClient(self.dynamic.rest))
                self._mapper = DeferredRESTMapper(discovery, clock=self._clock)
            return self._mapper


def place_at(resource: ResourceType, key: str) -> Place:
    """The place of a key (``namespace/name`` or the bare name) of a resource."""
    namespace, name = split_key(key if "/" in key else key_of("", key))
    return Place(resource, namespace, name)


def as_tree(obj: Any) -> dict[str, Any]:
    """An object (decoded, of a lister, typed) as a dict of its own: the outermost level may be changed."""
    if isinstance(obj, Mapping):
        return dict(obj)
    tree = msgspec.to_builtins(obj)
    if not isinstance(tree, dict):
        raise ConfigError(f"{type(obj).__name__} is not an object of an API")
    return tree


def kind_of(obj: Any, tree: Mapping[str, Any]) -> tuple[str, str]:
    """apiVersion and kind: as the object says, or as its class does. ("", "") where neither does."""
    if tree.get("kind") and tree.get("apiVersion"):
        return str(tree["apiVersion"]), str(tree["kind"])
    said = (getattr(obj, "apiVersion", None), getattr(obj, "kind", None))
    if isinstance(obj, msgspec.Struct) and all(isinstance(one, str) for one in said):
        # Left out of the dict where they are the class' own defaults.
        return str(said[0]), str(said[1])
    if isinstance(obj, msgspec.Struct) and not hasattr(type(obj), RESOURCE):
        from deltawire.client.typed.table import row_of

        row = row_of(type(obj))
        return row.resource.api_version, row.resource.kind
    return "", ""


def _as_clientset(client: Any) -> Any:
    from deltawire.client.rest.client import RESTClient

    if not isinstance(client, RESTClient):
        return client
    from deltawire.client.typed.clientset import Clientset

    return Clientset(client)
