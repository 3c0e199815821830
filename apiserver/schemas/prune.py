"""Fields that a schema does not know: finding and dropping them."""

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]

PRESERVE = "x-kubernetes-preserve-unknown-fields"
EMBEDDED = "x-kubernetes-embedded-resource"
# What every object may have at its root, whatever its schema says.
ROOT_FIELDS = ("apiVersion", "kind", "metadata")


def prune(schema: Schema, obj: dict[str, Any]) -> list[str]:
    """Drop unknown fields of ``obj``, in place; their paths (``spec.list[0].x``), in order."""
    dropped: list[str] = []
    _prune_map(schema, obj, "", dropped, is_root=True)
    return dropped


def _prune_map(
    schema: Schema, tree: dict[str, Any], path: str, dropped: list[str], *, is_root: bool = False
) -> None:
    properties = schema.get("properties") or {}
    further = schema.get("additionalProperties")
    keeps_unknown = bool(schema.get(PRESERVE)) or further is True
    is_object = is_root or bool(schema.get(EMBEDDED))
    for name in list(tree):
        below = f"{path}.{name}" if path else name
        if is_object and name in ROOT_FIELDS:
            continue
        if name in properties:
            _prune(properties[name], tree[name], below, dropped)
        elif isinstance(further, dict):
            _prune(further, tree[name], below, dropped)
        elif not keeps_unknown:
            del tree[name]
            dropped.append(below)


def _prune(schema: Any, value: Any, path: str, dropped: list[str]) -> None:
    if not isinstance(schema, dict):
        return
    if isinstance(value, dict):
        _prune_map(schema, value, path, dropped)
    elif isinstance(value, list):
        items = schema.get("items")
        # Without a schema of its items a list that preserves the unknown keeps them as they are.
        for position, item in enumerate(value if isinstance(items, dict) else ()):
            _prune(items, item, f"{path}[{position}]", dropped)
