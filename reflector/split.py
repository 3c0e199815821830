"""Cuts what an API server sends, watches and lists, into the deltas of objects that stay bytes.

Pure: bytes in, batches out.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from deltawire.client.rest.failures import status_of
from deltawire.common.errors import StatusError, TransportError
from deltawire.common.limits import BATCH_BYTES_MAX, BATCH_DELTAS_MAX, KIB, OBJECT_BYTES_MAX
from deltawire.reflector.objects import IDENTITY_CHARS_MAX, JSON_NAMES, UNREADABLE, Delta, ObjectReader

# One line of a watch: the largest object in its frame.
LINE_BYTES_MAX = OBJECT_BYTES_MAX + KIB

_INITIAL_EVENTS_END = "k8s.io/initial-events-end"
_DELTA_TYPES = {b"ADDED": "A", b"MODIFIED": "U", b"DELETED": "D"}


@dataclass(slots=True)
class Batch:
    """What lay between two bookmarks, or until the bytes ended. Empty fields: there was none.

    ``version``: the stream is complete up to here after these deltas; ``is_marker``: the bookmark that ends
    a streaming list; ``changes_before_marker``: events since the first one of a streaming list that was not
    ADDED, so that a server that ignores the request for a list can be told.
    """

    deltas: list[Delta] = field(default_factory=list)
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


class _Frame(msgspec.Struct, gc=False):
    type: str
    object: msgspec.Raw


class _BookmarkMeta(msgspec.Struct, rename=JSON_NAMES):
    version: str = ""
    annotations: dict[str, str] | None = None


class _Bookmark(msgspec.Struct):
    metadata: _BookmarkMeta


class _ListMeta(msgspec.Struct, rename=JSON_NAMES):
    version: str = ""
    continue_token: str = ""


class _List(msgspec.Struct):
    kind: str = ""
    metadata: _ListMeta = msgspec.field(default_factory=_ListMeta)
    items: list[msgspec.Raw] | None = None


_frame = msgspec.json.Decoder(_Frame).decode
_bookmark = msgspec.json.Decoder(_Bookmark).decode
_list = msgspec.json.Decoder(_List).decode


class WatchSplitter:
    """One watch connection's bytes to batches. With ``initial`` it is a streaming list until the marker.

    A line longer than LINE_BYTES_MAX is thrown away as it arrives, refused and counted.
    """

    def __init__(self, reader: ObjectReader, *, initial: bool = False) -> None:
        self._reader = reader
        self._initial = initial
        self._changes = 0
        self._tail: list[bytes] = []
        self._tail_bytes = 0
        self._discarding = False

    def feed(self, chunk: bytes) -> list[Batch]:
        """The batches that ``chunk`` completes. After a batch with an error nothing more comes."""
        if b"\n" not in chunk:
            self._keep(chunk)
            return []
        first, *lines = chunk.split(b"\n")
        tail = lines.pop()
        self._keep(first)
        if not self._discarding:
            lines.insert(0, b"".join(self._tail))
        self._tail, self._tail_bytes, self._discarding = [], 0, False
        if tail:
            self._keep(tail)
        return self._batches(lines)

    def finish(self) -> list[Batch]:
        """The connection ended: a whole event counts without its newline, half of one does not."""
        if self._discarding or not self._tail:
            return []
        line = b"".join(self._tail)
        self._tail, self._tail_bytes = [], 0
        try:
            _frame(line)
        except UNREADABLE:
            return []
        return self._batches([line])

    def _keep(self, part: bytes) -> None:
        if self._discarding:
            return
        if self._tail_bytes + len(part) > LINE_BYTES_MAX:
            counters = self._reader.counters
            counters.refused += 1
            counters.refusal = f"object refused: an event of more than {LINE_BYTES_MAX} bytes"
            self._tail, self._tail_bytes, self._discarding = [], 0, True
            return
        self._tail.append(part)
        self._tail_bytes += len(part)

    def _batches(self, lines: list[bytes]) -> list[Batch]:
        batches: list[Batch] = []
        batch = Batch()
        for line in lines:
            if not line or line.isspace():
                continue
            try:
                is_end = self._line(line, batch)
            except UNREADABLE as error:
                what = f"an event of the watch cannot be read: {error}"
                batch.error = TransportError(what, reason="garbage")
                is_end = True
            if is_end:
                batch.changes_before_marker = self._changes
                batches.append(batch)
                if batch.error is not None:
                    return batches
                batch = Batch()
        if batch.deltas:
            batch.changes_before_marker = self._changes
            batches.append(batch)
        return batches

    def _line(self, line: bytes, batch: Batch) -> bool:
        """Take one event into ``batch``; True if the batch ends with it."""
        # {"type":"ADDED","object":{…}} is how API servers write it.
        quote = line.find(b'"', 9, 20)
        if line.startswith(b'{"type":"') and line.startswith(b'","object":', quote) and line.endswith(b"}"):
            try:
                return self._event(line[9:quote], line[quote + 11 : -1], batch)
            except msgspec.DecodeError:
                pass  # a field after the object, or garbage: the slow way knows
        frame = _frame(line)
        return self._event(frame.type.encode(), bytes(frame.object), batch)

    def _event(self, event: bytes, obj: bytes, batch: Batch) -> bool:
        kind = _DELTA_TYPES.get(event)
        if kind is None:
            return self._other(event, obj, batch)
        is_change = self._initial and (self._changes > 0 or kind != "A")
        if self._initial and kind != "D":
            kind = "R"
        delta = self._reader.delta(kind, obj)
        self._changes += is_change
        if delta is not None:
            batch.deltas.append(delta)
            batch.version = delta[4]
        return False

    def _other(self, event: bytes, obj: bytes, batch: Batch) -> bool:
        if event == b"BOOKMARK":
            meta = _bookmark(obj).metadata
            if not 0 < len(meta.version) <= IDENTITY_CHARS_MAX:
                self._reader.counters.unsupported += 1
                return False
            batch.version = meta.version
            batch.is_bookmark = True
            if self._initial and (meta.annotations or {}).get(_INITIAL_EVENTS_END) == "true":
                batch.is_marker = True
                self._initial = False
                self._changes = 0
            return True
        if event == b"ERROR":
            batch.error = status_of(obj) or TransportError(
                "the watch reported an error that is no Status", reason="garbage"
            )
            return True
        self._reader.counters.unsupported += 1
        return False


def split_list(body: bytes, reader: ObjectReader) -> Iterator[Page]:
    """One LIST answer as parts of at most BATCH_DELTAS_MAX items and BATCH_BYTES_MAX bytes, at least one.

    Raises TransportError (``garbage``) for what is no list (semantics §1.2 rule 16). An item that cannot be
    read is counted as refused.
    """
    try:
        page = _list(body)
    except UNREADABLE as error:
        raise TransportError(f"the answer to the list cannot be read: {error}", reason="garbage") from None
    if not page.kind.endswith("List"):
        raise TransportError(f"the answer to the list is a {page.kind or 'nameless thing'}", reason="garbage")
    version, token = page.metadata.version, page.metadata.continue_token
    if not 0 < len(version) <= IDENTITY_CHARS_MAX:
        raise TransportError("the list has no usable resourceVersion to watch from", reason="garbage")
    deltas: list[Delta] = []
    size = 0
    for item in page.items or []:
        delta = reader.item(bytes(item))
        if delta is None:
            continue
        if deltas and (len(deltas) == BATCH_DELTAS_MAX or size + len(delta[5]) > BATCH_BYTES_MAX):
            yield Page(deltas, version, token, False)
            deltas, size = [], 0
        deltas.append(delta)
        size += len(delta[5])
    yield Page(deltas, version, token, True)
