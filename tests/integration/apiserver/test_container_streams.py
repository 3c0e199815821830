"""Streams to containers with our own client, the official Python client, and bare WebSockets."""

# Types of the official client are named, not loaded: that takes a second in each process that collects the tests.
from __future__ import annotations

import asyncio
import contextlib
import gc
import io
import json
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from kubernetes import client, config
from kubernetes.stream import portforward, stream
from kubernetes.stream.ws_client import ERROR_CHANNEL
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from deltawire.apiserver.containers.ports import Connection, LocalPort, echo
from deltawire.apiserver.containers.programs import Process, Reply
from deltawire.apiserver.server import ApiServer
from deltawire.client.config.client_config import ClientConfig
from deltawire.client.rest.client import RESTClient
from deltawire.client.transport.port_forward import PortForwarder
from deltawire.client.transport.remote_command import TerminalSize, attach_to, exec_in, run
from deltawire.common.errors import StatusError
from tests.support.servers import eventually

POD = {
    "metadata": {"name": "p", "labels": {"app": "web"}},
    "spec": {"containers": [{"name": "c", "image": "i", "ports": [{"name": "http", "containerPort": 8080}]}]},
}
PODS = "/api/v1/namespaces/default/pods"
V5, V4 = "v5.channel.k8s.io", "v4.channel.k8s.io"
WAIT_S = 30.0
HTTP = b"HTTP/1.1 201 Created\r\nContent-Type: text/x\r\nContent-Length: 2\r\nX-Mine: 1\r\n\r\nok"


@pytest.fixture
def pod(api_server: ApiServer) -> ApiServer:
    """A server whose pod ``p`` runs."""
    api_server.create("pods", POD, "default")
    api_server.run_pod("p")
    return api_server


@pytest.fixture
def ours(pod: ApiServer) -> Iterator[RESTClient]:
    made = RESTClient(ClientConfig(pod.url, connect_timeout_s=WAIT_S))
    yield made
    made.close()


@pytest.fixture
def official(pod: ApiServer, tmp_path: Path) -> Iterator[client.CoreV1Api]:
    path = pod.write_kubeconfig(tmp_path / "official")
    with warnings.catch_warnings():
        # This client does not close the sockets of streams that ended.
        warnings.simplefilter("ignore", ResourceWarning)
        with config.new_client_from_config(str(path)) as api_client:
            yield client.CoreV1Api(api_client)
        gc.collect()


def open_stream(
    server: ApiServer, what: str, *protocols: str, pod: str = "p", **options: Any
) -> ClientConnection:
    url = f"{server.url.replace('http', 'ws', 1)}{PODS}/{pod}/{what}"
    names = [Subprotocol(name) for name in protocols or (V5,)]
    return connect(url, subprotocols=names, open_timeout=WAIT_S, compression=None, proxy=None, **options)


def told(error: pytest.ExceptionInfo[InvalidStatus]) -> tuple[int, str, str]:
    status = json.loads(error.value.response.body or b"{}")
    assert status["kind"] == "Status"
    assert status["code"] == error.value.response.status_code
    return status["code"], status["reason"], status["message"]


# Our own client


def test_our_client_gets_output_input_and_exit_code(pod: ApiServer, ours: RESTClient) -> None:
    pod.script_command("p", ["make"], Reply("out", "err", 3))
    made = run(ours, "default", "p", ["make"])
    assert (made.exit_code, made.stdout, made.stderr) == (3, b"out", b"err")
    data = bytes(range(256)) * 4096
    copied = run(ours, "default", "p", ["cat"], container="c", stdin=io.BytesIO(data))
    assert (copied.exit_code, copied.stdout == data) == (0, True)
    with pytest.raises(StatusError, match="executable file not found"):
        run(ours, "default", "p", ["none"])
    with pytest.raises(StatusError, match='pods "q" not found'):
        run(ours, "default", "q", ["cat"])


