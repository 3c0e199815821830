"""Custom resources, as their definitions (CustomResourceDefinition) name them.

Not here: schemas and conversion, which are the API server's.
"""

from typing import Any

from deltawire.common.errors import ConfigError
from deltawire.common.meta.resources import ResourceType

KIND = "CustomResourceDefinition"


def is_definition(obj: dict[str, Any]) -> bool:
    return obj.get("kind") == KIND and str(obj.get("apiVersion", "")).startswith("apiextensions.k8s.io/")


def types_of(definition: dict[str, Any]) -> list[ResourceType]:
    """The resource in each version that is served, the storage version first. Raises ConfigError for a broken one."""
    try:
        spec = definition["spec"]
        names = spec["names"]
        versions = sorted(spec["versions"], key=lambda version: not version.get("storage"))
        return [
            ResourceType(
                spec["group"],
                version["name"],
                names["plural"],
                names["kind"],
                spec.get("scope", "Namespaced") == "Namespaced",
                names.get("singular") or names["kind"].lower(),
                tuple(names.get("shortNames") or ()),
            )
            for version in versions
            if version.get("served", True)
        ]
    except (KeyError, TypeError, AttributeError) as error:
        name = (definition.get("metadata") or {}).get("name", "")
        raise ConfigError(
            f"the definition {name!r} cannot be read: {error}",
            hint="it needs spec.group, spec.names and spec.versions",
        ) from None
