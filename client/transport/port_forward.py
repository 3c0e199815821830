"""Local TCP ports that lead to ports of a pod, over the WebSocket form of the protocol.

Each local connection has a WebSocket of its own, with two channels: 0 for data, 1 for the pod's word that it
failed. The first message on each names the port. The protocol has no half-close: when the local side has sent
its last byte, what the pod still sends is passed on until it closes, or is silent for `HALF_CLOSED_SILENCE_S`.
"""

import contextlib
import logging
import socket
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from deltawire.client.rest.client import RESTClient
from deltawire.client.transport import channels
from deltawire.client.transport.forwarding import (
    DATA,
    Forwarded,
    ForwardedPort,
    PortFrames,
    bound,
    forward_request,
)
from deltawire.client.transport.websocket import WebSocket, open_websocket
from deltawire.common.errors import DeltawireError, TransportError

log = logging.getLogger(__name__)

CONNECTIONS_MAX = 100  # at once, over all ports of a forwarder; more are closed and counted
READ_BYTES = 32 * 1024
HALF_CLOSED_SILENCE_S = 30.0
LOOK_S = 1.0  # between two looks at whether the local side has ended


class PortForwarder(Forwarded):
    """Forwards while it is open; a context manager. ``ports`` after `start` have their local numbers.

    ``addresses`` are IP addresses, or ``localhost`` (127.0.0.1 and ::1, of which one must work). A connection
    that the pod refuses is closed; its reason is logged and kept in ``last_error``. ``connections``,
    ``failures`` and ``refused`` count.
    """

    def __init__(
        self,
        client: RESTClient,
        namespace: str,
        pod: str,
        ports: Sequence[str],
        *,
        addresses: Sequence[str] = ("localhost",),
    ) -> None:
        super().__init__(ports, addresses)
        self._client = client
        self._namespace = namespace
        self._pod = pod
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._open: set[_Tunnel] = set()
        self._is_closed = False

    def start(self) -> None:
        """Listen. Raises ConfigError where a port is in use, or an address is not ours."""
        try:
            self.ports, self._listeners = bound(self.ports, self._addresses)
        except BaseException:
            self.close()
            raise
        for listener, port in self._bound():
            thread = threading.Thread(
                target=self._accept, args=(listener, port.remote), name=f"forward-{port.remote}", daemon=True
            )
            thread.start()
            self._threads.append(thread)

    def close(self) -> None:
        """Close listeners and connections. May be called again."""
        with self._lock:
            self._is_closed = True
            tunnels = list(self._open)
        for listener in self._listeners:
            with contextlib.suppress(OSError):  # never listened: nothing to wake
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for tunnel in tunnels:
            tunnel.close()
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _bound(self) -> list[tuple[socket.socket, ForwardedPort]]:
        by_number = {port.local: port for port in self.ports}
        return [(listener, by_number[listener.getsockname()[1]]) for listener in self._listeners]

    def _accept(self, listener: socket.socket, remote: int) -> None:
        while True:
            try:
                local, _ = listener.accept()
            except OSError:
                return  # closed
            tunnel = _Tunnel(self, local, remote)
            with self._lock:
                is_taken = not self._is_closed and len(self._open) < CONNECTIONS_MAX
                if is_taken:
                    self._open.add(tunnel)
                    self.connections += 1
                else:
                    self.refused += 1
            if is_taken:
                threading.Thread(target=tunnel.run, name=f"forward-{remote}", daemon=True).start()
            else:
                local.close()

    def _open_websocket(self, remote: int) -> WebSocket:
        request = forward_request(self._client.get(), self._namespace, self._pod, remote)
        return open_websocket(self._client, request, (channels.V4,))

    def _ended(self, tunnel: "_Tunnel", error: DeltawireError | None) -> None:
        with self._lock:
            self._open.discard(tunnel)
            if error is None or self._is_closed:
                return
            self.failures += 1
            self.last_error = str(error)
        log.warning("a connection to port %d of pod %s failed: %s", tunnel.remote, self._pod, error)


class _Tunnel:
    """One local connection and its WebSocket."""

    def __init__(self, forwarder: PortForwarder, local: socket.socket, remote: int) -> None:
        self.remote = remote
        self._forwarder = forwarder
        self._local = local
        self._far: WebSocket | None = None
        self._is_closed = threading.Event()
        self._local_ended = threading.Event()

    def run(self) -> None:
        error: DeltawireError | None = None
        sender: threading.Thread | None = None
        try:
            self._far = self._forwarder._open_websocket(self.remote)
            if self._is_closed.is_set():
                return
            sender = threading.Thread(target=self._send, args=(self._far,), name="forward-send", daemon=True)
            sender.start()
            self._receive(self._far)
        except DeltawireError as found:
            error = found
        finally:
            self.close()
            if sender is not None:
                sender.join()
            self._local.close()
            self._forwarder._ended(self, error)

    def close(self) -> None:
        """Both sides; from any thread."""
        self._is_closed.set()
        with contextlib.suppress(OSError):  # the peer was faster
            self._local.shutdown(socket.SHUT_RDWR)
        if self._far is not None:
            self._far.close()

    def _send(self, far: WebSocket) -> None:
        """Local to pod."""
        try:
            while data := self._local.recv(READ_BYTES):
                far.send(channels.frame(DATA, data))
        except (OSError, TransportError):
            pass  # the reader finds the same end, and says why
        self._local_ended.set()

    def _receive(self, far: WebSocket) -> None:
        """Pod to local, until either side is gone."""
        frames = PortFrames()
        silent_s = 0.0
        while True:
            try:
                message = far.receive(LOOK_S)
            except TimeoutError:
                silent_s += LOOK_S
                if self._local_ended.is_set() and silent_s >= HALF_CLOSED_SILENCE_S:
                    return
                continue
            silent_s = 0.0
            if message is None:
                return
            data = frames.feed(message)
            if not data:
                continue
            try:
                self._local.sendall(data)
            except OSError:
                return  # the local listener is closed
