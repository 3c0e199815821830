"""Cuts what an API server sends, watches and lists, into the deltas of objects that stay bytes.

Pure: bytes in, batches out. The metadata of an object is read, the rest is passed over. What comes out is what the wire
carries (docs/wire.md §5): ``(type, namespace, name, uid, version, object)``.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from deltawire.client.rest.decode import decoder_of
from deltawire.client.rest.failures import status_of
from deltawire.client.rest.frames import UNREADABLE, Frames
from deltawire.client.rest.scan import as_utf8, elements, members, mended
from deltawire.common.errors import StatusError, TransportError
from deltawire.common.limits import BATCH_BYTES_MAX, BATCH_DELTAS_MAX, KIB, OBJECT_BYTES_MAX
from deltawire.common.wire.messages.stream import Delta, DeltaType

_INITIAL_EVENTS_END = "k8s.io/initial-events-end"
_DELTA_TYPES: dict[bytes, DeltaType] = {b"ADDED": "A", b"MODIFIED": "U", b"DELETED": "D"}

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


class Batch(msgspec.Struct):
    """What lay between two bookmarks, or until the bytes ended. Empty fields: there was none.

    ``version``: the stream is complete up to here after these deltas; ``is_marker``: the bookmark that ends
    a streaming list; ``changes_before_marker``: events since the first one of a streaming list that was not
    ADDED, so that a server that ignores the request for a list is recognised.
    """

    deltas: list[Delta] = []
    version: str = ""
    is_bookmark: bool = False
    is_marker: bool = False
    error: StatusError | TransportError | None = None
    changes_before_marker: int = 0


@dataclass(slots=True)
class Page:
    """A part of one answer to a LIST. ``version`` and ``continue_token`` are the page's; the last part of a
    page has ``is_last``."""

    deltas: list[Delta]
    version: str
    continue_token: str
    is_last: bool


class _BookmarkMeta(msgspec.Struct, rename=JSON_NAMES):
    version: str | None = ""
    annotations: dict[str, Any] | None = None


class _Bookmark(msgspec.Struct):
    metadata: _BookmarkMeta | None = None


class _ListMeta(msgspec.Struct, rename=JSON_NAMES):
    version: str | None = ""
    continue_token: str | None = ""


class _List(msgspec.Struct):
    kind: str | None = ""
    metadata: _ListMeta | None = None
    items: list[msgspec.Raw] | msgspec.UnsetType | None = msgspec.UNSET


_bookmark = msgspec.json.Decoder(_Bookmark).decode
_list = msgspec.json.Decoder(_List).decode
_meta = decoder_of(_ListMeta)


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


class WatchSplitter:
    """One watch connection's bytes to batches. With ``initial`` it is a streaming list until the marker.

    An event of more than EVENT_BYTES_MAX is thrown away as it arrives, refused and counted.
    """

    def __init__(self, reader: ObjectReader, *, initial: bool = False) -> None:
        self._reader = reader
        self._initial = initial
        self._changes = 0
        self._frames = Frames(self._event, self._refuse)
        self._batch = Batch()
        self._batches: list[Batch] = []

    def feed(self, chunk: bytes) -> list[Batch]:
        """The batches that ``chunk`` completes. After a batch with an error nothing more comes."""
        try:
            self._frames.feed(chunk)
        except _Over:
            pass
        except (StatusError, TransportError) as error:
            self._batch.error = error
            self._end_batch()
        if self._batch.deltas:
            self._end_batch()
        batches, self._batches = self._batches, []
        return batches

    @property
    def is_between(self) -> bool:
        """True if what was fed ends with an event's end."""
        return self._frames.is_between

    def finish(self) -> list[Batch]:
        """The connection ended: half an event at the end is nothing."""
        self._frames.finish()
        return []

    def _end_batch(self) -> None:
        self._batch.changes_before_marker = self._changes
        self._batches.append(self._batch)
        self._batch = Batch()

    def _refuse(self, start: bytes, why: str) -> None:
        self._reader.refuse(f"{name_in(start)}: {why}")

    def _event(self, event: bytes, obj: bytes) -> None:
        kind = _DELTA_TYPES.get(event)
        if kind is None:
            self._other(event, obj)
            return
        if self._initial:
            delta = self._reader.delta("D" if kind == "D" else "R", obj)
            self._changes += self._changes > 0 or kind != "A"
        else:
            delta = self._reader.delta(kind, obj)
        if delta is not None:
            batch = self._batch
            batch.deltas.append(delta)
            if delta.version:  # an object without a version says nothing of how far the stream is
                batch.version = delta.version

    def _other(self, event: bytes, obj: bytes) -> None:
        if event == b"BOOKMARK":
            self._bookmark(obj)
        elif event == b"ERROR":
            self._batch.error = status_of(obj) or TransportError(
                "the watch reported an error that is no Status", reason="garbage"
            )
            self._end_batch()
            raise _Over
        else:
            self._reader.skip(f"an event of type {event[:40].decode(errors='replace')!r}")

    def _bookmark(self, obj: bytes) -> None:
        meta = _bookmark(obj).metadata or _BookmarkMeta()
        version = meta.version or ""
        is_marker = self._initial and (meta.annotations or {}).get(_INITIAL_EVENTS_END) == "true"
        if len(version) > IDENTITY_CHARS_MAX or not (version or is_marker):
            self._reader.skip("a bookmark without a usable version")
            return
        self._batch.version = version
        self._batch.is_bookmark = True
        if is_marker:
            self._batch.is_marker = True
            self._initial = False
            self._changes = 0
        self._end_batch()


