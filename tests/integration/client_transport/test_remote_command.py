"""exec and attach against a scripted kubelet."""

import io
import json
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import trustme
from websockets.sync.server import ServerConnection
from websockets.utils import accept_key

from deltawire.client.config.client_config import ClientConfig
from deltawire.client.config.identity import Impersonation
from deltawire.client.rest.client import RESTClient
from deltawire.client.transport import channels, websocket
from deltawire.client.transport.remote_command import (
    STDIN_BYTES_MAX,
    TerminalSize,
    attach_to,
    exec_in,
    run,
)
from deltawire.common.errors import ConfigError, StatusError, TransportError, WaitError
from tests.support.servers import eventually

SUCCESS = b'\x03{"kind":"Status","status":"Success"}'


def exited(code: int) -> bytes:
    causes = [{"reason": "ExitCode", "message": str(code)}]
    failure = {
        "kind": "Status",
        "status": "Failure",
        "reason": "NonZeroExitCode",
        "details": {"causes": causes},
    }
    return b"\x03" + json.dumps(failure).encode()


def says(*messages: bytes | str) -> Callable[[ServerConnection], None]:
    def script(connection: ServerConnection) -> None:
        for message in messages:
            connection.send(message)

    return script


def echo(connection: ServerConnection) -> None:
    """``cat``: what comes on stdin goes to stdout, until stdin is closed."""
    while (message := connection.recv()) != b"\xff\x00":
        assert isinstance(message, bytes)
        assert message[0] == 0
        connection.send(b"\x01" + message[1:])
    connection.send(SUCCESS)


def test_output_and_exit_code_come_back(kubelets: Any, client_of: Any) -> None:
    kubelet = kubelets.start(says(b"\x01out 1", b"\x02err", b"", b"\x01out 2", exited(3)))
    found = run(client_of(kubelet), "ns", "web-0", ["sh", "-c", "exit 3"], container="main")
    assert (found.exit_code, found.stdout, found.stderr) == (3, b"out 1out 2", b"err")
    path = urlsplit(kubelet.seen_path())
    assert path.path == "/api/v1/namespaces/ns/pods/web-0/exec"
    assert parse_qsl(path.query) == [
        ("container", "main"),
        ("command", "sh"),
        ("command", "-c"),
        ("command", "exit 3"),
        ("stdout", "true"),
        ("stderr", "true"),
    ]


def test_input_reaches_the_program_and_its_end_is_told(kubelets: Any, client_of: Any) -> None:
    data = os.urandom(3 * STDIN_BYTES_MAX + 17)
    kubelet = kubelets.start(echo)
    found = run(client_of(kubelet), "ns", "p", ["cat"], stdin=io.BytesIO(data))
    assert (found.exit_code, found.stdout) == (0, data)
    assert kubelet.failures == []


def test_a_pipe_is_passed_on_as_it_fills(kubelets: Any, client_of: Any) -> None:
    reader, writer = os.pipe()
    got_first = threading.Event()

    class Out:
        data = b""

        def write(self, data: bytes) -> None:
            self.data += data
            got_first.set()

    out = Out()

    def type_slowly() -> None:
        os.write(writer, b"one")
        assert got_first.wait(10)
        os.write(writer, b"two")
        os.close(writer)

    typist = threading.Thread(target=type_slowly)
    typist.start()
    with os.fdopen(reader, "rb") as stdin:
        code = exec_in(client_of(kubelets.start(echo)), "ns", "p", ["cat"]).stream(stdin=stdin, stdout=out)
    typist.join(10)
    assert (code, out.data) == (0, b"onetwo")


