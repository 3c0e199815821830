"""Discovery as every server speaks it: /api, /apis, then one request per group and version. Pure.

All functions raise TransportError (``garbage``) for an answer that cannot be read.
"""

from collections.abc import Callable, Hashable
from typing import TypeVar, cast

import msgspec

from deltawire.client.discovery.model import ApiGroup, ApiResource
from deltawire.client.rest.decode import decoder_of
from deltawire.common.errors import TransportError
from deltawire.common.meta.resources import ResourceType

T = TypeVar("T")


class _CoreVersions(msgspec.Struct):
    versions: list[str] = []


class _Version(msgspec.Struct):
    version: str


class _Group(msgspec.Struct, rename="camel"):
    name: str
    versions: list[_Version] = []
    preferred_version: _Version | None = None


class _Groups(msgspec.Struct):
    groups: list[_Group] = []


class _Resource(msgspec.Struct, rename="camel"):
    name: str
    kind: str = ""
    namespaced: bool = False
    singular_name: str = ""
    verbs: list[str] = []
    short_names: list[str] = []
    categories: list[str] = []


class _Resources(msgspec.Struct):
    resources: list[_Resource] = []


def parse_core(body: bytes) -> tuple[ApiGroup, ...]:
    """The core group of ``/api``."""
    versions = tuple(_decoded(body, _CoreVersions).versions)
    return (ApiGroup("", versions, versions[0]),) if versions else ()


def parse_groups(body: bytes) -> tuple[ApiGroup, ...]:
    """The groups of ``/apis``."""
    groups = []
    for group in _decoded(body, _Groups).groups:
        versions = tuple(version.version for version in group.versions)
        if versions:
            preferred = group.preferred_version.version if group.preferred_version else versions[0]
            groups.append(ApiGroup(group.name, versions, preferred))
    return tuple(groups)


def parse_resources(group: str, version: str, body: bytes) -> tuple[ApiResource, ...]:
    """The resources of one group and version."""
    found = _decoded(body, _Resources).resources
    subresources: dict[str, list[str]] = {}
    for resource in found:
        parent, slash, sub = resource.name.partition("/")
        if slash:
            subresources.setdefault(parent, []).append(sub)
    return tuple(
        ApiResource(
            ResourceType(
                group,
                version,
                resource.name,
                resource.kind,
                resource.namespaced,
                resource.singular_name or resource.kind.lower(),
                tuple(resource.short_names),
            ),
            tuple(resource.verbs),
            tuple(resource.categories),
            tuple(subresources.get(resource.name, ())),
        )
        for resource in found
        if "/" not in resource.name
    )


def _decoded(body: bytes, type: type[T]) -> T:
    decode: Callable[[bytes], T] = decoder_of(cast(Hashable, type))
    try:
        found = decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise TransportError(f"the server's discovery cannot be read: {error}", reason="garbage") from None
    return found
