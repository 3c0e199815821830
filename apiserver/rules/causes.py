"""The causes of a refusal in the API server's words, and looking into objects."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

Tree = dict[str, Any]
Cause = dict[str, str]
Causes = Iterator[Cause]
Rule = Callable[[Tree], Causes]
ChangeRule = Callable[[Tree, Tree], Causes]

PORT = "must be between 1 and 65535, inclusive"
NOT_NEGATIVE = "must be greater than or equal to 0"
IMMUTABLE = "field is immutable"


def cause(field: str, message: str, reason: str) -> Cause:
    return {"reason": reason, "message": message, "field": field}


def required(field: str, why: str = "") -> Cause:
    return cause(field, f"Required value: {why}" if why else "Required value", "FieldValueRequired")


def invalid(field: str, value: Any, why: str) -> Cause:
    return cause(field, f"Invalid value: {shown(value)}: {why}", "FieldValueInvalid")


def unsupported(field: str, value: Any, supported: tuple[str, ...]) -> Cause:
    listed = ", ".join(shown(known) for known in supported)
    told = f"Unsupported value: {shown(value)}: supported values: {listed}"
    return cause(field, told, "FieldValueNotSupported")


def forbidden(field: str, why: str) -> Cause:
    return cause(field, f"Forbidden: {why}", "FieldValueForbidden")


def duplicate(field: str, value: Any) -> Cause:
    return cause(field, f"Duplicate value: {shown(value)}", "FieldValueDuplicate")


def not_found(field: str, value: Any) -> Cause:
    return cause(field, f"Not found: {shown(value)}", "FieldValueNotFound")


def shown(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def look(obj: Any, path: str) -> Any:
    """The value at a dotted path; None where there is none."""
    for step in path.split("."):
        obj = obj.get(step) if isinstance(obj, Mapping) else None
    return obj


def items(obj: Any, path: str) -> list[tuple[str, Tree]]:
    """The objects in the list at a dotted path, each with its own path."""
    value = look(obj, path)
    found = enumerate(value) if isinstance(value, list) else ()
    return [(f"{path}[{position}]", item) for position, item in found if isinstance(item, dict)]


def port(field: str, value: Any) -> Causes:
    if isinstance(value, int) and not 0 < value < 65536:
        yield invalid(field, value, PORT)


def one_of(path: str, *supported: str) -> Rule:
    """The text at ``path``, where there is one, is one of those."""

    def rule(obj: Tree) -> Causes:
        value = look(obj, path)
        if value is not None and value not in supported:
            yield unsupported(path, value, supported)

    return rule


def present(path: str, why: str = "") -> Rule:
    def rule(obj: Tree) -> Causes:
        if look(obj, path) in (None, "", [], {}):
            yield required(path, why)

    return rule


def not_negative(*paths: str) -> Rule:
    def rule(obj: Tree) -> Causes:
        for path in paths:
            value = look(obj, path)
            if isinstance(value, int) and value < 0:
                yield invalid(path, value, NOT_NEGATIVE)

    return rule


def immutable(path: str, why: str = IMMUTABLE) -> ChangeRule:
    """What is at ``path`` stays as it is."""

    def rule(old: Tree, new: Tree) -> Causes:
        if look(old, path) != look(new, path):
            yield invalid(path, look(new, path), why)

    return rule
