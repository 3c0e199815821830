"""exec, attach, logs and forwarded ports in async code: on the embedded API server, and against a scripted kubelet."""

import asyncio
import json
import os
import ssl
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import trustme
from websockets.sync.server import ServerConnection

from deltawire import AsyncClientset, FakeClientset
from deltawire.apiserver.containers.ports import echo as echo_port
from deltawire.apiserver.containers.programs import Process, Reply
from deltawire.apiserver.server import ApiServer
from deltawire.client import errors
from deltawire.client.aio.rest import AsyncRESTClient
from deltawire.client.aio.transport.logs import AsyncLogLines
from deltawire.client.aio.transport.port_forward import AsyncPortForwarder
from deltawire.client.aio.transport.remote_command import attach_to, exec_in, run
from deltawire.client.config.client_config import ClientConfig
from deltawire.client.transport import port_forward
from deltawire.client.transport.remote_command import STDIN_BYTES_MAX, Kept, TerminalSize
from deltawire.common.errors import ConfigError, StatusError, TransportError
from tests.support.servers import eventually

SUCCESS = b'\x03{"kind":"Status","status":"Success"}'
PORT = (5000).to_bytes(2, "little")
PATIENCE_S = 30


def ended(work: Awaitable[Any]) -> Any:
    """What ``work`` returns. A hang fails."""

    async def main() -> Any:
        async with asyncio.timeout(PATIENCE_S):
            return await work

    return asyncio.run(main())


async def until(is_so: Callable[[], bool]) -> None:
    await asyncio.to_thread(eventually, is_so, "the other side has got so far")


def says(*messages: bytes | str) -> Callable[[ServerConnection], None]:
    def script(connection: ServerConnection) -> None:
        for message in messages:
            connection.send(message)

    return script


def cat(connection: ServerConnection) -> None:
    while (message := connection.recv()) != b"\xff\x00":
        assert isinstance(message, bytes)
        connection.send(b"\x01" + message[1:])
    connection.send(SUCCESS)


def upper(connection: ServerConnection) -> None:
    connection.send(b"\x00" + PORT)
    connection.send(b"\x01" + PORT)
    for message in connection:
        assert isinstance(message, bytes)
        connection.send(b"\x00" + message[1:].upper())
        if message.endswith(b"bye"):
            return


async def shell(process: Process) -> int:
    while line := await process.read():
        await process.write(b"you said " + line)
    return 3


@pytest.fixture
def pod(api_server: ApiServer) -> ApiServer:
    spec = {"containers": [{"name": "c", "image": "nginx"}]}
    api_server.create("pods", {"metadata": {"name": "web"}, "spec": spec}, "default")
    api_server.run_pod("web")
    return api_server


def test_a_program_runs_in_a_container_and_its_log_and_ports_are_read_in_async_code(pod: ApiServer) -> None:
    pod.script_command("web", ["sh"], shell)
    pod.script_command("web", ["make"], Reply("out\n", "no rule\n", exit_code=2))
    pod.script_port("web", 7, echo_port)

    async def main() -> None:
        async with AsyncClientset.from_config(ClientConfig(pod.url)) as clientset:
            rest = clientset.rest
            said = await run(rest, "default", "web", ["sh"], stdin=b"hello")
            assert (said.exit_code, said.stdout, said.stderr) == (3, b"you said hello", b"")
            made = await run(rest, "default", "web", ["make"], container="c")
            assert (made.exit_code, made.stdout, made.stderr) == (2, b"out\n", b"no rule\n")
            with pytest.raises(StatusError) as missing:
                await run(rest, "default", "other", ["make"])
            assert errors.is_not_found(missing.value)
            async with AsyncPortForwarder(rest, "default", "web", [":7"]) as forward:
                reader, writer = await asyncio.open_connection("127.0.0.1", forward.ports[0].local)
                writer.write(b"ping")
                assert await reader.readexactly(4) == b"ping"
                writer.close()
            pods = clientset.core_v1().pods("default")
            whole = (await pods.get_logs("web").do()).raw
            assert [line async for line in AsyncLogLines(pods.get_logs("web"))] == whole.splitlines()
            with pytest.raises(StatusError) as nothing:
                async with AsyncLogLines(pods.get_logs("other", follow=True)):
                    pass
            assert errors.is_not_found(nothing.value)

    ended(main())


def test_a_log_is_followed_until_it_is_closed(pod: ApiServer) -> None:
    async def main() -> None:
        async with AsyncClientset.from_config(ClientConfig(pod.url)) as clientset:
            lines = AsyncLogLines(clientset.core_v1().pods("default").get_logs("web", follow=True))
            seen: list[bytes] = []

            async def read() -> None:
                async for line in lines:
                    seen.append(line)

            reading = asyncio.create_task(read())
            for line in ("one", "two"):
                await asyncio.to_thread(pod.append_log, "web", f"{line}\n")
                await until(lambda line=line: line.encode() in seen)  # type: ignore[misc]  # bound at once
            assert not reading.done()
            lines.close()
            await reading

    ended(main())


