"""The requests of one resource's verbs, made and not sent: what sync and async clients share. Pure.

Not here: sending (client/rest, client/aio), what the answers are decoded as (``object_client``).
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Generic, Protocol, TypeVar

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
from deltawire.client.rest.request import RequestBuilder, patch_media_type
from deltawire.client.rest.retry import NO_RETRIES
from deltawire.common.errors import ConfigError
from deltawire.common.meta.resources import ResourceType

R = TypeVar("R", bound=RequestBuilder)

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


class Verbs(Generic[R]):
    """Makes the requests of one resource, in one namespace; "" is all of them.

    ``new`` begins a request of an HTTP verb. Mistakes stick to the request, or raise ConfigError here.
    """

    def __init__(self, new: Callable[[str], R], target: Target, namespace: str = "") -> None:
        self._new = new
        self.target = target
        self.namespace = namespace

    def request(self, verb: str, name: str | None = None, subresource: str = "") -> R:
        """``name`` None: the collection."""
        resource = self.target.resource
        request = self._new(verb).resource(resource).namespace_if_scoped(self.namespace, resource.namespaced)
        if name is not None:
            request.name(name)
        if self.target.media_type:
            request.set_header("Accept", _as(self.target.media_type))
        return request.sub_resource(subresource) if subresource else request

    def create(self, obj: Any, options: WriteOptions) -> R:
        return self.request("POST").params(params_of(options, WriteOptions)).body(obj)

    def get(self, name: str, options: GetOptions, subresource: str = "") -> R:
        return self.request("GET", name, subresource).params(params_of(options, GetOptions))

    def list(self, options: ListOptions) -> R:
        request = self.request("GET").params(params_of(options, ListOptions))
        if self.target.media_type:
            request.set_header("Accept", _as(self.target.media_type + "List"))
        return request

    def watch(self, options: WatchOptions, read_timeout_s: float | None) -> R:
        request = self.request("GET").param("watch", True).params(params_of(options, WatchOptions))
        ends_after_s = options.get("timeout_s")
        if read_timeout_s is None and ends_after_s:
            read_timeout_s = ends_after_s + WATCH_END_GRACE_S
        return request.retry(NO_RETRIES).read_timeout(read_timeout_s)

    def patch(self, name: str, patch: Any, patch_type: str, subresource: str, options: PatchOptions) -> R:
        request = self.request("PATCH", name, subresource)
        request.set_header("Content-Type", patch_media_type(patch_type))
        return request.params(params_of(options, PatchOptions)).body(patch)

    def update(self, obj: Any, options: WriteOptions, subresource: str = "") -> R:
        request = self.request("PUT", name_of(obj), subresource)
        return request.params(params_of(options, WriteOptions)).body(obj)

    def apply(
        self, obj: Any, subresource: str, field_manager: str, force: bool, options: ApplyOptions
    ) -> R:
        resource = self.target.resource
        # The kind of a resource may not be known here, so that the object must say it.
        if not resource.kind and isinstance(obj, Mapping) and not (obj.get("apiVersion") and obj.get("kind")):
            raise ConfigError("an object without apiVersion and kind cannot be applied")
        body = to_mapping(obj, resource.api_version, resource.kind)
        params: PatchOptions = {"field_manager": field_manager, "force": force, **options}
        return self.patch(body["metadata"]["name"], body, "apply", subresource, params)

    def delete(self, name: str, options: DeleteOptions) -> R:
        return self.request("DELETE", name).body(delete_body(options))

    def delete_collection(self, delete_options: DeleteOptions | None, options: ListOptions) -> R:
        request = self.request("DELETE").params(params_of(options, ListOptions))
        return request.body(delete_body(delete_options or {}))

    def has(self, subresource: str) -> str:
        """``subresource``. Raises ConfigError where the resource is known not to have it."""
        known = self.target.subresources
        if known is not None and subresource not in known:
            raise ConfigError(f"{self.target.resource.name} have no sub-resource {subresource!r}")
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
