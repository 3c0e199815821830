import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from deltawire.client.config.client_config import ClientConfig
from deltawire.client.rest.client import RESTClient
from deltawire.client.rest.watch_stream import READ_BYTES_MAX, WatchStream
from deltawire.common.errors import StatusError, TransportError
from deltawire.common.meta.resources import find
from tests.support.patience import Patience

PODS = find("pods")
assert PODS is not None
EVENT = b'{"type":"ADDED","object":{"kind":"Pod"}}\n'


@pytest.fixture(params=["server", "tls_server"])
def either(request: pytest.FixtureRequest, authority: Any) -> Iterator[tuple[Any, RESTClient]]:
    """A server without TLS, and one with it; and its client."""
    server = request.getfixturevalue(request.param)
    ca = authority.cert_pem.bytes() if request.param == "tls_server" else b""
    client = RESTClient(ClientConfig(server.url, ca_data=ca))
    yield server, client
    client.close()


def test_a_chunk_is_readable_while_the_stream_stays_open(server: Any, client: RESTClient) -> None:
    may_end = threading.Event()

    def answer(exchange: Any) -> None:
        exchange.begin_stream()
        exchange.send_chunk(EVENT)
        may_end.wait(10)
        exchange.send_chunk(EVENT)
        exchange.end_stream()

    server.answers(answer)
    with client.open_watch(PODS, "default", {"resourceVersion": "7"}, read_timeout_s=5) as stream:
        assert stream.read() == EVENT
        may_end.set()
        assert b"".join(stream) == EVENT
        assert stream.is_over
        assert stream.read() == b""
        assert stream.bytes_read == 2 * len(EVENT)
    [request] = server.requests
    assert request.path == "/api/v1/namespaces/default/pods?watch=true&resourceVersion=7"
    assert request.headers["Accept-Encoding"] == "identity"


def test_a_cut_watch_is_a_transport_error_and_not_an_end(server: Any, client: RESTClient) -> None:
    def answer(exchange: Any) -> None:
        exchange.begin_stream()
        exchange.send_chunk(EVENT)
        exchange.cut()

    server.answers(answer)
    stream = client.open_watch(PODS, read_timeout_s=5)
    assert stream.read() == EVENT
    with pytest.raises(TransportError) as found:
        stream.read()
    assert found.value.reason == "reset"
    assert found.value.retryable
    assert stream.is_over
    assert stream.read() == b""


def test_a_watch_cut_inside_a_chunk_is_a_transport_error(server: Any, client: RESTClient) -> None:
    def answer(exchange: Any) -> None:
        exchange.begin_stream()
        exchange.wfile.write(b"ff\r\n" + EVENT)
        exchange.cut()

    server.answers(answer)
    stream = client.open_watch(PODS, read_timeout_s=5)
    with pytest.raises(TransportError, match="cut"):
        stream.read()


def test_a_close_from_another_thread_ends_a_waiting_read(either: tuple[Any, RESTClient]) -> None:
    server, client = either

    def answer(exchange: Any) -> None:
        exchange.begin_stream()
        exchange.send_chunk(EVENT)
        exchange.wait_for_peer()

    server.answers(answer)
    stream = client.open_watch(PODS)
    assert stream.read() == EVENT
    outcome: list[Any] = []
    reader = threading.Thread(target=lambda: outcome.append(stream.read()))
    reader.start()
    patience = Patience(5)
    while not stream._is_reading and not patience.is_over():
        time.sleep(0.001)
    stream.close()
    stream.close()
    reader.join(5)
    assert not reader.is_alive()
    assert outcome == [b""]
    assert stream.read() == b""


def test_a_closed_stream_gives_its_connection_back(server: Any, client: RESTClient) -> None:
    gone = threading.Event()

    def answer(exchange: Any) -> None:
        exchange.begin_stream()
        exchange.wait_for_peer()
        gone.set()

    server.answers(answer)
    stream = client.open_watch(PODS)
    stream.close()
    assert gone.wait(5)


def test_a_silent_watch_ends_with_a_time_out(server: Any, client: RESTClient) -> None:
    def answer(exchange: Any) -> None:
        exchange.begin_stream()
        exchange.send_chunk(EVENT)
        exchange.wait_for_peer()

    server.answers(answer)
    stream = client.open_watch(PODS)
    assert stream.read() == EVENT
    assert stream.set_read_timeout(0.05)
    with pytest.raises(TransportError) as found:
        stream.read()
    assert found.value.reason == "timeout"


