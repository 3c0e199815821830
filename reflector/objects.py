"""Makes deltas of objects without decoding them: the metadata is read, the rest is passed over.

An object stays the API server's bytes. What comes out is what the wire carries (docs/wire.md §5):
``(type, namespace, name, uid, version, object)``.
"""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from deltawire.common.limits import OBJECT_BYTES_MAX

# type, namespace, name, uid, version, object
Delta = tuple[str, str, str, str, str, bytes]
# Bytes of an object in, bytes of the trimmed object out (transform.py).
Trim = Callable[[bytes], bytes]

# Namespace, name, uid and version together. Real ones stay below 700; longer ones would break the wire's bound
# on strings, and a receiver ends the session for that.
IDENTITY_CHARS_MAX = 1000

# What msgspec raises for bytes that are not the JSON that was expected.
UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError)
# The API's names of our fields.
JSON_NAMES = {"version": "resourceVersion", "api_version": "apiVersion", "continue_token": "continue"}


class _Meta(msgspec.Struct, gc=False, rename=JSON_NAMES):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    version: str = ""


class _Head(msgspec.Struct, gc=False, rename=JSON_NAMES):
    metadata: _Meta
    kind: str = ""
    api_version: str = ""


_head = msgspec.json.Decoder(_Head).decode


@dataclass(slots=True)
class Counters:
    """Totals of one stream. ``refused``: objects larger than the bound or that could not be trimmed;
    ``unsupported``: without metadata, tables, unknown types."""

    events: int = 0
    bytes: int = 0
    refused: int = 0
    unsupported: int = 0
    refusal: str = ""  # the last one, for status


class ObjectReader:
    """Makes a delta of one object's bytes: metadata read, kind and apiVersion supplied, trimmed, bounded."""

    def __init__(self, kind: str, api_version: str, counters: Counters, trim: Trim | None = None) -> None:
        # Items of a built-in resource's LIST carry neither; who reads the cache relies on both.
        self._splice = b'{"kind":"%s","apiVersion":"%s",' % (kind.encode(), api_version.encode())
        self._trim = trim
        self.counters = counters

    def delta(self, kind: str, obj: bytes) -> Delta | None:
        """The delta, or None where the object is refused or not supported (counted).

        Raises one of UNREADABLE for bytes that are not JSON.
        """
        try:
            head = _head(obj)
        except msgspec.ValidationError:
            self.counters.unsupported += 1
            return None
        meta = head.metadata
        if not meta.name or (head.kind == "Table" and head.api_version.startswith("meta.k8s.io/")):
            self.counters.unsupported += 1
            return None
        if len(meta.namespace) + len(meta.name) + len(meta.uid) + len(meta.version) > IDENTITY_CHARS_MAX:
            self._refuse(f"{meta.namespace[:80]}/{meta.name[:80]}… has too long a name, uid or version")
            return None
        if not head.kind or not head.api_version:
            obj = self._with_type(head, obj)
        if self._trim is not None:
            try:
                obj = self._trim(obj)
            except (*UNREADABLE, TypeError, ValueError):
                # What cannot be trimmed may hold what must not leave: it stays here.
                self._refuse(f"{meta.namespace}/{meta.name} cannot be trimmed")
                return None
        size = len(obj)
        if size > OBJECT_BYTES_MAX:
            self._refuse(f"{meta.namespace}/{meta.name} has {size} bytes, more than {OBJECT_BYTES_MAX}")
            return None
        self.counters.events += 1
        self.counters.bytes += size
        return (kind, meta.namespace, meta.name, meta.uid, meta.version, obj)

    def item(self, obj: bytes) -> Delta | None:
        """As `delta`, for an item of a list: one that cannot be read is refused, the others count."""
        try:
            return self.delta("R", obj)
        except UNREADABLE as error:
            self._refuse(f"an item of the list cannot be read: {error}")
            return None

    def _with_type(self, head: _Head, obj: bytes) -> bytes:
        if head.kind or head.api_version:  # half of it: not worth a fast way
            fields = msgspec.json.decode(obj, type=dict[str, msgspec.Raw])
            fields.pop("kind", None)
            fields.pop("apiVersion", None)
            obj = msgspec.json.encode(fields)
        return self._splice + obj[obj.index(b"{") + 1 :]

    def _refuse(self, what: str) -> None:
        self.counters.refused += 1
        self.counters.refusal = f"object refused: {what}"
