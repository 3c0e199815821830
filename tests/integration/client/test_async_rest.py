"""Async clients keep the contracts of the sync ones: identity, trust, retries, limits, warnings, errors, watches."""

import asyncio
import gzip
import json
import logging
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
import trustme

from deltawire.client.aio.rest import AsyncRESTClient
from deltawire.client.aio.streams import HttpStream
from deltawire.client.auth.credentials import TOKEN_FILE_REREAD_S
from deltawire.client.auth.tls_source import CA_LOOK_S, CERT_LOOK_S
from deltawire.client.config.client_config import ClientConfig
from deltawire.client.config.identity import ExecPlugin, Impersonation
from deltawire.client.rest import exchange
from deltawire.client.rest.client import RESTClient
from deltawire.client.rest.connection import USER_TIMEOUT_MS, socket_options
from deltawire.client.rest.rate_limiter import TokenBucket
from deltawire.client.rest.retry import RETRIES_MAX
from deltawire.common.clock import FakeClock
from deltawire.common.errors import CapacityError, ConfigError, StatusError, TransportError

T = TypeVar("T")
Made = Callable[..., AsyncRESTClient]
ADDED = b'{"type":"ADDED","object":{"metadata":{"name":"a"}}}\n'


def status(code: int, reason: str) -> bytes:
    return json.dumps({"kind": "Status", "status": "Failure", "code": code, "reason": reason}).encode()


