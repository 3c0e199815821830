"""Paths like ``.spec.labels['a.b']`` that a rule names, along a schema."""

import re
from collections.abc import Mapping
from typing import Any

_STEP = re.compile(r"\.([^.\[\]]+)|\['((?:[^'\\]|\\.)*)'\]")


def steps_of(path: str, schema: Mapping[str, Any]) -> list[str] | None:
    """The steps as refusals write them (``.spec``, ``[a.b]``); None for a path that leads nowhere."""
    walked = _walked(path, schema)
    return walked[0] if walked is not None else None


def schema_at(path: str, schema: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The schema of what a path leads to; None for one that leads nowhere."""
    walked = _walked(path, schema)
    return walked[1] if walked is not None else None


def _walked(path: str, schema: Mapping[str, Any]) -> tuple[list[str], Mapping[str, Any]] | None:
    steps, at = [], 0
    while at < len(path):
        found = _STEP.match(path, at)
        if found is None:
            return None
        name = found[1] if found[1] is not None else re.sub(r"\\(.)", r"\1", found[2])
        properties, further = schema.get("properties"), schema.get("additionalProperties")
        if isinstance(properties, Mapping) and properties:
            inner = properties.get(name)
            steps.append(f".{name}")
        else:
            inner = further
            steps.append(f"[{name}]")
        if not isinstance(inner, Mapping):
            return None
        schema, at = inner, found.end()
    return (steps, schema) if steps else None