def test_a_terminal_tells_its_sizes(pod: ApiServer, ours: RESTClient) -> None:
    async def top(process: Process) -> int:
        while (size := await process.resized()).width != 100:
            pass
        await process.write_error(f"{process.tty} {size.width}x{size.height}")
        return 4

    pod.script_command("p", ["top"], top)
    out = io.BytesIO()
    sizes = [TerminalSize(80, 24), TerminalSize(100, 30)]
    code = exec_in(ours, "default", "p", ["top"], tty=True).stream(stdout=out, terminal_sizes=sizes)
    assert (code, out.getvalue()) == (4, b"True 100x30")


def test_our_client_attaches(pod: ApiServer, ours: RESTClient) -> None:
    pod.script_attach("p", Reply("shown"))
    out = io.BytesIO()
    assert attach_to(ours, "default", "p").stream(stdout=out) == 0
    assert out.getvalue() == b"shown"


def test_our_client_forwards_ports(pod: ApiServer, ours: RESTClient) -> None:
    pod.script_port("p", 7, echo)
    with PortForwarder(ours, "default", "p", [":7", ":9"]) as forwarder:
        echoing, refusing = (port.local for port in forwarder.ports)
        data = bytes(range(256)) * 1024
        with socket.create_connection(("127.0.0.1", echoing), WAIT_S) as local:
            sender = threading.Thread(target=local.sendall, args=(data,))
            sender.start()
            got = _take(local, len(data))
            sender.join(WAIT_S)
            assert got == data
        with socket.create_connection(("127.0.0.1", refusing), WAIT_S) as local:
            assert local.recv(1) == b""
        eventually(lambda: "connection refused" in forwarder.last_error, "told why", WAIT_S)


def test_a_port_of_this_machine_may_answer_for_the_pod(pod: ApiServer, ours: RESTClient) -> None:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listener:
        number = listener.getsockname()[1]
        pod.script_port("p", 80, LocalPort(number))
        with PortForwarder(ours, "default", "p", [":80"]) as forwarder:
            local = socket.create_connection(("127.0.0.1", forwarder.ports[0].local), WAIT_S)
            with local:
                local.sendall(b"ask")
                far, _ = listener.accept()
                with far:
                    assert far.recv(3) == b"ask"
                    far.sendall(b"answer")
                assert _take(local, 7) == b"answer"


# The official Python client


def test_the_official_client_runs_commands(pod: ApiServer, official: client.CoreV1Api) -> None:
    pod.script_command("p", ["make"], Reply("out", "err", 5))
    flags = {"stdout": True, "stderr": True, "stdin": False, "tty": False}
    call = official.connect_get_namespaced_pod_exec
    assert stream(call, "p", "default", command=["echo", "hi"], **flags) == "hi\n"
    with contextlib.closing(
        stream(call, "p", "default", command=["make"], _preload_content=False, **flags)
    ) as made:
        made.run_forever(timeout=WAIT_S)
        assert (made.read_stdout(), made.read_stderr(), made.returncode) == ("out", "err", 5)
    with contextlib.closing(
        stream(call, "p", "default", command=["none"], _preload_content=False, **flags)
    ) as missing:
        missing.run_forever(timeout=WAIT_S)
        assert "executable file not found" in missing.read_channel(ERROR_CHANNEL)


def test_the_official_client_types_text(pod: ApiServer, official: client.CoreV1Api) -> None:
    flags = {"stdout": True, "stderr": True, "stdin": True, "tty": False}
    call = official.connect_get_namespaced_pod_exec
    with contextlib.closing(
        stream(call, "p", "default", command=["cat"], _preload_content=False, **flags)
    ) as opened:
        opened.write_stdin("grüße\n")
        assert opened.readline_stdout(timeout=WAIT_S) == "grüße"


