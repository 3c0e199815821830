"""Local TCP ports that lead to ports of a pod: `client.transport.port_forward` for async code.

Not here: the framing, the numbers, and how ports are bound (client/transport/forwarding).
"""

import asyncio
import logging
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from deltawire.client.aio.rest import AsyncRESTClient
from deltawire.client.aio.transport.websocket import AsyncWebSocket, open_websocket
from deltawire.client.transport import channels, port_forward
from deltawire.client.transport.forwarding import DATA, Forwarded, PortFrames, bound, forward_request
from deltawire.common.errors import DeltawireError, TransportError

log = logging.getLogger(__name__)


class AsyncPortForwarder(Forwarded):
    """Forwards while it is open; an async context manager. ``ports`` after `start` have their local numbers.

    Ports, addresses, counters and ``last_error`` are those of the sync PortForwarder.
    """

    def __init__(
        self,
        client: AsyncRESTClient,
        namespace: str,
        pod: str,
        ports: Sequence[str],
        *,
        addresses: Sequence[str] = ("localhost",),
    ) -> None:
        """Raises ConfigError for what is no port."""
        super().__init__(ports, addresses)
        self._client = client
        self._namespace = namespace
        self._pod = pod
        self._servers: list[asyncio.Server] = []
        self._open: set[asyncio.Task[None]] = set()
        self._is_closed = False

    async def start(self) -> None:
        """Listen. Raises ConfigError where a port is in use, or an address is not ours."""
        self.ports, self._listeners = bound(self.ports, self._addresses)
        by_number = {port.local: port.remote for port in self.ports}
        for listener in self._listeners:
            remote = by_number[listener.getsockname()[1]]

            def accept(
                reader: asyncio.StreamReader, writer: asyncio.StreamWriter, remote: int = remote
            ) -> None:
                self._accept(remote, reader, writer)

            self._servers.append(await asyncio.start_server(accept, sock=listener))

    async def close(self) -> None:
        """Close listeners and connections. May be called again."""
        self._is_closed = True
        for server in self._servers:
            server.close()
        for listener in self._listeners:
            listener.close()
        tasks = list(self._open)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:  # cancelled between two listeners
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _accept(self, remote: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_closed or len(self._open) >= port_forward.CONNECTIONS_MAX:
            self.refused += 1
            writer.close()
            return
        self.connections += 1
        task = asyncio.create_task(self._tunnel(remote, reader, writer))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _tunnel(
        self, remote: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """One local connection and its WebSocket."""
        try:
            request = forward_request(self._client.get(), self._namespace, self._pod, remote)
            far = await open_websocket(self._client, request, (channels.V4,))
            sender = asyncio.create_task(_send(reader, far))
            try:
                await _receive(far, writer, sender)
            finally:
                sender.cancel()
                await far.close()
        except DeltawireError as error:
            self.failures += 1
            self.last_error = str(error)
            log.warning("a connection to port %d of pod %s failed: %s", remote, self._pod, error)
        finally:
            writer.close()


async def _send(reader: asyncio.StreamReader, far: AsyncWebSocket) -> None:
    """Local to pod."""
    try:
        while data := await reader.read(port_forward.READ_BYTES):
            await far.send(channels.frame(DATA, data))
    except (OSError, TransportError):
        pass  # the reader finds the same end, and says why


async def _receive(far: AsyncWebSocket, writer: asyncio.StreamWriter, sender: asyncio.Task[None]) -> None:
    """Pod to local, until either side is gone."""
    frames = PortFrames()
    silent_s = 0.0
    while True:
        try:
            async with asyncio.timeout(port_forward.LOOK_S):
                message = await far.receive()
        except TimeoutError:
            silent_s += port_forward.LOOK_S
            if sender.done() and silent_s >= port_forward.HALF_CLOSED_SILENCE_S:
                return
            continue
        silent_s = 0.0
        if message is None:
            return
        if data := frames.feed(message):
            try:
                writer.write(data)
                await writer.drain()
            except OSError:
                return  # the local side is closed
