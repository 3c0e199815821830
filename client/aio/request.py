"""The request builder of async code: `client.rest.request.RequestBuilder`, awaited."""

from typing import Any, Protocol, TypeVar, overload

from deltawire.client.aio.streams import AsyncStream
from deltawire.client.aio.watch import AsyncWatch
from deltawire.client.rest.call import Call
from deltawire.client.rest.decode import decoder_of
from deltawire.client.rest.request import RequestBuilder
from deltawire.client.rest.result import Result

T = TypeVar("T")


class AsyncExecutor(Protocol):
    """What an `AsyncRequest` needs of a client."""

    async def execute(self, call: Call) -> Result:
        """The whole answer. Raises StatusError, TransportError."""

    async def open_stream(self, call: Call) -> AsyncStream:
        """The answer's body as it arrives. Raises StatusError, TransportError."""


class AsyncRequest(RequestBuilder):
    """A call that a task waits for."""

    def __init__(
        self, executor: AsyncExecutor, verb: str, *, base_path: str = "", read_timeout_s: float | None = None
    ) -> None:
        super().__init__(verb, base_path=base_path, read_timeout_s=read_timeout_s)
        self._executor = executor

    async def do(self) -> Result:
        """Send it and wait for the whole answer. Raises ConfigError, StatusError, TransportError."""
        return await self._executor.execute(self.call())

    async def stream(self) -> AsyncStream:
        """Send it and read the answer as it comes. Raises ConfigError, StatusError, TransportError."""
        return await self._executor.open_stream(self.call())

    @overload
    def watch(self) -> AsyncWatch[Any]: ...

    @overload
    def watch(self, type: type[T]) -> AsyncWatch[T]: ...

    def watch(self, type: Any = Any) -> AsyncWatch[Any]:
        """A watch whose events hold objects of ``type``; dicts without one. It opens when it is used."""
        return AsyncWatch(self._as_watch().stream, decoder_of(type))
