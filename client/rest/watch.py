"""A watch as typed events: bytes of `WatchStream` in, one decoded object at a time out."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, Self, TypeVar

import msgspec

from deltawire.client.rest.failures import status_of
from deltawire.client.rest.frames import EVENT_BYTES_MAX, Frames
from deltawire.client.rest.watch_stream import WatchStream
from deltawire.common.errors import DeltawireError, TransportError

T = TypeVar("T")
Decode = Callable[[bytes], T]

ADDED, MODIFIED, DELETED, BOOKMARK, ERROR = "ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"
EVENT_TYPES = frozenset({ADDED, MODIFIED, DELETED, BOOKMARK, ERROR})


@dataclass(frozen=True, slots=True)
class WatchEvent(Generic[T]):
    """``type`` is ADDED, MODIFIED, DELETED or BOOKMARK; a bookmark's object has hardly more than a version."""

    type: str
    object: T


_raw = msgspec.json.Decoder(msgspec.Raw).decode


class WatchFrames:
    """What arrives as (type, object's bytes) (client/rest/frames). Pure. Raises TransportError (``garbage``)."""

    def __init__(self, *, bytes_max: int = EVENT_BYTES_MAX) -> None:
        self._found: list[tuple[str, bytes]] = []
        self._frames = Frames(self._take, self._refuse, bytes_max=bytes_max)

    def feed(self, chunk: bytes) -> Iterator[tuple[str, bytes]]:
        """The events that ``chunk`` completes; one that is garbage, or a bare Status, is raised after those before."""
        failure: DeltawireError | None = None
        try:
            self._frames.feed(chunk)
        except DeltawireError as error:
            failure = error
        found, self._found = self._found, []
        return _given(found, failure)

    def _take(self, event: bytes, data: bytes) -> None:
        _raw(data)  # raises for bytes that are not one value of JSON
        self._found.append((event.decode(), data))

    def _refuse(self, start: bytes, why: str) -> None:
        raise TransportError(f"an event of the watch cannot be read: {why}", reason="garbage")


def _given(found: list[tuple[str, bytes]], failure: DeltawireError | None) -> Iterator[tuple[str, bytes]]:
    yield from found
    if failure is not None:
        raise failure


def event_of(event_type: str, data: bytes, decode: Decode[T]) -> WatchEvent[T]:
    """One event decoded. Raises StatusError for an ERROR event, TransportError for what cannot be read."""
    if event_type == ERROR:
        failure = status_of(data)
        raise failure or TransportError("the watch ended with an error without a Status", reason="garbage")
    if event_type not in EVENT_TYPES:
        raise TransportError(f"a watch event of the unknown type {event_type[:40]!r}", reason="garbage")
    try:
        return WatchEvent(event_type, decode(data))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise TransportError(f"an object of the watch cannot be read: {error}", reason="garbage") from None


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
                    yield event_of(event_type, data, self._decode)
        finally:
            self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
