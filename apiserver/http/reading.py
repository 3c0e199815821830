"""Objects as a request brings them, held to the types of their kind before the core sees them."""

from copy import deepcopy
from dataclasses import replace
from typing import Any

import msgspec

from deltawire.apiserver.core.crds import DEFINITIONS, check_schemas
from deltawire.apiserver.core.failures import bad_request, cause, invalid
from deltawire.apiserver.core.resource import Resource
from deltawire.apiserver.http import bodies
from deltawire.apiserver.http.asked import Asked
from deltawire.apiserver.http.duplicates import duplicate_fields, joined
from deltawire.apiserver.http.patches import Change
from deltawire.apiserver.kinds.types import module_of, struct
from deltawire.apiserver.schemas.prune import prune
from deltawire.apiserver.schemas.typed import NotReadable, checked, typed, typed_metadata
from deltawire.common.errors import StatusError

# How much of a patched object a refusal repeats.
_SHOWN_CHARS_MAX = 2000
_CERTIFICATE_REQUESTS = "certificatesigningrequests.certificates.k8s.io"
_FROM_ASKER = ("username", "uid", "groups", "extra")


async def read_typed(asked: Asked) -> Any:
    """The object of a create or an update. Raises StatusError 400, 413, 415."""
    kind, version = asked.resource.type.kind, asked.resource.type.version
    obj = await bodies.read_object(asked.request, kind)
    raw = await bodies.read_raw(asked.request)
    if bodies.is_json(asked.request):
        try:
            duplicates = duplicate_fields(raw)
        except RecursionError:
            raise bad_request("error decoding the body: it is nested too deeply") from None
        if duplicates:
            asked.on_duplicates(duplicates)
            obj = joined(raw)
    _check_kind(asked.resource, obj, raw)
    if not _is_held(asked.resource, obj):
        return obj
    try:
        read, unknown = typed(module_of(asked.resource.type.group, asked.resource.type.version), kind, obj)
    except NotReadable as error:
        raise bad_request(f'{kind} in version "{version}" cannot be handled as a {kind}: {error}') from None
    if unknown:
        asked.on_unknown(unknown)
    if asked.resource.storage == DEFINITIONS:
        check_schemas(asked.resource, read)
    if asked.resource.storage == _CERTIFICATE_REQUESTS and not asked.path.name:
        _sign(asked, read)
    return read


def checked_name(obj: Any, name: str) -> Any:
    """What an update creates is named as its URL says. Raises StatusError 400."""
    metadata = obj.get("metadata") if isinstance(obj, dict) else None
    given = metadata.get("name") if isinstance(metadata, dict) else None
    if given and given != name:
        raise bad_request(f"the name of the object ({given}) does not match the name on the URL ({name})")
    return obj


def _check_kind(resource: Resource, obj: Any, raw: bytes) -> None:
    """A body of another kind than its URL's is refused with the text of the decoder for that URL."""
    if not isinstance(obj, dict):
        return
    kind = resource.type
    given, version = str(obj.get("kind") or ""), str(obj.get("apiVersion") or "")
    if resource.is_custom:
        if not given:
            told = f"Object 'Kind' is missing in '{raw.decode('utf-8', 'replace')}'"
            raise bodies.unrecognized(kind.kind, told, raw)
        if version != kind.api_version:
            expected = f"the expected API version ({kind.api_version})"
            raise bad_request(f"the API version in the data ({version}) does not match {expected}")
        if given != kind.kind:
            name = str((obj.get("metadata") or {}).get("name") or "")
            wrong = cause("kind", f'Invalid value: "{given}": must be {kind.kind}')
            raise invalid(replace(resource, type=replace(kind, kind=given)), name, wrong)
        metadata = obj.get("metadata")
        if isinstance(metadata, dict):
            try:
                typed_metadata(metadata)
            except NotReadable as error:
                told = f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {error}'
                raise bad_request(told) from None
        return
    if given in ("", kind.kind) and version in ("", kind.api_version):
        return
    group, _, bare = version.rpartition("/") if version else (kind.group, "", kind.version)
    given = given or kind.kind
    module = module_of(group, bare)
    if struct(module, given.removesuffix("List") or given) is None:
        why = f'no kind "{given}" is registered for version "{version}" in scheme "pkg/runtime/scheme.go:111"'
    else:
        inside = f"{module_of(kind.group, '')[:-1]}.{kind.kind}"
        why = f"converting ({bare}.{given}) to ({inside}): unknown conversion"
    raise bad_request(f'{given} in version "{bare}" cannot be handled as a {kind.kind}: {why}')


