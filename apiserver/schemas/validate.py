"""Checking values against a schema, with the API's words for what is wrong."""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from deltawire.apiserver.schemas.prune import ROOT_FIELDS

Schema = Mapping[str, Any]

INVALID = "FieldValueInvalid"
# Problems reported for one object; further ones are left out.
PROBLEMS_MAX = 100


class Problem(NamedTuple):
    """``field`` is a path like ``spec.list[0].x``; ``reason`` as in the causes of a Status."""

    field: str
    message: str
    reason: str = INVALID


def problems_of(schema: Schema, obj: dict[str, Any]) -> list[Problem]:
    """What is wrong with an object, at most `PROBLEMS_MAX`. Its metadata are not the schema's to check."""
    inner = {
        **schema,
        "properties": {k: v for k, v in (schema.get("properties") or {}).items() if k not in ROOT_FIELDS},
        "required": [name for name in schema.get("required") or () if name not in ROOT_FIELDS],
    }
    found = _check(inner, {name: value for name, value in obj.items() if name not in ROOT_FIELDS}, "")
    return [problem for problem, _ in zip(found, range(PROBLEMS_MAX), strict=False)]


def problems_at(schema: Schema, value: Any) -> list[Problem]:
    """What is wrong with one part of an object, by its own schema; at most `PROBLEMS_MAX`."""
    return [problem for problem, _ in zip(_check(schema, value, ""), range(PROBLEMS_MAX), strict=False)]


def _check(schema: Schema, value: Any, path: str) -> Iterator[Problem]:
    if value is None and schema.get("nullable"):
        return
    if not _has_type(schema, value):
        kind, wanted = _kind(value), _wanted(schema)
        told = f'Invalid value: "{kind}": {path} in body must be of type {wanted}: "{kind}"'
        yield Problem(path, told, "FieldValueTypeInvalid")
        return
    yield from _check_value(schema, value, path)
    if isinstance(value, dict):
        yield from _check_map(schema, value, path)
    elif isinstance(value, list):
        yield from _check_list(schema, value, path)
    yield from _check_combined(schema, value, path)


def _check_value(schema: Schema, value: Any, path: str) -> Iterator[Problem]:
    """The bounds of one value by itself."""
    allowed = schema.get("enum")
    if allowed is not None and value not in allowed:
        listed = ", ".join(_told(choice) for choice in allowed)
        told = f"Unsupported value: {_told(value)}: supported values: {listed}"
        yield Problem(path, told, "FieldValueNotSupported")
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield from _check_number(schema, value, path)
    elif isinstance(value, str):
        yield from _check_text(schema, value, path)


def _check_number(schema: Schema, value: float, path: str) -> Iterator[Problem]:
    low, high, step = schema.get("minimum"), schema.get("maximum"), schema.get("multipleOf")
    if low is not None and (value < low or (value == low and schema.get("exclusiveMinimum"))):
        rule = "greater than" if schema.get("exclusiveMinimum") else "greater than or equal to"
        yield _bad(path, value, f"should be {rule} {low}")
    if high is not None and (value > high or (value == high and schema.get("exclusiveMaximum"))):
        rule = "less than" if schema.get("exclusiveMaximum") else "less than or equal to"
        yield _bad(path, value, f"should be {rule} {high}")
    if step and value % step:
        yield _bad(path, value, f"should be a multiple of {step}")


def _check_text(schema: Schema, value: str, path: str) -> Iterator[Problem]:
    if len(value) < schema.get("minLength", 0):
        yield _bad(path, value, f"should be at least {schema['minLength']} chars long")
    longest = schema.get("maxLength")
    if longest is not None and len(value) > longest:
        yield Problem(path, f"Too long: may not be more than {longest} bytes", "FieldValueTooLong")
    pattern = schema.get("pattern")
    if pattern is not None:
        compiled = _compiled(pattern)
        if compiled is not None and not compiled.search(value):
            yield _bad(path, value, f"should match '{pattern}'")
    check = _FORMATS.get(schema.get("format", ""))
    if check is not None and not check(value):
        told = f"Invalid value: {_told(value)}: {path} in body must be of type {schema['format']}: {_told(value)}"
        yield Problem(path, told, "FieldValueTypeInvalid")


