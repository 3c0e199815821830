"""Partial objects: any field may be left out, and only those that are set are owned. Pure.

``configuration(Deployment, "web", "default").with_spec(configuration(DeploymentSpec).with_replicas(3))``
"""

from collections.abc import Callable, Mapping
from typing import Any, Self, get_args, get_origin

import msgspec

from deltawire.client.typed.table import row_of
from deltawire.common.errors import ConfigError


class ApplyConfiguration(dict[str, Any]):
    """A dict that knows which fields its class has: ``with_…`` sets them, by their names in snake_case.

    Scalars and objects are replaced, lists grow, maps are merged. A field that the class does
    not have is a ConfigError at once, not an answer of the server.
    """

    def __init__(self, object_type: type[Any], fields: Mapping[str, Any] | None = None) -> None:
        super().__init__(fields or {})
        self._type = object_type

    def with_field(self, name: str, *values: Any) -> Self:
        """``name`` as on the wire. Several values only for lists."""
        shape = _shape_of(self._type, name)
        if shape is list:
            self[name] = [*self.get(name, ()), *(_plain(value) for value in values)]
            return self
        if len(values) != 1:
            raise ConfigError(f"{self._type.__name__}.{name} takes one value, not {len(values)}")
        value = _plain(values[0])
        self[name] = {**self.get(name, {}), **value} if shape is dict else value
        return self

    def with_labels(self, labels: Mapping[str, str]) -> Self:
        return self._with_metadata("labels", labels)

    def with_annotations(self, annotations: Mapping[str, str]) -> Self:
        return self._with_metadata("annotations", annotations)

    def _with_metadata(self, name: str, entries: Mapping[str, str]) -> Self:
        if "metadata" not in self:
            return self.with_field(name, entries)
        self["metadata"] = {**self["metadata"], name: {**self["metadata"].get(name, {}), **entries}}
        return self

    def __getattr__(self, name: str) -> Callable[..., Self]:
        if not name.startswith("with_"):
            raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}")
        wire = _wire_name(self._type, name.removeprefix("with_"))
        return lambda *values: self.with_field(wire, *values)


def configuration(object_type: type[Any], name: str = "", namespace: str = "") -> ApplyConfiguration:
    """The beginning of one: with kind and apiVersion where the class is a resource's. Raises ConfigError."""
    if not name:
        return ApplyConfiguration(object_type)
    resource = row_of(object_type).resource
    metadata = {"name": name, "namespace": namespace} if namespace and resource.namespaced else {"name": name}
    head = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata}
    return ApplyConfiguration(object_type, head)


def _plain(value: Any) -> Any:
    return value if isinstance(value, dict) else msgspec.to_builtins(value)


def _wire_name(object_type: type[Any], snake: str) -> str:
    """``match_labels`` is ``matchLabels``, ``cluster_ip`` is ``clusterIP``: compared without case."""
    wanted = snake.replace("_", "").lower()
    for field in msgspec.structs.fields(object_type):
        if field.encode_name.lower() == wanted:
            return field.encode_name
    raise ConfigError(f"{object_type.__name__} has no field {snake!r}")


def _shape_of(object_type: type[Any], name: str) -> type[Any] | None:
    """list, dict, or None for what is replaced as a whole."""
    for field in msgspec.structs.fields(object_type):
        if field.encode_name == name:
            for kind in (field.type, *get_args(field.type)):
                if kind is dict or get_origin(kind) is dict:
                    return dict
                if kind is list or get_origin(kind) is list:
                    return list
            return None
    raise ConfigError(f"{object_type.__name__} has no field {name!r}")