class Slept:
    """What a client waited for, in place of waiting."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def made(url: str, sleep: Any = None, *, clock: Any = None, limiter: Any = None, **config: Any) -> AsyncRESTClient:
    settings = ClientConfig(url, connect_timeout_s=5, read_timeout_s=5)
    given = {name: getattr(settings, name) for name in ("connect_timeout_s", "read_timeout_s")}
    rest = RESTClient(ClientConfig(url, **{**given, **config}), clock=clock, rate_limiter=limiter)
    return AsyncRESTClient(rest, sleep=sleep or asyncio.sleep)


def run(use: Callable[[AsyncRESTClient], Awaitable[T]], client: AsyncRESTClient) -> T:
    async def main() -> T:
        try:
            return await use(client)
        finally:
            await client.close()

    return asyncio.run(main())


async def get(client: AsyncRESTClient) -> Any:
    return (await client.get().abs_path("/x").do()).into()


def failure(client: AsyncRESTClient, use: Callable[[AsyncRESTClient], Awaitable[Any]] = get) -> Any:
    with pytest.raises((StatusError, TransportError, CapacityError)) as found:
        run(use, client)
    return found.value


def test_a_call_is_sent_as_the_sync_client_sends_it(server: Any) -> None:
    server.answers(lambda exchange: exchange.reply(200, Set_Cookie="a=b"))
    user = Impersonation("ada", groups=("dev", "ops"))
    client = made(server.url + "/k8s/", token="t0", impersonate=user)

    async def use(rest: AsyncRESTClient) -> None:
        for _ in range(2):
            request = rest.patch("merge").abs_path("/x").param("a", "c/+=").body({"spec": None})
            await request.do()

    run(use, client)
    client.sync.patch("merge").abs_path("/x").param("a", "c/+=").body({"spec": None}).do()
    client.sync.close()
    first, second, ours = server.requests
    assert first.client_address == second.client_address, "the connection is kept"
    for seen in (first, second):
        assert (seen.command, seen.path, seen.request_body) == (ours.command, ours.path, ours.request_body)
        for name in ("Accept", "Accept-Encoding", "User-Agent", "Content-Type", "Authorization", "Cookie"):
            assert seen.headers.get_all(name) == ours.headers.get_all(name), name
        assert seen.headers.get_all("Impersonate-Group") == ["dev", "ops"]


def test_a_busy_server_is_asked_again_when_it_says(server: Any) -> None:
    server.answers(
        lambda exchange: exchange.reply(429, status(429, "TooManyRequests"), Retry_After="3"),
        lambda exchange: exchange.reply(503, status(503, "ServiceUnavailable"), Retry_After="2"),
        lambda exchange: exchange.reply(200, b'{"a":1}'),
    )
    slept = Slept()

    async def post(rest: AsyncRESTClient) -> Any:
        return await rest.post().abs_path("/x").body({}).do()

    result = run(post, made(server.url, slept))
    assert (result.attempts, slept.seconds) == (3, [3.0, 2.0])


def test_retries_end(server: Any) -> None:
    busy = [lambda exchange: exchange.reply(503, status(503, "Slow"), Retry_After="1")]
    server.answers(*busy, lambda exchange: exchange.reply(429, status(429, "Busy"), Retry_After="1"))
    error = failure(made(server.url, Slept()))
    assert error.code == 429 and len(server.requests) == RETRIES_MAX + 1


def test_a_failure_is_the_error_that_the_sync_client_raises(server: Any) -> None:
    server.answers(lambda exchange: exchange.reply(404, status(404, "NotFound")))
    client = made(server.url)
    error = failure(client)
    with pytest.raises(StatusError) as sync:
        client.sync.get().abs_path("/x").do()
    client.sync.close()
    assert (str(error), error.reason, error.code) == (str(sync.value), sync.value.reason, 404)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (lambda exchange: exchange.cut(), "reset"),
        (lambda exchange: exchange.reply(200, b"<html>", Content_Type="text/html"), "garbage"),
        (lambda exchange: exchange.reply(200, b"not gzip", Content_Encoding="gzip"), "garbage"),
        (lambda exchange: exchange.wait_for_peer(), "timeout"),
    ],
    ids=["cut", "a login page", "unpackable", "silent"],
)
def test_a_server_that_gives_no_answer_has_a_reason(server: Any, script: Any, reason: str) -> None:
    server.answers(script)
    silence = 0.2 if reason == "timeout" else 5

    async def post(rest: AsyncRESTClient) -> Any:
        return await rest.post().abs_path("/x").read_timeout(silence).body({}).do()

    assert failure(made(server.url), post).reason == reason
    assert len(server.requests) == 1, "a write is not sent again"


def test_a_get_that_was_cut_is_sent_again(server: Any) -> None:
    server.answers(lambda exchange: exchange.cut(), lambda exchange: exchange.reply(200, b'{"a":1}'))
    assert run(get, made(server.url, Slept())) == {"a": 1}


def test_who_is_not_there_or_has_no_name_is_told_apart() -> None:
    assert failure(made("http://127.0.0.1:1")).reason == "refused"
    assert failure(made("http://no-such-host.invalid:80")).reason == "dns"


def test_a_packed_answer_is_unpacked(server: Any) -> None:
    server.answers(lambda exchange: exchange.reply(200, gzip.compress(b'{"a":1}'), Content_Encoding="gzip"))
    assert run(get, made(server.url)) == {"a": 1}


def test_an_answer_over_the_bound_is_refused(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "ANSWER_BYTES_MAX", 10)
    server.answers(lambda exchange: exchange.reply(200, b'"0123456789"'))
    assert "larger than 10 bytes" in str(failure(made(server.url)))


def test_a_redirected_write_is_no_read(server: Any) -> None:
    server.answers(lambda exchange: exchange.reply(302, b"", Location="/other"))

    async def post(rest: AsyncRESTClient) -> Any:
        return await rest.post().abs_path("/x").body({}).do()

    assert failure(made(server.url), post).code == 302
    assert [seen.command for seen in server.requests] == ["POST"]


def test_warnings_reach_the_calls_handler(server: Any) -> None:
    server.answers(lambda exchange: exchange.reply(200, Warning='299 - "old version"'))
    heard: list[str] = []

    async def use(rest: AsyncRESTClient) -> None:
        await rest.get().abs_path("/x").warning_handler(lambda warning: heard.append(warning.text)).do()

    run(use, made(server.url))
    assert heard == ["old version"]


def test_a_request_is_a_line_in_the_log(server: Any, caplog: pytest.LogCaptureFixture) -> None:
    server.answers(lambda exchange: exchange.reply(200))
    with caplog.at_level(logging.DEBUG, "deltawire.client.rest.request_log"):
        run(get, made(server.url, token="secret"))
    assert f"GET {server.url}/x: 200 after" in caplog.text and "secret" not in caplog.text


def test_every_attempt_takes_a_token_but_a_watchs_first(server: Any) -> None:
    server.answers(lambda exchange: exchange.reply(200, ADDED))
    slept = Slept()
    client = made(server.url, slept, limiter=TokenBucket(2, 1, clock=FakeClock()))

    async def use(rest: AsyncRESTClient) -> None:
        await get_raw(rest)
        async with rest.get().abs_path("/x").watch() as watch:
            async for _ in watch:
                pass
        await get_raw(rest)

    async def get_raw(rest: AsyncRESTClient) -> Any:
        return await rest.get().abs_path("/x").do()

    run(use, client)
    assert slept.seconds == [0.5]


def test_a_rotated_token_is_read_again_after_a_401_and_after_a_minute(server: Any, tmp_path: Path) -> None:
    file, clock = tmp_path / "token", FakeClock()
    file.write_text("t1")

    def answer(exchange: Any) -> None:
        if exchange.headers["Authorization"] == f"Bearer {file.read_text()}":
            exchange.reply(200)
        else:
            exchange.reply(401, status(401, "Unauthorized"))

    server.answers(answer)

    async def use(rest: AsyncRESTClient) -> None:
        await get(rest)
        file.write_text("t2")
        await get(rest)
        file.write_text("t3")
        clock.advance(TOKEN_FILE_REREAD_S)
        await get(rest)

    run(use, made(server.url, clock=clock, token_file=str(file)))
    sent = [seen.headers["Authorization"][-2:] for seen in server.requests]
    assert sent == ["t1", "t1", "t2", "t3"]


def test_an_exec_plugin_is_run_beside_the_loop(server: Any, tmp_path: Path) -> None:
    script = tmp_path / "plugin"
    script.write_text(
        '#!/bin/sh\necho \'{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential",'
        '"status":{"token":"from-a-plugin"}}\'\n'
    )
    script.chmod(0o700)
    plugin = ExecPlugin(str(script), api_version="client.authentication.k8s.io/v1")
    server.answers(lambda exchange: exchange.reply(200))
    run(get, made(server.url, exec_plugin=plugin))
    assert server.requests[0].headers["Authorization"] == "Bearer from-a-plugin"


def test_only_the_given_authority_is_trusted(tls_server: Any, authority: trustme.CA) -> None:
    tls_server.answers(lambda exchange: exchange.reply(200))
    run(get, made(tls_server.url, ca_data=authority.cert_pem.bytes()))
    error = failure(made(tls_server.url, ca_data=trustme.CA().cert_pem.bytes()))
    assert error.reason == "tls" and "not signed by the given CA" in str(error)


def test_a_name_may_stand_for_the_servers_own(servers: Any, authority: trustme.CA) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("api.internal").configure_cert(context)
    server = servers.start(context)
    server.answers(lambda exchange: exchange.reply(200))
    ca = authority.cert_pem.bytes()
    run(get, made(server.url, ca_data=ca, tls_server_name="api.internal"))
    assert "another name" in str(failure(made(server.url, ca_data=ca)))


def test_a_rotated_ca_is_trusted_and_open_watches_go_on(servers: Any, tmp_path: Path) -> None:
    file, clock = tmp_path / "ca.crt", FakeClock()
    both = []
    for ca in (trustme.CA(), trustme.CA()):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ca.issue_cert("127.0.0.1").configure_cert(context)
        both.append((servers.start(context), ca.cert_pem.bytes()))
    (first, old), (second, new) = both
    go_on = threading.Event()

    def stream(exchange: Any) -> None:
        exchange.begin_stream()
        exchange.send_chunk(ADDED)
        go_on.wait(30)
        exchange.send_chunk(ADDED)
        exchange.end_stream()

    first.answers(stream)
    second.answers(lambda exchange: exchange.reply(200))
    file.write_bytes(old)

    async def use(rest: AsyncRESTClient) -> int:
        seen = 0
        async with rest.get().abs_path("/x").watch() as watch:
            await anext(watch)
            file.write_bytes(new)
            rest.sync._origin = second.url  # the same server after its certificate was replaced
            clock.advance(CA_LOOK_S)
            await get(rest)
            go_on.set()
            async for _ in watch:
                seen += 1
        return seen

    assert run(use, made(first.url, clock=clock, ca_file=str(file))) == 1


def test_a_rotated_certificate_ends_open_watches(servers: Any, authority: trustme.CA, tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    server = servers.start(context)

    def answer(exchange: Any) -> None:
        if "watch" not in exchange.path:
            return exchange.reply(200)
        exchange.begin_stream()
        exchange.send_chunk(ADDED)
        return exchange.wait_for_peer()

    server.answers(answer)
    cert, key, clock = tmp_path / "c", tmp_path / "k", FakeClock()

    def write(name: str) -> None:
        issued = authority.issue_cert(name)
        cert.write_bytes(issued.cert_chain_pems[0].bytes())
        key.write_bytes(issued.private_key_pem.bytes())

    write("ada")

    async def use(rest: AsyncRESTClient) -> None:
        async with rest.get().abs_path("/x").watch() as watch:
            await anext(watch)
            waiting = asyncio.ensure_future(anext(watch))
            await asyncio.sleep(0)
            write("bob")
            clock.advance(CERT_LOOK_S)
            await get(rest)
            with pytest.raises((StopAsyncIteration, TransportError)):
                await asyncio.wait_for(waiting, 30)

    settings = {"ca_data": authority.cert_pem.bytes(), "cert_file": str(cert), "key_file": str(key)}
    run(use, made(server.url, clock=clock, **settings))


def test_a_watch_brings_events_and_raises_what_ends_it_after_them(server: Any) -> None:
    expired = b'{"type":"ERROR","object":' + status(410, "Expired") + b"}\n"
    server.answers(lambda exchange: exchange.reply(200, ADDED + expired))

    async def use(rest: AsyncRESTClient) -> list[str]:
        seen = []
        with pytest.raises(StatusError) as ended:
            async for event in rest.get().abs_path("/x").watch():
                seen.append(event.object["metadata"]["name"])
        assert ended.value.is_expired
        return seen

    assert run(use, made(server.url)) == ["a"]


@pytest.mark.parametrize("how", ["stop", "cancel", "silence", "cut"])
def test_a_watch_that_waits_ends_when_it_is_told_or_the_server_is_gone(server: Any, how: str) -> None:
    def answer(exchange: Any) -> None:
        exchange.begin_stream()
        exchange.send_chunk(ADDED)
        if how == "cut":
            exchange.cut()
        else:
            exchange.wait_for_peer()

    server.answers(answer)

    async def use(rest: AsyncRESTClient) -> None:
        watch = rest.get().abs_path("/x").read_timeout(0.3 if how == "silence" else None).watch()
        async with watch:
            await anext(watch)
            waiting = asyncio.ensure_future(anext(watch))
            await asyncio.sleep(0)
            if how == "stop":
                watch.stop()
            elif how == "cancel":
                waiting.cancel()
            ends = {"stop": StopAsyncIteration, "cancel": asyncio.CancelledError}.get(how, TransportError)
            with pytest.raises(ends) as ended:
                await asyncio.wait_for(waiting, 30)
            if isinstance(ended.value, TransportError):
                assert ended.value.reason == {"silence": "timeout", "cut": "reset"}[how]

    run(use, made(server.url))


def test_a_watch_that_is_refused_raises_where_it_is_opened(server: Any) -> None:
    server.answers(lambda exchange: exchange.reply(403, status(403, "Forbidden")))

    async def use(rest: AsyncRESTClient) -> None:
        async with rest.get().abs_path("/x").watch():
            pytest.fail("it was accepted")

    assert failure(made(server.url), use).code == 403


def test_a_client_serves_one_loop_after_the_other_and_leaves_nothing_open(server: Any) -> None:
    server.answers(lambda exchange: exchange.reply(200, b'{"a":1}'))
    client = made(server.url)
    for _ in range(2):
        assert asyncio.run(get(client)) == {"a": 1}  # unclosed sessions would be warnings, which are errors here


def test_a_peer_that_is_gone_is_found_by_tcp_as_by_the_sync_client(server: Any) -> None:
    server.answers(lambda exchange: (exchange.begin_stream(), exchange.send_chunk(ADDED), exchange.wait_for_peer()))

    async def use(rest: AsyncRESTClient) -> None:
        async with await rest.get().abs_path("/x").stream() as stream:
            assert isinstance(stream, HttpStream) and stream._response.connection is not None
            transport = stream._response.connection.transport
            assert transport is not None
            sock = transport.get_extra_info("socket")
            for level, option, value in socket_options():
                assert bool(sock.getsockopt(level, option)) is bool(value)
                if option == getattr(socket, "TCP_USER_TIMEOUT", None):
                    assert sock.getsockopt(level, option) == USER_TIMEOUT_MS

    run(use, made(server.url))


def test_proxies_are_those_of_the_sync_client(servers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = servers.start()
    proxy.answers(lambda exchange: exchange.reply(200, b'{"by":"the proxy"}'))
    monkeypatch.setenv("http_proxy", proxy.url)
    monkeypatch.setenv("no_proxy", "")
    assert run(get, made("http://api.invalid:8001")) == {"by": "the proxy"}
    monkeypatch.setattr("deltawire.client.rest.connection.find_spec", lambda name: "PySocks")
    with pytest.raises(ConfigError, match="async clients cannot use a SOCKS proxy"):
        run(get, made("http://api.invalid:8001", proxy_url="socks5://127.0.0.1:1"))


def test_a_mistake_in_the_making_is_raised_when_it_is_sent() -> None:
    with pytest.raises(ConfigError, match="no patch type"):
        made("http://127.0.0.1:1").patch("yaml")
    with pytest.raises(TypeError, match="takes a RESTClient"):
        AsyncRESTClient(ClientConfig("http://127.0.0.1:1"))  # type: ignore[arg-type]  # the mistake under test
