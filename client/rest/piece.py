"""Whether the next piece of a streaming answer is there, so that a read of it does not wait, or nothing at all.

A look at the socket is not enough: pieces that came together wait in the buffer above it, and in TLS; and of one that
is on its way a small part may be there. What is looked into has no public name in urllib3 and http.client: where it is
not what is expected, the answer is False.
"""

import fcntl
import socket
import ssl
import struct
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from deltawire.common.limits import KIB

# The end of a chunk.
_END_BYTES = 2
# Where so much of a piece is there the rest is as good as there: its sender may wait for us to read.
_PART_BYTES = 4 * KIB


def is_piece_there(raw: Any, bytes_max: int) -> bool:
    """``raw``: urllib3's response, of which ``bytes_max`` are read at a time at most. For the thread that reads.

    Does not wait.
    """
    buffer, sock = _ends(raw)
    if buffer is None or sock is None:
        return False
    try:
        with _without_waiting(sock):
            there = buffer.peek()
            if not there:
                return False
            lacking = _lacking(raw, there, bytes_max)
            if lacking <= 0:
                return True
            below = _below(sock)
            return lacking <= below or len(there) + below >= _PART_BYTES
    except (OSError, ValueError):
        return False  # nothing there, in TLS; closed or broken, which the next read says


def is_nothing_there(raw: Any) -> bool:
    """Not even a part of a piece waits to be read. As `is_piece_there`."""
    buffer, sock = _ends(raw)
    if buffer is None or sock is None:
        return False
    try:
        with _without_waiting(sock):
            try:
                there = buffer.peek()
            except ssl.SSLWantReadError:
                there = b""
            return not there and not _below(sock)
    except (OSError, ValueError):
        return False  # closed or broken


def _ends(raw: Any) -> tuple[Any, Any]:
    """The buffer above the socket, and the socket; None for what is not as expected."""
    buffer = getattr(getattr(raw, "_fp", None), "fp", None)
    return buffer, getattr(getattr(buffer, "raw", None), "_sock", None)


@contextmanager
def _without_waiting(sock: socket.socket) -> Iterator[None]:
    timeout_s = sock.gettimeout()
    try:
        sock.settimeout(0)
        yield
    finally:
        with suppress(OSError):
            sock.settimeout(timeout_s)


def _lacking(raw: Any, there: bytes, bytes_max: int) -> int:
    """How many bytes of the next piece do not stand in ``there``, at least."""
    if not raw.chunked:
        return 0
    left: int | None = raw.chunk_left
    if left is None:
        line, is_whole, there = there.partition(b"\n")
        if not is_whole:
            return 1
        left = int(line.partition(b";")[0], 16)
    return (bytes_max if left > bytes_max else left + _END_BYTES) - len(there)


def _below(sock: socket.socket) -> int:
    """Bytes that wait below the buffer, of what is encrypted about so many."""
    decrypted: int = getattr(sock, "pending", int)()
    (unread,) = struct.unpack("i", fcntl.ioctl(sock, termios.FIONREAD, struct.pack("i", 0)))
    return decrypted + int(unread)
