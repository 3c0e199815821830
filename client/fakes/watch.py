"""A watch whose events a test sends by hand: client-go's FakeWatcher."""

import threading
from collections import deque
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import msgspec

from deltawire.client.fakes.actions import encoded
from deltawire.client.rest.watch import ADDED, BOOKMARK, DELETED, ERROR, MODIFIED
from deltawire.client.rest.watch_stream import WatchStream
from deltawire.common.errors import CapacityError, StatusError

EVENTS_MAX = 10_000
_HOST = "the fake watch"


class FakeWatch:
    """Send with `add`, `modify`, `delete`, `bookmark` and `error`, end with `stop`, from any thread.

    An event goes to one watcher: a later watcher gets the events that no other has taken. Objects are typed or dicts.
    After `stop` what was sent still arrives, and what is sent goes nowhere. Raises CapacityError where
    `EVENTS_MAX` events wait for a watcher.
    """

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self._waiting: deque[bytes] = deque()
        self.is_stopped = False

    def add(self, obj: Any) -> None:
        self._event(ADDED, obj)

    def modify(self, obj: Any) -> None:
        self._event(MODIFIED, obj)

    def delete(self, obj: Any) -> None:
        self._event(DELETED, obj)

    def bookmark(self, obj: Any) -> None:
        self._event(BOOKMARK, obj)

    def error(self, error: StatusError) -> None:
        """An ERROR event; the watcher gets ``error`` raised."""
        self._event(
            ERROR,
            {
                "kind": "Status",
                "apiVersion": "v1",
                "status": "Failure",
                "message": error.message,
                "reason": error.reason,
                "details": error.details,
                "code": error.code,
            },
        )

    def stop(self) -> None:
        """The server's end of the watch."""
        with self.changed:
            self.is_stopped = True
            self.changed.notify_all()

    def send(self, piece: bytes) -> None:
        """Bytes as they are, for streams that are no watch."""
        with self.changed:
            if self.is_stopped:
                return
            if len(self._waiting) >= EVENTS_MAX:
                raise CapacityError(f"{EVENTS_MAX} events wait in a fake watch that nobody reads")
            self._waiting.append(piece)
            self.changed.notify_all()

    def take(self) -> bytes:
        """The next piece, b"" if there is none; for whoever holds ``changed``."""
        return self._waiting.popleft() if self._waiting else b""

    def open(self, timeout_s: float | None) -> WatchStream:
        """The client's end. ``timeout_s`` bounds silence, None waits for ever."""
        body = _Body(self, timeout_s)
        return WatchStream(body, _HOST, release=body.shutdown)

    def _event(self, kind: str, obj: Any) -> None:
        self.send(b'{"type":%s,"object":%s}\n' % (msgspec.json.encode(kind), encoded(obj)))


class _Body:
    """What `WatchStream` reads: an answer in pieces."""

    chunked = True

    def __init__(self, watch: FakeWatch, timeout_s: float | None) -> None:
        self._watch = watch
        self._timeout_s = timeout_s
        self._is_shut = False
        self.connection = SimpleNamespace(sock=self)

    def stream(self, amt: int | None, decode_content: bool | None = None) -> Iterator[bytes]:
        while piece := self.read1():
            yield piece

    def read1(self, amt: int | None = None, decode_content: bool | None = None) -> bytes:
        """The next piece whole, b"" at the end. Raises TimeoutError."""
        watch, found = self._watch, b""

        def is_due() -> bool:
            nonlocal found
            found = b"" if self._is_shut else watch.take()
            return bool(found) or self._is_shut or watch.is_stopped

        with watch.changed:
            if not watch.changed.wait_for(is_due, self._timeout_s):
                raise TimeoutError("timed out")
        return found

    def settimeout(self, timeout_s: float | None) -> None:
        self._timeout_s = timeout_s

    def fileno(self) -> int:
        raise OSError("a fake watch has no descriptor")

    def shutdown(self) -> None:
        """The client's end of it; others may go on."""
        with self._watch.changed:
            self._is_shut = True
            self._watch.changed.notify_all()
