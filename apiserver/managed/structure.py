"""How the parts of an object merge: which lists are maps by key or sets, what is one value.

Built-in kinds go by their types (`deltawire.apiserver.kinds`), custom kinds by their schema's ``x-kubernetes-``
marks. Whatever says nothing: maps are merged by key, lists are one value.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol

from deltawire.apiserver.kinds.types import Field, Type, struct


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

    def names(self, name: str) -> bool:
        """Whether ``name`` is a field that this place declares, not just a key of a map."""

    def field(self, name: str) -> "Structure": ...

    def item(self) -> "Structure": ...


class TypeStructure:
    """A place in an object of a built-in kind; what is not known is one value."""

    __slots__ = ("_below", "_fields", "_item", "_type", "is_atomic_map", "list_rule")

    def __init__(self, type_: Type | None, field: Field | None = None) -> None:
        self._type = type_
        self._fields: Mapping[str, Field] = {}
        # Places are the same for all objects of a kind: each is worked out once.
        self._below: dict[str, TypeStructure] = {}
        self._item: TypeStructure | None = None
        self.list_rule = ATOMIC if field is None else _rule(field)
        self.is_atomic_map = type_ is None or type_.kind not in ("map", "struct")
        self.is_atomic_map |= field is not None and field.is_atomic
        if type_ is not None and type_.kind == "struct":
            known = type_.struct
            self._fields = known.fields
            self.is_atomic_map |= known.is_atomic

    def names(self, name: str) -> bool:
        return name in self._fields

    def field(self, name: str) -> Structure:
        below = self._below.get(name)
        if below is not None:
            return below
        known = self._fields.get(name)
        if known is None:
            if self._type is not None and self._type.kind == "map":
                return self._inner()
            return UNKNOWN
        below = self._below[name] = TypeStructure(known.type, known)
        return below

    def item(self) -> Structure:
        return self._inner() if self._type is not None and self._type.kind == "list" else UNKNOWN

    def _inner(self) -> "TypeStructure":
        if self._item is None:
            self._item = TypeStructure(self._type.of if self._type is not None else None)
        return self._item


UNKNOWN = TypeStructure(None)


@cache
def structure_of_kind(module: str, kind: str) -> TypeStructure:
    """The root of an object; that of an unknown kind declares nothing and merges by key."""
    if struct(module, kind) is None:
        return TypeStructure(Type("{}any"))
    return TypeStructure(Type(f"{module}.{kind}"))


def _rule(known: Field) -> ListRule:
    if known.is_set:
        return SET
    return ListRule(keys=known.keys, defaults=known.key_defaults) if known.keys else ATOMIC


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

    def names(self, name: str) -> bool:
        return name in (self.schema.get("properties") or ()) or (self.is_root and name in _ROOT)

    def field(self, name: str) -> Structure:
        if self.is_root and name == "metadata":
            return structure_of_kind("meta_v1", "ObjectMeta")
        child = (self.schema.get("properties") or {}).get(name)
        if child is None:
            child = self.schema.get("additionalProperties")
        return SchemaStructure(child if isinstance(child, dict) else {}, is_root=False)

    def item(self) -> Structure:
        items = self.schema.get("items")
        return SchemaStructure(items if isinstance(items, dict) else {}, is_root=False)


_ROOT = ("apiVersion", "kind", "metadata")
