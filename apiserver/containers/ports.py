"""What answers on the ports of a pod."""

import asyncio
import contextlib
import errno
import inspect
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from deltawire.apiserver.containers.pipes import HungUp, Pipe
from deltawire.apiserver.containers.programs import READ_BYTES, BadProgram

# Bytes from a client that wait to be read, for each connection.
RECEIVED_BYTES_MAX = 256 << 10


class Connection:
    """One TCP connection to a port, seen by what answers on it. For one event loop."""

    def __init__(self, port: int, send: Callable[[bytes], Awaitable[None]]) -> None:
        self.port = port
        self.received = Pipe(RECEIVED_BYTES_MAX)
        self._send = send

    async def read(self, size: int = READ_BYTES) -> bytes:
        """Bytes as they come, up to ``size``; b"" when the client has ended its side."""
        return await self.received.read(size)

    async def write(self, data: bytes) -> None:
        """Waits while the client does not read. Raises HungUp when it has left."""
        try:
            await self._send(data)
        except ConnectionError as error:
            raise HungUp("the client has left") from error


@dataclass(frozen=True, slots=True)
class LocalPort:
    """A port of this machine that answers for the pod."""

    port: int
    host: str = "127.0.0.1"


# The connection ends when the function returns.
Service = Callable[[Connection], Awaitable[None]]
# What a test may give: bytes are sent as the answer to the first that comes, then the connection ends.
Answer = bytes | Service | LocalPort


def greeting(text: str) -> Answer:
    """What answers HTTP with that text, whatever is asked."""
    body = text.encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


async def echo(connection: Connection) -> None:
    """Send back what comes."""
    while data := await connection.read():
        await connection.write(data)


async def serve(answer: Answer, connection: Connection) -> None:
    """Answer one connection to its end.

    Raises ConnectionRefusedError where nothing listens on a `LocalPort`, HungUp where the client has left, and
    BadProgram.
    """
    if isinstance(answer, bytes):
        await connection.read()
        await connection.write(answer)
    elif isinstance(answer, LocalPort):
        await _forward(answer, connection)
    else:
        try:
            running = answer(connection)
            if not inspect.isawaitable(running):
                raise BadProgram("what answers on a port must be an async function")
            await running
        except (HungUp, BadProgram):
            raise
        except Exception as error:
            raise BadProgram(f"{type(error).__name__}: {error}") from error


async def _forward(answer: LocalPort, connection: Connection) -> None:
    try:
        reader, writer = await asyncio.open_connection(answer.host, answer.port)
    except OSError as error:
        raise ConnectionRefusedError(os.strerror(error.errno or errno.ECONNREFUSED)) from None

    async def there() -> None:
        while data := await connection.read():
            writer.write(data)
            await writer.drain()
        writer.write_eof()

    sending = asyncio.create_task(there())
    try:
        while data := await reader.read(READ_BYTES):
            await connection.write(data)
    except ConnectionResetError:
        pass  # as good an end as any
    finally:
        sending.cancel()
        writer.close()
        with contextlib.suppress(asyncio.CancelledError, OSError):  # cancelled, or the port is gone
            await sending
        with contextlib.suppress(OSError):  # it is closed either way
            await writer.wait_closed()
