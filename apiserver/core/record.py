"""A stored object: its bytes, encoded once, and the few facts that are read without decoding them."""

from typing import Any

import msgspec

from deltawire.apiserver.core.resource import Resource
from deltawire.apiserver.kinds.types import module_of
from deltawire.apiserver.schemas.typed import typed

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode

# The order in which metadata is written. The version comes before every map, so that the first
# `"resourceVersion":"…"` in a body is the object's own (`with_version`).
_METADATA_ORDER = (
    "name",
    "generateName",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
)


# Records and events make no cycles: kept by the ten thousand, they are nothing for the garbage collector to walk.
class Record(msgspec.Struct, frozen=True, gc=False):
    """One version of one object. ``body`` is JSON in the storage version; records are shared, never changed.

    ``fields`` holds what field selectors of its resource may ask for, metadata.name and metadata.namespace
    apart; ``owners`` the uids of its ownerReferences.
    """

    key: str
    namespace: str
    name: str
    uid: str
    version: int
    labels: dict[str, str]
    fields: dict[str, str]
    owners: tuple[str, ...]
    is_terminating: bool
    body: bytes

    def decode(self) -> dict[str, Any]:
        """A fresh tree that the caller may change."""
        tree: dict[str, Any] = _decode(self.body)
        return tree

    def body_with_version(self, version: int) -> bytes:
        """The same content under another version: how a deletion shows the last state."""
        own = b'"resourceVersion":"%d"' % self.version
        return self.body.replace(own, b'"resourceVersion":"%d"' % version, 1)


def encode_record(resource: Resource, obj: dict[str, Any], version: int) -> Record:
    """Encode ``obj`` under ``version``; 0 leaves the version out, as the answer to a dry run does.

    Kind, apiVersion and metadata are put first, in a fixed order.
    """
    metadata = obj["metadata"] | {"resourceVersion": str(version) if version else None}
    ordered = {name: metadata[name] for name in _METADATA_ORDER if metadata.get(name) is not None}
    ordered = {**ordered, **metadata}
    if None in ordered.values():
        ordered = {n: value for n, value in ordered.items() if value is not None or n not in _METADATA_ORDER}
    tree = {"metadata": ordered, **obj}
    tree["metadata"] = ordered
    tree.pop("kind", None)
    tree.pop("apiVersion", None)
    namespace, name = ordered.get("namespace", ""), ordered["name"]
    return Record(
        key=f"{namespace}/{name}",
        namespace=namespace,
        name=name,
        uid=ordered["uid"],
        version=version,
        labels=ordered.get("labels") or {},
        fields=resource.facts_of(obj) if resource.fields else {},
        owners=tuple(str(owner.get("uid", "")) for owner in ordered.get("ownerReferences") or ()),
        is_terminating="deletionTimestamp" in ordered,
        body=resource.storage_head + _encode(tree)[1:],
    )


def served_body(resource: Resource, body: bytes) -> bytes:
    """A stored body in the version that was asked for.

    Only ``apiVersion`` differs between versions, unless the resource has a conversion.
    """
    stored = resource.storage_head
    if resource.conversion is not None:
        kind = resource.type
        tree = typed(
            module_of(kind.group, kind.version), kind.kind, resource.conversion.to_served(_decode(body))
        )[0]
        tree.pop("kind", None)
        tree.pop("apiVersion", None)
        return resource.head + _encode(tree)[1:]
    return body if resource.head == stored else resource.head + body[len(stored) :]


def item_body(resource: Resource, body: bytes) -> bytes:
    """A stored body as an item of a list: built-in kinds lack kind and apiVersion there."""
    if resource.is_custom:
        return served_body(resource, body)
    head = resource.storage_head
    if resource.conversion is not None:
        head, body = resource.head, served_body(resource, body)
    return b"{" + body[len(head) :]