def test_the_official_client_forwards_ports(pod: ApiServer, official: client.CoreV1Api) -> None:
    pod.script_port("p", 80, b"one")
    pod.script_port("p", 81, echo)
    threads = threading.active_count()
    call = official.connect_get_namespaced_pod_portforward
    forwarded = portforward(call, "p", "default", ports="80,81,82")
    first, second = forwarded.socket(80), forwarded.socket(81)
    for local in (first, second):
        local.settimeout(WAIT_S)
        local.sendall(b"ask")
    assert _take(first, 3) == b"one"
    assert _take(second, 3) == b"ask"
    eventually(lambda: "connection refused" in (forwarded.error(82) or ""), "refused", WAIT_S)
    forwarded.close()
    eventually(lambda: threading.active_count() <= threads, "its thread has ended", WAIT_S)


# The wire


def test_v4_and_v5_end_with_a_status_and_a_close(pod: ApiServer) -> None:
    pod.script_command("p", ["make"], Reply("out", exit_code=7))
    for protocol in (V5, V4):
        with open_stream(pod, "exec?command=make&stdout=1", "v9.channel.k8s.io", protocol) as opened:
            assert opened.subprotocol == protocol
            assert opened.recv(WAIT_S) == b"\x01out"
            status = opened.recv(WAIT_S)
            assert isinstance(status, bytes)
            assert status[0] == 3
            assert json.loads(status[1:]) == {
                "metadata": {},
                "status": "Failure",
                "message": "command terminated with non-zero exit code: exit status 7",
                "reason": "NonZeroExitCode",
                "details": {"causes": [{"reason": "ExitCode", "message": "7"}]},
            }
            with pytest.raises(ConnectionClosed) as closed:
                opened.recv(WAIT_S)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1000


def test_only_the_channels_asked_for_are_sent(pod: ApiServer) -> None:
    pod.script_command("p", ["make"], Reply("out", "err"))
    with open_stream(pod, "exec?command=make&stderr=true") as opened:
        assert list(opened) == [b"\x02err", b'\x03{"metadata":{},"status":"Success"}']


def test_v5_ends_input_and_v4_does_not_know_how(pod: ApiServer) -> None:
    with open_stream(pod, "exec?command=cat&stdin=1&stdout=1", V4) as opened:
        opened.send(b"\xff\x00")
        opened.send(b"\x00on")
        assert opened.recv(WAIT_S) == b"\x01on"
    with open_stream(pod, "exec?command=cat&stdin=1&stdout=1", V5) as opened:
        opened.send(b"\x00x")
        opened.send(b"\xff\x00")
        assert list(opened)[-1] == b'\x03{"metadata":{},"status":"Success"}'


