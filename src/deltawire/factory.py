"""Shared informers in one process, as in client-go: factories for typed objects, dicts and metadata.

An informer, what it tells, and its lister::

    factory = SharedInformerFactory(Clientset.from_config(), resync_s=60)
    deployments = factory.apps().v1().deployments()
    deployments.informer().add_event_handler(on_add=print)
    factory.start(stop)
    factory.wait_for_cache_sync(stop)
    deployments.lister().deployments("default").list()
"""

import functools
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast

from deltawire.client.dynamic.dynamic_client import target_of
from deltawire.client.dynamic.unstructured import Unstructured
from deltawire.client.metadata import PartialObjectMetadata
from deltawire.client.rest.client import RESTClient
from deltawire.client.schema import GroupVersionResource, gvr_of
from deltawire.client.typed.table import Row, row_of
from deltawire.common.clock import Clock
from deltawire.common.errors import ConfigError
from deltawire.common.meta.resources import ResourceType, find
from deltawire.fifo.deltas import Tombstone as DeletedFinalStateUnknown
from deltawire.fifo.deltas import Transform
from deltawire.local.groups import InformerGroups, watchable
from deltawire.local.indexer import IndexFunction
from deltawire.local.informer import SharedIndexInformer
from deltawire.local.lifetime import InformerSet
from deltawire.local.listers import Lister
from deltawire.local.notifications import FilteringHandler, ResourceEventHandler
from deltawire.local.source import ClientListerWatcher, Scope, TweakListOptions
from deltawire.local.status import InformerStatus

if TYPE_CHECKING:
    from deltawire.local.attached.factory import Attachment

__all__ = [
    "AttachedInformerFactory",
    "DeletedFinalStateUnknown",
    "DynamicSharedInformerFactory",
    "FilteringHandler",
    "GenericInformer",
    "MetadataSharedInformerFactory",
    "ResourceEventHandler",
    "SharedInformerFactory",
    "new_informer",
]

T = TypeVar("T")
K = TypeVar("K")
# A resource: its class, its group, version and plural, or its name as kubectl knows it.
AnyResource = type[Any] | GroupVersionResource | ResourceType | str


class Connected(Protocol):
    """A client over a RESTClient: Clientset, DynamicClient, MetadataClient."""

    @property
    def rest(self) -> RESTClient: ...


class GenericInformer(Generic[T]):
    """An informer and its lister."""

    def __init__(self, informer: SharedIndexInformer[T], resource: ResourceType) -> None:
        self._informer = informer
        self._resource = resource

    def informer(self) -> SharedIndexInformer[T]:
        return self._informer

    def lister(self) -> Lister[T]:
        informer = self._informer
        return Lister(informer.get_indexer(), self._resource, freshness=informer.freshness)


@dataclass(frozen=True, slots=True)
class _Settings:
    """What a factory's informers have in common."""

    rest: RESTClient
    scope: Scope
    resync_s: float
    transform: Transform[Any] | None
    clock: Clock | None

    def informer(
        self,
        resource: ResourceType,
        object_type: Any,
        *,
        media_type: str = "",
        resync_s: float | None = None,
        indexers: Mapping[str, IndexFunction[Any]] | None = None,
    ) -> SharedIndexInformer[Any]:
        source = ClientListerWatcher(self.rest, resource, self.scope, object_type, media_type)
        name = f"{resource.name}@{(resource.namespaced and self.scope.namespace) or '*'}"
        wanted_s = self.resync_s if resync_s is None else resync_s
        informer: SharedIndexInformer[Any] = SharedIndexInformer(
            name, source, resync_s=wanted_s, indexers=indexers, clock=self.clock
        )
        if self.transform is not None:
            informer.set_transform(self.transform)
        return informer


