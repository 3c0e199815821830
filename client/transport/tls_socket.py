"""A TLS connection that one thread reads while others write.

An `ssl.SSLSocket` is no such thing: OpenSSL allows one call at a time for a connection, and Python 3.11 does
not keep the second one out. TLS 1.3 sends session tickets right behind the handshake; a thread that reads
them while another one writes the request lost about 1 request in 300 on two busy cores. The rule for it is
`test_no_handshake_is_lost_under_tls`.
"""

import contextlib
import socket
import ssl
import threading
from typing import cast

# Read from the network at once: what one call of `recv` returns at most, but for what TLS adds.
CHUNK_BYTES = 64 * 1024


class TlsSocket:
    """What the WebSocket library uses of a socket. Makes the handshake; raises OSError as a socket does.

    ``recv`` returns all that has come, so that a poll on `fileno` misses nothing that is already read.
    """

    def __init__(self, sock: socket.socket, context: ssl.SSLContext, server_hostname: str | None) -> None:
        self._sock = sock
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_hostname)
        self._turn = threading.Lock()  # for the three above; never held while the network is waited for
        self._sending = threading.Lock()  # keeps what was encrypted in its order
        self._shake_hands()

    def recv(self, _bytes_max: int) -> bytes:
        """All that can be decrypted, waited for if there is nothing; b"" at the end."""
        while True:
            with self._turn:
                found, is_over = self._read_locked()
            if found or is_over:
                return found
            data = self._sock.recv(CHUNK_BYTES)
            with self._turn:
                self._feed_locked(data)

    def sendall(self, data: bytes) -> None:
        """Encrypt and send. What TLS itself has to say, an answer to new keys, goes along."""
        with self._sending:
            with self._turn:
                # A BIO in memory takes everything.
                self._tls.write(data)
                encrypted = self._outgoing.read()
            self._sock.sendall(encrypted)

    def fileno(self) -> int:
        return self._sock.fileno()

    def settimeout(self, timeout_s: float | None) -> None:
        self._sock.settimeout(timeout_s)

    def getsockname(self) -> object:
        return self._sock.getsockname()

    def getpeername(self) -> object:
        return self._sock.getpeername()

    def shutdown(self, how: int) -> None:
        self._sock.shutdown(how)

    def close(self) -> None:
        """Ends a `recv` that waits, too: closing alone would not wake it."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()

    def _shake_hands(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                is_over = False
            else:
                is_over = True
            finally:
                # Also an alert, which says what we did not like.
                if self._outgoing.pending:
                    self._sock.sendall(self._outgoing.read())
            if is_over:
                return
            self._feed_locked(self._sock.recv(CHUNK_BYTES))

    def _feed_locked(self, data: bytes) -> None:
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def _read_locked(self) -> tuple[bytes, bool]:
        """(all that is complete, nothing more will come). A stream that ends without a goodbye has ended."""
        parts: list[bytes] = []
        while True:
            try:
                part = self._tls.read(CHUNK_BYTES)
            except ssl.SSLWantReadError:
                return b"".join(parts), False
            except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
                return b"".join(parts), True
            if not part:
                return b"".join(parts), True
            parts.append(part)


class _Wrapping:
    """Stands for a context where the library wraps its socket."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context

    def wrap_socket(self, sock: socket.socket, *, server_hostname: str | None = None) -> TlsSocket:
        return TlsSocket(sock, self._context, server_hostname)

    def wrap_bio(
        self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, *, server_hostname: str | None = None
    ) -> ssl.SSLObject:
        """For TLS inside a proxy's TLS, which the library drives by itself."""
        return self._context.wrap_bio(incoming, outgoing, server_hostname=server_hostname)


def wrapping(context: ssl.SSLContext) -> ssl.SSLContext:
    """What the library may take for ``context``: sockets wrapped by it are `TlsSocket`s."""
    return cast(ssl.SSLContext, _Wrapping(context))