def _check_map(schema: Schema, value: dict[str, Any], path: str) -> Iterator[Problem]:
    properties = schema.get("properties") or {}
    for name in schema.get("required") or ():
        if name not in value:
            yield Problem(_below(path, name), "Required value", "FieldValueRequired")
    if len(value) < schema.get("minProperties", 0):
        yield _bad(path, len(value), f"should have at least {schema['minProperties']} properties")
    most = schema.get("maxProperties")
    if most is not None and len(value) > most:
        told = f"Too many: {len(value)}: must have at most {most} items"
        yield Problem(path, told, "FieldValueTooMany")
    further = schema.get("additionalProperties")
    for name, child in value.items():
        inner = properties.get(name, further)
        if isinstance(inner, dict):
            yield from _check(inner, child, _below(path, name))


def _check_list(schema: Schema, value: list[Any], path: str) -> Iterator[Problem]:
    if len(value) < schema.get("minItems", 0):
        yield _bad(path, len(value), f"should have at least {schema['minItems']} items")
    most = schema.get("maxItems")
    if most is not None and len(value) > most:
        told = f"Too many: {len(value)}: must have at most {most} items"
        yield Problem(path, told, "FieldValueTooMany")
    yield from _check_unique(schema, value, path)
    items = schema.get("items")
    if isinstance(items, dict):
        for position, item in enumerate(value):
            yield from _check(items, item, f"{path}[{position}]")


def _check_unique(schema: Schema, value: list[Any], path: str) -> Iterator[Problem]:
    """Sets hold a value once, lists that are maps an item of the same keys once."""
    kind = schema.get("x-kubernetes-list-type")
    keys = schema.get("x-kubernetes-list-map-keys") or ()
    seen = set()
    for position, item in enumerate(value if kind in ("set", "map") else ()):
        if kind == "map":
            item = {key: item.get(key) for key in keys} if isinstance(item, dict) else item
        told = _told(item)
        if told in seen:
            yield Problem(f"{path}[{position}]", f"Duplicate value: {told}", "FieldValueDuplicate")
        seen.add(told)


def _check_combined(schema: Schema, value: Any, path: str) -> Iterator[Problem]:
    for part in schema.get("allOf") or ():
        yield from _check(part, value, path)
    some = schema.get("anyOf")
    if some and not any(_fits(part, value) for part in some):
        yield _bad(path, value, "must validate at least one schema (anyOf)")
    one = schema.get("oneOf")
    if one and sum(_fits(part, value) for part in one) != 1:
        yield _bad(path, value, "must validate one and only one schema (oneOf)")
    if isinstance(schema.get("not"), dict) and _fits(schema["not"], value):
        yield _bad(path, value, "must not validate the schema (not)")


def _fits(schema: Schema, value: Any) -> bool:
    return next(_check(schema, value, ""), None) is None


def _has_type(schema: Schema, value: Any) -> bool:
    if schema.get("x-kubernetes-int-or-string"):
        return _kind(value) in ("integer", "string")
    wanted, kind = schema.get("type"), _kind(value)
    if not wanted:
        # Whatever it is, it is not nothing, unless nothing at all is said about it.
        return value is not None or bool(schema.get("x-kubernetes-preserve-unknown-fields")) or not schema
    if wanted == "number":
        return kind in ("integer", "number")
    if wanted == "integer" and isinstance(value, float):
        return value.is_integer()
    return bool(wanted == kind)


def _wanted(schema: Schema) -> str:
    return "integer,string" if schema.get("x-kubernetes-int-or-string") else str(schema.get("type", "any"))


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    for kind, name in (
        (dict, "object"),
        (list, "array"),
        (str, "string"),
        (int, "integer"),
        (float, "number"),
    ):
        if isinstance(value, kind):
            return name
    return "null"


def _bad(path: str, value: Any, rule: str) -> Problem:
    return Problem(path, f"Invalid value: {_told(value)}: {path} in body {rule}")


def _told(value: Any) -> str:
    return msgspec.json.encode(value, order="sorted").decode()


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _is_time(value: str) -> bool:
    try:
        return "T" in value.upper() and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def _is_date(value: str) -> bool:
    return re.fullmatch(r"\d{4}-\d{2}-\d{2}", value) is not None


_FORMATS: dict[str, Callable[[str], bool]] = {"date-time": _is_time, "date": _is_date}


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str] | None:
    """None for a pattern of Go's language that Python's does not know: it is not checked then."""
    try:
        return re.compile(pattern)
    except re.error:
        return None
