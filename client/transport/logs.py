"""A container's log as lines, also while it grows."""

from collections.abc import Iterator
from types import TracebackType
from typing import Self

from deltawire.client.rest.request import Request
from deltawire.common.limits import MIB

# A longer line is given in pieces of this size: a program may print without ever ending a line.
LINE_BYTES_MAX = 1 * MIB


class LineCutter:
    """Lines of what arrives in pieces. ``left`` is the beginning of one whose end has not come. Pure."""

    def __init__(self) -> None:
        self.left = bytearray()

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The lines that ``chunk`` ends, and pieces of `LINE_BYTES_MAX` of one that is longer."""
        *lines, tail = chunk.split(b"\n")
        for line in lines:
            yield bytes(self.left) + line
            self.left.clear()
        self.left += tail
        while len(self.left) > LINE_BYTES_MAX:
            yield bytes(self.left[:LINE_BYTES_MAX])
            del self.left[:LINE_BYTES_MAX]


class LogLines:
    """Iterate over it for lines without their newline, as bytes; `close` it from any thread.

    ``request`` is one of `get_logs`. It ends where the log ends: without ``follow`` at once, with it when the
    container ends or the server cuts the stream properly. Raises StatusError, and TransportError for a
    connection that is cut: ``tail_lines=0`` or ``since_time`` begin anew where this ended.
    """

    def __init__(self, request: Request) -> None:
        self._stream = request.stream()

    def __iter__(self) -> Iterator[bytes]:
        cutter = LineCutter()
        try:
            while chunk := self._stream.read():
                yield from cutter.feed(chunk)
            if cutter.left:
                yield bytes(cutter.left)
        finally:
            self._stream.close()

    def close(self) -> None:
        """An iteration that waits in another thread ends. May be called again."""
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
