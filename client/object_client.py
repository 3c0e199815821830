"""One resource's verbs on objects: what client-go generates per type, once for all.

Typed, dynamic and metadata clients differ in their `Target`: what the objects are decoded as, and what is asked of
the server.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Generic, Protocol, TypeVar, Unpack

import msgspec

from deltawire.client.options import (
    ApplyOptions,
    DeleteOptions,
    GetOptions,
    ListOptions,
    PatchOptions,
    WatchOptions,
    WriteOptions,
    delete_body,
    params_of,
)
from deltawire.client.pager import PAGE_ITEMS, ListPager, PagedList
from deltawire.client.rest.client import RESTClient
from deltawire.client.rest.decode import decoder_of
from deltawire.client.rest.request import Request
from deltawire.client.rest.retry import NO_RETRIES
from deltawire.client.rest.watch import Watch
from deltawire.common.errors import ConfigError
from deltawire.common.meta.resources import ResourceType

T = TypeVar("T")
L = TypeVar("L")

# A watch that was asked to end after N seconds is given up when the server has not ended it by then.
WATCH_END_GRACE_S = 30.0


class Target(Protocol):
    """What a client is for. ``list_type`` is only asked for where there are lists."""

    @property
    def resource(self) -> ResourceType: ...

    @property
    def object_type(self) -> Any:
        """What msgspec decodes an object as."""

    @property
    def list_type(self) -> Any:
        """What msgspec decodes a list as: with ``items`` and ``metadata``."""

    @property
    def subresources(self) -> Collection[str] | None:
        """The known sub-resources, None where they are not known."""

    @property
    def media_type(self) -> str:
        """What is asked for, of objects and, with ``List`` behind it, of lists: ``PartialObjectMetadata``; "" is
        the object itself."""


class Caller(Generic[T]):
    """Makes the requests of one resource, in one namespace; "" is all of them."""

    def __init__(self, rest: RESTClient, target: Target, namespace: str = "") -> None:
        self._rest = rest
        self._target = target
        self._namespace = namespace

    def _request(self, verb: str, name: str | None = None, subresource: str = "") -> Request:
        """``name`` None: the collection."""
        return self._placed(self._rest.verb(verb), name, subresource)

    def _placed(self, request: Request, name: str | None, subresource: str) -> Request:
        resource = self._target.resource
        request.resource(resource).namespace_if_scoped(self._namespace, resource.namespaced)
        if name is not None:
            request.name(name)
        if self._target.media_type:
            request.set_header("Accept", _as(self._target.media_type))
        return request.sub_resource(subresource) if subresource else request

    def _object(self, request: Request) -> T:
        found: T = request.do().into(self._target.object_type)
        return found


class CreateClient(Caller[T]):
    """For resources that can only be created, such as reviews: the answer is in the returned object."""

    def create(self, obj: T, **options: Unpack[WriteOptions]) -> T:
        """POST. Returns what the server stored. Raises ConfigError, StatusError, TransportError."""
        request = self._request("POST").params(params_of(options, WriteOptions)).body(obj)
        return self._object(request)


class PartialClient(Caller[T], Generic[T, L]):
    """The verbs that need no whole object: read, watch, patch, delete. Objects are T, lists are L.

    Options are keyword arguments (client/options). All methods raise ConfigError for a call that cannot be
    meant, StatusError and TransportError; ask client/errors what a StatusError means. Safe to use from many
    threads.
    """

    def get(self, name: str, **options: Unpack[GetOptions]) -> T:
        return self._object(self._request("GET", name).params(params_of(options, GetOptions)))

    def list(self, **options: Unpack[ListOptions]) -> L:
        """One answer; with ``limit`` one page, whose ``metadata.continue_`` leads to the next."""
        request = self._request("GET").params(params_of(options, ListOptions))
        if self._target.media_type:
            request.set_header("Accept", _as(self._target.media_type + "List"))
        found: L = request.do().into(self._target.list_type)
        return found

    def list_all(self, *, page_size: int = PAGE_ITEMS, **options: Unpack[ListOptions]) -> PagedList[Any]:
        """Everything, asked for in pages."""
        return ListPager[Any](self.list, page_size=page_size).list(**options)

    def each(self, *, page_size: int = PAGE_ITEMS, **options: Unpack[ListOptions]) -> Iterator[T]:
        """The objects one by one, with few pages in memory at any time."""
        return ListPager[Any](self.list, page_size=page_size).each_item(**options)

    def watch(self, *, read_timeout_s: float | None = None, **options: Unpack[WatchOptions]) -> Watch[T]:
        """Changes from ``resource_version`` on, as they happen; without one first what there is, as ADDED.

        ``read_timeout_s`` bounds silence; without it a watch may be silent for as long as TCP finds the peer
        alive, or 30 s longer than its ``timeout_s``.
        """
        request = self._request("GET").param("watch", True).params(params_of(options, WatchOptions))
        ends_after_s = options.get("timeout_s")
        if read_timeout_s is None and ends_after_s:
            read_timeout_s = ends_after_s + WATCH_END_GRACE_S
        stream = request.retry(NO_RETRIES).read_timeout(read_timeout_s).stream()
        kind: Any = self._target.object_type
        return Watch(stream, decoder_of(kind))

    def patch(
        self,
        name: str,
        patch: Any,
        *,
        patch_type: str = "merge",
        subresource: str = "",
        **options: Unpack[PatchOptions],
    ) -> T:
        """``patch_type`` is ``json``, ``merge``, ``strategic`` or ``apply``; ``patch`` what msgspec encodes."""
        request = self._placed(self._rest.patch(patch_type), name, subresource)
        return self._object(request.params(params_of(options, PatchOptions)).body(patch))

    def delete(self, name: str, **options: Unpack[DeleteOptions]) -> None:
        """Ask for the deletion; finalizers and grace may let the object live on for a while."""
        self._request("DELETE", name).body(delete_body(options)).do()

    def delete_collection(
        self, *, delete_options: DeleteOptions | None = None, **options: Unpack[ListOptions]
    ) -> None:
        """Delete all that the selectors name: without selectors, everything of the namespace."""
        request = self._request("DELETE").params(params_of(options, ListOptions))
        request.body(delete_body(delete_options or {})).do()


class ObjectClient(PartialClient[T, L], CreateClient[T], Generic[T, L]):
    """All verbs."""

    def update(self, obj: T, **options: Unpack[WriteOptions]) -> T:
        """PUT under the object's own name; its resourceVersion, if set, guards against lost updates (409)."""
        request = self._request("PUT", name_of(obj)).params(params_of(options, WriteOptions))
        return self._object(request.body(obj))

    def update_status(self, obj: T, **options: Unpack[WriteOptions]) -> T:
        """As `update`, for the status alone."""
        request = self._request("PUT", name_of(obj), self._has("status"))
        return self._object(request.params(params_of(options, WriteOptions)).body(obj))

    def apply(
        self, obj: T | Mapping[str, Any], *, field_manager: str, force: bool = False,
        **options: Unpack[ApplyOptions],
    ) -> T:  # fmt: skip
        """Server-side apply: ``field_manager`` owns the fields that ``obj`` has, and no others.

        ``obj`` is an object, a mapping or an apply configuration. A field that another manager owns is a
        conflict (409) unless ``force`` takes it.
        """
        return self._apply(obj, "", field_manager, force, options)

    def apply_status(
        self, obj: T | Mapping[str, Any], *, field_manager: str, force: bool = False,
        **options: Unpack[ApplyOptions],
    ) -> T:  # fmt: skip
        """As `apply`, for the status alone."""
        return self._apply(obj, self._has("status"), field_manager, force, options)

    def _apply(self, obj: Any, subresource: str, field_manager: str, force: bool, options: ApplyOptions) -> T:
        body = to_mapping(obj, self._target.resource.api_version, self._target.resource.kind)
        params: PatchOptions = {"field_manager": field_manager, "force": force, **options}
        name = body["metadata"]["name"]
        return self.patch(name, body, patch_type="apply", subresource=subresource, **params)

    def _has(self, subresource: str) -> str:
        known = self._target.subresources
        if known is not None and subresource not in known:
            raise ConfigError(f"{self._target.resource.name} have no sub-resource {subresource!r}")
        return subresource


def name_of(obj: Any) -> str:
    """The object's name. Raises ConfigError where it has none."""
    metadata = obj.get("metadata") if isinstance(obj, Mapping) else obj.metadata
    name = metadata.get("name") if isinstance(metadata, Mapping) else getattr(metadata, "name", None)
    if not name:
        raise ConfigError("an object without metadata.name cannot be updated")
    return str(name)


def to_mapping(obj: Any, api_version: str, kind: str) -> dict[str, Any]:
    """``obj`` as the body of an apply. Raises ConfigError for one that the server could only refuse."""
    body = dict(obj) if isinstance(obj, Mapping) else msgspec.to_builtins(obj)
    metadata = body.get("metadata") or {}
    if not metadata.get("name"):
        raise ConfigError("metadata.name must be given to apply an object")
    if metadata.get("managedFields"):
        raise ConfigError(
            "an object with managedFields cannot be applied",
            hint="apply only the fields to own; `extract` takes them out of an object",
        )
    return {"apiVersion": api_version, "kind": kind, **body}


def _as(media_type: str) -> str:
    """Accept: that form, else the whole object, which is then read as that form."""
    return f"application/json;as={media_type};g=meta.k8s.io;v=v1,application/json"