def test_a_refused_watch_carries_the_servers_status(server: Any, client: RESTClient) -> None:
    body = b'{"kind":"Status","status":"Failure","message":"too old","reason":"Expired","code":410}'
    server.answers(lambda exchange: exchange.reply(410, body))
    with pytest.raises(StatusError) as found:
        client.open_watch(PODS)
    assert found.value.is_expired
    assert found.value.message == "too old"


def test_each_watch_has_a_connection_of_its_own(server: Any, client: RESTClient) -> None:
    def answer(exchange: Any) -> None:
        exchange.begin_stream()
        exchange.end_stream()

    server.answers(answer)
    for _ in range(2):
        assert client.open_watch(PODS).read() == b""
    ports = {request.client_address[1] for request in server.requests}
    assert len(ports) == 2


def test_a_small_read_loses_nothing_of_a_large_chunk(server: Any, client: RESTClient) -> None:
    def answer(exchange: Any) -> None:
        exchange.begin_stream()
        exchange.send_chunk(EVENT * 3)
        exchange.end_stream()

    server.answers(answer)
    stream = client.open_watch(PODS, read_timeout_s=5)
    parts = []
    while part := stream.read(7):
        assert len(part) <= 7
        parts.append(part)
    assert b"".join(parts) == EVENT * 3


def test_an_answer_without_chunks_is_read_as_it_comes(server: Any, client: RESTClient) -> None:
    may_end = threading.Event()

    def answer(exchange: Any) -> None:
        exchange.send_response(200)
        exchange.send_header("Connection", "close")
        exchange.end_headers()
        exchange.wfile.write(EVENT)
        exchange.wfile.flush()
        may_end.wait(10)

    server.answers(answer)
    stream = client.open_watch(PODS, read_timeout_s=5)
    assert stream.read() == EVENT
    assert not stream.set_read_timeout(1)
    may_end.set()
    assert stream.read() == b""


def test_ready_says_that_bytes_wait_in_the_socket(server: Any, client: RESTClient) -> None:
    go_on = threading.Event()

    def answer(exchange: Any) -> None:
        exchange.begin_stream()
        exchange.send_chunk(EVENT)
        go_on.wait(10)
        exchange.send_chunk(EVENT)
        exchange.wait_for_peer()

    server.answers(answer)
    with client.open_watch(PODS, read_timeout_s=5) as stream:
        assert stream.read() == EVENT
        assert not stream.is_ready()
        go_on.set()
        patience = Patience(5)
        while not stream.is_ready() and not patience.is_over():
            time.sleep(0.001)
        assert stream.is_ready()
    assert not stream.is_ready()


def _close_at_any_moment(
    client: RESTClient, read: Callable[[WatchStream], None], share: Callable[[], float]
) -> None:
    """Thirty streams, each closed while a thread does ``read`` with it."""
    for _ in range(30):
        stream = client.open_watch(PODS)
        reader = threading.Thread(target=read, args=(stream,))
        reader.start()
        time.sleep(share() * 0.005)
        stream.close()
        reader.join(5)
        assert not reader.is_alive()
        assert stream._handle is None


def _is_soon_ready(stream: WatchStream) -> bool:
    patience = Patience(10)
    while not stream.is_ready() and not patience.is_over():
        time.sleep(0.001)
    return stream.is_ready()


@pytest.mark.parametrize("size", [40, 700, 4_400])
def test_ready_says_that_a_piece_waits_above_the_socket(either: tuple[Any, RESTClient], size: int) -> None:
    (server, client), count = either, 30
    event = b"x" * size

    def answer(exchange: Any) -> None:
        exchange.begin_stream()
        exchange.wfile.write(b"".join(b"%x\r\n%s\r\n" % (len(event), event) for _ in range(count)))
        exchange.wait_for_peer()

    server.answers(answer)
    with client.open_watch(PODS, read_timeout_s=5) as stream:
        for _ in range(count):
            assert _is_soon_ready(stream)
            assert stream.read() == event
        assert not stream.is_ready()


