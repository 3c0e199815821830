"""One WebSocket to the API server, awaited: `client.transport.websocket` for async code."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from deltawire.client.aio.request import AsyncRequest
from deltawire.client.aio.rest import AsyncRESTClient
from deltawire.client.rest.upgrade import Upgrade
from deltawire.client.transport.websocket import cut, handshake, handshake_options, not_spoken

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection


class AsyncWebSocket:
    """Messages both ways. Any task of the loop may `send` and `close`, one reads.

    Methods raise TransportError; ``reason`` ``reset`` is a connection that ended otherwise than by a close of
    the server.
    """

    def __init__(self, connection: "ClientConnection", origin: str) -> None:
        self._connection = connection
        self._origin = origin
        self._is_closed = False
        self.protocol = str(connection.subprotocol)

    async def send(self, message: bytes) -> None:
        from websockets.exceptions import WebSocketException

        try:
            await self._connection.send(message)
        except (WebSocketException, OSError) as error:
            raise cut(self._origin, error) from error

    async def receive(self) -> str | bytes | None:
        """The next message; None where the server (or `close`) has closed. May be cancelled and called again."""
        from websockets.exceptions import ConnectionClosedOK, WebSocketException

        try:
            return await self._connection.recv()
        except ConnectionClosedOK:
            return None
        except (WebSocketException, OSError) as error:
            if self._is_closed:
                return None
            raise cut(self._origin, error) from error

    async def close(self) -> None:
        """May be called again."""
        self._is_closed = True
        await self._connection.close()


async def open_websocket(
    client: AsyncRESTClient, request: AsyncRequest, protocols: Sequence[str]
) -> AsyncWebSocket:
    """A WebSocket for ``request``, in the first of ``protocols`` that the server speaks.

    Raises StatusError where the server refuses, TransportError where it cannot be reached or does not speak any of
    the protocols, ConfigError for a SOCKS proxy. A 401 is tried once more with fresh credentials.
    """

    async def open(upgrade: Upgrade) -> AsyncWebSocket:
        return await _open(upgrade, protocols)

    return await client.upgraded(request.call(), open)


async def _open(upgrade: Upgrade, protocols: Sequence[str]) -> AsyncWebSocket:
    # Imported at the first use, since it is slow to load.
    from websockets.asyncio.client import connect

    class Connect(connect):
        def process_redirect(self, exc: Exception) -> Exception | str:
            """A redirect is an answer: credentials go nowhere else."""
            return exc

    with handshake(upgrade):
        connection = await Connect(upgrade.url, ssl=upgrade.context, **handshake_options(upgrade, protocols))
    if connection.subprotocol is None:
        await connection.close()
        raise not_spoken(upgrade, f"none of {', '.join(protocols)}")
    return AsyncWebSocket(connection, upgrade.origin)