class _Factory(Generic[K]):
    """What is the same in each: options, `start`, `wait_for_cache_sync`, `shutdown`, `status`."""

    def __init__(
        self,
        client: Connected,
        *,
        resync_s: float = 0.0,
        namespace: str = "",
        tweak_list_options: TweakListOptions | None = None,
        transform: Transform[Any] | None = None,
        clock: Clock | None = None,
    ) -> None:
        """``resync_s``: how often handlers are given unchanged objects again, 0 is never. ``namespace`` "" is all.

        ``tweak_list_options`` gets the options of each list and watch and may set ``label_selector`` and
        ``field_selector``. ``transform`` sees each object before it is stored. Raises ConfigError.
        """
        if resync_s < 0:
            raise ConfigError("resync_s must be 0 or more seconds")
        self._settings = _Settings(
            _rest_of(client, type(self).__name__),
            Scope(namespace, tweak_list_options),
            resync_s,
            transform,
            clock,
        )
        self._set: InformerSet[K] = InformerSet(clock)

    def start(self, stop: threading.Event) -> None:
        """Start the informers that were asked for and are not started yet; ``stop`` ends them. Does not wait."""
        self._set.start(stop)

    def wait_for_cache_sync(
        self, stop: threading.Event | None = None, timeout_s: float | None = None
    ) -> dict[K, bool]:
        """Wait until the cache of each started informer holds its first list. False: stopped, or too late."""
        return self._set.wait_for_cache_sync(stop, timeout_s)

    def shutdown(self, timeout_s: float | None = None) -> bool:
        """After ``stop`` was set: wait until all threads have ended. True if they have."""
        return self._set.shutdown(timeout_s)

    def status(self) -> dict[K, InformerStatus]:
        """What each informer does and why it does not go on."""
        return {key: informer.status() for key, informer in self._set.all.items()}


class SharedInformerFactory(_Factory[type[Any]], InformerGroups):
    """Informers of typed objects, one for each class: ``factory.core().v1().pods()``.

    May be used from many threads. Nothing is watched before an informer or a lister was asked for and `start` called.
    """

    def __init__(
        self,
        client: Connected,
        *,
        resync_s: float = 0.0,
        namespace: str = "",
        tweak_list_options: TweakListOptions | None = None,
        transform: Transform[Any] | None = None,
        custom_resync_s: Mapping[type[Any], float] | None = None,
        clock: Clock | None = None,
    ) -> None:
        """``custom_resync_s``: class → its own ``resync_s``. The rest as in `_Factory`."""
        _Factory.__init__(
            self, client, resync_s=resync_s, namespace=namespace, tweak_list_options=tweak_list_options,
            transform=transform, clock=clock,
        )  # fmt: skip
        InformerGroups.__init__(self, self._informer)
        self._custom_resync_s = dict(custom_resync_s or {})

    @classmethod
    def attach(
        cls,
        *,
        core: str = "",
        key: Path | str | None = None,
        store: Path | str | None = None,
        config: Path | str | None = None,
        cluster: str = "",
        name: str = "",
        resync_s: float = 0.0,
        clock: Clock | None = None,
    ) -> "AttachedInformerFactory":
        """Informers on the caches of a pipeline that runs: nothing is listed and watched for them.

        Here: by its state folder ``store`` (default ``.deltawire``) or its ``config``; on another host: by ``core``,
        HOST:PORT of its control socket, and ``key``, a secret's file beside the list ``allowed``. ``cluster``: by
        default the first one. ``name``: the group that handlers get their events as; without it there are listers only.
        Programs of one name share its events.

        Raises ConfigError, StateError where nothing runs, NoAnswer (`deltawire.handlers.asking`) where nobody answers.
        """
        # Not for those who watch by themselves: it loads what talks to processes.
        from deltawire.local.attached.factory import Attachment

        attachment = Attachment(
            core=core, key=key, store=store, config=config, cluster=cluster, name=name, resync_s=resync_s, clock=clock
        )
        return AttachedInformerFactory(attachment, clock)

    def informer_for(self, object_type: type[T]) -> SharedIndexInformer[T]:
        """The informer of a class: ``factory.informer_for(Pod)``. Raises ConfigError."""
        return self._informer(_row(object_type))

    def for_resource(self, resource: AnyResource) -> GenericInformer[Any]:
        """By class, group, version and plural, or kubectl's name (``deploy``, ``deployments.v1.apps``).

        Raises ConfigError for what the models do not know: `DynamicSharedInformerFactory` needs no models.
        """
        row = _row(resource)
        return GenericInformer(self._informer(row), row.resource)

    def _informer(self, row: Row) -> SharedIndexInformer[Any]:
        object_type = row.object_type
        return self._set.get(
            object_type,
            lambda: self._settings.informer(
                row.resource, object_type, resync_s=self._custom_resync_s.get(object_type)
            ),
        )