class _Over(Exception):
    """Nothing behind an ERROR event is wanted."""


def split_list(body: bytes, reader: ObjectReader) -> Iterator[Page]:
    """One LIST answer as parts of at most BATCH_DELTAS_MAX items and BATCH_BYTES_MAX bytes, at least one.

    A list is what has ``items``, whatever it is called. ``version`` is "" where the server
    gives none. An item that cannot be read is counted as refused. Raises TransportError (``garbage``) for what is no
    list.
    """
    meta, items = _parts_of(body)
    version, token = meta.version or "", meta.continue_token or ""
    if len(version) > IDENTITY_CHARS_MAX:
        raise TransportError("the list has no usable resourceVersion to watch from", reason="garbage")
    deltas: list[Delta] = []
    size = 0
    for item in items:
        delta = reader.item(bytes(item))
        if delta is None:
            continue
        if deltas and (len(deltas) == BATCH_DELTAS_MAX or size + len(delta.object) > BATCH_BYTES_MAX):
            yield Page(deltas, version, token, False)
            deltas, size = [], 0
        deltas.append(delta)
        size += len(delta.object)
    yield Page(deltas, version, token, True)


def _parts_of(body: bytes) -> tuple[_ListMeta, Iterable[msgspec.Raw | bytes]]:
    """The metadata and the items of a list."""
    try:
        try:
            page = _list(body)
        except UNREADABLE:
            page = _list(mended(body))
    except RecursionError:
        return _parts_apart(body)
    except UNREADABLE as error:
        raise TransportError(f"the answer to the list cannot be read: {error}", reason="garbage") from None
    kind, items = page.kind or "", page.items
    is_list = kind.endswith("List") if items is msgspec.UNSET else kind != "Status"
    if not is_list:
        raise TransportError(f"the answer to the list is a {kind[:80] or 'nameless thing'}", reason="garbage")
    return page.metadata or _ListMeta(), items or []


def _parts_apart(body: bytes) -> tuple[_ListMeta, Iterable[bytes]]:
    """As `_parts_of`, of a list with an item that is nested too deep to be passed over."""
    try:
        found = members(mended(body))
        items = found.get("items", b"")
        meta = _meta(found.get("metadata", b"{}"))
        return meta, list(elements(items))
    except (ValueError, *UNREADABLE) as error:
        raise TransportError(f"the answer to the list cannot be read: {error}", reason="garbage") from None


def name_in(start: bytes) -> str:
    """``namespace/name`` by the first bytes of an event or an object that cannot be read; "an object" at worst."""
    metadata = start[:_NAME_BYTES].partition(b'"metadata"')[2]
    name, namespace = _NAME.search(metadata), _NAMESPACE.search(metadata)
    if name is None:
        return "an object"
    parts = [namespace[1]] if namespace is not None else []
    return "/".join(part.decode("utf-8", "replace") for part in (*parts, name[1]))
