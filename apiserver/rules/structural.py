"""Structural schemas of custom resources: every place says its type, and conditions only narrow what is there.

Paths and texts are those of an API server.
"""

from collections.abc import Iterator
from typing import Any

from deltawire.apiserver.rules.causes import Cause, Causes, Tree, forbidden, invalid, required

_ROOT, _ITEM, _FIELD = "at the root", "for specified array items", "for specified object fields"
_INT_OR_STRING = [{"type": "integer"}, {"type": "string"}]
_PRESERVE, _EMBEDDED = "x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource"
_EITHER = "x-kubernetes-int-or-string"
# What conditions (allOf, anyOf, oneOf, not) must not say, and how they are refused.
_NOT_IN_CONDITIONS = (
    ("type", "must be empty to be structural"),
    ("additionalProperties", "must be undefined to be structural"),
    ("default", "must be undefined to be structural"),
    ("title", "must be empty to be structural"),
    ("description", "must be empty to be structural"),
    ("nullable", "must be false to be structural"),
    (_PRESERVE, "must be false to be structural"),
    (_EMBEDDED, "must be false to be structural"),
    (_EITHER, "must be false to be structural"),
    ("x-kubernetes-list-map-keys", "must be empty to be structural"),
    ("x-kubernetes-list-type", "must be undefined to be structural"),
    ("x-kubernetes-map-type", "must be undefined to be structural"),
    ("x-kubernetes-validations", "must be empty to be structural"),
)


def causes_of_structure(schema: Tree, path: str) -> list[Cause]:
    """All that keeps a schema from being structural, in the order of its text."""
    found = [*_place(schema, path, _ROOT), *_unplaced(schema, schema, path, path)]
    return sorted(found, key=lambda cause: f"{cause['field']}: {cause['message']}")


def _place(schema: Any, path: str, level: str) -> Causes:
    if not isinstance(schema, dict):
        return
    kind = schema.get("type") or ""
    if kind == "array" and not isinstance(schema.get("items"), dict):
        yield required(f"{path}.items", "must be specified")
    yield from _place(schema.get("items"), f"{path}.items", _ITEM)
    for name, child in (schema.get("properties") or {}).items():
        yield from _place(child, f"{path}.properties[{name}]", _FIELD)
    further = schema.get("additionalProperties")
    if further is not None and level == _ROOT:
        yield forbidden(f"{path}.additionalProperties", "must not be used at the root")
    yield from _place(further, f"{path}.additionalProperties", _FIELD)
    if schema.get(_EITHER):
        for name in (_PRESERVE, _EMBEDDED):
            if schema.get(name):
                yield invalid(f"{path}.{name}", True, f"must be false if {_EITHER} is true")
    for below, condition, is_either in _conditions(schema, path):
        yield from _condition(condition, below, is_either=is_either)
    yield from _type(schema, path, level, kind)
    yield from _metadata(schema, path, level)


def _type(schema: Tree, path: str, level: str, kind: str) -> Causes:
    is_embedded = bool(schema.get(_EMBEDDED))
    if is_embedded and kind != "object":
        why = f"must be object if {_EMBEDDED} is true"
        yield invalid(f"{path}.type", kind, why) if kind else required(f"{path}.type", why)
    elif not kind and not schema.get(_EITHER) and not schema.get(_PRESERVE):
        yield required(f"{path}.type", f"must not be empty {level}")
    if is_embedded and schema.get("additionalProperties") is not None:
        yield forbidden(f"{path}.additionalProperties", f"must not be used if {_EMBEDDED} is set")
    if level == _ROOT and kind and kind != "object":
        yield invalid(f"{path}.type", kind, "must be object at the root")
    if is_embedded and not schema.get(_PRESERVE) and not schema.get("properties"):
        why = f"must not be empty if {_EMBEDDED} is true without {_PRESERVE}"
        yield required(f"{path}.properties", why)


def _metadata(schema: Tree, path: str, level: str) -> Causes:
    """At the root of a resource kind and apiVersion are texts, and of metadata only names may be said more."""
    properties = schema.get("properties") or {}
    if level != _ROOT and not schema.get(_EMBEDDED):
        return
    for name in ("kind", "apiVersion"):
        kind = (properties.get(name) or {}).get("type", "")
        if name in properties and kind != "string":
            yield invalid(f"{path}.properties[{name}].type", kind, "must be string")
    if "metadata" not in properties:
        return
    metadata, at = properties["metadata"] or {}, f"{path}.properties[metadata]"
    if metadata.get("type") != "object":
        yield invalid(f"{at}.type", metadata.get("type", ""), "must be object")
    said = set(metadata) - {"type", "default", "properties"}
    if level == _ROOT and (said or set(metadata.get("properties") or ()) - {"name", "generateName"}):
        why = (
            "must not specify anything other than name and generateName, but metadata is implicitly specified"
        )
        yield forbidden(at, why)


def _conditions(schema: Tree, path: str) -> Iterator[tuple[str, Any, bool]]:
    """Path and condition, and whether its types are the ones of an int or string in so many words."""
    is_either = schema.get("anyOf") == _INT_OR_STRING
    if not is_either:
        for position, condition in enumerate(schema.get("anyOf") or ()):
            yield f"{path}.anyOf[{position}]", condition, False
    for position, condition in enumerate(schema.get("allOf") or ()):
        yield f"{path}.allOf[{position}]", condition, position == 0
    for position, condition in enumerate(schema.get("oneOf") or ()):
        yield f"{path}.oneOf[{position}]", condition, False
    if schema.get("not") is not None:
        yield f"{path}.not", schema["not"], False


def _condition(condition: Any, path: str, *, is_either: bool = False) -> Causes:
    if not isinstance(condition, dict):
        return
    for below, inner, _ in _conditions(condition, path):
        if is_either and condition.get("anyOf") == _INT_OR_STRING and below.startswith(f"{path}.anyOf["):
            continue
        yield from _condition(inner, below)
    yield from _condition(condition.get("items"), f"{path}.items")
    for name, child in (condition.get("properties") or {}).items():
        yield from _condition(child, f"{path}.properties[{name}]")
    for name, why in _NOT_IN_CONDITIONS:
        if condition.get(name) not in (None, "", False, [], {}):
            yield forbidden(f"{path}.{name}", why)
    if "metadata" in (condition.get("properties") or {}):
        yield forbidden(f"{path}.properties[metadata]", "must not be specified in a nested context")


def _unplaced(schema: Tree, spine: Tree, path: str, at: str) -> Causes:
    """What conditions speak of must be there outside of them, too: ``at`` is where. Only those at the root count."""
    for below, condition, _ in _conditions(schema, path):
        yield from _missing(condition, spine, below, at)


def _missing(condition: Any, spine: Any, path: str, at: str) -> Causes:
    if not isinstance(condition, dict):
        return
    yield from _unplaced(condition, spine, path, at)
    if condition.get("items") is not None:
        inner = spine.get("items")
        if inner is None:
            yield required(f"{at}.items", f"because it is defined in {path}.items")
        else:
            yield from _missing(condition["items"], inner, f"{path}.items", f"{at}.items")
    for name, child in (condition.get("properties") or {}).items():
        inner = (spine.get("properties") or {}).get(name)
        where = f"properties[{name}]"
        if inner is None:
            yield required(f"{at}.{where}", f"because it is defined in {path}.{where}")
        else:
            yield from _missing(child, inner, f"{path}.{where}", f"{at}.{where}")
