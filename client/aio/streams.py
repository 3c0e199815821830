"""The body of one answer as it arrives, awaited."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING, Self

from deltawire.client.rest.watch_stream import WatchStream
from deltawire.common.errors import TransportError

if TYPE_CHECKING:
    import aiohttp


class AsyncStream:
    """A streaming answer. One task reads; `close` may be called from any other of the same loop."""

    async def read(self) -> bytes:
        """The next bytes, as soon as the server has sent them; b"" at the end, and after `close`.

        Raises TransportError where the connection was cut, or silent for longer than the call's read time-out.
        """
        raise NotImplementedError

    def close(self) -> None:
        """End it; a `read` that waits returns b"". May be called again."""
        raise NotImplementedError

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._pieces()

    async def _pieces(self) -> AsyncIterator[bytes]:
        while piece := await self.read():
            yield piece

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class HttpStream(AsyncStream):
    """On a connection of its own, which is never used again."""

    def __init__(self, response: "aiohttp.ClientResponse", fail: Callable[[BaseException], TransportError]) -> None:
        """``fail`` makes our error of aiohttp's."""
        self._response = response
        self._fail = fail
        self._is_closed = False

    async def read(self) -> bytes:
        if self._is_closed:
            return b""
        try:
            piece = await self._response.content.readany()
        except asyncio.CancelledError:
            self.close()
            raise
        except Exception as exc:
            if self._is_closed:  # whatever is raised then is an end that was asked for
                return b""
            self.close()
            raise self._fail(exc) from exc
        if not piece or self._is_closed:
            self.close()
            return b""
        return piece

    def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._response.close()


class ThreadStream(AsyncStream):
    """A stream of a client without sockets, read in a thread of its own."""

    def __init__(self, stream: WatchStream) -> None:
        self._stream = stream
        self._thread = ThreadPoolExecutor(1, "stream")

    async def read(self) -> bytes:
        try:
            piece = await asyncio.get_running_loop().run_in_executor(self._thread, self._stream.read)
        except BaseException:
            self.close()
            raise
        if not piece:
            self.close()
        return piece

    def close(self) -> None:
        self._stream.close()
        with contextlib.suppress(RuntimeError):
            self._thread.shutdown(wait=False)
