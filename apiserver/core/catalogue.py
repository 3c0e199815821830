"""The resources that are served now. Custom ones come and go with their definitions."""

from collections.abc import Iterable, Iterator

from deltawire.apiserver.core.resource import Resource

# The order in which real servers list their groups: of two that know a name, the first one is meant.
_RANKED = (
    *("apiregistration.k8s.io", "apps", "events.k8s.io", "authentication.k8s.io", "authorization.k8s.io"),
    *("autoscaling", "batch", "certificates.k8s.io", "networking.k8s.io", "policy"),
    *("rbac.authorization.k8s.io", "storage.k8s.io", "admissionregistration.k8s.io", "apiextensions.k8s.io"),
    *("scheduling.k8s.io", "coordination.k8s.io", "node.k8s.io", "discovery.k8s.io", "resource.k8s.io"),
    "flowcontrol.apiserver.k8s.io",
)
_RANKS = {group: rank for rank, group in enumerate(_RANKED)}


class Catalogue:
    """Resources by (group, version, plural), in the order in which discovery lists them."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        self._served: dict[tuple[str, str, str], Resource] = {}
        self._by_storage: dict[str, Resource] = {}
        for resource in resources:
            self.add(resource)

    def add(self, resource: Resource) -> None:
        kind = resource.type
        self._served[kind.group, kind.version, kind.plural] = resource
        self._by_storage.setdefault(resource.storage, resource)

    def remove(self, group: str, plural: str) -> None:
        """Stop serving all versions of a resource."""
        for key in [key for key in self._served if key[0] == group and key[2] == plural]:
            self._by_storage.pop(self._served.pop(key).storage, None)

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        return self._served.get((group, version, plural))

    def of_storage(self, storage: str) -> Resource | None:
        """The first served version of the resource named like ``pods`` or ``deployments.apps``."""
        return self._by_storage.get(storage)

    def in_group(self, group: str) -> list[Resource]:
        return [resource for resource in self if resource.type.group == group]

    def versions(self, group: str) -> list[str]:
        """The versions of a group that serve something, best first: general, then beta, then alpha."""
        return sorted({r.type.version for r in self.in_group(group)}, key=_priority)

    def groups(self) -> list[str]:
        """Named groups (not the core one) that serve something: built-in ones first, as real servers rank them."""
        found = dict.fromkeys(r.type.group for r in self if r.type.group)
        return sorted(found, key=lambda group: _RANKS.get(group, len(_RANKS)))

    def __iter__(self) -> Iterator[Resource]:
        return iter(list(self._served.values()))


def _priority(version: str) -> tuple[int, int, int, str]:
    """Kubernetes' order of versions: v2, v1, v2beta1, v1beta2, v1alpha1, then others by name."""
    for stage, word in enumerate(("", "beta", "alpha")):
        major, _, minor = version[1:].partition(word) if word else (version[1:], "", "0")
        if version.startswith("v") and major.isdecimal() and minor.isdecimal():
            return (stage, -int(major), -int(minor), "")
    return (3, 0, 0, version)
