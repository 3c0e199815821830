"""The metadata of an object: its shape, what the server sets itself, and what never changes."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from deltawire.apiserver.core.failures import bad_request, cause, invalid
from deltawire.apiserver.core.resource import Resource
from deltawire.common.errors import StatusError

# Base names are cut so that base and suffix fit in 63 characters (names generator of the API server).
GENERATED_BASE_CHARS_MAX = 58
_SUFFIX_CHARS = "bcdfghjklmnpqrstvwxz2456789"
_SUFFIX_LENGTH = 5
_MAPS = ("labels", "annotations")
_LISTS = {"finalizers": str, "ownerReferences": dict, "managedFields": dict}
_TEXTS = ("name", "generateName", "namespace", "uid", "resourceVersion")
# Parts of built-in kinds that are objects wherever they occur; custom kinds have their own schema.
_OBJECTS = ("spec", "status", "data", "stringData", "binaryData")
# What a writer sends of these is replaced by what is stored.
_KEPT = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation")
_DROPPED = ("selfLink",)


def timestamp(now_s: float) -> str:
    """Unix seconds as the API writes times: RFC 3339, whole seconds, Z."""
    return datetime.fromtimestamp(now_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def generated_name(base: str, choice: Callable[[str], str]) -> str:
    suffix = "".join(choice(_SUFFIX_CHARS) for _ in range(_SUFFIX_LENGTH))
    return base[:GENERATED_BASE_CHARS_MAX] + suffix


def checked_shape(resource: Resource, obj: Any) -> dict[str, Any]:
    """A copy of ``obj`` whose metadata may be changed; StatusError 400 where it is not of the right shape.

    Kind and apiVersion may be missing for built-in resources (clients omit both), never for custom ones.
    """
    if not isinstance(obj, dict):
        raise bad_request("the body of the request must be one object")
    expected = {"apiVersion": resource.type.api_version, "kind": resource.type.kind}
    for name, value in expected.items():
        given = obj.get(name)
        if not given and resource.is_custom:
            raise bad_request(f"Object '{name.title() if name == 'kind' else name}' is missing")
        if given and given != value:
            raise _other_kind(resource, name, str(given), value)
    metadata = obj.get("metadata")
    metadata = {} if metadata is None else metadata
    if not isinstance(metadata, dict):
        raise _wrong_type(resource, "metadata", "an object")
    for name in _TEXTS:
        if not isinstance(metadata.get(name) or "", str):
            raise _wrong_type(resource, f"metadata.{name}", "a string")
    for name in _MAPS:
        entries = metadata.get(name) or {}
        if not isinstance(entries, dict) or not all(isinstance(value, str) for value in entries.values()):
            raise _wrong_type(resource, f"metadata.{name}", "an object whose values are strings")
    for name, of in _LISTS.items():
        items = metadata.get(name) or []
        if not isinstance(items, list) or not all(isinstance(item, of) for item in items):
            raise _wrong_type(resource, f"metadata.{name}", "a list of the right items")
    if not resource.is_custom:
        for name in _OBJECTS:
            if not isinstance(obj.get(name) or {}, dict):
                raise _wrong_type(resource, name, "an object")
    kept = {
        name: value
        for name, value in metadata.items()
        # Go leaves out what is empty. An empty managedFields says something: start afresh.
        if name not in _DROPPED and (value or (value == [] and name == "managedFields"))
    }
    return {**obj, **expected, "metadata": kept}


def check_name(resource: Resource, name: str) -> None:
    """StatusError 422 unless ``name`` is a legal name of that resource."""
    rule = resource.name_rule
    if not name:
        raise invalid(
            resource,
            "",
            cause("metadata.name", "Required value: name or generateName is required", "FieldValueRequired"),
        )
    if len(name) > rule.chars_max:
        told = f'Invalid value: "{name}": must be no more than {rule.chars_max} characters'
        raise invalid(resource, name, cause("metadata.name", told))
    if not rule.pattern.fullmatch(name):
        raise invalid(resource, name, cause("metadata.name", f'Invalid value: "{name}": {rule.told}'))


def check_namespace(resource: Resource, metadata: dict[str, Any], namespace: str) -> None:
    """The body may leave the namespace out, not name another one than the URL. Sets it."""
    if not resource.type.namespaced:
        if metadata.pop("namespace", ""):
            raise bad_request(f"{resource.type.name} are not namespaced: leave metadata.namespace out")
        return
    if (metadata.get("namespace") or namespace) != namespace:
        raise bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    metadata["namespace"] = namespace


def keep_identity(metadata: dict[str, Any], stored: dict[str, Any]) -> None:
    """Put back what a writer cannot change."""
    for name in _KEPT:
        metadata.pop(name, None)
        if name in stored:
            metadata[name] = stored[name]
    if "generateName" in stored:
        metadata["generateName"] = stored["generateName"]


def differs_outside_status(resource: Resource, old: dict[str, Any], new: dict[str, Any]) -> bool:
    """True if a change counts for ``metadata.generation``: outside metadata and a status subresource."""
    skipped = {"metadata", "status"} if resource.has_status else {"metadata"}
    return any(old.get(name) != new.get(name) for name in (old.keys() | new.keys()) - skipped)


def _other_kind(resource: Resource, name: str, given: str, value: str) -> StatusError:
    if name == "apiVersion":
        told = f"the API version in the data ({given}) does not match the expected API version ({value})"
        return bad_request(told)
    version = resource.type.version
    return bad_request(f'{given} in version "{version}" cannot be handled as a {value}: it is another kind')


def _wrong_type(resource: Resource, path: str, expected: str) -> StatusError:
    kind, version = resource.type.kind, resource.type.version
    return bad_request(
        f'{kind} in version "{version}" cannot be handled as a {kind}: {path} must be {expected}'
    )
