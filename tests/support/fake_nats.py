"""A server that speaks as much of the protocol of NATS as a connection needs to begin, and what else a test wants."""

import contextlib
import json
import socket
import threading
from typing import Any


class FakeNats:
    """``info``: what it says of itself, beside its defaults. Use as a ``with`` block.

    ``logins``: the CONNECT messages that came. ``mute``: it accepts and says nothing.
    """

    def __init__(self, *, mute: bool = False, greeting: bytes | None = None, **info: Any) -> None:
        self.logins: list[dict[str, Any]] = []
        self.connections: list[socket.socket] = []
        self._mute = mute
        self._greeting = greeting
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._info = {"version": "2.10.0", "max_payload": 16 * 1024**2, "headers": True} | info
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def __enter__(self) -> "FakeNats":
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        for open_socket in (self._listener, *self.connections):
            with contextlib.suppress(OSError):
                open_socket.shutdown(socket.SHUT_RDWR)
            open_socket.close()

    def say(self, line: str) -> None:
        """To the newest connection."""
        self.connections[-1].sendall(line.encode() + b"\r\n")

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        if self._mute:
            return
        try:
            info = json.dumps(self._info).encode()
            connection.sendall(self._greeting or b"INFO " + info + b"\r\n")
            for line in connection.makefile("rb"):
                if line.startswith(b"CONNECT "):
                    self.logins.append(json.loads(line.removeprefix(b"CONNECT ")))
                elif line.startswith(b"PING"):
                    connection.sendall(b"PONG\r\n")
        except OSError:
            return
