"""One connection inside a process: what a client's thread holds, and the transport that the server's loop sees.

Each end behaves as its counterpart over TCP: a client blocks with a time-out, a server that writes more than is
read is paused, and what was sent before an end arrives before the end.
"""

import asyncio
import errno
import io
import threading
from collections.abc import Callable
from typing import Any

# The server stops writing above the first until the client has read down to the second.
UNREAD_BYTES_HIGH = 256 << 10
UNREAD_BYTES_LOW = 64 << 10
# A client that sends waits while this much was not taken by the server.
UNTAKEN_BYTES_MAX = 256 << 10
# What the server is given at once, as from a read of a socket.
PIECE_BYTES_MAX = 256 << 10
READ_BUFFER_BYTES = 64 << 10

# A client in this process counts as one on loopback.
_ADDRESS = ("127.0.0.1", 0)


class _Wire:
    """What is on its way, for both ends; everything in it belongs to ``changed``'s lock.

    The lock is reentrant: a socket that nobody refers to any more ends in whatever thread collects garbage.
    """

    def __init__(self) -> None:
        self.changed = threading.Condition(threading.RLock())
        self.to_client = bytearray()
        self.to_server = bytearray()
        self.is_full = False  # towards the client
        self.is_client_gone = False
        self.is_server_gone = False


