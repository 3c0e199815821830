"""What discovery finds, whichever of its two forms the server speaks."""

from dataclasses import dataclass, field

from deltawire.client.schema import GroupVersion
from deltawire.common.errors import DeltawireError, StatusError
from deltawire.common.meta.resources import ResourceType


@dataclass(frozen=True, slots=True)
class ApiResource:
    """A resource and what may be done with it. ``subresources`` are names such as ``status``."""

    type: ResourceType
    verbs: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()

    @property
    def is_watchable(self) -> bool:
        return "list" in self.verbs and "watch" in self.verbs


@dataclass(frozen=True, slots=True)
class ApiGroup:
    """A group ("" is core) and its versions in the server's order; ``preferred`` is one of them."""

    name: str
    versions: tuple[str, ...]
    preferred: str


@dataclass(frozen=True, slots=True)
class Discovered:
    """Groups in the server's order, resources in order of preference, and the failures.

    A group and version that could not be read (``metrics.k8s.io/v1beta1``) does not fail the others.
    """

    groups: tuple[ApiGroup, ...] = ()
    resources: tuple[ApiResource, ...] = ()
    failures: dict[str, DeltawireError] = field(default_factory=dict)

    def resources_of(self, group_version: GroupVersion) -> tuple[ApiResource, ...]:
        """The resources of one group and version. Raises StatusError 404 where it is not served; core that is
        not served has no resources."""
        if not any(
            g.name == group_version.group and group_version.version in g.versions for g in self.groups
        ):
            if group_version == GroupVersion("", "v1"):
                return ()
            raise StatusError(404, "NotFound", f"the server does not serve {group_version}")
        return tuple(
            found
            for found in self.resources
            if (found.type.group, found.type.version) == (group_version.group, group_version.version)
        )

    def with_resources(self, group_version: GroupVersion, found: tuple[ApiResource, ...]) -> "Discovered":
        """This, with ``found`` where a failure was."""
        failures = {name: error for name, error in self.failures.items() if name != str(group_version)}
        return Discovered(self.groups, self.resources + found, failures)

    def with_failure(self, group_version: GroupVersion, error: DeltawireError) -> "Discovered":
        return Discovered(self.groups, self.resources, {**self.failures, str(group_version): error})

    @property
    def types(self) -> tuple[ResourceType, ...]:
        """The preferred versions of all groups first, core first of all."""
        preferred = {(group.name, group.preferred) for group in self.groups}
        order = {group.name: i for i, group in enumerate(self.groups)}
        ranked = sorted(
            (resource.type for resource in self.resources),
            key=lambda t: (
                (t.group, t.version) not in preferred,
                t.group != "",
                order.get(t.group, len(order)),
            ),
        )
        return tuple(ranked)


def api_version(group: str, version: str) -> str:
    return f"{group}/{version}" if group else version
