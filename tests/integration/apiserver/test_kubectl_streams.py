"""kubectl exec, cp, attach, logs -f and port-forward against scripted containers."""

import asyncio
import socket
import subprocess
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deltawire.apiserver.containers.ports import echo
from deltawire.apiserver.containers.programs import Process, Reply
from deltawire.apiserver.server import ApiServer
from tests.support.servers import Kubectl, eventually, require_kubectl

POD = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i", "stdin": True}]}}
WAIT_S = 30


@pytest.fixture
def started(kubectl: Kubectl) -> Iterator[list[subprocess.Popen[str]]]:
    commands: list[subprocess.Popen[str]] = []
    yield commands
    for command in commands:
        if command.poll() is None:
            command.kill()
        command.communicate(timeout=WAIT_S)


@pytest.fixture
def pod(api_server: ApiServer) -> ApiServer:
    """A server whose pod ``p`` runs."""
    api_server.create("pods", POD, "default")
    api_server.run_pod("p")
    return api_server


def test_exec_prints_passes_input_and_exits_as_the_program_did(kubectl: Kubectl, pod: ApiServer) -> None:
    pod.script_command("p", ["ls"], "a\nb\n")
    pod.script_command("p", ["make"], Reply("built\n", "a warning\n", 7), is_prefix=True)
    assert kubectl.run("exec", "p", "--", "ls").stdout == "a\nb\n"
    failed = kubectl.run("exec", "p", "--", "make", "all", check=False)
    assert (failed.returncode, failed.stdout) == (7, "built\n")
    assert failed.stderr == "a warning\ncommand terminated with exit code 7\n"
    text = "".join(f"line {i}\n" for i in range(20_000))
    assert kubectl.run("exec", "-i", "p", "-c", "c", "--", "cat", stdin=text).stdout == text


def test_exec_says_what_a_real_server_says_where_it_cannot(kubectl: Kubectl, pod: ApiServer) -> None:
    pod.create("pods", POD | {"metadata": {"name": "new"}}, "default")
    for args, told in (
        (("p", "--", "make"), 'exec: "make": executable file not found in $PATH'),
        (("new", "--", "make"), "pod new does not have a host assigned"),
        (("p", "-c", "x", "--", "make"), "container x is not valid for pod p"),
        (("none", "--", "make"), 'pods "none" not found'),
    ):
        failed = kubectl.run("exec", *args, check=False)
        assert (failed.returncode, told in failed.stderr) == (1, True), failed.stderr


def test_a_shell_in_a_container_takes_pipes_loops_and_the_containers_variables(
    kubectl: Kubectl, pod: ApiServer
) -> None:
    variables = [{"name": "WHO", "value": "you"}]
    container = {"name": "c", "image": "nginx", "env": variables}
    pod.create("pods", {"metadata": {"name": "shell"}, "spec": {"containers": [container]}}, "default")
    pod.run_pod("shell")
    text = 'for i in $(seq 1 2); do echo "$i $WHO $HOSTNAME"; done | cat; exit 3'
    ended = kubectl.run("exec", "shell", "--", "sh", "-c", text, check=False)
    assert (ended.returncode, ended.stdout) == (3, "1 you shell\n2 you shell\n")
    typed = kubectl.run("exec", "-i", "shell", "--", "sh", stdin="echo one\nls / | wc -l\n").stdout
    assert typed == "one\n10\n"


