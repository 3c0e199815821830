"""A watch as typed events: bytes of `WatchStream` in, one decoded object at a time out (semantics §16)."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, Self, TypeVar

import msgspec

from deltawire.client.rest.failures import status_of
from deltawire.client.rest.watch_stream import WatchStream
from deltawire.common.errors import TransportError
from deltawire.common.limits import KIB, OBJECT_BYTES_MAX

T = TypeVar("T")
Decode = Callable[[bytes], T]

ADDED, MODIFIED, DELETED, BOOKMARK, ERROR = "ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"
EVENT_TYPES = frozenset({ADDED, MODIFIED, DELETED, BOOKMARK, ERROR})
EVENT_BYTES_MAX = OBJECT_BYTES_MAX + KIB


@dataclass(frozen=True, slots=True)
class WatchEvent(Generic[T]):
    """``type`` is ADDED, MODIFIED, DELETED or BOOKMARK; a bookmark's object has hardly more than a version."""

    type: str
    object: T


class _Frame(msgspec.Struct, gc=False):
    type: str
    object: msgspec.Raw


_frame = msgspec.json.Decoder(_Frame).decode


class WatchFrames:
    """Cuts what arrives into (type, object's bytes). Pure. Raises TransportError (``garbage``).

    Servers end each event with a newline; several on one line are taken, too.
    """

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> Iterator[tuple[str, bytes]]:
        """The events that ``chunk`` completes, cut while they are taken: one that is garbage hides none before."""
        head, newline, tail = chunk.rpartition(b"\n")
        if not newline:
            self._keep(tail)
            return iter(())
        lines = b"".join([*self._parts, head]).split(b"\n")
        self._parts, self._size = [], 0
        self._keep(tail)
        return (frame for line in lines if line and not line.isspace() for frame in _frames(line))

    def finish(self) -> list[tuple[str, bytes]]:
        """The stream ended: a whole event counts without its newline, half of one does not."""
        line = b"".join(self._parts)
        self._parts, self._size = [], 0
        try:
            return _frames(line) if line and not line.isspace() else []
        except TransportError:
            return []

    def _keep(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > EVENT_BYTES_MAX:
            raise TransportError(
                f"an event of the watch has more than {EVENT_BYTES_MAX} bytes", reason="garbage"
            )
        if part:
            self._parts.append(part)


class Watch(Generic[T]):
    """An open watch: iterate over it for events, `stop` it from any thread. A context manager.

    The iteration ends where the server ended the watch, or after `stop`. It raises StatusError for an ERROR
    event (``is_expired``: list again), and TransportError where the connection was cut, was silent for longer
    than allowed, or brought what cannot be read. Whatever ends it closes the connection.
    """

    def __init__(self, stream: WatchStream, decode: Decode[T]) -> None:
        self._stream = stream
        self._decode = decode
        self._events = self._read()

    def __iter__(self) -> Iterator[WatchEvent[T]]:
        return self._events

    def __next__(self) -> WatchEvent[T]:
        return next(self._events)

    def stop(self) -> None:
        """End the watch; an iteration that waits in another thread ends. May be called again."""
        self._stream.close()

    @property
    def is_over(self) -> bool:
        return self._stream.is_over

    def _read(self) -> Iterator[WatchEvent[T]]:
        frames = WatchFrames()
        try:
            while chunk := self._stream.read():
                for event_type, data in frames.feed(chunk):
                    yield self._event(event_type, data)
            for event_type, data in frames.finish():
                yield self._event(event_type, data)
        finally:
            self._stream.close()

    def _event(self, event_type: str, data: bytes) -> WatchEvent[T]:
        if event_type == ERROR:
            failure = status_of(data)
            raise failure or TransportError(
                "the watch ended with an error without a Status", reason="garbage"
            )
        if event_type not in EVENT_TYPES:
            raise TransportError(f"a watch event of the unknown type {event_type[:40]!r}", reason="garbage")
        try:
            return WatchEvent(event_type, self._decode(data))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise TransportError(
                f"an object of the watch cannot be read: {error}", reason="garbage"
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _frames(line: bytes) -> list[tuple[str, bytes]]:
    try:
        frame = _frame(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        several = _back_to_back(line)
        if several is None:
            raise TransportError(f"an event of the watch cannot be read: {error}", reason="garbage") from None
        return several
    return [(frame.type, bytes(frame.object))]


def _back_to_back(line: bytes) -> list[tuple[str, bytes]] | None:
    """Events that follow each other without a newline; None where it is something else."""
    found: list[tuple[str, bytes]] = []
    try:
        text = line.decode()
        decoder, at = json.JSONDecoder(), 0
        while at < len(text):
            _, end = decoder.raw_decode(text, at)
            frame = _frame(text[at:end])
            found.append((frame.type, bytes(frame.object)))
            at = end + len(text[end:]) - len(text[end:].lstrip())
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return None
    return found
