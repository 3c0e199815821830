"""A container's log as lines, awaited, also while it grows."""

from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

from deltawire.client.aio.request import AsyncRequest
from deltawire.client.aio.streams import AsyncStream
from deltawire.client.transport.logs import LineCutter


class AsyncLogLines:
    """``async for line in AsyncLogLines(pods.get_logs("web-0", follow=True))``: bytes without their newline.

    It opens when it is used. It ends, and raises, as `client.transport.logs.LogLines` does; `close` may be called
    from any task.
    """

    def __init__(self, request: AsyncRequest) -> None:
        self._request = request
        self._stream: AsyncStream | None = None
        self._is_closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        cutter = LineCutter()
        stream = await self._opened()
        try:
            while chunk := await stream.read():
                for line in cutter.feed(chunk):
                    yield line
            if cutter.left:
                yield bytes(cutter.left)
        finally:
            stream.close()

    def close(self) -> None:
        """An iteration that waits in another task ends. May be called again."""
        self._is_closed = True
        if self._stream is not None:
            self._stream.close()

    async def _opened(self) -> AsyncStream:
        if self._stream is None:
            self._stream = await self._request.stream()
            if self._is_closed:
                self._stream.close()
        return self._stream

    async def __aenter__(self) -> Self:
        """Raises StatusError and TransportError where there is no such log."""
        await self._opened()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
