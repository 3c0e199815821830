"""Port-forward as kubectl does it: SPDY inside a WebSocket, two streams for each connection that it forwards."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import WSMsgType, web

from deltawire.apiserver.containers import ports, spdy
from deltawire.apiserver.containers.ports import Answer, Connection
from deltawire.apiserver.containers.programs import BadProgram
from deltawire.apiserver.core.record import Record

_log = logging.getLogger(__name__)

PROTOCOL = "SPDY/3.1+portforward.k8s.io"
# Connections that one tunnel forwards at a time; further ones are reset.
CONNECTIONS_MAX = 1000


@dataclass
class _Forwarded:
    """One connection: a stream for its bytes, and one for a failure."""

    port: int = 0
    data: int = 0
    error: int = 0
    connection: Connection | None = None
    task: "asyncio.Task[None] | None" = field(default=None, repr=False)


class Tunnel:
    """Serves what comes through one WebSocket until it ends. ``answer_on`` gives what answers on a port."""

    def __init__(
        self, socket: web.WebSocketResponse, pod: Record, answer_on: Callable[[int], Answer | None]
    ) -> None:
        self._socket = socket
        self._pod = pod
        self._answer_on = answer_on
        self._reader = spdy.Reader()
        self._writer = spdy.Writer()
        self._requests: dict[str, _Forwarded] = {}
        self._streams: dict[int, _Forwarded] = {}
        # Frames with headers depend on those before: they are made and sent one at a time.
        self._sending = asyncio.Lock()

    async def run(self) -> None:
        """Take in what the client sends, until it leaves or sends what is no SPDY."""
        try:
            async for data in self._received():
                for event in self._reader.feed(data):
                    await self._take(event)
        except spdy.BadFrame as error:
            _log.warning("a port-forward of pod %s sent what is no SPDY: %s", self._pod.name, error)
        except ConnectionError:
            pass  # the client has left

    async def close(self) -> None:
        """End all connections; they have no reader any more."""
        tasks = [each.task for each in self._requests.values() if each.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _received(self) -> AsyncIterator[bytes]:
        async for message in self._socket:
            if message.type != WSMsgType.BINARY:
                return
            yield message.data

    async def _take(self, event: spdy.Event) -> None:
        match event:
            case spdy.Opened():
                await self._open(event)
            case spdy.Data():
                forwarded = self._streams.get(event.stream)
                if forwarded is None or forwarded.data != event.stream or forwarded.connection is None:
                    return  # what comes on a stream for failures has no meaning
                if event.data:
                    await forwarded.connection.received.put(event.data)
                if event.is_last:
                    await forwarded.connection.received.close()
            case spdy.Reset():
                forwarded = self._streams.get(event.stream)
                if forwarded is not None and forwarded.task is not None:
                    forwarded.task.cancel()
            case spdy.Ping():
                await self._send(self._writer.ping(event.number))
            case spdy.GoneAway():
                pass  # what is open goes on

    async def _open(self, opened: spdy.Opened) -> None:
        headers = opened.headers
        kind, port, request = (headers.get(name, "") for name in ("streamtype", "port", "requestid"))
        is_known = kind in ("data", "error") and port.isdecimal() and 0 < int(port) <= 65535
        if not is_known or (request not in self._requests and len(self._requests) >= CONNECTIONS_MAX):
            await self._send(self._writer.reset(opened.stream))
            return
        forwarded = self._requests.setdefault(request, _Forwarded(int(port)))
        self._streams[opened.stream] = forwarded
        async with self._sending:
            await self._socket.send_bytes(self._writer.reply(opened.stream))
        if kind == "error":
            forwarded.error = opened.stream
        else:
            forwarded.data = opened.stream
        if forwarded.data and forwarded.error and forwarded.task is None:
            forwarded.connection = Connection(forwarded.port, self._sender(forwarded.data))
            forwarded.task = asyncio.create_task(self._serve(request, forwarded))

    async def _serve(self, request: str, forwarded: _Forwarded) -> None:
        """One connection to its end; a failure is told on its other stream."""
        port, pod, told = forwarded.port, self._pod, ""
        try:
            answer = self._answer_on(port)
            if answer is None or forwarded.connection is None:
                raise ConnectionRefusedError("connection refused")
            await ports.serve(answer, forwarded.connection)
        except (ConnectionRefusedError, BadProgram) as error:
            if isinstance(error, BadProgram):
                _log.error("the script of port %d failed", port, exc_info=error)
            told = f"error forwarding port {port} to pod {pod.name}, uid {pod.uid}: {error}"
        except ConnectionError:
            pass  # either side has left
        finally:
            del self._requests[request]
            for stream in (forwarded.data, forwarded.error):
                self._streams.pop(stream, None)
            if forwarded.connection is not None:
                await forwarded.connection.received.close()  # what still comes is dropped
        try:
            await self._send_data(forwarded.error, told.encode(), is_last=True)
            await self._send_data(forwarded.data, b"", is_last=True)
        except ConnectionError:
            pass  # the client has left meanwhile

    def _sender(self, stream: int) -> Callable[[bytes], Awaitable[None]]:
        async def send(data: bytes) -> None:
            await self._send_data(stream, data)

        return send

    async def _send_data(self, stream: int, data: bytes, *, is_last: bool = False) -> None:
        for frame in self._writer.data(stream, data, is_last=is_last):
            await self._send(frame)

    async def _send(self, frame: bytes) -> None:
        async with self._sending:
            await self._socket.send_bytes(frame)
