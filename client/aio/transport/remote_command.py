"""Running a program in a container, or attaching to the one that runs, awaited.

Cancel the task that waits to end it early: the connection is closed, and what happens to the program is the container
runtime's choice.
"""

import asyncio
import logging
from collections.abc import AsyncIterable, Coroutine, Sequence
from typing import Any, Protocol

from deltawire.client.aio.request import AsyncRequest
from deltawire.client.aio.rest import AsyncRESTClient
from deltawire.client.aio.transport.websocket import AsyncWebSocket, open_websocket
from deltawire.client.transport import channels
from deltawire.client.transport.remote_command import (
    STDIN_BYTES_MAX,
    Completed,
    Kept,
    TerminalSize,
    Writable,
    attach_request,
    exec_request,
    warn_of_input_without_end,
    with_streams,
)
from deltawire.common.errors import TransportError

log = logging.getLogger(__name__)


class AsyncReadable(Protocol):
    """Where stdin comes from: an asyncio.StreamReader."""

    async def read(self, size: int, /) -> bytes: ...


class AsyncRemoteExecutor:
    """One program in one container; make it with `exec_in` or `attach_to`, then `stream` once."""

    def __init__(self, client: AsyncRESTClient, request: AsyncRequest, *, tty: bool) -> None:
        self._client = client
        self._request = request
        self._tty = tty

    async def stream(
        self,
        *,
        stdin: bytes | AsyncReadable | None = None,
        stdout: Writable | None = None,
        stderr: Writable | None = None,
        terminal_sizes: AsyncIterable[TerminalSize] | None = None,
    ) -> int:
        """Copy until the program has ended; its exit code.

        ``write`` of an output is called in the loop, and must not block; where there is a ``drain`` (an
        asyncio.StreamWriter) it is awaited. Raises as the sync `RemoteExecutor.stream`.
        """
        request = with_streams(
            self._request,
            tty=self._tty,
            stdin=stdin is not None,
            stdout=stdout is not None,
            stderr=stderr is not None,
        )
        socket = await open_websocket(self._client, request, (channels.V5, channels.V4))
        inputs: list[asyncio.Task[None]] = []
        try:
            if stdin is not None:
                inputs.append(asyncio.create_task(_quietly(_copy_stdin(socket, stdin))))
            if self._tty and terminal_sizes is not None:
                inputs.append(asyncio.create_task(_quietly(_copy_sizes(socket, terminal_sizes))))
            return await _read(socket, {channels.STDOUT: stdout, channels.STDERR: stderr})
        finally:
            for task in inputs:
                task.cancel()
            await socket.close()


def exec_in(
    client: AsyncRESTClient,
    namespace: str,
    pod: str,
    command: Sequence[str],
    *,
    container: str = "",
    tty: bool = False,
) -> AsyncRemoteExecutor:
    """``command`` (program and arguments, no shell) in a container of ``pod``; "" is its default one.

    Raises ConfigError for a command that is no list.
    """
    request = exec_request(client.get(), namespace, pod, command, container)
    return AsyncRemoteExecutor(client, request, tty=tty)


def attach_to(
    client: AsyncRESTClient, namespace: str, pod: str, *, container: str = "", tty: bool = False
) -> AsyncRemoteExecutor:
    """The main program of a container that runs. ``tty`` must be what the container's own ``tty`` is."""
    return AsyncRemoteExecutor(client, attach_request(client.get(), namespace, pod, container), tty=tty)


async def run(
    client: AsyncRESTClient,
    namespace: str,
    pod: str,
    command: Sequence[str],
    *,
    container: str = "",
    stdin: bytes | AsyncReadable | None = None,
) -> Completed:
    """Run ``command`` to its end and keep what it printed. Raises as `AsyncRemoteExecutor.stream`."""
    out, err = Kept(), Kept()
    executor = exec_in(client, namespace, pod, command, container=container)
    code = await executor.stream(stdin=stdin, stdout=out, stderr=err)
    return Completed(code, bytes(out.data), bytes(err.data))


async def _read(socket: AsyncWebSocket, outputs: dict[int, Writable | None]) -> int:
    """Write what comes until the server closes; the exit code."""
    ending = channels.Ending()
    failed: Exception | None = None
    while True:
        try:
            message = await socket.receive()
        except TransportError:
            if ending.is_told:
                break  # it said how it ended, and then did not close as it should
            raise
        if message is None:
            break
        found = ending.feed(message)
        if found is not None and (output := outputs[found[0]]) is not None and failed is None:
            try:
                await _write(output, found[1])
            except Exception as error:
                # Read on: a full pipe would block the program in the container.
                failed = error
    if failed is not None:
        raise failed
    return ending.exit_code()


async def _write(output: Writable, data: bytes) -> None:
    output.write(data)
    drain = getattr(output, "drain", None)
    if drain is not None:
        await drain()


async def _copy_stdin(socket: AsyncWebSocket, stdin: bytes | AsyncReadable) -> None:
    if isinstance(stdin, bytes):
        for at in range(0, len(stdin), STDIN_BYTES_MAX):
            await socket.send(channels.frame(channels.STDIN, stdin[at : at + STDIN_BYTES_MAX]))
    else:
        while data := await stdin.read(STDIN_BYTES_MAX):
            await socket.send(channels.frame(channels.STDIN, data))
    if socket.protocol == channels.V5:
        await socket.send(channels.close_stdin())
    else:
        warn_of_input_without_end(socket.protocol)


async def _copy_sizes(socket: AsyncWebSocket, sizes: AsyncIterable[TerminalSize]) -> None:
    async for size in sizes:
        await socket.send(channels.resize(size.width, size.height))


async def _quietly(copy: Coroutine[Any, Any, None]) -> None:
    try:
        await copy
    except TransportError as error:
        log.debug("input ended with the connection: %s", error)
    except (OSError, ValueError) as error:
        log.warning("input ended: %s", error)
