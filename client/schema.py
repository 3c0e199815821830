"""Names of kinds and resources with their group and version: client-go's ``runtime/schema``. Pure."""

from typing import NamedTuple

from deltawire.common.errors import ConfigError
from deltawire.common.meta.resources import ResourceType


class GroupVersion(NamedTuple):
    """``group`` "" is core. As text: ``apps/v1``, ``v1``."""

    group: str
    version: str

    def __str__(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


class GroupVersionKind(NamedTuple):
    """Where a part is asked for and empty, any will do."""

    group: str
    version: str
    kind: str


class GroupVersionResource(NamedTuple):
    """``resource`` is the plural. Where a part is asked for and empty, any will do."""

    group: str
    version: str
    resource: str

    @property
    def group_version(self) -> GroupVersion:
        return GroupVersion(self.group, self.version)


def parse_group_version(text: str) -> GroupVersion:
    """``apps/v1`` or ``v1`` taken apart. Raises ConfigError."""
    group, slash, version = text.rpartition("/")
    if not version or "/" in group or (slash and not group):
        raise ConfigError(f"{text!r} is not a group and version", hint="as in apps/v1, or v1 for core")
    return GroupVersion(group, version)


def gvr_of(resource: ResourceType) -> GroupVersionResource:
    return GroupVersionResource(resource.group, resource.version, resource.plural)


def gvk_of(resource: ResourceType) -> GroupVersionKind:
    return GroupVersionKind(resource.group, resource.version, resource.kind)
