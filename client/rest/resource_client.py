"""get, create, update, patch, delete of one resource in one namespace, on bytes."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from deltawire.client.rest.request import Request, Scalar
from deltawire.client.rest.result import Result
from deltawire.client.rest.watch_stream import WatchStream
from deltawire.common.meta.resources import ResourceType

if TYPE_CHECKING:
    from deltawire.client.rest.client import RESTClient

Params = Mapping[str, Scalar | None]


class ResourceClient:
    """One resource of one server. ``namespace`` "" is the whole cluster: for lists and cluster-scoped kinds.

    Bodies are JSON as bytes, or what msgspec encodes. All methods raise ConfigError (a call that cannot be
    meant), StatusError and TransportError.
    """

    def __init__(self, client: "RESTClient", resource: ResourceType, namespace: str = "") -> None:
        self._client = client
        self._resource = resource
        self._namespace = namespace

    def get(self, name: str, *, subresource: str = "", params: Params | None = None) -> Result:
        return self._on(self._client.get(), name, subresource, params).do()

    def create(
        self, body: Any, *, name: str = "", subresource: str = "", params: Params | None = None
    ) -> Result:
        """``name`` only with a subresource such as ``eviction``."""
        return self._on(self._client.post(), name, subresource, params).body(body).do()

    def update(self, name: str, body: Any, *, subresource: str = "", params: Params | None = None) -> Result:
        return self._on(self._client.put(), name, subresource, params).body(body).do()

    def patch(
        self,
        name: str,
        body: Any,
        *,
        patch_type: str = "merge",
        subresource: str = "",
        params: Params | None = None,
    ) -> Result:
        """``patch_type`` is ``json``, ``merge``, ``strategic`` or ``apply``."""
        return self._on(self._client.patch(patch_type), name, subresource, params).body(body).do()

    def delete(self, name: str, *, body: Any = None, params: Params | None = None) -> Result:
        """``body`` are DeleteOptions, for preconditions and propagation."""
        return self._on(self._client.delete(), name, "", params).body(body).do()

    def list_page(self, params: Params | None = None) -> bytes:
        return self._client.list_page(self._resource, self._namespace, params)

    def open_watch(self, params: Params | None = None, *, read_timeout_s: float | None = None) -> WatchStream:
        return self._client.open_watch(self._resource, self._namespace, params, read_timeout_s=read_timeout_s)

    def _on(self, request: Request, name: str, subresource: str, params: Params | None) -> Request:
        request.resource(self._resource).namespace_if_scoped(self._namespace, self._resource.namespaced)
        if name:
            request.name(name)
        if subresource:
            request.sub_resource(subresource)
        return request.params(params or {})