def test_a_script_that_raises_is_an_internal_error_at_the_client(
    pod: ApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    pod.script_command("p", ["bad"], lambda process: {}["key"])
    with open_stream(pod, "exec?command=bad&stdout=1") as opened:
        (status,) = list(opened)
    assert isinstance(status, bytes)
    assert json.loads(status[1:])["message"].endswith("the script failed: KeyError: 'key'")
    assert "the script of ['bad'] failed" in caplog.text


@pytest.mark.parametrize(
    ("what", "protocols", "answer"),
    [
        (
            "exec?command=ls&stdout=1",
            ("v3.channel.k8s.io",),
            (400, "BadRequest", "offered: v3.channel.k8s.io"),
        ),
        ("exec?command=ls", (V5,), (400, "BadRequest", "at least 1 of stdin, stdout, stderr")),
        ("exec?stdout=1", (V5,), (400, "BadRequest", "at least one command")),
        ("exec?command=ls&stdout=1&container=x", (V5,), (400, "BadRequest", "container x is not valid")),
        ("portforward", (V4,), (400, "BadRequest", '"ports" is required')),
        ("portforward?ports=0", (V4,), (400, "BadRequest", "'0'")),
        ("portforward?ports=80", (V5,), (400, "BadRequest", "offered: v5.channel.k8s.io")),
    ],
)
def test_a_bad_upgrade_gets_a_status(pod: ApiServer, what: str, protocols: Any, answer: Any) -> None:
    with pytest.raises(InvalidStatus) as refused, open_stream(pod, what, *protocols):
        pass
    code, reason, message = told(refused)
    assert (code, reason) == answer[:2]
    assert answer[2] in message


def test_pods_that_do_not_run_are_refused(pod: ApiServer) -> None:
    pod.create("pods", POD | {"metadata": {"name": "new"}}, "default")
    pod.create("pods", POD | {"metadata": {"name": "bound"}}, "default")
    pod.call(lambda core: core.bind("bound", "default", "n"))
    pod.end_container("p", 1)
    for what in ("exec?command=true&stdout=1", "attach?stdout=1", "portforward?ports=80"):
        protocol = V4 if what.startswith("port") else V5
        for name, expected in (("new", "pod new does not have a host assigned"), ("bound", ""), ("p", "")):
            with pytest.raises(InvalidStatus) as refused, open_stream(pod, what, protocol, pod=name):
                pass
            code, reason, message = told(refused)
            assert (code, reason) == ((400, "BadRequest") if expected else (500, "InternalError"))
            assert expected in message
            assert "not running" in message or "container not found" in message or expected


def test_a_plain_request_is_told_to_upgrade(pod: ApiServer) -> None:
    asked = f"{pod.url}{PODS}/p/exec?command=ls&stdout=1"
    told = requests.post(asked, timeout=WAIT_S)
    assert (told.status_code, "not found" in told.json()["message"]) == (404, True), (
        "its node is looked for first"
    )
    pod.create("nodes", {"metadata": {"name": "node-1"}})
    for what in ("exec?command=ls&stdout=1", "attach?stdout=1", "portforward?ports=80"):
        for method in ("GET", "POST"):
            answer = requests.request(method, f"{pod.url}{PODS}/p/{what}", timeout=WAIT_S)
            assert (answer.status_code, answer.json()["message"]) == (400, "Upgrade request required")
    spdy = {"Connection": "Upgrade", "Upgrade": "SPDY/3.1"}
    refused = requests.post(f"{pod.url}{PODS}/p/exec?command=ls&stdout=1", headers=spdy, timeout=WAIT_S)
    assert (refused.status_code, "only WebSockets" in refused.json()["message"]) == (400, True)
    assert requests.delete(f"{pod.url}{PODS}/p/exec", timeout=WAIT_S).status_code == 405


def test_a_message_that_is_too_large_ends_the_stream(pod: ApiServer) -> None:
    with open_stream(pod, "exec?command=cat&stdin=1&stdout=1") as opened:
        opened.send(b"\x00" + b"x" * (1 << 20))
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                opened.recv(WAIT_S)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009


def test_faults_meet_streams(pod: ApiServer) -> None:
    pod.fault("error", 503, resource="pods", verb="get", count=1)
    with pytest.raises(InvalidStatus) as refused, open_stream(pod, "exec?command=true&stdout=1"):
        pass
    assert told(refused)[0] == 503
    pod.fault("latency", 0.3, resource="pods", count=1)
    before = time.monotonic()
    with open_stream(pod, "exec?command=true&stdout=1"):
        assert time.monotonic() - before >= 0.3
    pod.fault("drop", resource="pods", count=1)
    with pytest.raises((OSError, InvalidMessage)), open_stream(pod, "portforward?ports=80", V4):
        pass


# Ends and bounds


def test_a_program_may_finish_what_was_sent_before_its_client_left(pod: ApiServer) -> None:
    kept: list[bytes] = []

    async def keep(process: Process) -> None:
        kept.append(await process.read_all())

    pod.script_command("p", ["keep"], keep)
    with open_stream(pod, "exec?command=keep&stdin=1&stdout=1", V4) as opened:
        opened.send(b"\x00all of it")
    eventually(lambda: kept == [b"all of it"], "kept", WAIT_S)


def test_a_script_that_fails_without_a_client_is_told_in_the_log(
    pod: ApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(process: Process) -> None:
        await process.read_all()
        raise ValueError("no good")

    pod.script_command("p", ["fail"], fail)
    with open_stream(pod, "exec?command=fail&stdin=1&stdout=1", V4):
        pass
    eventually(lambda: "the script of ['fail'] failed" in caplog.text, "told", WAIT_S)
    assert "no good" in caplog.text


def test_a_program_that_does_not_end_is_cancelled_after_its_client_left(pod: ApiServer) -> None:
    states: list[str] = []

    async def stubborn(process: Process) -> None:
        states.append("runs")
        try:
            await asyncio.Event().wait()
        finally:
            states.append("ended")

    pod.script_command("p", ["stubborn"], stubborn)
    with open_stream(pod, "exec?command=stubborn&stdout=1") as opened:
        eventually(lambda: states == ["runs"], "runs", WAIT_S)
        opened.socket.shutdown(socket.SHUT_RDWR)  # without a word
        eventually(lambda: states == ["runs", "ended"], "ended", WAIT_S)


def test_streams_end_with_the_server(pod: ApiServer) -> None:
    states: list[str] = []

    async def serve(process: Process) -> None:
        states.append("runs")
        try:
            await asyncio.Event().wait()
        finally:
            states.append("ended")

    async def answer(connection: Connection) -> None:
        await connection.write(b"x")
        await connection.read()
        states.append("never")

    pod.script_command("p", ["serve"], serve)
    pod.script_port("p", 80, answer)
    with (
        open_stream(pod, "exec?command=serve&stdout=1") as program,
        open_stream(pod, "portforward?ports=80", V4) as port,
        requests.get(f"{pod.url}{PODS}/p/log?follow=1", stream=True, timeout=WAIT_S) as followed,
    ):
        assert [port.recv(WAIT_S) for _ in range(3)] == [b"\x00P\x00", b"\x01P\x00", b"\x00x"]
        eventually(lambda: states == ["runs"], "runs", WAIT_S)
        pod.stop()
        assert states == ["runs", "ended"]
        for opened in (program, port):
            with pytest.raises(ConnectionClosed) as closed:
                opened.recv(WAIT_S)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1001
        assert followed.content == b""


def test_nothing_is_left_of_ended_streams(pod: ApiServer) -> None:
    pod.script_port("p", 80, echo)

    def tasks() -> int:
        return pod.call(lambda core: len(asyncio.all_tasks()))

    threads = threading.active_count()
    before = tasks()
    for _ in range(20):
        with open_stream(pod, "exec?command=true&stdout=1") as opened:
            list(opened)
        with open_stream(pod, "portforward?ports=80,81", V4) as opened:
            opened.recv(WAIT_S)
        requests.get(f"{pod.url}{PODS}/p/log?follow=1&limitBytes=0", timeout=WAIT_S)
    eventually(lambda: tasks() <= before, "no task is left", WAIT_S)
    eventually(lambda: threading.active_count() <= threads, "no thread is left", WAIT_S)
    listeners = pod.call(lambda core: len(core.store.table("pods").window._listeners))
    assert listeners == 0


# Proxy


def get(server: ApiServer, path: str, **options: Any) -> requests.Response:
    return requests.request(
        options.pop("method", "GET"),
        f"{server.url}/api/v1/namespaces/default/{path}",
        timeout=WAIT_S,
        **options,
    )


def asking(seen: list[bytes], answer: bytes) -> Callable[[Connection], Any]:
    async def serve(connection: Connection) -> None:
        seen.append(await connection.read())
        await connection.write(answer)
        await connection.read()  # as a server that keeps the connection

    return serve


def test_a_pod_is_reached_through_its_proxy(pod: ApiServer) -> None:
    seen: list[bytes] = []
    pod.script_port("p", 8080, asking(seen, HTTP))
    headers = {"Authorization": f"Bearer {pod.token_for('bob')}", "X-Asked": "yes", "Accept": "text/html"}
    answer = get(pod, "pods/p:http/proxy/a%2Fb/?x=1%20", headers=headers)
    assert (answer.status_code, answer.text, answer.headers["X-Mine"]) == (201, "ok", "1")
    head = seen[0].decode().split("\r\n")
    assert head[0] == "GET /a%2Fb/?x=1%20 HTTP/1.1"
    assert "X-Asked: yes" in head
    assert not [line for line in head if line.startswith("Authorization")]
    assert get(pod, "pods/p/proxy", method="POST", data=b"body").status_code == 201
    assert seen[1].startswith(b"POST / HTTP/1.1\r\n")
    assert seen[1].endswith(b"\r\n\r\nbody")


def test_a_service_leads_to_a_pod_that_runs(pod: ApiServer) -> None:
    spec = {"selector": {"app": "web"}, "ports": [{"name": "web", "port": 80, "targetPort": "http"}]}
    pod.create("services", {"metadata": {"name": "s"}, "spec": spec}, "default")
    pod.script_port("p", 8080, HTTP)
    for target in ("s", "s:80", "s:web", "http:s:web"):
        assert get(pod, f"services/{target}/proxy/").text == "ok"
    assert get(pod, "services/s:81/proxy/").status_code == 400
    pod.end_container("p")
    gone = get(pod, "services/s/proxy/")
    assert (gone.status_code, gone.json()["message"]) == (503, 'no endpoints available for service "s"')


def test_what_cannot_be_reached_is_unavailable(pod: ApiServer) -> None:
    pod.script_port("p", 81, b"no http")
    pod.script_port("p", 82, LocalPort(1))
    for number, why in ((80, "refused"), (81, "no whole HTTP answer"), (82, "refused")):
        answer = get(pod, f"pods/p:{number}/proxy/")
        assert (answer.status_code, answer.json()["reason"]) == (503, "ServiceUnavailable")
        assert why in answer.json()["message"]
    assert get(pod, "pods/none/proxy/").status_code == 404
    assert get(pod, "pods/https:p:443/proxy/").status_code == 400


def _take(local: Any, size: int) -> bytes:
    """Up to ``size`` bytes; fewer at the end."""
    data = b""
    while len(data) < size and (piece := local.recv(size - len(data))):
        data += piece
    return data


def open_unnamed(server: ApiServer, what: str) -> ClientConnection:
    """As clients do that name no protocol."""
    url = f"{server.url.replace('http', 'ws', 1)}{PODS}/p/{what}"
    return connect(url, open_timeout=WAIT_S, compression=None, proxy=None)


def test_a_port_is_forwarded_for_a_client_that_names_no_protocol(pod: ApiServer) -> None:
    pod.script_port("p", 80, echo)
    with open_unnamed(pod, "portforward?ports=80") as opened:
        assert opened.subprotocol is None
        assert [opened.recv(WAIT_S) for _ in range(2)] == [b"\x00P\x00", b"\x01P\x00"]
        opened.send(b"\x00hello")
        assert opened.recv(WAIT_S) == b"\x00hello"


@pytest.mark.parametrize(("code", "last"), [(0, []), (3, [b"\x03command terminated"])])
def test_a_command_in_the_first_protocol_ends_with_a_text_or_with_nothing(
    pod: ApiServer, code: int, last: list[bytes]
) -> None:
    pod.script_command("p", ["run"], Reply("out", exit_code=code))
    with open_unnamed(pod, "exec?command=run&stdout=1") as opened:
        said = [message for message in opened if isinstance(message, bytes)]
    assert said[0] == b"\x01out"
    assert [message[:19] for message in said[1:]] == last
