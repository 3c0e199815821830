"""Merging an applied configuration into an object, and taking fields out again."""

from collections.abc import Iterable
from typing import Any

from deltawire.apiserver.managed.fields import Path, Tree, keyed_items
from deltawire.apiserver.managed.structure import Structure

# A set of paths as a tree of elements; `_MEMBER` marks one that is itself in the set.
_Trie = dict[str, Any]
_MEMBER = "."


def merged(live: Any, applied: Any, structure: Structure) -> Any:
    """``live`` with everything that ``applied`` says; neither is changed."""
    if isinstance(applied, dict) and (isinstance(live, dict) or live is None):
        if structure.is_atomic_map or not (live or applied):
            return applied
        result = dict(live or {})
        for name, value in applied.items():
            result[name] = merged(result[name], value, structure.field(name)) if name in result else value
        return result
    if applied is None and isinstance(live, dict) and live and not structure.is_atomic_map:
        return live
    if isinstance(applied, list) and isinstance(live, list):
        old = keyed_items(live, structure.list_rule)
        new = keyed_items(applied, structure.list_rule)
        if old is not None and new is not None:
            return _merged_items(old, new, structure.item())
    if applied is None and isinstance(live, list) and keyed_items(live, structure.list_rule) is not None:
        return live
    return applied


def _merged_items(old: Tree, new: Tree, structure: Structure) -> list[Any]:
    """Items that both have stand in the order of the new ones; the others keep what comes before them."""
    before, after = list(old), list(new)
    shared = [element for element in after if element in old]
    out: list[Any] = []
    left = right = taken = 0
    done: set[str] = set()

    def take(element: str) -> None:
        done.add(element)
        out.append(merged(old[element], new[element], structure) if element in old else new[element])

    while left < len(before) or right < len(after):
        if left < len(before) and right < len(after):
            element = before[left]
            if element == after[right]:
                take(element)
                left, right, taken = left + 1, right + 1, taken + 1
                continue
            if element in new and taken < len(shared) and shared[taken] != element:
                left += 1  # its turn comes when that of the new order has come
                continue
        if left < len(before):
            element = before[left]
            if element not in new:
                out.append(old[element])
                left += 1
                continue
            if element in done:
                left += 1
        if right < len(after):
            element = after[right]
            take(element)
            right += 1
            if taken < len(shared) and shared[taken] == element:
                taken += 1
    return out


def without(tree: Any, paths: Iterable[Path], structure: Structure) -> Any:
    """``tree`` after removal of ``paths``, which is not changed. What this empties becomes null."""
    trie: _Trie = {}
    for path in paths:
        node = trie
        for element in path:
            node = node.setdefault(element, {})
        node[_MEMBER] = True
    return _removed(tree, trie, structure) if trie else tree


def _removed(value: Any, trie: _Trie, structure: Structure) -> Any:
    if isinstance(value, dict) and value:
        if structure.is_atomic_map:
            return None
        kept = {}
        for name, child in value.items():
            node = trie.get(f"f:{name}")
            if node is None:
                kept[name] = child
            elif _MEMBER not in node:
                kept[name] = _removed(child, node, structure.field(name))
        return kept or None
    if isinstance(value, list) and value:
        keyed = keyed_items(value, structure.list_rule)
        if keyed is None:
            return None
        inner, items = structure.item(), []
        for element, item in keyed.items():
            node = trie.get(element)
            if node is None:
                items.append(item)
            elif _MEMBER not in node:
                items.append(_removed(item, node, inner))
        return items or None
    return value if not isinstance(value, dict | list) else None


def with_parents(paths: Iterable[Path], structure: Structure) -> set[Path]:
    """``paths`` and the declared fields on the way to them: a field is there as long as something in it is."""
    found = set(paths)
    for path in list(found):
        place: Structure = structure
        for depth, element in enumerate(path[:-1]):
            kind, _, name = element.partition(":")
            if kind == "f":
                if place.names(name):
                    found.add(path[: depth + 1])
                place = place.field(name)
            else:
                place = place.item()
    return found
