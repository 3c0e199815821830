"""Custom objects on their way into the store: unknown fields go, defaults come, the rest is checked."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from deltawire.apiserver.core.failures import cause, invalid
from deltawire.apiserver.core.resource import Resource
from deltawire.apiserver.schemas.defaults import fill_in
from deltawire.apiserver.schemas.prune import ROOT_FIELDS, prune
from deltawire.apiserver.schemas.validate import UNKNOWN, Problem, problems_at, problems_of

# Gets the paths of the fields that a schema does not know; may raise StatusError to refuse them.
OnUnknown = Callable[[list[str]], None]


# Why rules between fields are not looked at, and what keeps them from it.
_NOT_CHECKED = (
    "some validation rules were not checked because the object was invalid; correct the existing errors to complete "
    "validation"
)
_BLOCKING = (
    "FieldValueNotSupported",
    "FieldValueRequired",
    "FieldValueTooLong",
    "FieldValueTooMany",
    "FieldValueTypeInvalid",
)


def complete_custom(
    resource: Resource,
    obj: dict[str, Any],
    on_unknown: OnUnknown | None = None,
    subresource: str = "",
    old: dict[str, Any] | None = None,
) -> None:
    """Make ``obj`` what its schema asks for, in place. Raises StatusError 422 naming every bad field.

    ``old`` is what was there before: what stays as it is is not held against it, and rules about changes need it.
    """
    if not resource.schema:
        return
    for name, value in obj.items():
        if name not in ROOT_FIELDS:
            obj[name] = deepcopy(value)  # what the caller handed in stays as it is
    unknown = prune(resource.schema, obj)
    if unknown and on_unknown is not None:
        on_unknown(unknown)
    fill_in(resource.schema, obj)
    causes = [
        cause(p.field or "<nil>", p.message, p.reason) for p in _problems(resource, obj, subresource, old)
    ]
    is_blocked = any(found["reason"] in _BLOCKING for found in causes)
    if resource.scale is not None and not subresource:
        causes += _scale_causes(resource, obj)
    if resource.rules is not None and is_blocked:
        causes.append(cause("<nil>", f"Invalid value: null: {_NOT_CHECKED}"))
    elif resource.rules is not None:
        causes += [cause(p.field or "<nil>", p.message, p.reason) for p in resource.rules.problems(obj, old)]
    if causes:
        raise invalid(resource, obj["metadata"].get("name", ""), *causes)


def _problems(
    resource: Resource, obj: dict[str, Any], subresource: str, old: dict[str, Any] | None
) -> list[Problem]:
    """A write through ``status`` is held to that part of the schema only: messages leave its name out."""
    if subresource != "status":
        return problems_of(resource.schema, obj, UNKNOWN if old is None else old)
    schema = (resource.schema.get("properties") or {}).get("status")
    if not isinstance(schema, dict) or "status" not in obj:
        return []
    return [
        p._replace(field=f"status.{p.field}" if p.field else "status")
        for p in problems_at(schema, obj["status"], (old or {}).get("status", UNKNOWN))
    ]


def _scale_causes(resource: Resource, obj: dict[str, Any]) -> list[dict[str, str]]:
    """What stands in the way of reading the replicas, in the words of Go's accessors."""
    path = resource.scale.replicas if resource.scale is not None else ""
    value: Any = obj
    steps = path.split(".")
    for step in steps:
        if not isinstance(value, dict):
            told = f"{_go(value)} is of the type {_go_type(value)}, expected map[string]interface{{}}"
            return [cause(f".{path}", f"Invalid value: 0: .{path} accessor error: {told}")]
        if step not in value:
            return []
        value = value[step]
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        if isinstance(value, int) and not 0 <= value < 2**31:
            return [cause(f".{path}", f"Invalid value: {value}: should be a non-negative integer")]
        return []
    told = f"{_go(value)} is of the type {_go_type(value)}, expected int64"
    return [cause(f".{path}", f"Invalid value: 0: .{path} accessor error: {told}")]


def _go(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return (
        f"[{' '.join(map(_go, value))}]"
        if isinstance(value, list)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )


def _go_type(value: Any) -> str:
    match value:
        case bool():
            return "bool"
        case str():
            return "string"
        case float():
            return "float64"
        case list():
            return "[]interface {}"
        case dict():
            return "map[string]interface {}"
    return "int64"
