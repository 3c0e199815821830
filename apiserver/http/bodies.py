"""Reading request bodies: JSON unless the Content-Type says otherwise, YAML, protobuf, and what is refused."""

import logging
from typing import Any

import msgspec
from aiohttp import web

from deltawire.apiserver.core.failures import bad_request
from deltawire.apiserver.http import go_json
from deltawire.apiserver.protobuf.decode import ProtobufError, decode_object
from deltawire.common.errors import StatusError

_log = logging.getLogger(__name__)

# The API server's bound on a request body.
BODY_BYTES_MAX = 3 << 20

# Aliases let a short YAML text stand for a tree of any size; no object has more nodes than this.
YAML_NODES_MAX = 1_000_000

_JSON = ("", "application/json", "application/octet-stream")
_YAML = ("application/yaml", "text/yaml", "application/x-yaml")
_PROTOBUF = "application/vnd.kubernetes.protobuf"
_ACCEPTED = f"application/json, application/yaml, {_PROTOBUF}"


def media_type(request: web.Request) -> str:
    """The Content-Type without its parameters, lower case; "" if there is none."""
    return request.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def is_json(request: web.Request) -> bool:
    return media_type(request) in _JSON


async def read_object(request: web.Request, kind: str = "") -> Any:
    """The decoded body, which should be an object of that kind. Raises StatusError 400, 413, 415."""
    raw = await read_raw(request)
    content_type = media_type(request)
    if content_type not in _JSON:
        return decode(raw, content_type)
    try:
        obj = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        told = go_json.problem(raw) or str(error)
        raise unrecognized(kind, f"couldn't get version/kind; json parse error: {told}", raw) from None
    if obj is not None and not isinstance(obj, dict):
        raise unrecognized(kind, go_json.no_kind(obj), raw)
    return {} if obj is None else obj


def unrecognized(kind: str, why: str, raw: bytes) -> StatusError:
    """400 for a body that is no object, or one without a kind."""
    told = f"the object provided is unrecognized (must be of type {kind}): {why} ({go_json.summary(raw)})"
    return bad_request(told if kind else why)


async def read_optional(request: web.Request) -> Any:
    """The decoded body, None if it is empty."""
    raw = await read_raw(request)
    if not raw.strip():
        return None
    if is_json(request) and (why := go_json.problem(raw)):
        raise bad_request(f"couldn't get version/kind; json parse error: {why}")
    return decode(raw, media_type(request))


async def read_raw(request: web.Request) -> bytes:
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        told = f"Request entity too large: limit is {BODY_BYTES_MAX}"
        raise StatusError(413, "RequestEntityTooLarge", told) from None


def decode(raw: bytes, content_type: str) -> Any:
    """``raw`` as a tree. A missing Content-Type means JSON."""
    if content_type in _JSON:
        return decode_json(raw)
    if content_type in _YAML:
        return decode_yaml(raw)
    if content_type == _PROTOBUF:
        try:
            return decode_object(raw)
        except ProtobufError as error:
            _log.info("protobuf body not read: %s", error)
    raise unsupported(_ACCEPTED)


def decode_json(raw: bytes) -> Any:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise bad_request(f"error decoding the body: {error}") from None


def unsupported(accepted: str) -> StatusError:
    return StatusError(
        415,
        "UnsupportedMediaType",
        f"the body of the request was in an unknown format - accepted media types include: {accepted}",
    )


def decode_yaml(raw: bytes) -> Any:
    import yaml  # a server whose clients write JSON starts sooner without

    try:
        # Of several documents the first one counts.
        tree = next(iter(yaml.safe_load_all(raw)), None)
        if _nodes(tree, {}) > YAML_NODES_MAX:
            raise StatusError(413, "RequestEntityTooLarge", "the YAML's aliases make it too large")
        # Round trip through JSON: YAML's own types (dates, sets) are none of the API's.
        return msgspec.json.decode(msgspec.json.encode(tree))
    except (yaml.YAMLError, msgspec.MsgspecError, TypeError, ValueError, RecursionError) as error:
        told = str(error).replace("\n", " ")
        raise bad_request(f"error decoding the body: {told}") from None


def _nodes(tree: Any, known: dict[int, int]) -> int:
    """How many nodes ``tree`` has with every alias written out; a shared part is counted, not walked, again."""
    if not isinstance(tree, dict | list):
        return 1
    if id(tree) not in known:
        known[id(tree)] = YAML_NODES_MAX + 1  # a tree that contains itself is endless
        children = tree.values() if isinstance(tree, dict) else tree
        known[id(tree)] = 1 + sum(_nodes(child, known) for child in children)
    return known[id(tree)]
