"""Checking values against a schema, with the API's words for what is wrong."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
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


class _Unknown:
    """What was there before, where that is not known: null may have been there."""


UNKNOWN = _Unknown()


def problems_of(schema: Schema, obj: dict[str, Any], old: Any = UNKNOWN) -> list[Problem]:
    """What is wrong with an object, at most `PROBLEMS_MAX`. Its metadata are not the schema's to check.

    What is as it was in ``old`` is not held against it.
    """
    inner = {
        **schema,
        "properties": {k: v for k, v in (schema.get("properties") or {}).items() if k not in ROOT_FIELDS},
        "required": [name for name in schema.get("required") or () if name not in ROOT_FIELDS],
    }
    value = {name: value for name, value in obj.items() if name not in ROOT_FIELDS}
    # The object itself has changed: its metadata have.
    found = _check(inner, value, "", _Changed(old) if isinstance(old, dict) else UNKNOWN)
    return [problem for problem, _ in zip(found, range(PROBLEMS_MAX), strict=False)]


def problems_at(schema: Schema, value: Any, old: Any = UNKNOWN) -> list[Problem]:
    """What is wrong with one part of an object, by its own schema; at most `PROBLEMS_MAX`."""
    found = _check(schema, value, "", old)
    return [problem for problem, _ in zip(found, range(PROBLEMS_MAX), strict=False)]


class _Changed(dict[str, Any]):
    """An earlier map that does not equal the new one, whatever it holds."""

    __hash__ = None

    def __eq__(self, other: object) -> bool:
        return False


def _check(schema: Schema, value: Any, path: str, old: Any = UNKNOWN) -> Iterator[Problem]:
    if (value is None and schema.get("nullable")) or _is_same(value, old):
        return
    if not _has_type(schema, value):
        kind, wanted = _kind(value), _wanted(schema)
        told = f'Invalid value: "{kind}": {path} in body must be of type {wanted}: "{kind}"'
        yield Problem(path, told, "FieldValueTypeInvalid")
        return
    yield from _check_value(schema, value, path)
    if isinstance(value, dict):
        yield from _check_map(schema, value, path, old)
    elif isinstance(value, list):
        yield from _check_list(schema, value, path, old)
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
        told = f"Too long: may not be more than {longest} byte{'' if longest == 1 else 's'}"
        yield Problem(path, told, "FieldValueTooLong")
    pattern = schema.get("pattern")
    if pattern is not None:
        compiled = _compiled(pattern)
        if compiled is not None and not compiled.search(value):
            yield _bad(path, value, f"should match '{pattern}'")
    check = _FORMATS.get(schema.get("format", ""))
    if check is not None and not check(value):
        told = f"Invalid value: {_told(value)}: {path} in body must be of type {schema['format']}: {_told(value)}"
        yield Problem(path, told, "FieldValueTypeInvalid")


def _check_map(schema: Schema, value: dict[str, Any], path: str, old: Any) -> Iterator[Problem]:
    properties = schema.get("properties") or {}
    for name in schema.get("required") or ():
        if name not in value:
            yield Problem(_below(path, name), "Required value", "FieldValueRequired")
    if len(value) < schema.get("minProperties", 0):
        yield _bad(path, len(value), f"should have at least {schema['minProperties']} properties")
    most = schema.get("maxProperties")
    if most is not None and len(value) > most:
        yield _too_many(path, len(value), most)
    further = schema.get("additionalProperties")
    earlier = old if isinstance(old, dict) else {}
    for name, child in value.items():
        inner = properties.get(name, further)
        if isinstance(inner, dict):
            yield from _check(inner, child, _below(path, name), earlier.get(name, UNKNOWN))


def _check_list(schema: Schema, value: list[Any], path: str, old: Any) -> Iterator[Problem]:
    if len(value) < schema.get("minItems", 0):
        yield _bad(path, len(value), f"should have at least {schema['minItems']} items")
    most = schema.get("maxItems")
    if most is not None and len(value) > most:
        yield _too_many(path, len(value), most)
    yield from _check_unique(schema, value, path)
    items = schema.get("items")
    if isinstance(items, dict):
        earlier = _by_keys(schema, old)
        for position, item in enumerate(value):
            before = earlier.get(_keys_of(schema, item), UNKNOWN) if earlier else UNKNOWN
            yield from _check(items, item, f"{path}[{position}]", before)


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
    some, one = schema.get("anyOf") or (), schema.get("oneOf") or ()
    if some and not any(_fits(part, value) for part in some):
        yield _of_all(path, "must validate at least one schema (anyOf)")
        yield from _best(some, value, path)
    fitting = sum(_fits(part, value) for part in one)
    if one and fitting != 1:
        told = f"Found {fitting} valid alternatives" if fitting else "Found none valid"
        yield _of_all(path, f"must validate one and only one schema (oneOf). {told}")
        yield from _best(one, value, path) if not fitting else ()
    parts = schema.get("allOf") or ()
    wrong = [found for part in parts if (found := list(_check(part, value, path)))]
    for found in wrong:
        yield from found
    if wrong:
        none = ". None validated" if len(wrong) == len(parts) else ""
        yield _of_all(path, f"must validate all the schemas (allOf){none}")
    if isinstance(schema.get("not"), dict) and _fits(schema["not"], value):
        yield _of_all(path, "must not validate the schema (not)")


def _of_all(path: str, rule: str) -> Problem:
    return Problem("", f'Invalid value: "": "{path}" {rule}')


def _best(parts: Iterable[Schema], value: Any, path: str) -> list[Problem]:
    """What is wrong by the alternative that the value comes closest to."""
    return min((list(_check(part, value, path)) for part in parts), key=len)


def _is_same(value: Any, old: Any) -> bool:
    """Whether a value is what it was; true is not one here."""
    return old is not UNKNOWN and bool(old == value) and _told(value) == _told(old)


def _by_keys(schema: Schema, items: Any) -> dict[str, Any]:
    """Earlier items of a list that knows them by their keys."""
    if schema.get("x-kubernetes-list-type") != "map" or not isinstance(items, list):
        return {}
    return {_keys_of(schema, item): item for item in items}


def _keys_of(schema: Schema, item: Any) -> str:
    keys = schema.get("x-kubernetes-list-map-keys") or ()
    return _told({key: item.get(key) if isinstance(item, dict) else None for key in keys})


def _too_many(path: str, count: int, most: int) -> Problem:
    told = f"Too many: {count}: must have at most {most} item{'' if most == 1 else 's'}"
    return Problem(path, told, "FieldValueTooMany")


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
