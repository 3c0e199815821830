"""How the parts of an object merge: which lists are maps by key or sets, which maps are one value.

Built-in kinds go by field names, custom kinds by their schema's ``x-kubernetes-`` marks. Whatever is not
listed: maps are merged by key, lists are one value.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

_PROTOCOL = {"protocol": "TCP"}


@dataclass(frozen=True, slots=True)
class ListRule:
    """``keys`` name the fields by which items are told apart; none for a set of plain values."""

    is_set: bool = False
    keys: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_atomic(self) -> bool:
        return not self.is_set and not self.keys


ATOMIC = ListRule()
SET = ListRule(is_set=True)


class Structure(Protocol):
    """The rule of one place in an object, and the way to the places below it."""

    @property
    def list_rule(self) -> ListRule: ...

    @property
    def is_atomic_map(self) -> bool: ...

    def field(self, name: str) -> "Structure": ...

    def item(self) -> "Structure": ...


def _by(*keys: str) -> ListRule:
    return ListRule(keys=keys)


_CONTAINERS = frozenset(("containers", "initContainers", "ephemeralContainers"))
_LISTS: dict[str, ListRule] = {
    **dict.fromkeys(
        (
            *_CONTAINERS,
            "env",
            "imagePullSecrets",
            "volumes",
            "resourceClaims",
            "schedulingGates",
            "claims",
            "webhooks",
        ),
        _by("name"),
    ),
    "volumeMounts": _by("mountPath"),
    "volumeDevices": _by("devicePath"),
    "hostAliases": _by("ip"),
    "podIPs": _by("ip"),
    "topologySpreadConstraints": _by("topologyKey", "whenUnsatisfiable"),
    "conditions": _by("type"),
    "ownerReferences": _by("uid"),
    "finalizers": SET,
    "podCIDRs": SET,
}
# Lists whose rule holds below one field, or in one resource, only.
_BELOW: dict[tuple[str, str], ListRule] = {
    **{
        (name, "ports"): ListRule(keys=("containerPort", "protocol"), defaults=_PROTOCOL)
        for name in _CONTAINERS
    },
    ("services", "ports"): ListRule(keys=("port", "protocol"), defaults=_PROTOCOL),
    ("serviceaccounts", "secrets"): _by("name"),
    ("nodes", "addresses"): _by("type"),
}
_ATOMIC_MAPS = frozenset(
    (
        "selector",
        "labelSelector",
        "podSelector",
        "namespaceSelector",
        "nodeSelector",
        "fieldRef",
        "resourceFieldRef",
        "configMapKeyRef",
        "secretKeyRef",
        "secretRef",
        "roleRef",
        "scaleTargetRef",
        "involvedObject",
        "targetRef",
        "claimRef",
    )
)


@dataclass(frozen=True, slots=True)
class BuiltinStructure:
    """``storage`` is the table's name; ``below`` the field that holds this one."""

    storage: str
    name: str = ""
    below: str = ""

    @property
    def list_rule(self) -> ListRule:
        for holder in (self.below, self.storage):
            if (holder, self.name) in _BELOW:
                return _BELOW[holder, self.name]
        return _LISTS.get(self.name, ATOMIC)

    @property
    def is_atomic_map(self) -> bool:
        return self.name in _ATOMIC_MAPS

    def field(self, name: str) -> Structure:
        return BuiltinStructure(self.storage, name, self.name)

    def item(self) -> Structure:
        return self


@dataclass(frozen=True, slots=True)
class SchemaStructure:
    """By a custom resource's schema; its metadata goes by the built-in rules."""

    schema: Mapping[str, Any]
    is_root: bool = True

    @property
    def list_rule(self) -> ListRule:
        kind = self.schema.get("x-kubernetes-list-type")
        if kind == "set":
            return SET
        if kind != "map":
            return ATOMIC
        properties = (self.schema.get("items") or {}).get("properties") or {}
        keys = tuple(self.schema.get("x-kubernetes-list-map-keys") or ())
        defaults = {key: properties[key]["default"] for key in keys if "default" in properties.get(key, {})}
        return ListRule(keys=keys, defaults=defaults)

    @property
    def is_atomic_map(self) -> bool:
        return bool(self.schema.get("x-kubernetes-map-type") == "atomic")

    def field(self, name: str) -> Structure:
        if self.is_root and name == "metadata":
            return BuiltinStructure("", "metadata")
        child = (self.schema.get("properties") or {}).get(name)
        if child is None:
            child = self.schema.get("additionalProperties")
        return SchemaStructure(child if isinstance(child, dict) else {}, is_root=False)

    def item(self) -> Structure:
        items = self.schema.get("items")
        return SchemaStructure(items if isinstance(items, dict) else {}, is_root=False)
