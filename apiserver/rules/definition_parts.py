"""What a definition says beside its schemas: names, columns, scale, selectable fields, deprecation.

A problem that all versions share is reported once, without a version's place.
"""

import re
from collections.abc import Iterator
from typing import Any

from deltawire.apiserver.cel.field_paths import schema_at
from deltawire.apiserver.rules.causes import Causes, Tree, cause, duplicate, invalid, look, required

_LABEL = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_LABEL_TOLD = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    "'[a-z]([-a-z0-9]*[a-z0-9])?')"
)
_MIXED = f"may have mixed case, but should otherwise match: {_LABEL_TOLD}"
_COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
_COLUMN_FORMATS = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")
_SELECTABLE = ("string", "boolean", "integer")
SELECTABLE_MAX = 8
_WARNING_CHARS_MAX = 256


def spec(obj: Tree) -> Causes:
    """All but what `deltawire.apiserver.rules.definitions` says of versions, schemas and conversion."""
    group = str(look(obj, "spec.group") or "")
    if "." not in group:
        yield invalid("spec.group", group, "should be a domain with at least one dot")
    versions = look(obj, "spec.versions") or []
    for position, version in enumerate(versions):
        at = f"spec.versions[{position}]"
        if not _LABEL.fullmatch(str(version.get("name") or "")):
            yield invalid(f"{at}.name", version.get("name"), _LABEL_TOLD)
        yield from _warning(version, at)
    yield from names(look(obj, "spec.names") or {})
    for at, value in _told(versions, "subresources"):
        yield from _scale((value or {}).get("scale"), f"{at}.scale")
    for at, value in _told(versions, "additionalPrinterColumns"):
        for position, column in enumerate(value or ()):
            yield from _column(column, f"{at}[{position}]")
    for at, value in _told(versions, "selectableFields"):
        yield from _selectable(value or [], _schema_for(versions, at), at)
    if look(obj, "spec.preserveUnknownFields"):
        why = "set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
        yield invalid("spec.preserveUnknownFields", True, f"cannot set to true, {why}")


def names(given: Tree) -> Causes:
    for name in ("plural", "singular"):
        if given.get(name) and not _LABEL.fullmatch(str(given[name])):
            yield invalid(f"spec.names.{name}", given[name], _LABEL_TOLD)
    for name in ("kind", "listKind"):
        if given.get(name) and not _LABEL.fullmatch(str(given[name]).lower()):
            yield invalid(f"spec.names.{name}", given[name], _MIXED)
    for position, word in enumerate(given.get("shortNames") or ()):
        if not _LABEL.fullmatch(word):
            yield invalid(f"spec.names.shortNames[{position}]", word, _LABEL_TOLD)
    if given.get("kind") and given.get("kind") == given.get("listKind"):
        yield invalid("spec.names.listKind", given["listKind"], "kind and listKind may not be the same")
    for position, word in enumerate(given.get("categories") or ()):
        if not _LABEL.fullmatch(word):
            yield invalid(f"spec.names.categories[{position}]", word, _LABEL_TOLD)


def _told(versions: list[Tree], name: str) -> Iterator[tuple[str, Any]]:
    """The place at which a part of the versions is reported, and its value."""
    values = [version.get(name) for version in versions]
    if values and all(value == values[0] for value in values):
        yield f"spec.{name}", values[0]
        return
    for position, value in enumerate(values):
        yield f"spec.versions[{position}].{name}", value


def _schema_for(versions: list[Tree], at: str) -> Any:
    found = re.match(r"spec\.versions\[(\d+)\]", at)
    return look(versions[int(found[1]) if found else 0], "schema.openAPIV3Schema")


def _warning(version: Tree, at: str) -> Causes:
    warning = version.get("deprecationWarning")
    if warning is None:
        return
    if not version.get("deprecated"):
        yield invalid(f"{at}.deprecationWarning", warning, "can only be set for deprecated versions")
        return
    if len(warning) > _WARNING_CHARS_MAX:
        why = f"must be <= {_WARNING_CHARS_MAX} characters long"
        yield invalid(f"{at}.deprecationWarning", warning, why)
    if not warning:
        yield invalid(f"{at}.deprecationWarning", warning, "must not be an empty string")


def _scale(scale: Any, at: str) -> Causes:
    if not isinstance(scale, dict):
        return
    for name, begins in (("specReplicasPath", ".spec."), ("statusReplicasPath", ".status.")):
        path = scale.get(name) or ""
        if not path:
            yield required(f"{at}.{name}")
        elif not path.startswith("."):
            yield invalid(f"{at}.{name}", path, "must be a simple json path starting with .")
        elif not path.startswith(begins):
            yield invalid(f"{at}.{name}", path, f"should be a json path under {begins[:-1]}")
    path = scale.get("labelSelectorPath") or ""
    if path and not path.startswith("."):
        yield invalid(f"{at}.labelSelectorPath", path, "must be a simple json path starting with .")
    elif path and not path.startswith((".spec.", ".status.")):
        yield invalid(f"{at}.labelSelectorPath", path, "should be a json path under either .spec or .status")


def _column(column: Tree, at: str) -> Causes:
    if not column.get("name"):
        yield required(f"{at}.name")
    types = f"must be one of {','.join(_COLUMN_TYPES)}"
    if not column.get("type"):
        yield required(f"{at}.type", types)
    elif column["type"] not in _COLUMN_TYPES:
        yield invalid(f"{at}.type", column["type"], types)
    if column.get("format") and column["format"] not in _COLUMN_FORMATS:
        yield invalid(f"{at}.format", column["format"], f"must be one of {','.join(_COLUMN_FORMATS)}")
    path = column.get("jsonPath") or ""
    if not path:
        yield required(f"{at}.JSONPath")
    elif not path.startswith("."):
        yield invalid(f"{at}.JSONPath", path, "must be a simple json path starting with .")


def _selectable(fields: list[Tree], schema: Any, at: str) -> Causes:
    seen: set[str] = set()
    for position, field in enumerate(fields):
        where, path = f"{at}[{position}].jsonPath", field.get("jsonPath") or ""
        if not path:
            yield required(where)
            continue
        found = schema_at(path, schema or {}) if "[" not in path else None
        if found is None:
            why = "array notation is not allowed" if "[" in path else "does not refer to a valid field"
            yield invalid(where, path, f"is an invalid path: {why}")
            continue
        if path.startswith(".metadata"):
            yield invalid(where, path, "must not point to fields in metadata")
        if found.get("type") not in _SELECTABLE:
            kinds = "must point to a field of type string, boolean or integer."
            yield invalid(where, path, f"{kinds} Enum string fields and strings with formats are allowed.")
        if path in seen:
            yield duplicate(where, path)
        seen.add(path)
    if len(seen) > SELECTABLE_MAX:
        told = f"Too many: {len(seen)}: must have at most {SELECTABLE_MAX} items"
        yield cause(at, told, "FieldValueTooMany")
