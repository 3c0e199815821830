"""AsyncMetadataClient: any resource reduced to its metadata, awaited."""

from typing import Self

from deltawire.client.aio.object_client import AsyncPartialClient
from deltawire.client.aio.request import AsyncRequest
from deltawire.client.aio.rest import AsyncRESTClient, HoldsAsyncREST, checked_async_rest
from deltawire.client.config.client_config import ClientConfig
from deltawire.client.config.loading import load
from deltawire.client.metadata import (
    PartialObjectMetadata,
    PartialObjectMetadataList,
    checked_metadata,
    metadata_target,
)
from deltawire.client.rest.client import RESTClient
from deltawire.client.schema import GroupVersionResource
from deltawire.common.meta.resources import ResourceType


class AsyncMetadataResource(AsyncPartialClient[PartialObjectMetadata, PartialObjectMetadataList]):
    """One resource: cluster-wide, or all namespaces, until `namespace` chose one."""

    def namespace(self, namespace: str) -> "AsyncMetadataResource":
        """The same resource in one namespace."""
        target = metadata_target(self._target.resource, bool(namespace))
        return AsyncMetadataResource(self._rest, target, namespace)

    async def _object(self, request: AsyncRequest) -> PartialObjectMetadata:
        return checked_metadata(await super()._object(request))


class AsyncMetadataClient(HoldsAsyncREST):
    """``await metadata.resource(gvr).namespace("default").list()``: get, list, watch, patch and delete."""

    def __init__(self, rest: AsyncRESTClient) -> None:
        self.rest = checked_async_rest(rest, "AsyncMetadataClient")

    @classmethod
    def from_config(cls, config: ClientConfig | None = None) -> Self:
        """For ``config``, or for what client/config finds. Raises ConfigError."""
        return cls(AsyncRESTClient(RESTClient(config or load())))

    def resource(self, resource: GroupVersionResource | ResourceType) -> AsyncMetadataResource:
        """Raises ConfigError for a resource without version or plural."""
        return AsyncMetadataResource(self.rest, metadata_target(resource, is_namespaced=False))
