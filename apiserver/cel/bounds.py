"""How large the values of a schema can become: what the price of a rule is reckoned from.

The figures are those of Kubernetes: a request has at most 3 MiB, what has no ``maxLength``, ``maxItems`` or
``maxProperties`` fills all of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from deltawire.apiserver.cel.names import escaped
from deltawire.apiserver.cel.shapes import is_embedded, properties_of

Schema = Mapping[str, Any]

REQUEST_BYTES_MAX = 3 * 1024 * 1024
# The longest and the shortest text of a form, in bytes of JSON.
_LONGEST = {"duration": 32, "date": 12, "date-time": 32}
_SHORTEST = {"duration": 3, "date": 12, "date-time": 21}
_SHORTEST_TEXT, _SHORTEST_FIELD, _SHORTEST_ENTRY = 2, 4, 6
_CHAR_BYTES_MAX = 4
_PLAIN = {"boolean": 4, "number": 1, "integer": 1}


@dataclass(frozen=True, slots=True)
class Bound:
    """``size_max`` is in items, entries, or characters; 0 for what has one size. ``bytes_min`` is in JSON."""

    kind: str
    size_max: int = 0
    bytes_min: int = 2
    of: "Bound | None" = None
    fields: "Mapping[str, Bound]" = field(default_factory=dict)

    @property
    def count_max(self) -> int:
        """How many such values one request can have room for."""
        return REQUEST_BYTES_MAX // (self.bytes_min + 1)

    def at(self, path: tuple[str, ...]) -> "Bound | None":
        """What lies at a path of field names, ``@items``, ``@values`` and ``@keys``; None where nothing is known."""
        found: Bound | None = self
        for step in path:
            if found is None:
                return None
            if step in ("@items", "@values"):
                found = found.of
            elif step == "@keys":
                # The length of keys is not counted.
                found = Bound("string") if found.kind == "map" else None
            else:
                found = found.fields.get(step)
        return found


def bound_of(schema: Any, *, is_root: bool = False) -> Bound | None:
    """None for what rules cannot see."""
    if not isinstance(schema, Mapping):
        return None
    if schema.get("x-kubernetes-int-or-string"):
        return Bound("dyn", _chars_max(schema), 1)
    match schema.get("type"):
        case "array":
            items = schema.get("items")
            inner = bound_of(items, is_root=is_embedded(items))
            if inner is None:
                return None
            room = (REQUEST_BYTES_MAX - 2) // (inner.bytes_min + 1)
            return Bound("list", _most(schema, "maxItems", room), of=inner)
        case "object":
            return _of_object(schema, is_root=is_root)
        case "string":
            return _of_text(schema)
        case other:
            shortest = _PLAIN.get(str(other))
            return Bound(str(other), 0, shortest) if shortest is not None else None


def _of_object(schema: Schema, *, is_root: bool) -> Bound | None:
    further = schema.get("additionalProperties")
    if isinstance(further, Mapping):
        inner = bound_of(further, is_root=is_embedded(further))
        if inner is None:
            return None
        room = (REQUEST_BYTES_MAX - 2) // (inner.bytes_min + _SHORTEST_ENTRY)
        return Bound("map", _most(schema, "maxProperties", room), of=inner)
    fields, bytes_min = {}, 2
    needed = schema.get("required") or ()
    for name, child in properties_of(schema, is_root=is_root).items():
        known, bound = escaped(name), bound_of(child, is_root=is_embedded(child))
        if bound is None:
            continue
        if known is not None:
            fields[known] = bound
        if name in needed and child.get("default") is None:
            bytes_min += len(name) + bound.bytes_min + _SHORTEST_FIELD
    return Bound("object", 0, bytes_min, fields=fields)


def _of_text(schema: Schema) -> Bound:
    form = schema.get("format") or ""
    if form in _LONGEST:
        return Bound("timestamp" if form != "duration" else form, _LONGEST[form], _SHORTEST[form])
    if form == "byte":
        return Bound("bytes", _most(schema, "maxLength", REQUEST_BYTES_MAX - 2), _SHORTEST_TEXT)
    return Bound("string", _chars_max(schema), _SHORTEST_TEXT)


def _chars_max(schema: Schema) -> int:
    if schema.get("maxLength") is not None:
        return max(0, int(schema["maxLength"])) * _CHAR_BYTES_MAX
    choices = schema.get("enum")
    if choices and not schema.get("x-kubernetes-int-or-string"):
        return max((len(choice.encode()) for choice in choices if isinstance(choice, str)), default=0)
    return REQUEST_BYTES_MAX - 2


def _most(schema: Schema, name: str, otherwise: int) -> int:
    given = schema.get(name)
    return otherwise if given is None else max(0, int(given))
