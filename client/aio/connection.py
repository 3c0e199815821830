"""Connections of async code to one API server: sessions of aiohttp with our sockets, our trust, and no surprises.

The same as client/rest/connection for requests: of the environment only the proxy variables count, no .netrc, no
cookies, no authorities but ours.
"""

import asyncio
import socket
import ssl
import weakref
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import aiohttp
import multidict
import yarl

from deltawire.client.auth.tls_source import TlsState
from deltawire.client.rest.call import Call
from deltawire.client.rest.client import RESTClient
from deltawire.client.rest.connection import socket_options
from deltawire.common.errors import ConfigError

# Ordinary calls of one client that have a connection at a time; further ones wait for one.
CONNECTIONS_MAX = 100
# How long an idle connection is kept.
IDLE_CONNECTION_S = 30.0
HEADER_BYTES_MAX = 64 * 1024


@dataclass
class _Held:
    """Two sessions of one loop and one state of TLS: of ordinary calls, and of streams, whose number has no bound."""

    loop: asyncio.AbstractEventLoop
    state: TlsState
    calls: aiohttp.ClientSession
    streams: aiohttp.ClientSession
    keeper: AsyncGenerator[None, None]


class AsyncConnector:
    """Sends calls over sessions that belong to the running loop, and ends with it.

    A changed client certificate ends open streams, so that every handshake after that shows the new one; after a
    changed CA they go on. Sessions are closed by `close`, when the loop's async generators are (`asyncio.run` does
    it), or after the last answer of one that a change has replaced.
    """

    def __init__(self, rest: RESTClient, *, may_block: bool) -> None:
        """``may_block``: the credentials run programs or ask other servers. Raises ConfigError for a SOCKS proxy."""
        self._rest = rest
        config = rest.config
        self._proxy = rest.connector.proxies.get("https" if config.is_tls else "http", "") or None
        if self._proxy and self._proxy.startswith("socks"):
            raise ConfigError(
                "async clients cannot use a SOCKS proxy",
                path=config.source,
                hint="use an http proxy, or the sync client in a thread (asyncio.to_thread)",
            )
        self._held: _Held | None = None
        self._may_block = may_block
        # An answer keeps the sessions that it came over.
        self._answers: weakref.WeakKeyDictionary[aiohttp.ClientResponse, _Held] = weakref.WeakKeyDictionary()
        self._streams: weakref.WeakSet[aiohttp.ClientResponse] = weakref.WeakSet()

    async def send(self, call: Call, headers: dict[str, str], *, is_stream: bool) -> aiohttp.ClientResponse:
        """The answer without its body. Raises CredentialsError, and what aiohttp raises."""
        held = await self._current()
        session = held.streams if is_stream else held.calls
        config = self._rest.config
        sent = multidict.CIMultiDict(headers)
        if "Impersonate-User" not in sent:
            for name, value in self._rest.connector.repeated_headers:
                sent.add(name, value)
        response = await session.request(
            call.method,
            yarl.URL(self._rest.url(call), encoded=True),
            headers=sent,
            data=call.body,
            proxy=self._proxy,
            server_hostname=config.tls_server_name or None,
            # A redirected write would arrive as a GET: the redirect is returned as the answer.
            allow_redirects=call.method == "GET",
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=config.connect_timeout_s, sock_read=call.read_timeout_s
            ),
        )
        self._answers[response] = held
        if is_stream:
            self._streams.add(response)
        return response

    async def close(self) -> None:
        """Close the connections of ordinary calls and of streams, where they belong to the running loop."""
        held, self._held = self._held, None
        if held is not None and held.loop is asyncio.get_running_loop():
            await held.keeper.aclose()

    async def _current(self) -> _Held:
        tls = self._rest.connector.tls
        state = await asyncio.to_thread(tls.current) if self._may_block else tls.current()
        loop = asyncio.get_running_loop()
        held = self._held
        if held is not None and held.loop is loop and held.state is state:
            return held
        if held is not None and held.loop is loop and held.state.identity != state.identity:
            for stream in list(self._streams):
                stream.close()
        self._held = held = await self._new(loop, state)
        return held

    async def _new(self, loop: asyncio.AbstractEventLoop, state: TlsState) -> _Held:
        calls = _session(state.context, limit=CONNECTIONS_MAX, keepalive_timeout=IDLE_CONNECTION_S)
        streams = _session(state.context, limit=0, force_close=True)

        async def keep() -> AsyncGenerator[None, None]:
            try:
                yield
            finally:
                await calls.close()
                await streams.close()

        # The loop knows its async generators, and closes them before it ends.
        keeper = keep()
        await anext(keeper)
        return _Held(loop, state, calls, streams, keeper)


def _session(context: ssl.SSLContext | None, **options: Any) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(
        ssl=context if context is not None else True, socket_factory=_socket, **options
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        max_field_size=HEADER_BYTES_MAX,
        max_line_size=HEADER_BYTES_MAX,
    )


def _socket(address: Any) -> socket.socket:
    family, kind, protocol = address[:3]
    made = socket.socket(family, kind, protocol)
    if family in (socket.AF_INET, socket.AF_INET6):
        for option in socket_options():
            made.setsockopt(*option)
    return made
