"""Sets of fields: paths into an object, and their form in metadata.managedFields.

A path is a tuple of the elements that FieldsV1 uses: ``f:name`` for a field, ``k:{...}`` for an item of a
list by its keys, ``v:...`` for a value of a set.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec

from deltawire.apiserver.managed.structure import ListRule, Structure

Tree = dict[str, Any]
Path = tuple[str, ...]
Paths = frozenset[Path]

_encode = msgspec.json.Encoder(order="sorted").encode


class _Missing:
    """What stands for a value that one of two objects does not have; null is a value."""


MISSING = _Missing()


class Difference(NamedTuple):
    """Paths that only the new object has, that both have with other values, that only the old one has."""

    added: set[Path]
    modified: set[Path]
    removed: set[Path]


def field_set(tree: Tree, structure: Structure) -> set[Path]:
    """The fields that an apply of ``tree`` owns: its values, its list items, its empty maps."""
    found: set[Path] = set()
    _collect(tree, structure, (), found)
    return found


def _collect(value: Any, structure: Structure, path: Path, found: set[Path]) -> None:
    if isinstance(value, dict):
        if structure.is_atomic_map:
            found.add(path)
            return
        for name, child in value.items():
            below = (*path, f"f:{name}")
            _collect(child, structure.field(name), below, found)
            if child is None or child == {} or not structure.names(name):
                found.add(below)
    elif isinstance(value, list):
        keyed = keyed_items(value, structure.list_rule)
        if keyed is None:
            found.add(path)
            return
        inner = structure.item()
        for element, item in keyed.items():
            _collect(item, inner, (*path, element), found)
            found.add((*path, element))
    else:
        found.add(path)


def compare(old: Tree, new: Tree, structure: Structure) -> Difference:
    """What makes ``new`` of ``old``, down to the smallest part that can be owned."""
    difference = Difference(set(), set(), set())
    for name in old.keys() | new.keys():
        _compare(
            old.get(name, MISSING),
            new.get(name, MISSING),
            structure.field(name),
            (f"f:{name}",),
            difference,
        )
    return difference


def _compare(old: Any, new: Any, structure: Structure, path: Path, out: Difference) -> None:
    if old is MISSING:
        _collect_new(new, structure, path, out.added)
        return
    if old is new or old == new:
        return
    either = old if new is MISSING or new is None else new
    if isinstance(either, dict):
        if not structure.is_atomic_map and (_is_open(old, dict) and _is_open(new, dict)):
            left, right = _filled(old), _filled(new)
            if left or right:
                for name in left.keys() | right.keys():
                    below = (*path, f"f:{name}")
                    inner = structure.field(name)
                    _compare(left.get(name, MISSING), right.get(name, MISSING), inner, below, out)
                _note(old, new, path, out)
                return
    elif isinstance(either, list) and _is_open(old, list) and _is_open(new, list):
        rule = structure.list_rule
        first = keyed_items(old if isinstance(old, list) else [], rule)
        second = keyed_items(new if isinstance(new, list) else [], rule)
        if first is not None and second is not None:
            inner = structure.item()
            for element in first.keys() | second.keys():
                below = (*path, element)
                _compare(first.get(element, MISSING), second.get(element, MISSING), inner, below, out)
            _note(old, new, path, out)
            return
    if not _note(old, new, path, out):
        out.modified.add(path)


def _collect_new(value: Any, structure: Structure, path: Path, found: set[Path]) -> None:
    """All that can be owned of what was not there before."""
    found.add(path)
    if isinstance(value, dict):
        if not structure.is_atomic_map:
            for name, child in value.items():
                _collect_new(child, structure.field(name), (*path, f"f:{name}"), found)
    elif isinstance(value, list):
        keyed = keyed_items(value, structure.list_rule)
        if keyed:
            inner = structure.item()
            for element, item in keyed.items():
                _collect_new(item, inner, (*path, element), found)


def _is_open(value: Any, kind: type) -> bool:
    """Whether a value can be looked into as ``kind``: null and what is missing can, they hold nothing."""
    return value is MISSING or value is None or isinstance(value, kind)


def _filled(value: Any) -> Tree:
    return value if isinstance(value, dict) else {}


def _note(old: Any, new: Any, path: Path, out: Difference) -> bool:
    """Note that the path came or went; False if both have it."""
    if old is MISSING:
        out.added.add(path)
    elif new is MISSING:
        out.removed.add(path)
    else:
        return False
    return True


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
    owned = set(ordered)
    for path in ordered:
        node = root
        for depth, element in enumerate(path):
            if depth and not node and path[:depth] in owned:
                node["."] = {}
            node = node.setdefault(element, {})
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
