"""A watch as typed events, in async code."""

from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Generic, Self, TypeVar

from deltawire.client.aio.streams import AsyncStream
from deltawire.client.rest.watch import Decode, WatchEvent, WatchFrames, event_of

T = TypeVar("T")


class AsyncWatch(Generic[T]):
    """A watch: ``async for event in watch``; ``async with`` ends it where the iteration is left early.

    It opens when it is first used: at ``async with``, or at the first event. It ends, raises and closes the
    connection as `client.rest.watch.Watch` does.
    """

    def __init__(self, open: Callable[[], Awaitable[AsyncStream]], decode: Decode[T]) -> None:
        self._open = open
        self._decode = decode
        self._stream: AsyncStream | None = None
        self._is_stopped = False
        self._events = self._read()

    def __aiter__(self) -> AsyncIterator[WatchEvent[T]]:
        return self._events

    async def __anext__(self) -> WatchEvent[T]:
        return await anext(self._events)

    def stop(self) -> None:
        """End the watch; an iteration that waits in another task ends. May be called again."""
        self._is_stopped = True
        if self._stream is not None:
            self._stream.close()

    async def _opened(self) -> AsyncStream:
        if self._stream is None:
            self._stream = await self._open()
            if self._is_stopped:
                self._stream.close()
        return self._stream

    async def _read(self) -> AsyncIterator[WatchEvent[T]]:
        if self._is_stopped:
            return
        frames = WatchFrames()
        stream = await self._opened()
        try:
            while piece := await stream.read():
                for event_type, data in frames.feed(piece):
                    yield event_of(event_type, data, self._decode)
        finally:
            stream.close()

    async def __aenter__(self) -> Self:
        """Raises StatusError and TransportError where the server does not accept the watch."""
        await self._opened()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
