"""Merging an applied configuration into an object, and taking fields out again."""

from collections.abc import Iterable
from typing import Any

import msgspec

from deltawire.apiserver.managed.fields import Path, Tree, keyed_items
from deltawire.apiserver.managed.structure import Structure


def merged(live: Any, applied: Any, structure: Structure) -> Any:
    """``live`` with everything that ``applied`` says; neither is changed. Items keep the order of ``applied``."""
    if isinstance(applied, dict) and isinstance(live, dict) and not structure.is_atomic_map:
        result = dict(live)
        for name, value in applied.items():
            if value is None:
                continue
            result[name] = (
                merged(live[name], value, structure.field(name)) if live.get(name) is not None else value
            )
        return result
    if isinstance(applied, list) and isinstance(live, list):
        old = keyed_items(live, structure.list_rule)
        new = keyed_items(applied, structure.list_rule)
        if old is not None and new is not None:
            kept = [item for element, item in old.items() if element not in new]
            item = structure.item()
            return [merged(old[e], value, item) if e in old else value for e, value in new.items()] + kept
    return applied


def without(tree: Tree, paths: Iterable[Path], structure: Structure) -> Tree:
    """``tree`` after removal of ``paths``; containers that this empties go, too. Items keep their keys."""
    result: Tree = msgspec.json.decode(msgspec.json.encode(tree))
    # Items before what is in them: an item without its keys could not be found any more.
    for path in sorted(paths, key=len):
        _remove(result, path, structure)
    return result


def _remove(holder: Any, path: Path, structure: Structure) -> None:
    element, rest = path[0], path[1:]
    kind, _, name = element.partition(":")
    if kind == "f":
        if not isinstance(holder, dict) or name not in holder:
            return
        if not rest:
            del holder[name]
            return
        child = holder[name]
        _remove(child, rest, structure.field(name))
        if child in ({}, []):
            del holder[name]
        return
    if not isinstance(holder, list):
        return
    keyed = keyed_items(holder, structure.list_rule)
    if keyed is None or element not in keyed:
        return
    if not rest:
        holder.remove(keyed[element])
    elif rest[0].partition(":")[2] not in structure.list_rule.keys or len(rest) > 1:
        _remove(keyed[element], rest, structure.item())
