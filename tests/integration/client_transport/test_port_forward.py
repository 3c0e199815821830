"""Forwarded ports against a scripted kubelet."""

import socket
import threading
from typing import Any
from urllib.parse import urlsplit

import pytest
from websockets.sync.server import ServerConnection

from deltawire.client.transport import port_forward
from deltawire.client.transport.port_forward import PortForwarder
from deltawire.common.errors import ConfigError
from tests.support.servers import eventually

PORT = (5000).to_bytes(2, "little")


def greet(connection: ServerConnection) -> None:
    connection.send(b"\x00" + PORT)
    connection.send(b"\x01" + PORT)


def echo(connection: ServerConnection) -> None:
    """Sends back what comes, upper case; closes after ``bye``."""
    greet(connection)
    for message in connection:
        assert isinstance(message, bytes)
        assert message[0] == 0
        connection.send(b"\x00" + message[1:].upper())
        if message.endswith(b"bye"):
            return


def forwarder(kubelet: Any, client_of: Any, *ports: str, **options: Any) -> PortForwarder:
    return PortForwarder(client_of(kubelet), "ns", "db-0", ports or (":5000",), **options)


def connect(forward: PortForwarder, host: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection((host, forward.ports[0].local), 10)


def read_all(local: socket.socket) -> bytes:
    local.settimeout(10)
    found = b""
    while data := local.recv(65536):
        found += data
    return found


def test_bytes_go_both_ways_until_the_pod_closes(kubelets: Any, client_of: Any) -> None:
    kubelet = kubelets.start(echo)
    with forwarder(kubelet, client_of) as forward, connect(forward) as local:
        assert forward.ports[0].local > 0
        local.sendall(b"hello")
        assert local.recv(100) == b"HELLO"
        local.sendall(b"bye")
        assert read_all(local) == b"BYE"
    path = urlsplit(kubelet.seen_path())
    assert (path.path, path.query) == ("/api/v1/namespaces/ns/pods/db-0/portforward", "ports=5000")
    assert kubelet.requests[0].headers["Sec-WebSocket-Protocol"] == "v4.channel.k8s.io"
    assert forward.failures == 0


def test_large_answers_arrive_whole(kubelets: Any, client_of: Any) -> None:
    data = bytes(range(256)) * 4096

    def script(connection: ServerConnection) -> None:
        greet(connection)
        connection.recv()
        for at in range(0, len(data), 30_000):
            connection.send(b"\x00" + data[at : at + 30_000])

    with forwarder(kubelets.start(script), client_of) as forward, connect(forward) as local:
        local.sendall(b"GET")
        assert read_all(local) == data


def test_what_the_pod_sends_after_the_last_local_byte_is_passed_on(kubelets: Any, client_of: Any) -> None:
    def script(connection: ServerConnection) -> None:
        greet(connection)
        connection.recv()
        half_closed.wait(10)
        connection.send(b"\x00late answer")

    half_closed = threading.Event()
    with forwarder(kubelets.start(script), client_of) as forward, connect(forward) as local:
        local.sendall(b"question")
        local.shutdown(socket.SHUT_WR)
        half_closed.set()
        assert read_all(local) == b"late answer"


def test_a_silent_pod_is_left_after_the_local_side_ended(
    kubelets: Any, client_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(port_forward, "HALF_CLOSED_SILENCE_S", 0.5)
    is_gone = threading.Event()

    def script(connection: ServerConnection) -> None:
        for _ in connection:
            pass
        is_gone.set()

    with forwarder(kubelets.start(script), client_of) as forward:
        connect(forward).close()
        assert is_gone.wait(10)


def test_a_failure_in_the_pod_closes_that_connection_and_is_kept(kubelets: Any, client_of: Any) -> None:
    def script(connection: ServerConnection) -> None:
        greet(connection)
        if connection.request is not None and len(kubelet.requests) == 1:
            connection.send(b"\x01dial tcp 127.0.0.1:5000:\x1b connection\nrefused")
        echo_rest(connection)

    def echo_rest(connection: ServerConnection) -> None:
        for message in connection:
            assert isinstance(message, bytes)
            connection.send(message)

    kubelet = kubelets.start(script)
    with forwarder(kubelet, client_of) as forward:
        with connect(forward) as local:
            assert read_all(local) == b""
        eventually(lambda: forward.failures == 1, "the failure is counted")
        assert forward.last_error == "dial tcp 127.0.0.1:5000: connection refused"
        with connect(forward) as local:
            local.sendall(b"again")
            assert local.recv(100) == b"again"


def test_a_refused_handshake_closes_the_connection_and_is_kept(
    kubelets: Any, client_of: Any, refuse: Any
) -> None:
    kubelet = kubelets.start(echo)
    kubelet.answers = [
        refuse(404, b'{"kind":"Status","status":"Failure","code":404,"message":"no pod db-0"}')
    ]
    with forwarder(kubelet, client_of) as forward, connect(forward) as local:
        assert read_all(local) == b""
        eventually(lambda: "no pod db-0" in forward.last_error, "the reason is kept")


def test_several_ports_lead_to_their_own(kubelets: Any, client_of: Any) -> None:
    kubelet = kubelets.start(echo)
    with forwarder(kubelet, client_of, ":5000", ":5001") as forward:
        for port in forward.ports:
            with socket.create_connection(("127.0.0.1", port.local), 10) as local:
                local.sendall(b"bye")
                assert read_all(local) == b"BYE"
            assert urlsplit(kubelet.seen_path()).query == f"ports={port.remote}"


def test_closing_ends_open_connections_and_frees_the_port(kubelets: Any, client_of: Any) -> None:
    forward = forwarder(kubelets.start(echo), client_of)
    forward.start()
    local = connect(forward)
    local.sendall(b"x")
    assert local.recv(10) == b"X"
    port = forward.ports[0].local
    forward.close()
    forward.close()
    assert read_all(local) == b""
    local.close()
    assert forward.failures == 0
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", port), 1)


def test_a_port_in_use_is_one_clear_line(kubelets: Any, client_of: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        forward = forwarder(kubelets.start(echo), client_of, f"{number}:5000", addresses=("127.0.0.1",))
        with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{number}: Address already in use"):
            forward.start()


def test_too_many_connections_are_closed_and_counted(
    kubelets: Any, client_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(port_forward, "CONNECTIONS_MAX", 1)
    with forwarder(kubelets.start(echo), client_of) as forward, connect(forward) as first:
        first.sendall(b"x")
        assert first.recv(10) == b"X"
        with connect(forward) as second:
            assert read_all(second) == b""
        assert forward.refused == 1


@pytest.mark.parametrize(("ports", "addresses"), [((), ("localhost",)), ((":80",), ())])
def test_nothing_to_forward_is_a_mistake(kubelets: Any, client_of: Any, ports: Any, addresses: Any) -> None:
    with pytest.raises(ConfigError):
        PortForwarder(client_of(kubelets.start(echo)), "ns", "p", ports, addresses=addresses)
