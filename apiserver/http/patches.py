"""PATCH bodies: the Content-Type says how the body changes an object."""

from collections.abc import Callable
from typing import Any

from aiohttp import web

from deltawire.apiserver.core.failures import Bare, bad_request
from deltawire.apiserver.core.resource import Resource
from deltawire.apiserver.http import bodies, go_json
from deltawire.apiserver.kinds.types import module_of, struct
from deltawire.apiserver.patch.json_patch import json_patch
from deltawire.apiserver.patch.merge import merge_patch
from deltawire.apiserver.patch.strategic import strategic_merge_patch
from deltawire.common.errors import StatusError

Change = Callable[[dict[str, Any]], Any]

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"

_PATCHES: dict[str, Callable[[dict[str, Any], Any], Any]] = {
    JSON_PATCH: json_patch,
    MERGE_PATCH: merge_patch,
    STRATEGIC_PATCH: strategic_merge_patch,  # of a Scale; other kinds bring their type
}


def is_apply(request: web.Request) -> bool:
    return bodies.media_type(request) == APPLY_PATCH


async def read_change(request: web.Request, resource: Resource) -> Change:
    """What the body does to an object. Raises StatusError 400, 413, 415."""
    strategic = [] if resource.is_custom else [STRATEGIC_PATCH]
    return await _read(request, [JSON_PATCH, MERGE_PATCH, *strategic], resource)


async def read_scale_change(request: web.Request) -> Change:
    """What the body does to a Scale, which has no lists to merge."""
    return await _read(request, [JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH])


async def read_configuration(request: web.Request) -> dict[str, Any]:
    """The body of a server-side apply: YAML, of which JSON is a part. Raises StatusError 400, 413."""
    raw = await bodies.read_raw(request)
    try:
        config = bodies.decode_yaml(raw)
    except StatusError as error:
        if error.code != 400:
            raise
        line = raw.rstrip().count(b"\n") + 1
        told = f"error converting YAML to JSON: yaml: line {line}: did not find expected node content"
        raise bad_request(f"error decoding YAML: {told}") from None
    if not isinstance(config, dict):
        raise bad_request("the body of an apply must be one object")
    return config


async def _read(request: web.Request, allowed: list[str], resource: Resource | None = None) -> Change:
    asked = bodies.media_type(request)
    if asked not in allowed:
        if asked == STRATEGIC_PATCH:
            raise bodies.unsupported(", ".join([*allowed, APPLY_PATCH]))
        raise Bare(415, "UnsupportedMediaType", "415: Unsupported Media Type")
    apply = _PATCHES[asked]
    raw = await bodies.read_raw(request)
    if why := go_json.problem(raw):
        raise bad_request(f"error decoding patch: {why}")
    patch = bodies.decode_json(raw)
    if asked == STRATEGIC_PATCH and resource is not None:
        known = struct(module_of(resource.type.group, resource.type.version), resource.type.kind)
        return lambda current: strategic_merge_patch(current, patch, known)
    if asked != JSON_PATCH and not isinstance(patch, dict):
        kind = go_json.kind_of(patch)
        told = f"json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}"
        raise bad_request(f"error decoding patch: {told}")
    return lambda current: apply(current, patch)
