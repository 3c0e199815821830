"""A TCP proxy whose connections can be frozen: they stay open and carry nothing any more."""

import socket
import threading
from types import TracebackType
from typing import Self


class FreezingProxy:
    """Listens on ``url``; `freeze` hits the connections that exist then, new ones work."""

    def __init__(self, host: str, port: int) -> None:
        self._to = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self._epoch = 0
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def freeze(self) -> None:
        self._epoch += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for sock in (self._listener, *self._sockets):
            sock.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._to)
            except OSError:
                return
            self.connections += 1
            self._sockets += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pass_on, args=(source, sink, self._epoch), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, epoch: int) -> None:
        try:
            while data := source.recv(65536):
                if epoch != self._epoch:
                    return  # swallowed; the connection stays as it is
                sink.sendall(data)
            if epoch == self._epoch:
                sink.shutdown(socket.SHUT_WR)
        except OSError:
            return
