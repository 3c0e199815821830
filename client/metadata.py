"""Any resource reduced to its metadata: client-go's metadata client.

The server is asked to leave out the rest; from one that does not, the rest is passed over while reading.

Not here: the same awaited (client/aio).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

import msgspec

from deltawire.client.config.client_config import ClientConfig
from deltawire.client.config.loading import load
from deltawire.client.dynamic.dynamic_client import target_of
from deltawire.client.dynamic.unstructured import ListMeta
from deltawire.client.object_client import PartialClient
from deltawire.client.rest.client import RESTClient, checked_rest
from deltawire.client.rest.request import Request
from deltawire.client.schema import GroupVersionResource
from deltawire.common.errors import TransportError
from deltawire.common.meta.resources import ResourceType


class OwnerReference(msgspec.Struct, omit_defaults=True):
    apiVersion: str = ""  # noqa: N815 - the API's name
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool | None = None
    blockOwnerDeletion: bool | None = None  # noqa: N815 - the API's name


class Metadata(msgspec.Struct, omit_defaults=True):
    """An object's metadata; fields that are not set are None. ``managedFields`` stay as they are."""

    name: str | None = None
    generateName: str | None = None  # noqa: N815 - the API's name
    namespace: str | None = None
    uid: str | None = None
    resourceVersion: str | None = None  # noqa: N815 - the API's name
    generation: int | None = None
    creationTimestamp: datetime | None = None  # noqa: N815 - the API's name
    deletionTimestamp: datetime | None = None  # noqa: N815 - the API's name
    deletionGracePeriodSeconds: int | None = None  # noqa: N815 - the API's name
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    ownerReferences: list[OwnerReference] | None = None  # noqa: N815 - the API's name
    finalizers: list[str] | None = None
    managedFields: list[dict[str, Any]] | None = None  # noqa: N815 - the API's name


class PartialObjectMetadata(msgspec.Struct, omit_defaults=True):
    """One object."""

    metadata: Metadata


class PartialObjectMetadataList(msgspec.Struct, omit_defaults=True):
    """A list of them."""

    metadata: ListMeta = msgspec.field(default_factory=ListMeta)
    items: list[PartialObjectMetadata] = []


@dataclass(frozen=True, slots=True)
class MetadataTarget:
    """A resource of which only metadata is asked for."""

    resource: ResourceType
    object_type: Any = PartialObjectMetadata
    list_type: Any = PartialObjectMetadataList
    subresources: None = None
    media_type: str = "PartialObjectMetadata"


class MetadataResource(PartialClient[PartialObjectMetadata, PartialObjectMetadataList]):
    """One resource: cluster-wide, or all namespaces, until `namespace` chose one."""

    def namespace(self, namespace: str) -> "MetadataResource":
        """The same resource in one namespace."""
        target = metadata_target(self._target.resource, bool(namespace))
        return MetadataResource(self._rest, target, namespace)

    def _object(self, request: Request) -> PartialObjectMetadata:
        return checked_metadata(super()._object(request))


class MetadataClient:
    """``metadata.resource(gvr).namespace("default").list()``: get, list, watch, patch and delete."""

    def __init__(self, rest: RESTClient) -> None:
        self.rest = checked_rest(rest, "MetadataClient", "MetadataClient.from_config(config)")

    @classmethod
    def from_config(cls, config: ClientConfig | None = None) -> Self:
        """For ``config``, or for what client/config finds. Raises ConfigError."""
        return cls(RESTClient(config or load()))

    def resource(self, resource: GroupVersionResource | ResourceType) -> MetadataResource:
        """Raises ConfigError for a resource without version or plural."""
        return MetadataResource(self.rest, metadata_target(resource, is_namespaced=False))

    def close(self) -> None:
        self.rest.close()


def metadata_target(resource: GroupVersionResource | ResourceType, is_namespaced: bool) -> MetadataTarget:
    """What is sent for a resource in a namespace, or in none. Raises ConfigError."""
    return MetadataTarget(target_of(resource, is_namespaced).resource)


def checked_metadata(found: PartialObjectMetadata) -> PartialObjectMetadata:
    """``found``. Raises TransportError where it is of no object."""
    seen = found.metadata
    if not (seen.name or seen.generateName or seen.uid or seen.creationTimestamp):
        raise TransportError("the server answered with something without metadata", reason="garbage")
    return found
