"""One attempt of a call over aiohttp: sent, its answer read and judged.

Not here: whether there is another attempt (``rest``), connections (``connection``), what answers mean
(client/rest/exchange).
"""

import asyncio
import logging
from collections.abc import Mapping
from functools import partial

import aiohttp

from deltawire.client.aio.connection import AsyncConnector
from deltawire.client.aio.failures import FOREIGN, error_of
from deltawire.client.aio.streams import AsyncStream, HttpStream
from deltawire.client.rest import exchange, request_log
from deltawire.client.rest.call import Call
from deltawire.client.rest.client import RESTClient
from deltawire.client.rest.result import Result
from deltawire.common.errors import DeltawireError, StatusError, TransportError

_READ_BYTES = 1024 * 1024


class AsyncExchange:
    """Attempts at calls to the server of ``rest``, as its user."""

    def __init__(self, rest: RESTClient) -> None:
        """Raises ConfigError for a SOCKS proxy."""
        self._rest = rest
        config = rest.config
        # These run programs or ask other servers; a small file is read here.
        self._may_block = config.exec_plugin is not None or config.oidc is not None
        self._connector = AsyncConnector(rest, may_block=self._may_block)

    async def identity(self, call: Call) -> Mapping[str, str]:
        """The identity headers. Raises CredentialsError."""
        if self._may_block:
            return await asyncio.to_thread(self._rest.identity, call)
        return self._rest.identity(call)

    async def may_refresh(self, error: DeltawireError, identity: Mapping[str, str]) -> bool:
        """True if the server did not accept who we are, or we it, and that may be different now."""
        if isinstance(error, StatusError | TransportError):
            return await asyncio.to_thread(self._rest.may_refresh, error, identity)
        return False

    async def answer(self, call: Call, identity: Mapping[str, str], *, attempts: int) -> Result:
        """The whole answer. Raises StatusError, TransportError, CapacityError."""
        response = await self._send(call, identity, is_stream=False)
        try:
            await self._judge(call, response)
            body = await self._body(call, response)
            return Result(response.status, response.headers, body, attempts)
        finally:
            response.release()

    async def stream(self, call: Call, identity: Mapping[str, str]) -> AsyncStream:
        """The answer's body as it arrives."""
        # Compressed events would come in blocks, late; real servers do not compress a watch anyway.
        response = await self._send(call, {"Accept-Encoding": "identity", **identity}, is_stream=True)
        try:
            await self._judge(call, response)
        except BaseException:
            response.close()
            raise
        return HttpStream(response, partial(error_of, origin=self._rest.origin))

    async def close(self) -> None:
        await self._connector.close()

    async def _send(self, call: Call, more: Mapping[str, str], *, is_stream: bool) -> aiohttp.ClientResponse:
        headers = self._rest.headers(call, more)
        clock = self._rest.clock
        began_s, url = clock.now_s(), self._rest.url(call)
        try:
            response = await self._connector.send(call, headers, is_stream=is_stream)
        except DeltawireError:
            raise
        except FOREIGN as exc:
            request_log.log_failure(call.method, url, exc, clock.now_s() - began_s)
            raise error_of(exc, self._rest.origin) from exc
        if request_log.log.isEnabledFor(logging.DEBUG):
            took_s = clock.now_s() - began_s
            request_log.log_answer(call.method, url, response.status, took_s, headers, response.headers)
        return response

    async def _judge(self, call: Call, response: aiohttp.ClientResponse) -> None:
        """Raises what the answer's head says is wrong."""
        self._rest.hear_warnings(call, ", ".join(response.headers.getall("Warning", [])))
        if exchange.is_success(response.status):
            try:
                exchange.refuse_page(call, self._rest.origin, response.headers.get("Content-Type", ""))
            except TransportError:
                response.close()
                raise
            return
        try:
            body = await self._limited(response, exchange.ERROR_BODY_BYTES_MAX)
        except FOREIGN:
            body = b""  # the code says enough
        if len(body) > exchange.ERROR_BODY_BYTES_MAX:
            response.close()
        raise exchange.failure_of(
            call, response.status, response.headers, body[: exchange.ERROR_BODY_BYTES_MAX]
        )

    async def _body(self, call: Call, response: aiohttp.ClientResponse) -> bytes:
        bytes_max = exchange.ANSWER_BYTES_MAX
        try:
            body = await self._limited(response, bytes_max)
        except FOREIGN as exc:
            raise error_of(exc, self._rest.origin) from exc
        if len(body) > bytes_max:
            response.close()
            raise exchange.too_large(call, bytes_max)
        return body

    async def _limited(self, response: aiohttp.ClientResponse, bytes_max: int) -> bytes:
        """The body, or a little more than ``bytes_max`` of it."""
        parts: list[bytes] = []
        size = 0
        async for part in response.content.iter_chunked(_READ_BYTES):
            parts.append(part)
            size += len(part)
            if size > bytes_max:
                break
        return parts[0] if len(parts) == 1 else b"".join(parts)
