"""Stored bytes as the bytes of an answer. Bodies are joined, not decoded, unless the form asks for more."""

from collections.abc import Iterator
from typing import Any

import msgspec

from deltawire.apiserver.core.lists import Page
from deltawire.apiserver.core.record import item_body, served_body
from deltawire.apiserver.core.resource import Resource
from deltawire.apiserver.http.negotiate import META_GROUP, Form
from deltawire.apiserver.protobuf.encode import encode_object

_decode = msgspec.json.decode
_encode = msgspec.json.encode
_LIST_END = b"]}\n"


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
        case Form.PROTOBUF:
            return encode_object(_decode(body))
        case Form.METADATA:
            return _encode(_tables().metadata_only(_decode(body)))
        case Form.TABLE | Form.TABLE_BETA | Form.YAML_TABLE:
            obj = _decode(body)
            metadata = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
            table = _tables().table(
                resource, [obj], metadata, now_s=now_s, include=include, version=_version(form)
            )
            if not headers:
                table["columnDefinitions"] = []
            return to_yaml(table) if form is Form.YAML_TABLE else _encode(table)


def render_list(resource: Resource, page: Page, form: Form, *, now_s: float, include: str = "") -> bytes:
    """One page of a list."""
    match form:
        case Form.OBJECT:
            return b"".join(list_pieces(resource, page))
        case Form.YAML:
            return to_yaml(_decode(b"".join(list_pieces(resource, page))))
        case Form.PROTOBUF:
            return encode_object(_decode(b"".join(list_pieces(resource, page))))
        case Form.METADATA:
            head = _list_head("PartialObjectMetadataList", f"{META_GROUP}/v1", page)
            items = b",".join([_metadata_item(resource, record.body) for record in page.records])
            return head + items + _LIST_END
        case Form.TABLE | Form.TABLE_BETA | Form.YAML_TABLE:
            objects = [_decode(served_body(resource, record.body)) for record in page.records]
            table = _tables().table(
                resource, objects, _metadata(page), now_s=now_s, include=include, version=_version(form)
            )
            return to_yaml(table) if form is Form.YAML_TABLE else _encode(table)


def list_pieces(resource: Resource, page: Page, piece_bytes: int = 1 << 62) -> Iterator[bytes]:
    """One page of a list as objects, in pieces of about ``piece_bytes``."""
    metadata = _metadata(page)
    if resource.is_custom:
        metadata.setdefault("continue", "")
    parts, size = [_head(resource.list_kind, resource.type.api_version, metadata)], 0
    separator = b""
    for record in page.records:
        parts += (separator, item_body(resource, record.body))
        separator = b","
        size += len(record.body)
        if size >= piece_bytes:
            yield b"".join(parts)
            parts, size = [], 0
    parts.append(_LIST_END)
    yield b"".join(parts)


def to_yaml(tree: Any) -> bytes:
    """Loaded with the first answer in YAML."""
    from deltawire.apiserver.http import yaml_texts

    return yaml_texts.to_yaml(tree)


def _version(form: Form) -> str:
    return "v1beta1" if form is Form.TABLE_BETA else "v1"


def _metadata(page: Page) -> dict[str, Any]:
    metadata: dict[str, Any] = {"resourceVersion": str(page.version)}
    if page.continue_token:
        metadata["continue"] = page.continue_token
    if page.remaining:
        metadata["remainingItemCount"] = page.remaining
    return metadata


def _list_head(kind: str, api_version: str, page: Page) -> bytes:
    return _head(kind, api_version, _metadata(page))


def _head(kind: str, api_version: str, metadata: dict[str, Any]) -> bytes:
    head = _encode({"kind": kind, "apiVersion": api_version, "metadata": metadata})
    return head[:-1] + b',"items":['


def _tables() -> Any:
    """Loaded with the first table: the columns of all kinds take their time."""
    from deltawire.apiserver.http import tables

    return tables


def _metadata_item(resource: Resource, body: bytes) -> bytes:
    return _encode(_tables().metadata_only(_decode(served_body(resource, body))))