def test_input_reaches_the_program_and_the_request_is_the_sync_clients(kubelets: Any, client_of: Any) -> None:
    data = os.urandom(3 * STDIN_BYTES_MAX + 17)
    kubelet = kubelets.start(cat)
    async def main() -> None:
        rest = AsyncRESTClient(client_of(kubelet))
        for as_stream in (True, False):
            source: Any = data
            if as_stream:
                source = asyncio.StreamReader()
                source.feed_data(data)
                source.feed_eof()
            found = await run(rest, "ns", "p", ["cat", "-"], container="main", stdin=source)
            assert (found.exit_code, found.stdout) == (0, data)
        await rest.close()

    ended(main())
    path = urlsplit(kubelet.seen_path())
    assert path.path == "/api/v1/namespaces/ns/pods/p/exec"
    streams = [(name, "true") for name in ("stdin", "stdout", "stderr")]
    assert parse_qsl(path.query) == [("container", "main"), ("command", "cat"), ("command", "-"), *streams]
    assert kubelet.requests[0].headers["Sec-WebSocket-Protocol"] == "v5.channel.k8s.io, v4.channel.k8s.io"
    assert kubelet.failures == []


def test_sizes_of_the_terminal_are_sent_while_attached(kubelets: Any, client_of: Any) -> None:
    seen: list[Any] = []

    def script(connection: ServerConnection) -> None:
        seen.extend([connection.recv(), connection.recv()])
        connection.send(SUCCESS)

    async def sizes() -> Any:
        yield TerminalSize(80, 24)
        yield TerminalSize(120, 40)

    kubelet = kubelets.start(script)

    async def main() -> None:
        rest = AsyncRESTClient(client_of(kubelet))
        assert await attach_to(rest, "ns", "p", tty=True).stream(stdout=Kept(), terminal_sizes=sizes()) == 0
        with pytest.raises(ConfigError, match="no stderr of its own"):
            await attach_to(rest, "ns", "p", tty=True).stream(stderr=Kept())
        with pytest.raises(ConfigError, match="a command is a list"):
            await run(rest, "ns", "p", "ls -l")
        await rest.close()

    ended(main())
    assert [json.loads(one[1:]) for one in seen] == [{"Width": 80, "Height": 24}, {"Width": 120, "Height": 40}]
    assert urlsplit(kubelet.seen_path()).path.endswith("/attach")


@pytest.mark.parametrize("message", ["text", b"\x03{", b"\x03" + b'{"status":"Unknown"}'])
def test_garbage_is_an_error_in_async_code(kubelets: Any, client_of: Any, message: Any) -> None:
    with pytest.raises(TransportError):
        ended(run(AsyncRESTClient(client_of(kubelets.start(says(message)))), "ns", "p", ["true"]))


def test_cancelling_ends_the_connection_of_a_command_that_runs_on(kubelets: Any, client_of: Any) -> None:
    gone: list[bool] = []

    def script(connection: ServerConnection) -> None:
        connection.send(b"\x01started")
        for _ in connection:
            pass
        gone.append(True)

    async def main() -> None:
        out = Kept()
        rest = AsyncRESTClient(client_of(kubelets.start(script)))
        running = asyncio.create_task(exec_in(rest, "ns", "p", ["sleep"]).stream(stdout=out))
        await until(lambda: bool(out.data))
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await until(lambda: bool(gone))
        await rest.close()

    ended(main())


def test_a_failing_local_write_is_raised_after_the_rest_was_read_in_async_code(
    kubelets: Any, client_of: Any
) -> None:
    class Full:
        calls = 0

        def write(self, data: bytes) -> None:
            self.calls += 1
            raise OSError("disk full")

    kubelet, full = kubelets.start(says(b"\x01a", b"\x01b", SUCCESS)), Full()
    with pytest.raises(OSError, match="disk full"):
        ended(exec_in(AsyncRESTClient(client_of(kubelet)), "ns", "p", ["x"]).stream(stdout=full))
    assert full.calls == 1


def test_a_refused_handshake_is_the_servers_error_in_async_code(
    kubelets: Any, client_of: Any, refuse: Any
) -> None:
    kubelet = kubelets.start(says(SUCCESS))
    status = {"kind": "Status", "status": "Failure", "reason": "Forbidden", "code": 403, "message": "not you"}
    kubelet.answers = [refuse(403, json.dumps(status).encode())]
    with pytest.raises(StatusError, match="not you") as refused:
        ended(run(AsyncRESTClient(client_of(kubelet)), "ns", "p", ["true"]))
    assert errors.is_forbidden(refused.value)


def test_a_redirect_of_a_handshake_is_not_followed(kubelets: Any, client_of: Any, refuse: Any) -> None:
    elsewhere, kubelet = kubelets.start(says(SUCCESS)), kubelets.start(says(SUCCESS))
    answer = refuse(302, b"")
    answer.headers["Location"] = elsewhere.url.replace("http", "ws")
    kubelet.answers = [answer]
    with pytest.raises(StatusError):
        ended(run(AsyncRESTClient(client_of(kubelet)), "ns", "p", ["true"]))
    assert elsewhere.requests == []


