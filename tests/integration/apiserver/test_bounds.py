"""What holds when clients are many, or do not read: bounded memory, bounded time, one clear line."""

import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import requests

from deltawire.apiserver.core.api import ApiCore
from deltawire.apiserver.server import ApiServer
from tests.support.servers import ServerFactory, eventually

MAPS = "/api/v1/namespaces/default/configmaps"


def open_watch(url: str, **query: str) -> socket.socket:
    """A watch without a reader."""
    host, port = url.removeprefix("http://").split(":")
    asked = "".join(f"&{name}={value}" for name, value in query.items())
    connection = socket.create_connection((host, int(port)), timeout=20)
    connection.sendall(f"GET {MAPS}?watch=1{asked} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return connection


def stats(server: ApiServer) -> dict[str, Any]:
    found: dict[str, Any] = requests.get(f"{server.url}/_deltawire/stats", timeout=20).json()
    return found


def resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def write_some(core: ApiCore) -> None:
    """1 MiB of events."""
    for _ in range(5):
        body = {"metadata": {"generateName": "a"}, "data": {"x": "y" * 100_000}}
        made = core.create("configmaps", body, "default")
        core.delete("configmaps", made.name, "default")


def test_memory_stays_flat_while_watches_do_not_read(api_server_factory: ServerFactory) -> None:
    server = api_server_factory(window_events_max=20)
    with ExitStack() as stack:
        for number in range(20):
            # Selections that differ share no batch: whatever is kept for a watch is kept 20 times.
            stack.enter_context(open_watch(server.url, labelSelector=f"none{number}!=x"))
        eventually(lambda: stats(server)["watches"] == 20, "the watches are open", 30)
        grown = 0.0
        for number in range(100):
            # One turn for the watches after each: they fill their sockets, then stay behind.
            server.call(write_some)
            server.call(lambda core: core.counts())
            if number == 20:
                grown = -resident_mib()
        grown += resident_mib()
        found = stats(server)
    assert (found["watches"], found["watches_lagged"]) == (20, 0), (
        "they wait for their readers, nobody for them"
    )
    # 80 MiB of events went by each of 20 watches meanwhile.
    assert grown < 100


def test_a_watch_that_never_reads_is_dropped_after_its_time(api_server: ApiServer) -> None:
    with open_watch(api_server.url, timeoutSeconds="1"):
        eventually(lambda: stats(api_server)["watches"] == 1, "the watch is open", 30)
        for _ in range(30):
            api_server.call(write_some)
            stats(api_server)
        eventually(lambda: stats(api_server)["watches"] == 0, "the watch is gone", 40)


def test_many_idle_watches_cost_little_and_all_hear_of_a_write(api_server: ApiServer) -> None:
    count = 300
    with ExitStack() as stack:
        before = resident_mib()
        watches = [stack.enter_context(open_watch(api_server.url)) for _ in range(count)]
        eventually(lambda: stats(api_server)["watches"] == count, "the watches are open", 40)
        assert (resident_mib() - before) / count < 0.2
        api_server.create("configmaps", {"metadata": {"name": "heard-of"}}, "default")
        for watch in watches:
            received = b""
            while b"heard-of" not in received:
                piece = watch.recv(65536)
                assert piece, "the watch goes on"
                received += piece
    eventually(lambda: stats(api_server)["watches"] == 0, "all watches are gone", 40)


@contextmanager
def served_with(descriptors: int, folder: Path) -> Iterator[tuple[str, Path]]:
    """A server's URL and the file of its log; its process may open so few files."""

    def bound() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))

    config, log = folder / "kubeconfig", folder / "log"
    command = [sys.executable, "-m", "deltawire.apiserver", "--write-kubeconfig", str(config)]
    with log.open("wb") as stderr:
        process = subprocess.Popen(command, stderr=stderr, preexec_fn=bound)  # noqa: PLW1509 - one call in C
    try:
        eventually(config.exists, "the server listens", 30)
        (line,) = [line for line in config.read_text().splitlines() if "server:" in line]
        yield line.split()[-1].strip('",'), log
    finally:
        process.terminate()
        process.wait(20)


def test_no_descriptor_left_is_one_line_and_connections_wait(tmp_path: Path) -> None:
    with served_with(60, tmp_path) as (url, log):
        with ExitStack() as stack:
            for _ in range(80):
                stack.enter_context(open_watch(url))
            eventually(lambda: "no file descriptor is left" in log.read_text(), "it is told", 30)
        eventually(lambda: _is_ready(url), "there is room again", 40)
    told = log.read_text()
    assert told.count("no file descriptor is left") == 1
    assert "this process may open 60" in told
    assert "Traceback" not in told


def test_a_server_process_may_open_what_its_hard_limit_allows(tmp_path: Path) -> None:
    code = (
        "import resource; from deltawire.apiserver.descriptors import raise_limit; "
        "_, hard = resource.getrlimit(resource.RLIMIT_NOFILE); "
        "resource.setrlimit(resource.RLIMIT_NOFILE, (50, hard)); "
        "assert raise_limit() == hard; "
        "assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def _is_ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/readyz", timeout=2).ok
    except requests.RequestException:
        time.sleep(0.1)
        return False
