"""Aggregated discovery: two answers that hold everything. Pure."""

import msgspec

from deltawire.client.discovery.model import ApiGroup, ApiResource, Discovered, api_version
from deltawire.client.rest.decode import decoder_of
from deltawire.common.errors import DeltawireError, TransportError
from deltawire.common.meta.resources import ResourceType

# The order of the parameters matters to servers.
ACCEPT = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"


class _Kind(msgspec.Struct):
    kind: str = ""
    group: str = ""
    version: str = ""


class _Subresource(msgspec.Struct):
    subresource: str


class _Resource(msgspec.Struct, rename="camel"):
    resource: str
    response_kind: _Kind | None = None
    scope: str = "Namespaced"
    singular_resource: str = ""
    verbs: list[str] = []
    short_names: list[str] = []
    categories: list[str] = []
    subresources: list[_Subresource] = []


class _Version(msgspec.Struct):
    version: str
    freshness: str = "Current"
    resources: list[_Resource] = []


class _Metadata(msgspec.Struct):
    name: str = ""


class _Group(msgspec.Struct):
    metadata: _Metadata = msgspec.field(default_factory=_Metadata)
    versions: list[_Version] = []


class _Answer(msgspec.Struct):
    items: list[_Group] = []


def is_aggregated(content_type: str) -> bool:
    """True if an answer's Content-Type says that it is the aggregated form; order of parameters is free."""
    media_type, *parameters = (part.strip() for part in content_type.split(";"))
    wanted = {"g=apidiscovery.k8s.io", "v=v2", "as=APIGroupDiscoveryList"}
    return media_type == "application/json" and wanted <= set(parameters)


def parse(*bodies: bytes) -> Discovered:
    """Everything in the answers of ``/api`` and ``/apis``. Raises TransportError (``garbage``)."""
    groups: list[ApiGroup] = []
    resources: list[ApiResource] = []
    failures: dict[str, DeltawireError] = {}
    for body in bodies:
        try:
            answer: _Answer = decoder_of(_Answer)(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise TransportError(
                f"the server's discovery cannot be read: {error}", reason="garbage"
            ) from None
        for group in answer.items:
            name = group.metadata.name
            current = [version for version in group.versions if version.freshness != "Stale"]
            for version in group.versions:
                if version.freshness == "Stale":
                    failures[api_version(name, version.version)] = TransportError(
                        f"the server that extends {api_version(name, version.version)} does not answer"
                    )
            if not current:
                continue
            versions = tuple(version.version for version in current)
            groups.append(ApiGroup(name, versions, versions[0]))
            resources += [
                found for v in current for r in v.resources if (found := _resource(name, v.version, r))
            ]
    return Discovered(tuple(groups), tuple(resources), failures)


def _resource(group: str, version: str, found: _Resource) -> ApiResource | None:
    if found.response_kind is None or not found.response_kind.kind:
        return None  # only a parent of subresources
    return ApiResource(
        ResourceType(
            group,
            version,
            found.resource,
            found.response_kind.kind,
            found.scope == "Namespaced",
            found.singular_resource,
            tuple(found.short_names),
        ),
        tuple(found.verbs),
        tuple(found.categories),
        tuple(sub.subresource for sub in found.subresources),
    )
