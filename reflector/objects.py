"""Makes deltas of objects without decoding them: the metadata is read, the rest is passed over.

An object stays the API server's bytes. What comes out is what the wire carries (docs/wire.md §5):
``(type, namespace, name, uid, version, object)``.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from deltawire.client.rest.frames import UNREADABLE
from deltawire.client.rest.scan import as_utf8, mended
from deltawire.common.limits import KIB, OBJECT_BYTES_MAX
from deltawire.common.wire.messages.stream import Delta, DeltaType

# Bytes of an object in, bytes of the trimmed object out (transform.py).
Trim = Callable[[bytes], bytes]

# Namespace, name, uid and version together. Real ones stay below 700; longer ones would break the wire's bound
# on strings, and a receiver ends the session for that.
IDENTITY_CHARS_MAX = 1000

# The API's names of our fields.
JSON_NAMES = {"version": "resourceVersion", "api_version": "apiVersion", "continue_token": "continue"}


# Null is the same as not there, everywhere (client/rest/decode says why).
class _Meta(msgspec.Struct, gc=False, rename=JSON_NAMES):
    name: str | None = ""
    namespace: str | None = ""
    uid: str | None = ""
    version: str | None = ""


class _Head(msgspec.Struct, gc=False, rename=JSON_NAMES):
    metadata: _Meta | None = None
    kind: str | msgspec.UnsetType | None = msgspec.UNSET
    api_version: str | msgspec.UnsetType | None = msgspec.UNSET


_NO_META = _Meta()

# Where a name is looked for in what cannot be read. API servers write the metadata first.
_NAME_BYTES = 64 * KIB
_NAME = re.compile(rb'"name"\s*:\s*"([^"\\]{1,80})')
_NAMESPACE = re.compile(rb'"namespace"\s*:\s*"([^"\\]{1,80})')

_head = msgspec.json.Decoder(_Head).decode


@dataclass(slots=True)
class Counters:
    """Totals of one stream. ``refused``: objects larger than the bound, nested too deep, or that could not be trimmed;
    ``unsupported``: without a name, tables, unknown types."""

    events: int = 0
    bytes: int = 0
    refused: int = 0
    unsupported: int = 0
    refusal: str = ""  # the last one of both, with its key, for status


class ObjectReader:
    """Makes a delta of one object's bytes: metadata read, kind and apiVersion supplied, trimmed, bounded."""

    def __init__(self, kind: str, api_version: str, counters: Counters, trim: Trim | None = None) -> None:
        # Items of a built-in resource's LIST carry neither; who reads the cache relies on both.
        self._splice = b'{"kind":"%s","apiVersion":"%s",' % (kind.encode(), api_version.encode())
        self._trim = trim
        self.counters = counters

    def delta(self, kind: DeltaType, obj: bytes) -> Delta | None:
        """The delta, or None where the object is refused or not supported (counted, `Counters.refusal` says which).

        Raises one of UNREADABLE for bytes that are not JSON.
        """
        try:
            head = _head(obj)
        except msgspec.ValidationError as error:
            self.skip(f"{name_in(obj)}: {error}")
            return None
        meta = head.metadata or _NO_META
        name, namespace, uid, version = meta.name, meta.namespace or "", meta.uid or "", meta.version or ""
        if not name or (head.kind == "Table" and (head.api_version or "").startswith("meta.k8s.io/")):
            self.skip(f"a {(head.kind or 'thing')[:80]} without a name" if not name else "a Table")
            return None
        if len(namespace) + len(name) + len(uid) + len(version) > IDENTITY_CHARS_MAX:
            self.refuse(f"{namespace[:80]}/{name[:80]}… has too long a name, uid or version")
            return None
        if not obj.isascii():
            obj = as_utf8(obj)
        if not head.kind or not head.api_version:
            obj = self._with_type(head, obj)
        if self._trim is not None:
            try:
                obj = self._trim(obj)
            except (*UNREADABLE, TypeError, ValueError):
                # What cannot be trimmed may hold what must not leave: it stays here.
                self.refuse(f"{namespace}/{name} cannot be trimmed")
                return None
        size = len(obj)
        if size > OBJECT_BYTES_MAX:
            self.refuse(f"{namespace}/{name} has {size} bytes, more than {OBJECT_BYTES_MAX}")
            return None
        counters = self.counters
        counters.events += 1
        counters.bytes += size
        return Delta(kind, namespace, name, uid, version, obj)

    def item(self, obj: bytes) -> Delta | None:
        """As `delta`, for an item of a list: one that cannot be read is refused, the others count."""
        try:
            try:
                return self.delta("R", obj)
            except UNREADABLE:
                return self.delta("R", mended(obj))
        except (*UNREADABLE, RecursionError) as error:
            why = "nested too deep" if isinstance(error, RecursionError) else f"cannot be read: {error}"
            self.refuse(f"{name_in(obj)}: {why}")
            return None

    def refuse(self, what: str) -> None:
        self.counters.refused += 1
        self.counters.refusal = f"object refused: {what}"

    def skip(self, what: str) -> None:
        self.counters.unsupported += 1
        self.counters.refusal = f"skipped: {what}"

    def _with_type(self, head: _Head, obj: bytes) -> bytes:
        if head.kind is not msgspec.UNSET or head.api_version is not msgspec.UNSET:
            # Half of it, or nothing under its name: not worth a fast way.
            fields = msgspec.json.decode(obj, type=dict[str, msgspec.Raw])
            fields.pop("kind", None)
            fields.pop("apiVersion", None)
            obj = msgspec.json.encode(fields)
        return self._splice + obj[obj.index(b"{") + 1 :]


def name_in(start: bytes) -> str:
    """``namespace/name`` by the first bytes of an event or an object that cannot be read; "an object" at worst."""
    metadata = start[:_NAME_BYTES].partition(b'"metadata"')[2]
    name, namespace = _NAME.search(metadata), _NAMESPACE.search(metadata)
    if name is None:
        return "an object"
    parts = [namespace[1]] if namespace is not None else []
    return "/".join(part.decode("utf-8", "replace") for part in (*parts, name[1]))
