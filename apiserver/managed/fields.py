"""Sets of fields: the paths that an object has values at, and their form in metadata.managedFields.

A path is a tuple of the elements that FieldsV1 uses: ``f:name`` for a field, ``k:{...}`` for an item of a
list by its keys, ``v:...`` for a value of a set.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from deltawire.apiserver.managed.structure import ListRule, Structure

Tree = dict[str, Any]
Path = tuple[str, ...]
Values = dict[Path, Any]

_encode = msgspec.json.Encoder(order="sorted").encode

# The value of a path that marks an item or an empty container, not a leaf.
PRESENT = object()


def values_of(tree: Any, structure: Structure) -> Values:
    """Every path of ``tree`` that can be owned, with its value; `PRESENT` for items of lists."""
    found: Values = {}
    _collect(tree, structure, (), found)
    return found


def _collect(value: Any, structure: Structure, path: Path, found: Values) -> None:
    if isinstance(value, dict) and value and not structure.is_atomic_map:
        for name, child in value.items():
            _collect(child, structure.field(name), (*path, f"f:{name}"), found)
        return
    if isinstance(value, list) and value:
        keyed = keyed_items(value, structure.list_rule)
        if keyed is not None:
            for element, item in keyed.items():
                found[*path, element] = PRESENT
                if isinstance(item, dict):
                    _collect(item, structure.item(), (*path, element), found)
            return
    if path:
        found[path] = value


def keyed_items(items: list[Any], rule: ListRule) -> dict[str, Any] | None:
    """Items by their path element; None for a list that is one value, or that breaks its own rule."""
    if rule.is_atomic:
        return None
    keyed: dict[str, Any] = {}
    for item in items:
        element = _element(item, rule)
        if element is None or element in keyed:
            return None
        keyed[element] = item
    return keyed


def _element(item: Any, rule: ListRule) -> str | None:
    if rule.is_set:
        return None if isinstance(item, dict | list) else f"v:{_encode(item).decode()}"
    if not isinstance(item, dict):
        return None
    keys = {key: item.get(key, rule.defaults.get(key)) for key in rule.keys}
    return None if None in keys.values() else f"k:{_encode(keys).decode()}"


def to_fields_v1(paths: Iterable[Path]) -> Tree:
    """Paths as the nested maps of FieldsV1; ``.`` marks a path that is owned and has others below it."""
    root: Tree = {}
    ordered = sorted(paths)
    for path in ordered:
        node = root
        for element in path:
            node = node.setdefault(element, {})
    owned = set(ordered)
    for path in ordered:
        node = root
        for element in path:
            node = node[element]
        if node and path in owned:
            node["."] = {}
    return root


def from_fields_v1(tree: Any) -> set[Path]:
    """The paths in a FieldsV1. What is not one has none."""
    return set(_paths(tree, ())) if isinstance(tree, dict) else set()


def _paths(tree: Tree, path: Path) -> Iterator[Path]:
    below = {name: child for name, child in tree.items() if name != "."}
    if path and ("." in tree or not below):
        yield path
    for name, child in below.items():
        yield from _paths(child if isinstance(child, dict) else {}, (*path, name))


def told(path: Path) -> str:
    """A path as messages write it: ``.spec.containers[name="c"].image``."""
    parts = []
    for element in path:
        kind, _, rest = element.partition(":")
        if kind == "f":
            parts.append(f".{rest}")
        elif kind == "k":
            keys = msgspec.json.decode(rest)
            parts.append("[" + ",".join(f"{k}={_encode(v).decode()}" for k, v in keys.items()) + "]")
        else:
            parts.append(f"[={rest}]")
    return "".join(parts)
