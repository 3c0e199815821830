"""Fields that a JSON text names twice, which decoders let pass: the last one counts."""

import json
from typing import Any


class _Seen(dict[str, Any]):
    """An object and the names that it has more than once."""

    twice: tuple[str, ...] = ()


def duplicate_fields(raw: bytes) -> list[str]:
    """The paths (``spec.list[0].x``) of what occurs twice, in order. ``raw`` is JSON that could be decoded."""
    marked = False

    def seen(pairs: list[tuple[str, Any]]) -> _Seen:
        nonlocal marked
        tree = _Seen(pairs)
        if len(tree) < len(pairs):
            names = [name for name, _ in pairs]
            tree.twice = tuple(name for name in tree if names.count(name) > 1)
            marked = True
        return tree

    tree = json.loads(raw, object_pairs_hook=seen)
    return _paths(tree, "") if marked else []


def joined(raw: bytes) -> Any:
    """The text decoded as Go does: of objects that occur twice it keeps the fields of both."""

    def join(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        tree: dict[str, Any] = {}
        for name, value in pairs:
            earlier = tree.get(name)
            is_twice = isinstance(earlier, dict) and isinstance(value, dict)
            tree[name] = {**earlier, **value} if is_twice and earlier is not None else value
        return tree

    return json.loads(raw, object_pairs_hook=join)


def _paths(tree: Any, path: str) -> list[str]:
    found: list[str] = []
    if isinstance(tree, _Seen):
        for name, value in tree.items():
            below = f"{path}.{name}" if path else name
            if name in tree.twice:
                found.append(below)
            found += _paths(value, below)
    elif isinstance(tree, list):
        for position, item in enumerate(tree):
            found += _paths(item, f"{path}[{position}]")
    return found
