"""AsyncRESTClient: sends requests to one API server from an event loop."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn, Self, TypeVar

from deltawire.client.aio.request import AsyncRequest
from deltawire.client.aio.streams import AsyncStream, ThreadStream
from deltawire.client.rest.call import Call
from deltawire.client.rest.client import RESTClient, checked_rest
from deltawire.client.rest.rate_limiter import RateLimiter, TokenBucket
from deltawire.client.rest.request import patch_media_type
from deltawire.client.rest.result import Result
from deltawire.client.rest.upgrade import Upgrade
from deltawire.common.errors import DeltawireError

if TYPE_CHECKING:
    from deltawire.client.aio.exchange import AsyncExchange

T = TypeVar("T")
Sleep = Callable[[float], Awaitable[None]]


class AsyncRESTClient:
    """Requests of async code, to the server of ``rest``, with its identity, trust, retries, limits and warnings.

    For one event loop at a time; connections are made anew in another one. Not picklable. A client without sockets
    (`deltawire.FakeClientset`) is asked in threads. The first call raises ConfigError for a SOCKS proxy.
    """

    def __init__(self, rest: RESTClient, *, sleep: Sleep = asyncio.sleep) -> None:
        """``sleep`` waits between attempts."""
        self.sync = checked_rest(rest, "AsyncRESTClient", "RESTClient(config)")
        self._sleep = sleep
        self._sender: _Sender = (
            _HttpSender(rest, sleep) if rest.connector.has_sockets else _ThreadSender(rest)
        )

    # -- the builder, with client-go's verbs

    def verb(self, verb: str) -> AsyncRequest:
        rest = self.sync
        return AsyncRequest(self, verb, base_path=rest.base_path, read_timeout_s=rest.config.read_timeout_s)

    def get(self) -> AsyncRequest:
        return self.verb("GET")

    def post(self) -> AsyncRequest:
        return self.verb("POST")

    def put(self) -> AsyncRequest:
        return self.verb("PUT")

    def patch(self, patch_type: str = "merge") -> AsyncRequest:
        """``patch_type`` is ``json``, ``merge``, ``strategic`` or ``apply``."""
        return self.verb("PATCH").set_header("Content-Type", patch_media_type(patch_type))

    def delete(self) -> AsyncRequest:
        return self.verb("DELETE")

    # -- sending

    async def execute(self, call: Call) -> Result:
        return await self._sender.execute(call)

    async def open_stream(self, call: Call) -> AsyncStream:
        return await self._sender.open_stream(call)

    async def upgraded(self, call: Call, open: Callable[[Upgrade], Awaitable[T]]) -> T:
        """What ``open`` makes of a handshake for ``call``; once more after a 401, with fresh credentials.

        For protocols other than HTTP (client/aio/transport). ``open`` raises StatusError and TransportError.
        """
        return await self._sender.upgraded(call, open)

    async def close(self) -> None:
        """Close the connections, those of open watches too. The sync client stays open."""
        await self._sender.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "an AsyncRESTClient holds connections and cannot be pickled: pickle its config and make a new one"
        )


class _Sender:
    """What carries calls."""

    async def execute(self, call: Call) -> Result:
        raise NotImplementedError

    async def open_stream(self, call: Call) -> AsyncStream:
        raise NotImplementedError

    async def upgraded(self, call: Call, open: Callable[[Upgrade], Awaitable[T]]) -> T:
        raise NotImplementedError

    async def close(self) -> None:
        """Nothing is open by default."""


class _ThreadSender(_Sender):
    """Calls of a sync client, each in a thread: for those without sockets."""

    def __init__(self, rest: RESTClient) -> None:
        self._rest = rest

    async def execute(self, call: Call) -> Result:
        return await asyncio.to_thread(self._rest.execute, call)

    async def open_stream(self, call: Call) -> AsyncStream:
        return ThreadStream(await asyncio.to_thread(self._rest.open_stream, call))

    async def upgraded(self, call: Call, open: Callable[[Upgrade], Awaitable[T]]) -> T:
        return await open(self._rest.upgrade(call, {}))


class _HttpSender(_Sender):
    """Calls over HTTP by aiohttp, which is imported with the first one: it costs 170 ms and 14 MiB."""

    def __init__(self, rest: RESTClient, sleep: Sleep) -> None:
        self._rest = rest
        self._sleep = sleep

    @cached_property
    def _exchange(self) -> "AsyncExchange":
        from deltawire.client.aio.exchange import AsyncExchange

        return AsyncExchange(self._rest)

    async def execute(self, call: Call) -> Result:
        attempts = self._rest.attempts(call)
        while True:
            await self._throttle()
            identity = await self._exchange.identity(call)
            try:
                return await self._exchange.answer(call, identity, attempts=attempts.number)
            except DeltawireError as error:
                if attempts.may_refresh and await self._exchange.may_refresh(error, identity):
                    attempts.refreshed()
                    continue
                delay_s = attempts.delay_s(error)
                if delay_s is None:
                    attempts.final(error)
                    raise
                await self._sleep(delay_s)
                attempts.again(error)

    async def open_stream(self, call: Call) -> AsyncStream:
        """Sent again only after a 401, with fresh credentials."""
        if ("watch", "true") not in call.params:
            await self._throttle()
        identity = await self._exchange.identity(call)
        try:
            return await self._exchange.stream(call, identity)
        except DeltawireError as error:
            if not await self._exchange.may_refresh(error, identity):
                raise
        await self._throttle()
        return await self._exchange.stream(call, await self._exchange.identity(call))

    async def upgraded(self, call: Call, open: Callable[[Upgrade], Awaitable[T]]) -> T:
        await self._throttle()
        identity = await self._exchange.identity(call)
        try:
            return await open(await asyncio.to_thread(self._rest.upgrade, call, identity))
        except DeltawireError as error:
            if not await self._exchange.may_refresh(error, identity):
                raise
        identity = await self._exchange.identity(call)
        return await open(await asyncio.to_thread(self._rest.upgrade, call, identity))

    async def close(self) -> None:
        if "_exchange" in self.__dict__:
            await self._exchange.close()

    async def _throttle(self) -> None:
        limiter: RateLimiter | None = self._rest.rate_limiter
        if isinstance(limiter, TokenBucket):
            delay_s = limiter.reserve_s()
            if delay_s > 0:
                try:
                    await self._sleep(delay_s)
                except asyncio.CancelledError:
                    limiter.give_back()
                    raise
        elif limiter is not None:
            await asyncio.to_thread(limiter.wait)


def checked_async_rest(rest: AsyncRESTClient, taker: str) -> AsyncRESTClient:
    """``rest`` if it is one. The TypeError says what ``taker`` takes, and what makes it."""
    if isinstance(rest, AsyncRESTClient):
        return rest
    way = "AsyncRESTClient(RESTClient(config))"
    if isinstance(getattr(rest, "rest", None), AsyncRESTClient):
        way = f"the .rest of the {type(rest).__name__}"
    raise TypeError(f"{taker} takes an AsyncRESTClient, not a {type(rest).__name__}: give {way}")


class HoldsAsyncREST:
    """A client over ``rest``: an async context manager that closes its connections in the end."""

    rest: AsyncRESTClient

    async def close(self) -> None:
        """Close the connections, those of open watches too."""
        await self.rest.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