class AttachedInformerFactory(SharedInformerFactory):
    """What `SharedInformerFactory.attach` returns. Its informers answer to the same calls."""

    def __init__(self, attachment: "Attachment", clock: Clock | None = None) -> None:
        self._attachment = attachment
        self._set = InformerSet(clock)
        InformerGroups.__init__(self, self._informer)

    def _informer(self, row: Row) -> SharedIndexInformer[Any]:
        return self._set.get(
            row.object_type, lambda: cast("SharedIndexInformer[Any]", self._attachment.informer(row))
        )


class _UntypedFactory(_Factory[GroupVersionResource]):
    """By group, version and plural."""

    def _generic(
        self,
        resource: GroupVersionResource,
        object_type: Any,
        indexers: Mapping[str, IndexFunction[Any]] | None,
        media_type: str = "",
    ) -> GenericInformer[Any]:
        target = _untyped(resource, self._settings.scope.namespace)
        informer = self._set.get(
            gvr_of(target),
            lambda: self._settings.informer(target, object_type, media_type=media_type, indexers=indexers),
        )
        return GenericInformer(informer, target)


class DynamicSharedInformerFactory(_UntypedFactory):
    """Informers of any resource, custom ones too, named by group, version and plural. Objects are dicts."""

    def for_resource(
        self,
        resource: GroupVersionResource,
        indexers: Mapping[str, IndexFunction[Unstructured]] | None = None,
    ) -> GenericInformer[Unstructured]:
        """``indexers`` count where the informer is made by this call. Raises ConfigError."""
        return self._generic(resource, Unstructured, indexers)


class MetadataSharedInformerFactory(_UntypedFactory):
    """Informers of any resource reduced to its metadata, which is all that the server is asked to send."""

    def for_resource(
        self,
        resource: GroupVersionResource,
        indexers: Mapping[str, IndexFunction[PartialObjectMetadata]] | None = None,
    ) -> GenericInformer[PartialObjectMetadata]:
        """As `DynamicSharedInformerFactory.for_resource`."""
        return self._generic(resource, PartialObjectMetadata, indexers, "PartialObjectMetadata")


def new_informer(
    client: Connected,
    object_type: type[T],
    *,
    namespace: str = "",
    resync_s: float = 0.0,
    indexers: Mapping[str, IndexFunction[T]] | None = None,
    tweak_list_options: TweakListOptions | None = None,
    clock: Clock | None = None,
) -> SharedIndexInformer[T]:
    """An informer that no factory shares (client-go's NewFiltered…Informer): `run` or `start` it yourself.

    Raises ConfigError for a class that is no resource.
    """
    row = _row(object_type)
    rest = _rest_of(client, "new_informer")
    settings = _Settings(rest, Scope(namespace, tweak_list_options), resync_s, None, clock)
    return settings.informer(row.resource, row.object_type, indexers=indexers)


def _rest_of(client: Connected, taker: str) -> RESTClient:
    rest = getattr(client, "rest", None)
    if not isinstance(rest, RESTClient):
        raise TypeError(
            f"{taker} takes a client, not a {type(client).__name__}: give Clientset.from_config(config), or "
            "DynamicClient's or MetadataClient's"
        )
    return rest


def _row(resource: AnyResource) -> Row:
    if isinstance(resource, type):
        row = row_of(resource)
        if row.client == "CreateClient":
            raise ConfigError(f"{row.resource.name} can be created and not watched")
        return row
    known = _known()
    if isinstance(resource, str):
        # kubectl's own order of preference first, then whatever else the models have.
        named = find(resource) or find(resource, tuple(row.resource for row in known.values()))
        wanted = GroupVersionResource("", "", resource) if named is None else gvr_of(named)
    else:
        wanted = gvr_of(resource) if isinstance(resource, ResourceType) else resource
    found = known.get(wanted)
    if found is None:
        raise ConfigError(
            f"no informer found for {resource if isinstance(resource, str) else '/'.join(wanted).lstrip('/')}",
            hint="the installed models do not know it; DynamicSharedInformerFactory does without them",
        )
    return found


def _untyped(resource: GroupVersionResource, namespace: str) -> ResourceType:
    """What is known of a resource without discovery: its kind, where the models have it."""
    row = _known().get(resource)
    return row.resource if row is not None else target_of(resource, bool(namespace)).resource


@functools.cache
def _known() -> Mapping[GroupVersionResource, Row]:
    """All that the models know and that can be watched."""
    return {
        gvr_of(row.resource): row
        for versions in watchable().values()
        for members in versions.values()
        for row in members.values()
    }
