"""Stored bytes as the bytes of an answer. Bodies are joined, not decoded, unless the form asks for more."""

from collections.abc import Callable
from typing import Any

import msgspec
import yaml

from deltawire.apiserver.core.lists import Page
from deltawire.apiserver.core.record import item_body, served_body
from deltawire.apiserver.core.resource import Resource
from deltawire.apiserver.http import tables
from deltawire.apiserver.http.negotiate import META_GROUP, Form

_decode = msgspec.json.decode
_encode = msgspec.json.encode


def render_object(
    resource: Resource, body: bytes, form: Form, *, now_s: float, include: str = "", headers: bool = True
) -> bytes:
    """One object. ``headers`` says whether a table names its columns (only a watch's first event does)."""
    body = served_body(resource, body)
    match form:
        case Form.OBJECT:
            return body
        case Form.YAML:
            return to_yaml(_decode(body))
        case Form.METADATA:
            return _encode(tables.metadata_only(_decode(body)))
        case Form.TABLE:
            obj = _decode(body)
            metadata = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
            table = tables.table(resource, [obj], metadata, now_s=now_s, include=include)
            if not headers:
                table["columnDefinitions"] = []
            return _encode(table)


def render_list(resource: Resource, page: Page, form: Form, *, now_s: float, include: str = "") -> bytes:
    """One page of a list."""
    metadata: dict[str, Any] = {"resourceVersion": str(page.version)}
    if page.continue_token:
        metadata["continue"] = page.continue_token
    if page.remaining:
        metadata["remainingItemCount"] = page.remaining
    bodies = (record.body for record in page.records)
    match form:
        case Form.OBJECT:
            return _list(resource.list_kind, resource.type.api_version, metadata, resource, bodies, item_body)
        case Form.YAML:
            listed = _list(
                resource.list_kind, resource.type.api_version, metadata, resource, bodies, item_body
            )
            return to_yaml(_decode(listed))
        case Form.METADATA:
            return _list(
                "PartialObjectMetadataList", f"{META_GROUP}/v1", metadata, resource, bodies, _metadata_item
            )
        case Form.TABLE:
            objects = [_decode(served_body(resource, body)) for body in bodies]
            return _encode(tables.table(resource, objects, metadata, now_s=now_s, include=include))


def to_yaml(tree: Any) -> bytes:
    return yaml.safe_dump(tree, sort_keys=False, default_flow_style=False).encode()


def _list(
    kind: str,
    api_version: str,
    metadata: dict[str, Any],
    resource: Resource,
    bodies: Any,
    item: Callable[[Resource, bytes], bytes],
) -> bytes:
    head = _encode({"kind": kind, "apiVersion": api_version, "metadata": metadata})
    items = b",".join([item(resource, body) for body in bodies])
    return head[:-1] + b',"items":[' + items + b"]}"


def _metadata_item(resource: Resource, body: bytes) -> bytes:
    return _encode(tables.metadata_only(_decode(served_body(resource, body))))
