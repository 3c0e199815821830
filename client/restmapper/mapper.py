"""RESTMapper: which resource a kind has, and which kind a resource, by one discovery. Pure."""

from collections.abc import Iterable
from typing import Protocol

from deltawire.client.discovery.model import Discovered
from deltawire.client.schema import GroupVersionKind, GroupVersionResource, gvk_of, gvr_of
from deltawire.common.errors import ConfigError
from deltawire.common.meta.resources import ResourceType


class NoMatchError(ConfigError):
    """The server has no such kind or resource."""


class AmbiguousError(ConfigError):
    """Several kinds or resources match, and none of them is preferred."""


class Mapper(Protocol):
    """What a client needs of a mapper. All methods raise NoMatchError and AmbiguousError."""

    def rest_mapping(self, group: str, kind: str, *versions: str) -> ResourceType: ...

    def resource_for(self, partial: GroupVersionResource) -> GroupVersionResource: ...

    def kind_for(self, partial: GroupVersionResource) -> GroupVersionKind: ...


class RESTMapper:
    """Where several match, core goes first, then groups in the server's order, in each the preferred version
    first. Resources are found by plural or singular, kinds by their name or with ``List`` behind it."""

    def __init__(self, discovered: Discovered) -> None:
        self.discovered = discovered
        self._ranked = _ranked(discovered)

    @property
    def types(self) -> tuple[ResourceType, ...]:
        """All resources, best first."""
        return self._ranked

    def rest_mapping(self, group: str, kind: str, *versions: str) -> ResourceType:
        """The resource of a kind, in the first of ``versions`` that is served, else in the preferred one."""
        found = self.rest_mappings(group, kind)
        for version in versions:
            served = [one for one in found if one.version == version]
            if served:
                return _only(served, f"{kind} in {version}")
        if versions and not any(one.version in versions for one in found):
            raise NoMatchError(f"the server has no {_kind(group, kind)} in version {' or '.join(versions)}")
        return _only([one for one in found if one.version == found[0].version], kind)

    def rest_mappings(self, group: str, kind: str) -> tuple[ResourceType, ...]:
        """All versions of a kind, the preferred one first."""
        bare = kind.removesuffix("List") or kind
        found = tuple(one for one in self._ranked if one.group == group and one.kind in (kind, bare))
        if not found:
            raise NoMatchError(f"the server has no {_kind(group, kind)}")
        return found

    def resources_for(self, partial: GroupVersionResource) -> tuple[GroupVersionResource, ...]:
        """All that match, best first. A group may be given by its beginning."""
        return tuple(gvr_of(one) for one in self._matching(partial))

    def resource_for(self, partial: GroupVersionResource) -> GroupVersionResource:
        return gvr_of(self._best(partial))

    def kinds_for(self, partial: GroupVersionResource) -> tuple[GroupVersionKind, ...]:
        return tuple(gvk_of(one) for one in self._matching(partial))

    def kind_for(self, partial: GroupVersionResource) -> GroupVersionKind:
        return gvk_of(self._best(partial))

    def resource_type_for(self, partial: GroupVersionResource) -> ResourceType:
        """As `resource_for`, with kind, scope and names."""
        return self._best(partial)

    def singular_for(self, resource: str) -> str:
        """The singular of a plural: ``pods`` is ``pod``."""
        found = self._best(GroupVersionResource("", "", resource))
        return found.singular or found.kind.lower()

    def _best(self, partial: GroupVersionResource) -> ResourceType:
        found = self._matching(partial)
        return _only([one for one in found if gvr_of(one)[:2] == gvr_of(found[0])[:2]], partial.resource)

    def _matching(self, partial: GroupVersionResource) -> list[ResourceType]:
        word = partial.resource.lower()
        if not word:
            raise NoMatchError("a resource's name is missing")
        named = [
            one
            for one in self._ranked
            if word in (one.plural, one.singular or one.kind.lower(), one.kind.lower())
            and (not partial.version or one.version == partial.version)
        ]
        found = [one for one in named if not partial.group or one.group == partial.group]
        # ``deployments.extensions`` means extensions.example.com where no group is called just so.
        found = found or [one for one in named if one.group.startswith(partial.group)]
        if not found:
            raise NoMatchError(
                f"the server has no resource {'.'.join(part for part in reversed(partial) if part)}"
            )
        return found


def _ranked(discovered: Discovered) -> tuple[ResourceType, ...]:
    rank = {
        (group.name, version): (group.name != "", at, version != group.preferred, nth)
        for at, group in enumerate(discovered.groups)
        for nth, version in enumerate(group.versions)
    }
    last = (True, len(discovered.groups), True, 0)
    types = (found.type for found in discovered.resources)
    return tuple(sorted(types, key=lambda one: rank.get((one.group, one.version), last)))


def _only(found: Iterable[ResourceType], what: str) -> ResourceType:
    first, *others = found
    if others:
        names = ", ".join(f"{one.name} ({one.kind})" for one in (first, *others))
        raise AmbiguousError(f"{what} may be {names}", hint="name the group and version")
    return first


def _kind(group: str, kind: str) -> str:
    return f"kind {kind} in group {group or 'core'}"
