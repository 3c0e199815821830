"""kr8s' own suite holds against the embedded API server."""

from collections.abc import Callable
from pathlib import Path

from deltawire.apiserver.containers.ports import Connection
from deltawire.apiserver.server import ApiServer
from tests.suites import pythons
from tests.suites.judging import judge
from tests.suites.pins import KR8S

pytestmark = pythons.MARKS
WORKERS = 3
REQUIREMENTS = (
    f"kr8s=={KR8S.version}",
    # From 0.8 on what is raised while a WebSocket is open comes in a group, which kr8s does not look into.
    "httpx-ws==0.7.2",
    # From 36 on the client has no modules of single models, which one test names.
    "kubernetes==35.0.0",
    "kubernetes-asyncio==36.1.0",
    "kubernetes-validate==1.37.0",
    "lightkube==1.0.1",
    "pykube-ng==23.6.0",
    "pytest==9.2.0",
    "pytest-asyncio==1.5.0",
    "pytest-rerunfailures==16.7",
    "pytest-timeout==2.4.0",
    "pytest-xdist==3.8.0",
    "trio==0.35.0",
)
CONTAINER = {"name": "dns", "image": "dns"}
FILE = b"x" * (1 << 20)


async def nginx(connection: Connection) -> None:
    """The web server that the suite fills with one file. As the real one it keeps its connections open."""
    while asked := await connection.read():
        path = asked.split(b" ")[1] if asked.count(b" ") > 1 else b""
        body = {b"/": b"welcome", b"/foo.dat": FILE}.get(path)
        line = b"404 Not Found" if body is None else b"200 OK"
        body = body or b""
        await connection.write(b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n" % (line, len(body)) + body)


def test_the_suite_of_kr8s_passes_but_for_what_is_pinned(
    tmp_path: Path, api_server_factory: Callable[..., ApiServer]
) -> None:
    folder = pythons.source(KR8S.package, KR8S.version, tmp_path)
    python = pythons.environment(tmp_path / "venv", REQUIREMENTS)
    clusters = tmp_path / "clusters"
    clusters.mkdir()
    for worker in range(WORKERS):
        server = api_server_factory(tls=True, controllers=True, pod_delay_s=0.3)
        server.script_command("", ["dd"], "", is_prefix=True, namespace="")
        server.script_port("", 80, nginx, namespace="")
        # One test wants to have given up after 10 µs, in which no server that is further away answers.
        server.fault("latency", 0.05, path="/version")
        # A cluster has pods of its own.
        server.create(
            "pods", {"metadata": {"name": "dns"}, "spec": {"containers": [CONTAINER]}}, "kube-system"
        )
        server.write_kubeconfig(clusters / f"gw{worker}")
    arguments = [
        "-o",
        "addopts=",
        "--keep-cluster",
        "--reruns=2",
        "--timeout=60",
        f"-n{WORKERS}",
        "kr8s/tests",
    ]
    judge(KR8S, *pythons.run_tests(python, folder, clusters, arguments))
