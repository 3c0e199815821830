"""Questions to what discovery found: lists by group and version, preferred resources, what is supported. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from deltawire.client.discovery.model import ApiResource, Discovered
from deltawire.client.schema import GroupVersion, GroupVersionResource
from deltawire.common.errors import ConfigError


@dataclass(frozen=True, slots=True)
class ListedResource:
    """One line of a server's list: ``name`` is ``pods`` or ``pods/status``."""

    name: str
    kind: str
    is_namespaced: bool


@dataclass(frozen=True, slots=True)
class ApiResourceList:
    """The resources of one group and version, sub-resources among them, by name."""

    group_version: GroupVersion
    resources: tuple[ListedResource, ...]


def resource_lists(discovered: Discovered) -> tuple[ApiResourceList, ...]:
    """What ``kubectl api-resources`` and client-go's ServerGroupsAndResources go through: core first."""
    by_version: dict[GroupVersion, list[ListedResource]] = {
        GroupVersion(group.name, version): [] for group in discovered.groups for version in group.versions
    }
    for found in discovered.resources:
        one = found.type
        listed = by_version.setdefault(GroupVersion(one.group, one.version), [])
        listed.append(ListedResource(one.plural, one.kind, one.namespaced))
        listed += [
            ListedResource(f"{one.plural}/{sub}", one.kind, one.namespaced) for sub in found.subresources
        ]
    return tuple(
        ApiResourceList(key, tuple(sorted(listed, key=lambda resource: resource.name)))
        for key, listed in by_version.items()
        if listed
    )


def preferred_resources(discovered: Discovered) -> tuple[ApiResource, ...]:
    """One entry per group and resource: of the preferred version, else of the first that has it."""
    preferred = {(group.name, group.preferred) for group in discovered.groups}
    chosen: dict[tuple[str, str], ApiResource] = {}
    for found in discovered.resources:
        key = (found.type.group, found.type.plural)
        if key not in chosen or (found.type.group, found.type.version) in preferred:
            chosen[key] = found
    return tuple(chosen.values())


def preferred_namespaced_resources(discovered: Discovered) -> tuple[ApiResource, ...]:
    return tuple(found for found in preferred_resources(discovered) if found.type.namespaced)


def with_verbs(resources: Iterable[ApiResource], *verbs: str) -> tuple[ApiResource, ...]:
    """Those that support all of ``verbs`` (``list``, ``watch``)."""
    return tuple(found for found in resources if set(verbs) <= set(found.verbs))


def is_resource_enabled(discovered: Discovered, wanted: GroupVersionResource) -> bool:
    return any(
        (found.type.group, found.type.version, found.type.plural) == wanted for found in discovered.resources
    )


def check_version_supported(discovered: Discovered, wanted: GroupVersion) -> None:
    """Raises ConfigError where the server has other versions than ``wanted``; having none at all counts as
    supported."""
    served = [GroupVersion(group.name, version) for group in discovered.groups for version in group.versions]
    if served and wanted not in served:
        raise ConfigError(
            f"the server does not serve {wanted}",
            hint=f"it serves {', '.join(str(found) for found in served)}",
        )