def test_files_are_copied_through_a_scripted_tar(kubectl: Kubectl, pod: ApiServer, tmp_path: Path) -> None:
    kept: list[bytes] = []

    async def unpack(process: Process) -> None:
        kept.append(await process.read_all())

    pod.script_command("p", ["tar", "-xmf", "-"], unpack, is_prefix=True)
    pod.script_command("p", ["tar", "cf", "-"], lambda process: kept[0], is_prefix=True)
    (tmp_path / "sent").write_bytes(bytes(range(256)) * 2000)
    kubectl.run("cp", str(tmp_path / "sent"), "p:/tmp/sent")
    kubectl.run("cp", "p:sent", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == (tmp_path / "sent").read_bytes()


def test_attach_shows_what_the_container_prints_until_it_ends(
    kubectl: Kubectl, pod: ApiServer, started: list[subprocess.Popen[str]]
) -> None:
    pod.append_log("p", "before")
    command = kubectl.start("attach", "p")
    started.append(command)
    eventually(lambda: pod.requests.count("get", "pods") >= 2, "attached", WAIT_S)
    assert command.stdout is not None
    seen: list[str] = []
    # Attached is what comes after the handshake: nobody can know from outside when that was.
    while not any("tick" in line for line in seen):
        pod.append_log("p", "tick")
        seen.append(command.stdout.readline())
    pod.append_log("p", "last words")
    pod.end_container("p")
    rest = _rest(command)
    assert command.wait(WAIT_S) == 0
    assert rest.endswith("last words\n")
    assert "before" not in "".join(seen) + rest


def test_attach_passes_input_to_a_scripted_program(kubectl: Kubectl, pod: ApiServer) -> None:
    async def repl(process: Process) -> None:
        while data := await process.read():
            await process.write(data.upper())

    pod.script_attach("p", repl)
    assert kubectl.run("attach", "-i", "p", stdin="hello\n").stdout.endswith("HELLO\n")


def test_run_attaches_and_exits_as_the_container_did(kubectl: Kubectl, api_server: ApiServer) -> None:
    async def main(process: Process) -> int:
        while data := await process.read():
            await process.write(data.upper())
        api_server.end_container("r", 3)  # scripts may change what there is
        return 3

    api_server.script_attach("r", main)
    kubelet = threading.Thread(target=_run_when_created, args=(api_server, "r"))
    kubelet.start()
    done = kubectl.run("run", "r", "--image=i", "--rm", "-i", "--restart=Never", stdin="hello\n", check=False)
    kubelet.join(WAIT_S)
    assert done.stdout.startswith("HELLO\n")
    assert done.returncode == 3
    assert "couldn't attach" not in done.stderr


def test_a_followed_log_grows_until_the_container_ends_or_the_pod_is_gone(
    kubectl: Kubectl, pod: ApiServer, started: list[subprocess.Popen[str]]
) -> None:
    pod.script_log("p", "one\ntwo")
    commands = [kubectl.start("logs", "-f", "--tail=1", "p"), kubectl.start("logs", "-f", "p")]
    started += commands
    assert [_line(command) for command in commands] == ["two\n", "one\n"]
    pod.append_log("p", "three")
    assert _line(commands[0]) == "three\n"
    pod.append_log("p", "four")
    pod.call(lambda core: core.delete("pods", "p", "default"))
    assert [_rest(command) for command in commands] == ["four\n", "two\nthree\nfour\n"]
    assert [command.wait(WAIT_S) for command in commands] == [0, 0]


def test_streams_work_over_tls_with_a_token(
    api_server_factory: Callable[..., ApiServer], tmp_path: Path
) -> None:
    require_kubectl()
    server = api_server_factory(tls=True, tokens=("secret",))
    server.create("pods", POD, "default")
    server.run_pod("p")
    kubectl = Kubectl(server.write_kubeconfig(tmp_path / "tls"), tmp_path)
    text = "x" * 100_000
    assert kubectl.run("exec", "-i", "p", "--", "cat", stdin=text).stdout == text


def test_pods_of_the_simulated_cluster_can_be_entered(
    api_server_factory: Callable[..., ApiServer], tmp_path: Path
) -> None:
    require_kubectl()
    server = api_server_factory(objects={"pods": 1})
    kubectl = Kubectl(server.write_kubeconfig(tmp_path / "simulated"), tmp_path)
    (pod,) = server.call(lambda core: core.list("pods").records)
    assert kubectl.run("exec", "-n", pod.namespace, pod.name, "--", "echo", "hi").stdout == "hi\n"


def test_port_forward_reaches_what_answers_on_the_pods_ports(
    kubectl: Kubectl, pod: ApiServer, started: list[subprocess.Popen[str]]
) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    pod.script_port("p", 80, answer)
    pod.script_port("p", 7, echo)
    command = kubectl.start("port-forward", "p", ":80", ":7", ":81", "--address", "127.0.0.1")
    started.append(command)
    assert command.stdout is not None
    ports = [int(command.stdout.readline().partition("127.0.0.1:")[2].split()[0]) for _ in range(3)]
    for _ in range(2):
        with urllib.request.urlopen(f"http://127.0.0.1:{ports[0]}/", timeout=WAIT_S) as got:
            assert got.read() == b"ok"
    sent = bytes(range(256)) * 1024
    with socket.create_connection(("127.0.0.1", ports[1]), WAIT_S) as connection:
        sender = threading.Thread(target=_send_all, args=(connection, sent))
        sender.start()
        received = b"".join(iter(lambda: connection.recv(1 << 16), b""))
        sender.join()
    assert received == sent
    with socket.create_connection(("127.0.0.1", ports[2]), WAIT_S) as connection:
        assert connection.recv(1) == b"", "nothing listens there"


def _send_all(connection: socket.socket, data: bytes) -> None:
    connection.sendall(data)
    connection.shutdown(socket.SHUT_WR)


def test_a_deleted_pod_takes_its_programs_along(
    kubectl: Kubectl, pod: ApiServer, started: list[subprocess.Popen[str]]
) -> None:
    runs, is_cancelled = threading.Event(), threading.Event()

    async def for_ever(process: Process) -> None:
        runs.set()
        try:
            await asyncio.Event().wait()
        finally:
            is_cancelled.set()

    pod.script_command("p", ["serve"], for_ever)
    command = kubectl.start("exec", "p", "--", "serve")
    started.append(command)
    assert runs.wait(WAIT_S)
    kubectl.run("delete", "pod", "p")
    assert "exit code 137" in _rest(command)
    assert command.wait(WAIT_S) == 137
    assert is_cancelled.wait(WAIT_S)


def _run_when_created(server: ApiServer, name: str) -> None:
    found = f"default/{name}"
    eventually(lambda: server.call(lambda core: found in core.store.table("pods").records), "made", WAIT_S)
    server.run_pod(name)


def _line(command: subprocess.Popen[str]) -> str:
    assert command.stdout is not None
    return command.stdout.readline()


def _rest(command: subprocess.Popen[str]) -> str:
    """What was not read yet, up to the end (whose bound is the test's own)."""
    assert command.stdout is not None
    return command.stdout.read()
