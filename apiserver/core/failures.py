"""Failures as the API words them: `StatusError` with the right code, reason, message and details."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from deltawire.apiserver.core.resource import Resource
from deltawire.common.errors import StatusError

RETRY_AFTER_S = 1


class ExpiredContinue(StatusError):
    """410 for a continue token whose snapshot is gone. ``continue_token`` goes on without consistency."""

    def __init__(self, continue_token: str) -> None:
        super().__init__(
            410,
            "Expired",
            "The provided continue parameter is too old to display a consistent list result. You can start "
            "a new list without the continue parameter, or use the continue token in this response to "
            "retrieve the remainder of the results. Continuing with the provided token results in an "
            "inconsistent list - objects that were created, modified, or deleted between the time the first "
            "chunk was returned and now may show up in the list.",
        )
        self.continue_token = continue_token


class Bare(StatusError):
    """A refusal that no part of the API made: its details are there, but empty."""


def not_found(resource: Resource, name: str) -> StatusError:
    return StatusError(
        404, "NotFound", f'{resource.type.name} "{name}" not found', details=details(resource, name)
    )


_NOT_SERVED = "the server could not find the requested resource"


def nothing_there() -> StatusError:
    """404 for a path of the API under which nothing is served."""
    return Bare(404, "NotFound", _NOT_SERVED)


def not_served(storage: str) -> StatusError:
    return StatusError(
        404, "NotFound", f"the server could not find the requested resource: {storage}", details={}
    )


def already_exists(resource: Resource, name: str, *, is_terminating: bool = False) -> StatusError:
    told = "object is being deleted: " if is_terminating else ""
    return StatusError(
        409,
        "AlreadyExists",
        f'{told}{resource.type.name} "{name}" already exists',
        details=details(resource, name),
    )


def conflict(resource: Resource, name: str, why: str = "") -> StatusError:
    why = why or (
        "the object has been modified; please apply your changes to the latest version and try again"
    )
    return StatusError(
        409,
        "Conflict",
        f'Operation cannot be fulfilled on {resource.type.name} "{name}": {why}',
        details=details(resource, name),
    )


def forbidden(resource: Resource, name: str, why: str, *, cause: dict[str, str] | None = None) -> StatusError:
    about = details(resource, name)
    if cause:
        about["causes"] = [cause]
    return StatusError(403, "Forbidden", f'{resource.type.name} "{name}" is forbidden: {why}', details=about)


def invalid(resource: Resource, name: str, *causes: dict[str, str]) -> StatusError:
    """422. Here ``details.kind`` is the Kind, elsewhere it is the plural."""
    if resource.conversion is not None and resource.type.group != resource.conversion.type.group:
        resource = replace(
            resource, type=resource.conversion.type, conversion=None
        )  # told as what it is stored
    kind = f"{resource.type.kind}.{resource.type.group}" if resource.type.group else resource.type.kind
    # A repeated cause is reported once.
    said = list(dict.fromkeys(f"{c['field']}: {c['message']}" for c in causes))
    listed = said[0] if len(said) == 1 else f"[{', '.join(said)}]"
    about = details(resource, name) | {"kind": resource.type.kind, "causes": list(causes)}
    if not name:
        del about["name"]
    return StatusError(422, "Invalid", f'{kind} "{name}" is invalid: {listed}', details=about)


def cause(field: str, message: str, reason: str = "FieldValueInvalid") -> dict[str, str]:
    return {"reason": reason, "message": message, "field": field}


def invalid_options(kind: str, *causes: dict[str, str]) -> StatusError:
    """422 for query parameters that do not go together (``ListOptions``)."""
    said = ", ".join(f"{c['field']}: {c['message']}" for c in causes)
    return StatusError(
        422,
        "Invalid",
        f'{kind}.meta.k8s.io "" is invalid: {said}',
        details={"group": "meta.k8s.io", "kind": kind, "causes": list(causes)},
    )


def bad_request(message: str) -> StatusError:
    return StatusError(400, "BadRequest", message)


def too_large_body(message: str) -> StatusError:
    return StatusError(413, "RequestEntityTooLarge", message)


def method_not_allowed() -> StatusError:
    told = "the server does not allow this method on the requested resource"
    return Bare(405, "MethodNotAllowed", told)


def unnamed(message: str) -> StatusError:
    """500 for what the API server itself has no other code for: clients see its plain text."""
    return StatusError(500, "", message)


def too_old(asked: int, oldest: int) -> StatusError:
    """The watch asks for events that are no longer kept."""
    return StatusError(410, "Expired", f"too old resource version: {asked} ({oldest})")


def too_old_list(asked: int, oldest: int) -> StatusError:
    """A list asks for exactly a version whose snapshot is gone."""
    return StatusError(
        410, "Expired", f"The resourceVersion for the provided list is too old. ({asked} < {oldest})"
    )


def too_large(asked: int, current: int) -> StatusError:
    """The version asked for lies in this server's future."""
    return StatusError(
        504,
        "Timeout",
        f"Timeout: Too large resource version: {asked}, current: {current}",
        details={
            "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": RETRY_AFTER_S,
        },
        retry_after_s=RETRY_AFTER_S,
    )


def status_of(error: StatusError) -> dict[str, Any]:
    """The Status object that carries ``error`` to a client."""
    metadata: dict[str, Any] = {}
    if isinstance(error, ExpiredContinue):
        metadata["continue"] = error.continue_token
    status: dict[str, Any] = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": metadata,
        "status": "Failure",
        "message": error.message,
    }
    # In the order of the type's fields; as Go leaves out what is zero.
    if error.reason:
        status["reason"] = error.reason
    if error.details or isinstance(error, Bare):
        status["details"] = in_order(error.details)
    if error.code:
        status["code"] = error.code
    return status


_DETAILS = ("name", "group", "kind", "uid", "causes", "retryAfterSeconds")


def in_order(about: Mapping[str, Any]) -> dict[str, Any]:
    """The details of a Status in the order of the type's fields, in which a real server writes them."""
    return {name: about[name] for name in (*_DETAILS, *(about.keys() - set(_DETAILS))) if name in about}


def details(resource: Resource, name: str) -> dict[str, Any]:
    """The details of a Status about one object."""
    about: dict[str, Any] = {"name": name, "kind": resource.type.plural}
    if resource.type.group:
        about["group"] = resource.type.group
    return about
