"""What may be said at a place of a custom resource's schema: types, lists that are sets or maps, maps."""

from collections.abc import Iterator
from typing import Any

from deltawire.apiserver.rules.causes import Cause, Causes, Tree, forbidden, invalid, required, unsupported

_TYPES = ("array", "boolean", "integer", "number", "object", "string")
_ROOT_FIELDS = ("metadata", "kind", "apiVersion")
_MAP, _LIST, _KEYS = "x-kubernetes-map-type", "x-kubernetes-list-type", "x-kubernetes-list-map-keys"
_PRESERVE = "x-kubernetes-preserve-unknown-fields"


def causes_of_forms(schema: Tree, path: str) -> list[Cause]:
    """All places, the innermost first."""
    found = list(_walk(schema, path, is_root=True))
    if schema.get("nullable"):
        found.insert(0, forbidden(f"{path}.nullable", "nullable cannot be true at the root"))
    return found


def _walk(schema: Any, path: str, *, is_root: bool = False, no_default: str = "") -> Iterator[Cause]:
    """``no_default`` says why there may be no defaults here."""
    if not isinstance(schema, dict):
        return
    yield from _plain(schema, path, no_default)
    further = schema.get("additionalProperties")
    if further is not None and schema.get("properties") and further is not True:
        why = "additionalProperties and properties are mutual exclusive"
        yield forbidden(f"{path}.additionalProperties", why)
    yield from _walk(further, f"{path}.additionalProperties", no_default=no_default)
    for name, child in (schema.get("properties") or {}).items():
        why = f"in top-level {name}" if is_root and name in _ROOT_FIELDS else no_default
        yield from _walk(child, f"{path}.properties[{name}]", no_default=why)
    yield from _walk(schema.get("not"), f"{path}.not", no_default=no_default)
    for word in ("allOf", "oneOf", "anyOf"):
        for position, part in enumerate(schema.get(word) or ()):
            yield from _walk(part, f"{path}.{word}[{position}]", no_default=no_default)
    yield from _walk(schema.get("items"), f"{path}.items", no_default=no_default)
    if schema.get(_PRESERVE) is False:
        yield invalid(f"{path}.{_PRESERVE}", False, "must be true or undefined")
    yield from _map_type(schema, path)
    yield from _list_type(schema, path)
    yield from _keys(schema, path)


def _plain(schema: Tree, path: str, no_default: str) -> Causes:
    kind = schema.get("type") or ""
    if kind and kind not in _TYPES and not _is_condition(path):
        yield unsupported(f"{path}.type", kind, _TYPES)
    if no_default and schema.get("default") is not None:
        yield forbidden(f"{path}.default", f"must not be set {no_default}")
    if kind == "null":
        yield forbidden(f"{path}.type", "type cannot be set to null, use nullable as an alternative")
    if schema.get("uniqueItems"):
        why = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        yield forbidden(f"{path}.uniqueItems", why)


def _is_condition(path: str) -> bool:
    return any(word in path for word in (".allOf[", ".anyOf[", ".oneOf[", ".not"))


def _wrong_type(schema: Tree, path: str, wanted: str, name: str) -> Causes:
    kind, why = schema.get("type") or "", f"must be {wanted} if {name} is specified"
    if kind != wanted:
        yield invalid(f"{path}.type", kind, why) if kind else required(f"{path}.type", why)


def _map_type(schema: Tree, path: str) -> Causes:
    if schema.get(_MAP) is None:
        return
    yield from _wrong_type(schema, path, "object", _MAP)
    if schema[_MAP] not in ("atomic", "granular"):
        yield unsupported(f"{path}.{_MAP}", schema[_MAP], ("atomic", "granular"))


def _list_type(schema: Tree, path: str) -> Causes:
    kind = schema.get(_LIST)
    if kind is None:
        return
    items = schema.get("items") or {}
    if schema.get("type") != "array":
        yield from _wrong_type(schema, path, "array", _LIST)
    elif kind == "set":
        why = "must be atomic as item of a list with x-kubernetes-list-type=set"
        if items.get("type") == "array" and items.get(_LIST) not in (None, "atomic"):
            yield invalid(f"{path}.items.{_LIST}", items[_LIST], why)
        if items.get("type") == "object" and items.get(_MAP) != "atomic":
            yield invalid(f"{path}.items.{_MAP}", items.get(_LIST), why)
    if kind not in ("atomic", "set", "map"):
        yield unsupported(f"{path}.{_LIST}", kind, ("atomic", "set", "map"))


def _keys(schema: Tree, path: str) -> Causes:
    kind, keys, items = schema.get(_LIST), schema.get(_KEYS) or [], schema.get("items") or {}
    if keys and kind != "map":
        why = f"must be map if {_KEYS} is non-empty"
        yield required(f"{path}.{_LIST}", why) if kind is None else invalid(f"{path}.{_LIST}", kind, why)
    if kind == "map":
        if not keys:
            yield required(f"{path}.{_KEYS}", "must not be empty if x-kubernetes-list-type is map")
        if not items:
            yield required(f"{path}.items", "must have a schema if x-kubernetes-list-type is map")
        elif items.get("type") != "object":
            why = "must be object if parent array's x-kubernetes-list-type is map"
            yield invalid(f"{path}.items.type", items.get("type") or "", why)
        else:
            yield from _key_fields(keys, items, path)
    if kind in ("set", "map") and items.get("nullable"):
        yield forbidden(f"{path}.items.nullable", f"cannot be nullable when {_LIST} is {kind}")
    if kind == "map":
        yield from _key_values(keys, items, path)


def _key_fields(keys: list[str], items: Tree, path: str) -> Causes:
    for position, key in enumerate(keys):
        field = (items.get("properties") or {}).get(key)
        if field is None:
            yield invalid(f"{path}.{_KEYS}", keys, "entries must all be names of item properties")
        elif field.get("type") in ("array", "object"):
            why = "must be a scalar type if parent array's x-kubernetes-list-type is map"
            yield invalid(f"{path}.items.properties[{key}].type", items.get("type"), why)
        if key in keys[:position]:
            yield invalid(f"{path}.{_KEYS}", keys, "must not contain duplicate entries")


def _key_values(keys: list[str], items: Tree, path: str) -> Causes:
    """A key has a value in every item."""
    for key in keys:
        field, at = (items.get("properties") or {}).get(key), f"{path}.items.properties[{key}]"
        if field is None:
            continue
        begins = f"this property is in {_KEYS}, so it"
        if key not in (items.get("required") or ()) and field.get("default") is None:
            yield required(f"{at}.default", f"{begins} must have a default or be a required property")
        if field.get("nullable"):
            yield forbidden(f"{at}.nullable", f"{begins} cannot be nullable")