def _sign(asked: Asked, request: dict[str, Any]) -> None:
    """The requester of a certificate is the request's user; the fields of the body do not count."""
    spec = {name: value for name, value in (request.get("spec") or {}).items() if name not in _FROM_ASKER}
    request["spec"] = spec | asked.user.as_info()


def typed_change(asked: Asked, change: Change) -> Change:
    """``change``, whose outcome is held to the types: StatusError 422 otherwise."""

    def changed(current: dict[str, Any]) -> Any:
        obj = change(current)
        if asked.resource.is_custom or not isinstance(obj, dict):
            return obj
        kind = asked.resource.type
        module = module_of(kind.group, kind.version)
        try:
            read, unknown = typed(module, str(obj.get("kind") or kind.kind), obj)
        except NotReadable as error:
            raise _unfit(obj, str(error)) from None
        if unknown and asked.is_strict:
            listed = ", ".join(f'unknown field "{path}"' for path in unknown)
            raise _unfit(obj, f"strict decoding error: {listed}")
        if unknown:
            asked.on_unknown(unknown)
        return read

    return changed


def _unfit(obj: dict[str, Any], why: str) -> StatusError:
    """422 for an object that a patch has made unreadable."""
    ordered = {name: obj[name] if name == "metadata" else _sorted(obj[name]) for name in sorted(obj)}
    shown = msgspec.json.encode(ordered).decode()[:_SHOWN_CHARS_MAX]
    told = f"Invalid value: {msgspec.json.encode(shown).decode()}: {why}"
    about = {"causes": [cause("patch", told)]}
    return StatusError(422, "Invalid", f' "" is invalid: patch: {told}', details=about)


def _sorted(value: Any) -> Any:
    return {name: value[name] for name in sorted(value)} if isinstance(value, dict) else value


def checked_configuration(asked: Asked, config: dict[str, Any]) -> dict[str, Any]:
    """What a server-side apply wants, which may name nothing that the kind does not have."""
    if asked.resource.is_custom:
        _check_custom(asked, config)
        return config
    if not _is_held(asked.resource, config):
        return config
    kind = asked.resource.type
    about = f"({asked.path.namespace}/{asked.path.name}; {kind.api_version}, Kind={kind.kind})"
    try:
        unknown = checked(module_of(kind.group, kind.version), kind.kind, config)
    except NotReadable as error:
        raise bad_request(f"failed to create typed patch object {about}: {error}") from None
    if unknown:
        told = "\n".join(f".{path}: field not declared in schema" for path in unknown)
        # Real servers answer so, too: this error has no code of its own.
        raise StatusError(500, "", f"failed to create typed patch object {about}: {told}")
    return config


def _check_custom(asked: Asked, config: dict[str, Any]) -> None:
    unknown = prune(asked.resource.schema, deepcopy(config)) if asked.resource.schema else []
    if unknown:
        kind = asked.resource.type
        about = f"(/{asked.path.name}; {kind.api_version}, Kind={kind.kind})"
        told = "\n".join(f".{path}: field not declared in schema" for path in unknown)
        raise StatusError(500, "", f"failed to create typed patch object {about}: {told}")


def _is_held(resource: Resource, obj: Any) -> bool:
    """Custom kinds have their schema; what is of another kind altogether is refused later, in better words."""
    if resource.is_custom or not isinstance(obj, dict):
        return False
    kind = resource.type
    return obj.get("kind") in (None, "", kind.kind) and obj.get("apiVersion") in (None, "", kind.api_version)