@pytest.mark.parametrize("sent", [1, 3, 20, 3_000])
def test_a_piece_of_which_a_part_is_there_is_not_ready(either: tuple[Any, RESTClient], sent: int) -> None:
    server, client = either
    event, has_sent, go_on = b"x" * 20_000, threading.Event(), threading.Event()
    piece = b"%x\r\n%s\r\n" % (len(event), event)

    def answer(exchange: Any) -> None:
        exchange.begin_stream()
        exchange.wfile.write(b"%x\r\n%s\r\n" % (len(EVENT), EVENT) + piece[:sent])
        has_sent.set()
        go_on.wait(10)
        exchange.wfile.write(piece[sent:])
        exchange.wait_for_peer()

    server.answers(answer)
    with client.open_watch(PODS, read_timeout_s=5) as stream:
        assert stream.read() == EVENT
        assert has_sent.wait(10)
        assert not any(stream.is_ready() for _ in range(100))
        go_on.set()
        assert _is_soon_ready(stream)
        assert stream.read() == event


@pytest.mark.parametrize("sent", [1, 3, 20, 3_000, 20_008])
def test_a_stream_is_empty_where_not_even_a_part_of_a_piece_is_there(either: tuple[Any, RESTClient], sent: int) -> None:
    server, client = either
    event, begin, go_on = b"x" * 20_000, threading.Event(), threading.Event()
    piece = b"%x\r\n%s\r\n" % (len(event), event)

    def answer(exchange: Any) -> None:
        exchange.begin_stream()
        exchange.send_chunk(EVENT)
        begin.wait(10)
        exchange.wfile.write(piece[:sent])
        go_on.wait(10)
        exchange.wfile.write(piece[sent:])
        exchange.wait_for_peer()

    server.answers(answer)
    with client.open_watch(PODS, read_timeout_s=5) as stream:
        assert stream.read(20) + stream.read() == EVENT
        assert stream.is_empty()
        begin.set()
        patience = Patience(10)
        while stream.is_empty() and not patience.is_over():
            time.sleep(0.001)
        assert not any(stream.is_empty() for _ in range(100))
        go_on.set()
        assert stream.read(100) == event[:100]
        assert not stream.is_empty()
        assert stream.read() == event[100:]
        assert stream.is_empty()
    assert not stream.is_empty()


def test_who_looks_whether_a_stream_is_ready_while_another_thread_closes_it_sees_its_end(server: Any) -> None:
    def answer(exchange: Any) -> None:
        exchange.begin_stream()
        while True:  # until the peer leaves: the write fails then
            exchange.send_chunk(EVENT * 50)

    server.answers(answer)
    client = RESTClient(ClientConfig(server.url))
    errors: list[BaseException] = []

    def look(stream: WatchStream) -> None:
        try:
            while not stream.is_over:
                if stream.is_ready():
                    stream.read()
        except BaseException as error:
            errors.append(error)

    _close_at_any_moment(client, look, random.random)
    assert not errors
    client.close()


def test_a_close_at_any_moment_is_an_end_and_never_an_error(either: tuple[Any, RESTClient]) -> None:
    server, client = either
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    dice = random.Random(seed)

    def answer(exchange: Any) -> None:
        exchange.begin_stream()
        while True:  # until the peer leaves: the write fails then
            exchange.send_chunk(EVENT * 50)

    server.answers(answer)
    errors: list[BaseException] = []

    def read_all(stream: WatchStream) -> None:
        try:
            for chunk in stream:
                assert chunk.startswith(b'{"type"')
        except BaseException as error:
            errors.append(error)

    _close_at_any_moment(client, read_all, dice.random)
    assert not errors


@pytest.mark.parametrize("code", [200, 204])
def test_an_answer_without_a_body_is_over_at_once(server: Any, client: RESTClient, code: int) -> None:
    server.answers(lambda exchange: exchange.reply(code, b""))
    with client.open_watch(PODS, read_timeout_s=5) as stream:
        assert stream.read() == b""
        assert stream.is_over


def test_a_chunk_larger_than_one_read_comes_in_pieces(server: Any, client: RESTClient) -> None:
    large = EVENT * 10_000

    def answer(exchange: Any) -> None:
        exchange.begin_stream()
        exchange.send_chunk(large)
        exchange.end_stream()

    server.answers(answer)
    with client.open_watch(PODS, read_timeout_s=5) as stream:
        parts = list(stream)
    assert max(len(part) for part in parts) <= READ_BYTES_MAX
    assert b"".join(parts) == large
    assert stream.bytes_read == len(large)


def test_a_chunk_length_that_is_no_number_is_a_cut(server: Any, client: RESTClient) -> None:
    def answer(exchange: Any) -> None:
        exchange.begin_stream()
        exchange.wfile.write(b"nonsense\r\n")
        exchange.wait_for_peer()

    server.answers(answer)
    with client.open_watch(PODS, read_timeout_s=5) as stream, pytest.raises(TransportError):
        stream.read()