def test_a_rotated_token_is_tried_once_after_a_401_in_async_code(
    kubelets: Any, client_of: Any, refuse: Any, tmp_path: Any
) -> None:
    token = tmp_path / "token"
    token.write_text("old")
    kubelet = kubelets.start(says(SUCCESS))
    kubelet.answers = [refuse(401, b"")]
    client = client_of(kubelet, token_file=str(token))

    async def main() -> None:
        rest = AsyncRESTClient(client)
        client.identity((await asyncio.to_thread(client.get)).abs_path("/version").call())
        token.write_text("new")
        assert (await run(rest, "ns", "p", ["true"])).exit_code == 0
        await rest.close()

    ended(main())
    assert [r.headers["Authorization"] for r in kubelet.requests] == ["Bearer old", "Bearer new"]


def test_trust_is_the_same_as_for_requests(kubelets: Any, client_of: Any, authority: trustme.CA) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("kubelet.example").configure_cert(context)
    kubelet = kubelets.start(says(b"\x01safe", SUCCESS), context=context)
    ca = authority.cert_pem.bytes()
    trusted = client_of(kubelet, ca_data=ca, tls_server_name="kubelet.example")
    assert ended(run(AsyncRESTClient(trusted), "ns", "p", ["true"])).stdout == b"safe"
    other = client_of(kubelet, ca_data=trustme.CA().cert_pem.bytes(), tls_server_name="kubelet.example")
    with pytest.raises(TransportError) as refused:
        ended(run(AsyncRESTClient(other), "ns", "p", ["true"]))
    assert refused.value.reason == "tls"


def test_forwarded_bytes_go_both_ways_and_closing_ends_connections(kubelets: Any, client_of: Any) -> None:
    kubelet = kubelets.start(upper)

    async def main() -> None:
        rest = AsyncRESTClient(client_of(kubelet))
        forward = AsyncPortForwarder(rest, "ns", "db-0", [":5000"])
        async with forward:
            port = forward.ports[0].local
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"HELLO"
            writer.write(b"bye")
            assert await reader.read() == b"BYE"
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"x")
            assert await reader.readexactly(1) == b"X"
        assert await reader.read() == b""
        writer.close()
        await forward.close()
        assert (forward.connections, forward.failures, forward.refused) == (2, 0, 0)
        with pytest.raises(OSError):
            await asyncio.open_connection("127.0.0.1", port)
        await rest.close()

    ended(main())
    path = urlsplit(kubelet.seen_path())
    assert (path.path, path.query) == ("/api/v1/namespaces/ns/pods/db-0/portforward", "ports=5000")


def test_a_refused_forward_closes_its_connection_and_is_kept(
    kubelets: Any, client_of: Any, refuse: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    kubelet = kubelets.start(upper)
    status = {"kind": "Status", "status": "Failure", "code": 404, "message": "no pod db-0"}
    kubelet.answers = [refuse(404, json.dumps(status).encode())]
    monkeypatch.setattr(port_forward, "CONNECTIONS_MAX", 1)

    async def main() -> None:
        rest = AsyncRESTClient(client_of(kubelet))
        async with AsyncPortForwarder(rest, "ns", "db-0", [":5000"], addresses=["127.0.0.1"]) as forward:
            port = forward.ports[0].local
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            assert await reader.read() == b""
            writer.close()
            await until(lambda: "no pod db-0" in forward.last_error and forward.failures == 1)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"x")
            assert await reader.readexactly(1) == b"X"
            more, more_writer = await asyncio.open_connection("127.0.0.1", port)
            assert await more.read() == b""
            assert forward.refused == 1
            writer.close()
            more_writer.close()
            taken = AsyncPortForwarder(rest, "ns", "p", [f"{port}:1"], addresses=["127.0.0.1"])
            with pytest.raises(ConfigError, match="Address already in use"):
                await taken.start()
        await rest.close()

    ended(main())


def test_what_the_pod_sends_after_the_last_local_byte_is_passed_on_and_a_silent_one_is_left(
    kubelets: Any, client_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(port_forward, "LOOK_S", 0.2)
    monkeypatch.setattr(port_forward, "HALF_CLOSED_SILENCE_S", 0.4)

    def script(connection: ServerConnection) -> None:
        connection.send(b"\x00" + PORT)
        connection.recv()
        connection.send(b"\x00late answer")
        for _ in connection:
            pass

    async def main() -> None:
        rest = AsyncRESTClient(client_of(kubelets.start(script)))
        async with AsyncPortForwarder(rest, "ns", "db-0", [":5000"]) as forward:
            reader, writer = await asyncio.open_connection("127.0.0.1", forward.ports[0].local)
            writer.write(b"question")
            writer.write_eof()
            assert await reader.read() == b"late answer"
            writer.close()
        await rest.close()

    ended(main())


def test_what_needs_a_socket_says_so_in_async_code() -> None:
    with FakeClientset() as fake, pytest.raises(ConfigError, match="needs a socket"):
        ended(run(fake.aio.rest, "default", "a", ["true"]))
