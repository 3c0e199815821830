"""Defaults of a schema."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any


def fill_in(schema: Mapping[str, Any], value: Any) -> None:
    """Set what is missing in ``value`` and has a default, in place; below what is missing, nothing is made.

    A null where none is allowed counts as missing.
    """
    if isinstance(value, dict):
        properties = schema.get("properties") or {}
        for name, child in properties.items():
            if not isinstance(child, dict):
                continue
            is_missing = name not in value or (value[name] is None and not child.get("nullable"))
            if is_missing and "default" in child:
                value[name] = deepcopy(child["default"])
            if name in value:
                fill_in(child, value[name])
        further = schema.get("additionalProperties")
        if isinstance(further, dict):
            for name, child in value.items():
                if name not in properties:
                    fill_in(further, child)
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        for item in value:
            fill_in(schema["items"], item)
