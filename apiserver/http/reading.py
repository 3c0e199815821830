"""Objects as a request brings them, held to the types of their kind before the core sees them."""

from typing import Any

import msgspec

from deltawire.apiserver.core.crds import DEFINITIONS, check_schemas
from deltawire.apiserver.core.failures import bad_request
from deltawire.apiserver.core.resource import Resource
from deltawire.apiserver.http import bodies
from deltawire.apiserver.http.asked import Asked
from deltawire.apiserver.http.duplicates import duplicate_fields
from deltawire.apiserver.http.patches import Change
from deltawire.apiserver.schemas.typed import NotReadable, typed
from deltawire.common.errors import StatusError

# How much of a patched object a refusal repeats.
_SHOWN_CHARS_MAX = 2000
_CERTIFICATE_REQUESTS = "certificatesigningrequests.certificates.k8s.io"
_FROM_ASKER = ("username", "uid", "groups", "extra")


async def read_typed(asked: Asked) -> Any:
    """The object of a create or an update. Raises StatusError 400, 413, 415."""
    obj = await bodies.read_object(asked.request)
    if bodies.is_json(asked.request):
        try:
            asked.on_duplicates(duplicate_fields(await bodies.read_raw(asked.request)))
        except RecursionError:
            raise bad_request("error decoding the body: it is nested too deeply") from None
    if not _is_held(asked.resource, obj):
        return obj
    kind, version = asked.resource.type.kind, asked.resource.type.version
    try:
        read, unknown = typed(_module(asked.resource), kind, obj)
    except NotReadable as error:
        raise bad_request(f'{kind} in version "{version}" cannot be handled as a {kind}: {error}') from None
    if unknown:
        asked.on_unknown(unknown)
    if asked.resource.storage == DEFINITIONS:
        check_schemas(asked.resource, read)
    if asked.resource.storage == _CERTIFICATE_REQUESTS and not asked.path.name:
        _sign(asked, read)
    return read


def _sign(asked: Asked, request: dict[str, Any]) -> None:
    """A certificate is asked for by whoever asks, whatever the request says."""
    spec = {name: value for name, value in (request.get("spec") or {}).items() if name not in _FROM_ASKER}
    request["spec"] = spec | asked.user.as_info()


def typed_change(asked: Asked, change: Change) -> Change:
    """``change``, whose outcome is held to the types: StatusError 422 otherwise."""

    def changed(current: dict[str, Any]) -> Any:
        obj = change(current)
        if not _is_held(asked.resource, obj):
            return obj
        try:
            read, unknown = typed(_module(asked.resource), asked.resource.type.kind, obj)
        except NotReadable as error:
            shown = msgspec.json.encode(obj).decode()[:_SHOWN_CHARS_MAX]
            told = f'patch: Invalid value: "{shown}": {error}'
            cause = {"reason": "FieldValueInvalid", "message": told.removeprefix("patch: "), "field": "patch"}
            raise StatusError(422, "Invalid", f' "" is invalid: {told}', details={"causes": [cause]}) from None
        if unknown:
            asked.on_unknown(unknown)
        return read

    return changed


def checked_configuration(asked: Asked, config: dict[str, Any]) -> dict[str, Any]:
    """What a server-side apply wants, which may name nothing that the kind does not have."""
    if not _is_held(asked.resource, config):
        return config
    kind = asked.resource.type
    about = f"({asked.path.namespace}/{asked.path.name}; {kind.api_version}, Kind={kind.kind})"
    try:
        read, unknown = typed(_module(asked.resource), kind.kind, config)
    except NotReadable as error:
        raise bad_request(f"failed to create typed patch object {about}: {error}") from None
    if unknown:
        told = "\n".join(f".{path}: field not declared in schema" for path in unknown)
        # Real servers answer so, too: nobody gave this error a code of its own.
        raise StatusError(500, "", f"failed to create typed patch object {about}: {told}")
    return read


def _is_held(resource: Resource, obj: Any) -> bool:
    """Custom kinds have their schema; what is of another kind altogether is refused later, in better words."""
    if resource.is_custom or not isinstance(obj, dict):
        return False
    kind = resource.type
    return obj.get("kind") in (None, "", kind.kind) and obj.get("apiVersion") in (None, "", kind.api_version)


def _module(resource: Resource) -> str:
    return f"{resource.type.group.partition('.')[0] or 'core'}_{resource.type.version}"