class MemoryTransport(asyncio.Transport):
    """The server's end. All methods are for the thread of the loop."""

    def __init__(self, wire: _Wire, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__({"peername": _ADDRESS, "sockname": _ADDRESS})
        self._wire = wire
        self._loop = loop
        self._protocol: asyncio.Protocol | None = None
        self._is_reading = True
        self._is_writing_paused = False
        self._is_closing = False

    def open(self, protocol: asyncio.Protocol) -> None:
        """Begin: ``protocol`` gets what the client has sent and will send."""
        self._protocol = protocol
        protocol.connection_made(self)
        self.look()

    def look(self) -> None:
        """Something may have come, or the client may have gone."""
        wire = self._wire
        while self._is_reading and not self._is_closing and self._protocol is not None:
            with wire.changed:
                piece = bytes(wire.to_server[:PIECE_BYTES_MAX])
                del wire.to_server[: len(piece)]
                wire.changed.notify_all()
            if not piece:
                break
            try:
                self._protocol.data_received(piece)
            except Exception as error:
                told = "a connection inside the process is closed: its protocol failed"
                self._loop.call_exception_handler({"message": told, "exception": error, "transport": self})
                self.abort()
        if wire.is_client_gone and not self._is_closing:
            if self._protocol is not None:
                self._protocol.eof_received()
            self.close()

    def drained(self) -> None:
        """The client has read; writing may go on."""
        if self._is_writing_paused and not self._wire.is_full and self._protocol is not None:
            self._is_writing_paused = False
            self._protocol.resume_writing()

    # -- asyncio.Transport

    def write(self, data: "bytes | bytearray | memoryview[Any]") -> None:
        wire = self._wire
        if self._is_closing or not data:
            return
        with wire.changed:
            wire.to_client += data
            wire.is_full = wire.is_full or len(wire.to_client) > UNREAD_BYTES_HIGH
            wire.changed.notify_all()
            must_pause = wire.is_full and not self._is_writing_paused
        if must_pause and self._protocol is not None:
            self._is_writing_paused = True
            self._protocol.pause_writing()

    def close(self) -> None:
        """What was written still arrives; nothing else will."""
        if self._is_closing:
            return
        self._is_closing = True
        with self._wire.changed:
            self._wire.is_server_gone = True
            self._wire.changed.notify_all()
        self._loop.call_soon(self._lose)

    def abort(self) -> None:
        self.close()

    def is_closing(self) -> bool:
        return self._is_closing

    def is_reading(self) -> bool:
        return self._is_reading and not self._is_closing

    def pause_reading(self) -> None:
        self._is_reading = False

    def resume_reading(self) -> None:
        self._is_reading = True
        self._loop.call_soon(self.look)

    def can_write_eof(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return len(self._wire.to_client)

    def _lose(self) -> None:
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            protocol.connection_lost(None)


class MemorySocket:
    """The client's end: what http.client, urllib3 and WebSocket libraries use of a socket, no descriptor.

    ``accept`` is called in the loop with the server's end. Raises ConnectionRefusedError if the loop has ended.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, accept: Callable[[MemoryTransport], None]) -> None:
        self._wire = _Wire()
        self._loop = loop
        self._transport = MemoryTransport(self._wire, loop)
        self._timeout_s: float | None = None
        self._files = 0
        self._is_closed = False
        if not self._tell(accept, self._transport):
            raise ConnectionRefusedError(errno.ECONNREFUSED, "the server does not run")

    @property
    def is_open(self) -> bool:
        """True while neither end has gone and nothing waits to be read: fit for another request."""
        wire = self._wire
        return not (wire.is_client_gone or wire.is_server_gone or wire.to_client)

    def settimeout(self, timeout_s: float | None) -> None:
        self._timeout_s = timeout_s

    def gettimeout(self) -> float | None:
        return self._timeout_s

    def sendall(self, data: Any) -> None:
        """Raises BrokenPipeError where the other end has gone, TimeoutError where it takes nothing."""
        wire = self._wire
        with wire.changed:
            is_ready = wire.changed.wait_for(
                lambda: len(wire.to_server) < UNTAKEN_BYTES_MAX or wire.is_server_gone or wire.is_client_gone,
                self._timeout_s,
            )
            if wire.is_server_gone or wire.is_client_gone:
                raise BrokenPipeError(errno.EPIPE, "the other end has gone")
            if not is_ready:
                raise TimeoutError("timed out")
            wire.to_server += data
        if not self._tell(self._transport.look):
            raise BrokenPipeError(errno.EPIPE, "the server does not run any more")

    def recv_into(self, buffer: Any, is_given_up: Callable[[], bool] = lambda: False) -> int:
        """At least one byte, 0 at the end. Raises TimeoutError. A read given up midway ends the connection."""
        wire = self._wire
        view = memoryview(buffer).cast("B")
        with wire.changed:
            is_ready = wire.changed.wait_for(
                lambda: wire.to_client or wire.is_server_gone or wire.is_client_gone or is_given_up(),
                self._timeout_s,
            )
            if is_given_up():
                self._end()
            if wire.is_client_gone:
                return 0
            if not is_ready:
                raise TimeoutError("timed out")
            count = min(len(view), len(wire.to_client))
            view[:count] = wire.to_client[:count]
            del wire.to_client[:count]
            is_drained = wire.is_full and len(wire.to_client) <= UNREAD_BYTES_LOW
            if is_drained:
                wire.is_full = False
        if is_drained:
            self._tell(self._transport.drained)
        return count

    def recv(self, bytes_max: int) -> bytes:
        buffer = bytearray(bytes_max)
        return bytes(buffer[: self.recv_into(buffer)])

    def makefile(self, mode: str = "rb", buffering: int | None = None) -> "io.BufferedReader":
        """A file to read from; the connection lasts until both it and the socket are closed, as a socket's."""
        with self._wire.changed:
            self._files += 1
        return _Reader(self)

    def shutdown(self, how: int) -> None:
        """End it both ways, whatever ``how`` says; a thread that waits gets the end."""
        self._end()

    def close(self) -> None:
        with self._wire.changed:
            self._is_closed = True
            if not self._files:
                self._end()

    def lose(self) -> None:
        """The server's loop has ended, perhaps before it accepted this connection."""
        with self._wire.changed:
            self._wire.is_server_gone = True
            self._wire.changed.notify_all()

    def look(self) -> None:
        """Let a read that waits see whether it is given up."""
        with self._wire.changed:
            self._wire.changed.notify_all()

    def file_closed(self) -> None:
        """For the files that `makefile` made."""
        with self._wire.changed:
            self._files -= 1
            if self._is_closed and not self._files:
                self._end()

    def _end(self) -> None:
        wire = self._wire
        with wire.changed:
            if wire.is_client_gone:
                return
            wire.is_client_gone = True
            wire.changed.notify_all()
        self._tell(self._transport.look)

    def _tell(self, action: Callable[..., None], *args: Any) -> bool:
        """Call it in the loop; False if there is no loop any more."""
        try:
            self._loop.call_soon_threadsafe(action, *args)
        except RuntimeError:  # closed
            return False
        return True

    def __del__(self) -> None:
        self._end()


class _Raw(io.RawIOBase):
    def __init__(self, socket: MemorySocket) -> None:
        self._socket = socket
        self._is_given_up = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._socket.recv_into(buffer, lambda: self._is_given_up)

    def give_up(self) -> None:
        """A read that waits, or begins from now on, gets the end."""
        self._is_given_up = True
        self._socket.look()

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._socket.file_closed()


class _Reader(io.BufferedReader):
    """Closing it ends a read in another thread; closing a socket's file would wait for that read."""

    def __init__(self, socket: MemorySocket) -> None:
        self._unbuffered = _Raw(socket)
        super().__init__(self._unbuffered, READ_BUFFER_BYTES)

    def close(self) -> None:
        self._unbuffered.give_up()
        super().close()
