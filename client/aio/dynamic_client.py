"""AsyncDynamicClient: the verbs for any resource, named by group, version and plural, awaited."""

from collections.abc import Mapping
from typing import Any, Self, Unpack

from deltawire.client.aio.object_client import AsyncObjectClient
from deltawire.client.aio.rest import AsyncRESTClient, HoldsAsyncREST
from deltawire.client.config.client_config import ClientConfig
from deltawire.client.config.loading import load
from deltawire.client.dynamic.dynamic_client import target_of
from deltawire.client.dynamic.unstructured import Unstructured, UnstructuredList
from deltawire.client.options import GetOptions, WriteOptions
from deltawire.client.rest.client import RESTClient
from deltawire.client.schema import GroupVersionResource
from deltawire.client.typed.calls import post_under
from deltawire.common.meta.resources import ResourceType


class AsyncDynamicResource(AsyncObjectClient[Unstructured, UnstructuredList]):
    """One resource: cluster-wide, or all namespaces, until `namespace` chose one."""

    def namespace(self, namespace: str) -> "AsyncDynamicResource":
        """The same resource in one namespace."""
        return AsyncDynamicResource(self._rest, target_of(self._target.resource, bool(namespace)), namespace)

    async def get(self, name: str, *, subresource: str = "", **options: Unpack[GetOptions]) -> Unstructured:
        return await self._object(self._verbs.get(name, options, subresource))

    async def create_subresource(
        self, name: str, subresource: str, obj: Mapping[str, Any], **options: Unpack[WriteOptions]
    ) -> Unstructured:
        """POST under an object, such as ``eviction``."""
        return await self._object(post_under(self._verbs, name, subresource, dict(obj), options))

    async def update(
        self, obj: Unstructured, *, subresource: str = "", **options: Unpack[WriteOptions]
    ) -> Unstructured:
        return await self._object(self._verbs.update(obj, options, subresource))


class AsyncDynamicClient(HoldsAsyncREST):
    """``await dynamic.resource(gvr).namespace("default").list(limit=500)``: objects are dicts."""

    def __init__(self, rest: AsyncRESTClient) -> None:
        self.rest = rest

    @classmethod
    def from_config(cls, config: ClientConfig | None = None) -> Self:
        """For ``config``, or for what client/config finds. Raises ConfigError."""
        return cls(AsyncRESTClient(RESTClient(config or load())))

    def resource(self, resource: GroupVersionResource | ResourceType) -> AsyncDynamicResource:
        """Raises ConfigError for a resource without version or plural."""
        return AsyncDynamicResource(self.rest, target_of(resource, is_namespaced=False))
