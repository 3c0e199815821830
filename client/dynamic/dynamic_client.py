"""DynamicClient: the verbs for any resource, named by group, version and plural."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self, Unpack

from deltawire.client.config.client_config import ClientConfig
from deltawire.client.config.loading import load
from deltawire.client.dynamic.unstructured import Unstructured, UnstructuredList
from deltawire.client.object_client import ObjectClient
from deltawire.client.options import GetOptions, WriteOptions
from deltawire.client.rest.client import RESTClient, checked_rest
from deltawire.client.schema import GroupVersionResource
from deltawire.client.typed.calls import post_under
from deltawire.common.errors import ConfigError
from deltawire.common.meta.resources import ResourceType


@dataclass(frozen=True, slots=True)
class DynamicTarget:
    """A resource of which nothing but its place is known."""

    resource: ResourceType
    object_type: Any = Unstructured
    list_type: Any = UnstructuredList
    subresources: None = None
    media_type: str = ""


class DynamicResource(ObjectClient[Unstructured, UnstructuredList]):
    """One resource: cluster-wide, or all namespaces, until `namespace` chose one."""

    def namespace(self, namespace: str) -> "DynamicResource":
        """The same resource in one namespace."""
        return DynamicResource(self._rest, target_of(self._target.resource, bool(namespace)), namespace)

    def get(self, name: str, *, subresource: str = "", **options: Unpack[GetOptions]) -> Unstructured:
        return self._object(self._verbs.get(name, options, subresource))

    def create_subresource(
        self, name: str, subresource: str, obj: Mapping[str, Any], **options: Unpack[WriteOptions]
    ) -> Unstructured:
        """POST under an object, such as ``eviction``."""
        return self._object(post_under(self._verbs, name, subresource, dict(obj), options))

    def update(
        self, obj: Unstructured, *, subresource: str = "", **options: Unpack[WriteOptions]
    ) -> Unstructured:
        return self._object(self._verbs.update(obj, options, subresource))


class DynamicClient:
    """``dynamic.resource(gvr).namespace("default").list(limit=500)``: objects are dicts, lists UnstructuredList.

    May be used from many threads. CRDs need nothing but their group, version and plural.
    """

    def __init__(self, rest: RESTClient) -> None:
        self.rest = checked_rest(rest, "DynamicClient", "DynamicClient.from_config(config)")

    @classmethod
    def from_config(cls, config: ClientConfig | None = None) -> Self:
        """For ``config``, or for what client/config finds. Raises ConfigError."""
        return cls(RESTClient(config or load()))

    def resource(self, resource: GroupVersionResource | ResourceType) -> DynamicResource:
        """Raises ConfigError for a resource without version or plural."""
        return DynamicResource(self.rest, target_of(resource, is_namespaced=False))

    def close(self) -> None:
        """Close the idle connections. Open watches go on."""
        self.rest.close()


def target_of(resource: GroupVersionResource | ResourceType, is_namespaced: bool) -> DynamicTarget:
    """What is sent for a resource in a namespace, or in none. Raises ConfigError."""
    if isinstance(resource, ResourceType):
        group, version, plural, kind = resource.group, resource.version, resource.plural, resource.kind
    else:
        (group, version, plural), kind = resource, ""
    if not version or not plural:
        raise ConfigError(f"{resource} names no resource", hint="version and resource must be given")
    return DynamicTarget(ResourceType(group, version, plural, kind, is_namespaced))