def test_a_server_of_v4_only_is_used_without_the_end_of_input(
    kubelets: Any, client_of: Any, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[Any] = []

    def script(connection: ServerConnection) -> None:
        seen.append(connection.subprotocol)
        seen.append(connection.recv())
        eventually(lambda: "its input ended" in caplog.text, "the client said so")
        connection.send(SUCCESS)

    kubelet = kubelets.start(script, protocols=("v4.channel.k8s.io",))
    assert run(client_of(kubelet), "ns", "p", ["cat"], stdin=io.BytesIO(b"x")).exit_code == 0
    assert seen == ["v4.channel.k8s.io", b"\x00x"]


def test_v5_is_preferred_and_both_are_offered(kubelets: Any, client_of: Any) -> None:
    kubelet = kubelets.start(says(SUCCESS))
    run(client_of(kubelet), "ns", "p", ["true"])
    assert kubelet.requests[0].headers["Sec-WebSocket-Protocol"] == "v5.channel.k8s.io, v4.channel.k8s.io"


def test_a_server_that_speaks_neither_is_one_clear_line(kubelets: Any, client_of: Any) -> None:
    kubelet = kubelets.start(says(SUCCESS), protocols=())
    with pytest.raises(TransportError, match="does not open a stream for /api/v1/namespaces/ns/pods/p/exec"):
        run(client_of(kubelet), "ns", "p", ["true"])


def test_sizes_of_the_terminal_are_sent_as_they_come(kubelets: Any, client_of: Any) -> None:
    seen: list[Any] = []

    def script(connection: ServerConnection) -> None:
        seen.extend(connection.recv() for _ in range(2))
        connection.send(SUCCESS)

    def sizes() -> Iterator[TerminalSize]:
        yield TerminalSize(80, 24)
        yield TerminalSize(100, 30)

    kubelet = kubelets.start(script)
    executor = attach_to(client_of(kubelet), "ns", "p", tty=True)
    assert executor.stream(stdout=io.BytesIO(), terminal_sizes=sizes()) == 0
    assert seen == [b'\x04{"Width":80,"Height":24}', b'\x04{"Width":100,"Height":30}']
    path = urlsplit(kubelet.seen_path())
    assert path.path.endswith("/attach")
    assert ("tty", "true") in parse_qsl(path.query)


def test_a_terminal_has_no_stderr(kubelets: Any, client_of: Any) -> None:
    executor = exec_in(client_of(kubelets.start(echo)), "ns", "p", ["sh"], tty=True)
    with pytest.raises(ConfigError, match="no stderr"):
        executor.stream(stdout=io.BytesIO(), stderr=io.BytesIO())


@pytest.mark.parametrize("command", [[], "ls -l"])
def test_a_command_is_a_list_and_no_shell_line(kubelets: Any, client_of: Any, command: Any) -> None:
    with pytest.raises(ConfigError, match="a command is a list"):
        exec_in(client_of(kubelets.start(echo)), "ns", "p", command)


def test_a_stop_ends_a_command_that_runs_on(kubelets: Any, client_of: Any) -> None:
    stop, is_gone = threading.Event(), threading.Event()

    def script(connection: ServerConnection) -> None:
        connection.send(b"\x01started")
        for _ in connection:
            pass
        is_gone.set()

    class Out:
        def write(self, data: bytes) -> None:
            stop.set()

    kubelet = kubelets.start(script)
    with pytest.raises(WaitError) as found:
        exec_in(client_of(kubelet), "ns", "p", ["sleep", "1000"]).stream(stdout=Out(), stop=stop)
    assert found.value.reason == "stopped"
    assert is_gone.wait(10)


def test_a_connection_that_is_cut_is_no_success(kubelets: Any, client_of: Any) -> None:
    def cut(connection: ServerConnection) -> None:
        connection.send(b"\x01half")
        connection.socket.shutdown(socket.SHUT_RDWR)

    with pytest.raises(TransportError) as found:
        run(client_of(kubelets.start(cut)), "ns", "p", ["true"])
    assert found.value.reason == "reset"


def test_a_cut_after_the_status_does_not_hide_it(kubelets: Any, client_of: Any) -> None:
    def cut(connection: ServerConnection) -> None:
        connection.send(exited(4))
        connection.close(1011, "bug")

    assert run(client_of(kubelets.start(cut)), "ns", "p", ["true"]).exit_code == 4


@pytest.mark.parametrize("message", ["text", b"\x03garbage"])
def test_garbage_is_an_error(kubelets: Any, client_of: Any, message: Any) -> None:
    with pytest.raises(TransportError) as found:
        run(client_of(kubelets.start(says(message))), "ns", "p", ["true"])
    assert found.value.reason == "garbage"


def test_a_status_without_end_is_bounded(
    kubelets: Any, client_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channels, "STATUS_BYTES_MAX", 10)
    with pytest.raises(TransportError, match="does not end"):
        run(client_of(kubelets.start(says(b"\x03" + b"x" * 11))), "ns", "p", ["true"])


def test_a_failing_local_write_is_raised_after_the_rest_was_read(kubelets: Any, client_of: Any) -> None:
    is_read = threading.Event()

    def script(connection: ServerConnection) -> None:
        connection.send(b"\x01first")
        with pytest.raises(TimeoutError):  # neither a close nor a word: the client reads on
            connection.recv(0.3)
        connection.send(b"\x01second")
        connection.send(SUCCESS)
        is_read.set()

    class Broken:
        writes = 0

        def write(self, data: bytes) -> None:
            self.writes += 1
            raise BrokenPipeError

    out = Broken()
    kubelet = kubelets.start(script)
    with pytest.raises(BrokenPipeError):
        exec_in(client_of(kubelet), "ns", "p", ["yes"]).stream(stdout=out)
    assert is_read.wait(10)
    assert out.writes == 1
    assert kubelet.failures == []


@pytest.mark.parametrize(
    ("code", "body", "check"),
    [
        (
            403,
            b'{"kind":"Status","status":"Failure","code":403,"reason":"Forbidden","message":"no"}',
            "is_forbidden",
        ),
        (
            404,
            b'{"kind":"Status","status":"Failure","code":404,"reason":"NotFound","message":"no"}',
            "is_not_found",
        ),
        (400, b"container not found", ""),
    ],
)
def test_a_refused_handshake_is_the_servers_error(
    kubelets: Any, client_of: Any, refuse: Any, code: int, body: bytes, check: str
) -> None:
    kubelet = kubelets.start(echo)
    kubelet.answers = [refuse(code, body)]
    with pytest.raises(StatusError) as found:
        run(client_of(kubelet), "ns", "p", ["true"])
    assert found.value.code == code
    assert not check or getattr(found.value, check)


def test_a_rotated_token_is_tried_once_after_a_401(
    kubelets: Any, client_of: Any, refuse: Any, tmp_path: Any
) -> None:
    file = tmp_path / "token"
    file.write_text("old")
    kubelet = kubelets.start(says(SUCCESS))
    kubelet.answers = [refuse(401, b"{}")]
    client = client_of(kubelet, token_file=str(file))
    file.write_text("new")
    assert run(client, "ns", "p", ["true"]).exit_code == 0
    assert [r.headers["Authorization"] for r in kubelet.requests] == ["Bearer old", "Bearer new"]


def test_a_server_that_is_not_there_is_refused_in_one_line(client_of: Any, kubelets: Any) -> None:
    kubelet = kubelets.start(echo)
    kubelets.stop()
    with pytest.raises(TransportError) as found:
        run(client_of(kubelet), "ns", "p", ["true"])
    assert found.value.reason == "refused"


def test_the_same_identity_and_trust_as_for_requests(
    kubelets: Any, client_of: Any, authority: trustme.CA, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("inner").configure_cert(context)
    kubelet = kubelets.start(says(SUCCESS), context=context)
    config = {
        "ca_data": authority.cert_pem.bytes(),
        "tls_server_name": "inner",
        "token": "s3cret",
        "impersonate": Impersonation("ada", groups=("dev", "ops")),
    }
    assert run(client_of(kubelet, **config), "ns", "p", ["true"]).exit_code == 0
    headers = kubelet.requests[0].headers
    assert headers["Authorization"] == "Bearer s3cret"
    assert headers.get_all("Impersonate-Group") == ["dev", "ops"]
    assert headers["User-Agent"].startswith("deltawire/")
    ours = [record for record in caplog.records if not record.name.startswith("websockets.server")]
    assert "s3cret" not in "".join(record.getMessage() for record in ours)


def test_a_certificate_of_another_ca_is_refused(kubelets: Any, client_of: Any, authority: trustme.CA) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    client: RESTClient = client_of(
        kubelets.start(echo, context=context), ca_data=trustme.CA().cert_pem.bytes()
    )
    with pytest.raises(TransportError) as found:
        run(client, "ns", "p", ["true"])
    assert found.value.reason == "tls"


def test_a_peer_that_answers_no_ping_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "PING_INTERVAL_S", 0.05)
    monkeypatch.setattr(websocket, "PING_TIMEOUT_S", 0.2)
    go_on = threading.Event()

    def shake_hands_and_freeze(listener: socket.socket) -> None:
        peer, _ = listener.accept()
        with peer:
            head = peer.recv(65536).decode()
            key = next(line.split()[1] for line in head.splitlines() if line.startswith("Sec-WebSocket-Key"))
            peer.sendall(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Accept: {accept_key(key)}\r\n"
                "Sec-WebSocket-Protocol: v5.channel.k8s.io\r\n\r\n".encode()
            )
            go_on.wait(10)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=shake_hands_and_freeze, args=(listener,))
        server.start()
        client = RESTClient(ClientConfig(f"http://127.0.0.1:{listener.getsockname()[1]}"))
        try:
            with pytest.raises(TransportError) as found:
                run(client, "ns", "p", ["true"])
        finally:
            go_on.set()
            server.join(10)
            client.close()
    assert found.value.reason == "reset"
