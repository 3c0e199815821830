"""Watches with decoded objects, warnings, rate limits and the trace of retries, over real sockets."""

import json
import threading
from typing import Any

import msgspec
import pytest

from deltawire.client.config.client_config import ClientConfig
from deltawire.client.rest.client import RESTClient
from deltawire.client.rest.rate_limiter import TokenBucket
from deltawire.client.rest.warnings import ServerWarning
from deltawire.common.clock import FakeClock
from deltawire.common.errors import StatusError, TransportError


class Meta(msgspec.Struct):
    name: str = ""


class Thing(msgspec.Struct):
    metadata: Meta


def line(event_type: str, obj: Any) -> bytes:
    return json.dumps({"type": event_type, "object": obj}).encode() + b"\n"


def named(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name}}


def test_a_watch_brings_typed_objects_until_the_server_ends_it(server: Any, client: RESTClient) -> None:
    def answer(exchange: Any) -> None:
        exchange.begin_stream()
        exchange.send_chunk(line("ADDED", named("a")) + line("MODIFIED", named("b"))[:-9])
        exchange.send_chunk(line("MODIFIED", named("b"))[-9:])
        exchange.end_stream()

    server.answers(answer)
    with client.get().abs_path("/api/v1/things").watch(Thing) as watch:
        assert [(event.type, event.object.metadata.name) for event in watch] == [
            ("ADDED", "a"),
            ("MODIFIED", "b"),
        ]
        assert watch.is_over
    assert server.requests[0].path == "/api/v1/things?watch=true"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (
            line("ERROR", {"kind": "Status", "status": "Failure", "code": 410, "reason": "Expired"}),
            StatusError,
        ),
        (line("ERROR", named("odd")), TransportError),
        (line("RENAMED", named("a")), TransportError),
        (line("ADDED", {"metadata": 7}), TransportError),
        (b"garbage\n", TransportError),
    ],
)
def test_a_watch_that_goes_wrong_raises_after_what_came_before(
    server: Any, client: RESTClient, body: bytes, error: type[Exception]
) -> None:
    def answer(exchange: Any) -> None:
        exchange.begin_stream()
        exchange.send_chunk(line("ADDED", named("a")) + body)
        exchange.wait_for_peer()

    server.answers(answer)
    watch = client.get().abs_path("/api/v1/things").watch(Thing)
    assert next(watch).object.metadata.name == "a"
    with pytest.raises(error):
        next(watch)
    assert watch.is_over


def test_stopping_a_watch_ends_the_wait_of_another_thread(server: Any, client: RESTClient) -> None:
    def answer(exchange: Any) -> None:
        exchange.begin_stream()
        exchange.send_chunk(line("ADDED", named("a")))
        exchange.wait_for_peer()

    server.answers(answer)
    watch = client.get().abs_path("/api/v1/things").watch()
    first = threading.Event()
    seen: list[str] = []

    def read() -> None:
        for event in watch:
            seen.append(event.object["metadata"]["name"])
            first.set()

    thread = threading.Thread(target=read)
    thread.start()
    assert first.wait(5)
    watch.stop()
    watch.stop()
    thread.join(5)
    assert not thread.is_alive()
    assert seen == ["a"]


def test_a_warning_reaches_the_requests_handler_or_the_clients(server: Any) -> None:
    server.answers(lambda exchange: exchange.reply(200, Warning='299 - "v1beta1 is deprecated"'))
    heard: list[ServerWarning] = []
    of_one: list[ServerWarning] = []
    client = RESTClient(ClientConfig(server.url), on_warning=heard.append)
    client.get().abs_path("/x").do()
    client.get().abs_path("/x").warning_handler(of_one.append).do()
    client.close()
    assert [warning.text for warning in heard] == ["v1beta1 is deprecated"]
    assert [warning.text for warning in of_one] == ["v1beta1 is deprecated"]


def test_every_attempt_takes_a_token_but_a_watchs_first(server: Any) -> None:
    clock = FakeClock()
    bucket = TokenBucket(qps=1, burst=2, clock=clock)
    client = RESTClient(ClientConfig(server.url), rate_limiter=bucket, clock=clock)
    busy = b'{"kind":"Status","status":"Failure","code":429,"reason":"TooManyRequests"}'
    server.answers(
        lambda exchange: exchange.reply(429, busy, Retry_After="0"), lambda exchange: exchange.reply(200)
    )
    assert client.get().abs_path("/x").do().attempts == 2
    assert not bucket.try_accept()
    assert list(client.get().abs_path("/x").param("watch", True).stream()) == [b"{}"]
    assert clock.now_s() == 0.0  # the watch did not wait
    client.get().abs_path("/x").do()
    assert clock.now_s() == 1.0
    client.close()


def test_the_last_error_names_the_one_before_it(server: Any) -> None:
    client = RESTClient(ClientConfig(server.url), clock=FakeClock())
    busy = (
        b'{"kind":"Status","status":"Failure","code":503,"reason":"ServiceUnavailable","message":"starting"}'
    )
    server.answers(
        lambda exchange: exchange.reply(503, busy, Retry_After="1"), lambda exchange: exchange.reply(404, b"")
    )
    with pytest.raises(StatusError) as found:
        client.get().abs_path("/x").do()
    assert found.value.is_not_found
    assert found.value.__notes__ == ["error from a previous attempt: starting"]
    client.close()
