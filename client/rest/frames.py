"""The bytes of a watch cut into events: the one framing of all who read watches. Pure.

Servers write ``{"type":"ADDED","object":{…}}`` and a newline. As in client-go an event is any JSON object of a
stream of them, however they are separated: several on a line, one over several lines, spaces, CRLF, empty lines.
"""

import re
from collections.abc import Callable

import msgspec

from deltawire.client.rest.failures import status_of
from deltawire.client.rest.scan import BOM, ValueScanner, mended, skip_space
from deltawire.common.errors import TransportError
from deltawire.common.limits import KIB, OBJECT_BYTES_MAX

# Gets an event's type and its object's bytes. Raises one of UNREADABLE where the object is not one value of JSON; it
# has no effect then.
Take = Callable[[bytes, bytes], object]
# Gets the first bytes of an event, and why it is refused. May raise TransportError.
Refuse = Callable[[bytes, str], object]

# One event of a watch: the largest object in its frame.
EVENT_BYTES_MAX = OBJECT_BYTES_MAX + KIB

# What msgspec raises for bytes that are not the JSON that was expected.
UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError)

_SPACE = b" \t\r\n"
_HEAD = b'{"type":"'
_CLOSING = ord("}")
_NEW_EVENT = re.compile(rb'\{"type":"(?:ADDED|MODIFIED|DELETED|BOOKMARK|ERROR)","object":')


class _Frame(msgspec.Struct, gc=False):
    type: str | None = None
    object: msgspec.Raw = msgspec.Raw()


_frame = msgspec.json.Decoder(_Frame).decode


class Frames:
    """Calls ``take`` for each event, in order, as soon as its last byte is there.

    ``refuse`` is called for an event of more than ``bytes_max``, and for one that is nested too deep; those around it
    are taken. What is no event raises TransportError (``garbage``), after all before it were taken: the rest cannot be
    trusted. A Status in an event's place raises its StatusError.
    """

    def __init__(self, take: Take, refuse: Refuse, *, bytes_max: int = EVENT_BYTES_MAX) -> None:
        self._take = take
        self._refuse = refuse
        self._bytes_max = bytes_max
        self._scanner = ValueScanner()
        # What has come of an event without its end: if the scanner is inside, it has looked at all of it; else it is
        # a line without its end, and the scanner may never be needed.
        self._parts: list[bytes] = []
        self._size = 0
        self._is_dropping = False  # the event that the scanner is in was refused
        self._is_start = True

    @property
    def is_between(self) -> bool:
        """True if no part of an event is here whose end has not come."""
        return not self._scanner.depth and not any(map(bytes.strip, self._parts))

    def feed(self, chunk: bytes) -> None:
        if self._is_start:
            chunk = self._without_bom(chunk)
        take, scanner = self._take, self._scanner
        if self._parts and not scanner.depth and b"\n" in chunk:
            chunk = b"".join([*self._parts, chunk])
            self._parts, self._size = [], 0
        # First the events of all whole lines.
        at = 0
        while (end := chunk.find(b"\n", at)) >= 0:
            quote = chunk.find(b'"', at + 9, at + 20)
            # Written out, since it is done for every event: 26 bytes are looked at, and the object is copied once.
            if (
                chunk.startswith(_HEAD, at)
                and chunk.startswith(b'","object":', quote)
                and quote + 11 < end
                and chunk[end - 1] == _CLOSING
            ):
                if scanner.depth:
                    self._check_for_a_cut(chunk[at:end])
                else:
                    try:
                        take(chunk[at + 9 : quote], chunk[quote + 11 : end - 1])
                        at = end + 1
                        continue
                    except (*UNREADABLE, RecursionError):
                        pass  # a field after the object, several events, no event: the slow way knows
            self._values(chunk[at : end + 1])
            at = end + 1
        if at < len(chunk):
            self._line_begins(chunk[at:])

    def _line_begins(self, tail: bytes) -> None:
        """What has come of a line whose end has not."""
        if self._scanner.depth:
            self._values(tail)
            return
        self._keep(tail)
        if self._size > self._bytes_max or tail.rstrip(_SPACE).endswith(b"}"):
            # Perhaps it is complete: an event does not wait for the bytes of the next one.
            whole = b"".join(self._parts)
            self._parts, self._size = [], 0
            self._values(whole)

    def finish(self) -> None:
        """The stream ended: half an event is nothing."""
        self._scanner.reset()
        self._parts, self._size = [], 0
        self._is_dropping = False

    def _without_bom(self, chunk: bytes) -> bytes:
        chunk = b"".join([*self._parts, chunk])
        self._parts = []
        if len(chunk) < len(BOM) and BOM.startswith(chunk):
            self._parts = [chunk]
            return b""
        self._is_start = False
        return chunk.removeprefix(BOM)

    def _check_for_a_cut(self, line: bytes) -> None:
        if _NEW_EVENT.match(line):
            # No writer of JSON begins a line like this inside an object: the end of the last event is lost.
            raise _garbage("it has no end")

    def _values(self, data: bytes) -> None:
        """Take all events that end in ``data``, keep the rest."""
        at = 0
        while True:
            if not self._scanner.depth:
                at = skip_space(data, at)
                if at == len(data):
                    return
                if not data.startswith(b"{", at):
                    raise _garbage(f"it begins with {data[at : at + 20]!r}")
            end = self._scanner.scan(data, at)
            if end < 0:
                self._keep_inside(data[at:])
                return
            if self._is_dropping:
                self._is_dropping = False
            else:
                value = b"".join([*self._parts, data[at:end]])
                self._parts, self._size = [], 0
                self._event(value)
            at = end

    def _keep(self, part: bytes) -> None:
        self._parts.append(part)
        self._size += len(part)

    def _keep_inside(self, part: bytes) -> None:
        if self._is_dropping:
            return
        self._keep(part)
        if self._size > self._bytes_max:
            start = b"".join(self._parts)
            self._parts, self._size, self._is_dropping = [], 0, True
            self._refuse(start, f"an event of more than {self._bytes_max} bytes")

    def _event(self, value: bytes) -> None:
        if len(value) > self._bytes_max:
            self._refuse(value, f"an event of more than {self._bytes_max} bytes")
            return
        try:
            try:
                self._whole(value)
            except UNREADABLE:
                self._whole(mended(value))
        except RecursionError:
            self._refuse(value, "nested too deep")
        except UNREADABLE as error:
            raise _garbage(str(error)) from None

    def _whole(self, value: bytes) -> None:
        frame = _frame(value)
        obj = bytes(frame.object)
        if obj in (b"", b"null"):
            raise status_of(value) or _garbage("it has no object")
        self._take((frame.type or "").encode(), obj)


def _garbage(why: str) -> TransportError:
    return TransportError(f"an event of the watch cannot be read: {why}", reason="garbage")
