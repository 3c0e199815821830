"""Port-forward: scripted ports behind one WebSocket, two channels for each, or as kubectl does it (`tunnels`)."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial

from aiohttp import WSCloseCode, WSMsgType, web

from deltawire.apiserver.containers import channels, ports
from deltawire.apiserver.containers.channels import V4
from deltawire.apiserver.containers.ports import Connection
from deltawire.apiserver.containers.programs import BadProgram
from deltawire.apiserver.containers.scripts import Scripts
from deltawire.apiserver.core import failures
from deltawire.apiserver.core.api import ApiCore
from deltawire.apiserver.core.pods import PodLife
from deltawire.apiserver.core.record import Record
from deltawire.apiserver.http import tunnels, upgrades
from deltawire.apiserver.http.asked import Asked
from deltawire.apiserver.http.streams import OpenStreams
from deltawire.apiserver.http.upgrades import Ending

_log = logging.getLogger(__name__)

# Ports of one request: the channel is one byte, and each port has two.
PORTS_MAX = 100
_HINT = "kubectl 1.31 and newer tunnel port-forward through a WebSocket"


class ForwardHandlers:
    """Raises StatusError before the connection is upgraded."""

    def __init__(self, core: ApiCore, scripts: Scripts, streams: OpenStreams) -> None:
        self._core = core
        self._scripts = scripts
        self._streams = streams

    async def port_forward(self, asked: Asked) -> web.StreamResponse:
        path, request = asked.path, asked.request
        pod, _ = upgrades.reachable(self._core, path.name, path.namespace, None)
        # Without a name it is v4.
        protocol = upgrades.choose_protocol(request, (tunnels.PROTOCOL, V4), _HINT)
        if protocol == tunnels.PROTOCOL:
            return await self._tunnel(request, pod)
        try:
            numbers = channels.parse_ports(request.query.getall("ports", []))
        except ValueError as error:
            raise failures.bad_request(str(error)) from None
        if len(numbers) > PORTS_MAX:
            raise failures.bad_request(f"at most {PORTS_MAX} ports can be forwarded at once")
        socket = await upgrades.open_socket(request, protocol)
        connections = [Connection(number, _sender(socket, 2 * place)) for place, number in enumerate(numbers)]

        async def hang_up() -> None:
            for connection in connections:
                await connection.received.close()

        def life(wake: upgrades.Wake) -> PodLife:
            return PodLife(self._core.store, pod, "", wake)

        work = asyncio.create_task(self._serve_all(socket, pod, connections))
        reading = _read(socket, connections)
        ending = await upgrades.last(work, reading, hang_up, life, self._streams)
        if ending is Ending.LEFT:
            return socket
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        if ending is Ending.STOPPING:
            await socket.close(code=WSCloseCode.GOING_AWAY, message=b"the server stops")
        else:
            await socket.close()
        return socket

    async def _tunnel(self, request: web.Request, pod: Record) -> web.StreamResponse:
        """As kubectl forwards: which ports, it says in the tunnel."""
        socket = await upgrades.open_socket(request, tunnels.PROTOCOL)
        tunnel = tunnels.Tunnel(socket, pod, partial(upgrades.answer_on, self._core, self._scripts, pod))

        def life(wake: upgrades.Wake) -> PodLife:
            return PodLife(self._core.store, pod, "", wake)

        never = asyncio.create_task(asyncio.Event().wait())
        try:
            ending = await upgrades.last(never, tunnel.run(), tunnel.close, life, self._streams)
        finally:
            never.cancel()
            await tunnel.close()
        if ending is not Ending.LEFT:
            is_stopping = ending is Ending.STOPPING
            await socket.close(code=WSCloseCode.GOING_AWAY if is_stopping else WSCloseCode.OK)
        return socket

    async def _serve_all(
        self, socket: web.WebSocketResponse, pod: Record, connections: list[Connection]
    ) -> None:
        async with asyncio.TaskGroup() as group:
            for place, connection in enumerate(connections):
                group.create_task(self._serve(socket, pod, 2 * place, connection))

    async def _serve(
        self, socket: web.WebSocketResponse, pod: Record, channel: int, connection: Connection
    ) -> None:
        """One port to its end; a failure is sent on its second channel."""
        port = connection.port
        try:
            await socket.send_bytes(channels.port_head(channel, port))
            await socket.send_bytes(channels.port_head(channel + 1, port))
            answer = upgrades.answer_on(self._core, self._scripts, pod, port)
            if answer is None:
                raise ConnectionRefusedError("connection refused")
            await ports.serve(answer, connection)
        except (ConnectionRefusedError, BadProgram) as error:
            if isinstance(error, BadProgram):
                _log.error("the script of port %d failed", port, exc_info=error)
            told = f"error forwarding port {port} to pod {pod.name}, uid {pod.uid}: {error}"
            try:
                await _sender(socket, channel + 1)(told.encode())
            except ConnectionError:
                pass  # the client has left meanwhile
        except ConnectionError:
            pass  # either side has left: the other sees the close


def _sender(socket: web.WebSocketResponse, channel: int) -> Callable[[bytes], Awaitable[None]]:
    async def send(data: bytes) -> None:
        for message in channels.frames(channel, data):
            await socket.send_bytes(message)

    return send


async def _read(socket: web.WebSocketResponse, connections: list[Connection]) -> None:
    """Pass on what the client sends, until it leaves. What comes on an error channel has no meaning."""
    async for message in socket:
        if message.type not in (WSMsgType.BINARY, WSMsgType.TEXT):
            break
        found = channels.unframe(message.data)
        if found is None:
            continue
        place, is_error = divmod(found[0], 2)
        if not is_error and place < len(connections):
            await connections[place].received.put(found[1])
