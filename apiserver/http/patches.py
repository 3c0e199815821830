"""PATCH bodies: the Content-Type says how the body changes an object (fake API server §5.1)."""

from collections.abc import Callable
from typing import Any

from aiohttp import web

from deltawire.apiserver.core.failures import bad_request
from deltawire.apiserver.core.resource import Resource
from deltawire.apiserver.http import bodies
from deltawire.apiserver.patch.json_patch import json_patch
from deltawire.apiserver.patch.merge import merge_patch
from deltawire.apiserver.patch.strategic import strategic_merge_patch

Change = Callable[[dict[str, Any]], Any]

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"

_PATCHES: dict[str, Callable[[dict[str, Any], Any], Any]] = {
    JSON_PATCH: json_patch,
    MERGE_PATCH: merge_patch,
    STRATEGIC_PATCH: strategic_merge_patch,
}


def is_apply(request: web.Request) -> bool:
    return bodies.media_type(request) == APPLY_PATCH


async def read_change(request: web.Request, resource: Resource) -> Change:
    """What the body does to an object. Raises StatusError 400, 413, 415."""
    strategic = [] if resource.is_custom else [STRATEGIC_PATCH]
    return await _read(request, [JSON_PATCH, MERGE_PATCH, *strategic], APPLY_PATCH)


async def read_scale_change(request: web.Request) -> Change:
    """What the body does to a Scale, which has no lists to merge."""
    return await _read(request, [JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH])


async def read_configuration(request: web.Request) -> dict[str, Any]:
    """The body of a server-side apply: YAML, of which JSON is a part. Raises StatusError 400, 413."""
    config = bodies.decode_yaml(await bodies.read_raw(request))
    if not isinstance(config, dict):
        raise bad_request("the body of an apply must be one object")
    return config


async def _read(request: web.Request, allowed: list[str], *others: str) -> Change:
    """``others`` are accepted, too, but not by way of this function."""
    asked = bodies.media_type(request)
    if asked not in allowed:
        raise bodies.unsupported(", ".join([*allowed, *others]))
    apply = _PATCHES[asked]
    patch = bodies.decode_json(await bodies.read_raw(request))
    return lambda current: apply(current, patch)
