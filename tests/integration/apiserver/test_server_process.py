"""The server as an object and as a process: start, stop, mistakes, kill."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from deltawire.apiserver.main import run, without_certificates
from deltawire.apiserver.options import ApiServerOptions
from deltawire.apiserver.server import ApiServer
from deltawire.apiserver.service import Service
from deltawire.common.errors import ConfigError, StateError
from tests.support.servers import ServerFactory, eventually


def spawn(*flags: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "deltawire.apiserver", *flags]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    try:
        out, err = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return process.returncode, out, err


def url_of(kubeconfig: Path) -> str:
    return str(yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]["server"])


def test_a_stopped_server_leaves_no_thread_and_no_port() -> None:
    before = threading.active_count()
    with ApiServer() as server:
        url = server.url
        assert requests.get(f"{url}/readyz", timeout=30).ok
    assert threading.active_count() == before
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{url}/readyz", timeout=30)
    server.stop()


def test_a_server_that_cannot_start_leaves_no_thread(api_server: ApiServer) -> None:
    before = threading.active_count()
    port = int(api_server.url.rpartition(":")[2])
    with pytest.raises(ConfigError, match="is in use") as caught:
        ApiServer(ApiServerOptions(port=port)).start()
    assert caught.value.exit_code == 2
    assert threading.active_count() == before


def test_objects_of_an_unknown_resource_are_a_config_error(api_server_factory: ServerFactory) -> None:
    with pytest.raises(ConfigError, match="unknown resource 'gizmos'"):
        api_server_factory(objects={"gizmos": 3})


def test_a_data_file_in_use_is_a_state_error(api_server_factory: ServerFactory, tmp_path: Path) -> None:
    api_server_factory(data=tmp_path / "data")
    with pytest.raises(StateError, match="in use"):
        api_server_factory(data=tmp_path / "data")


def test_kept_data_keep_the_cluster(api_server_factory: ServerFactory, tmp_path: Path) -> None:
    uids = []
    for _ in range(2):
        server = api_server_factory(data=tmp_path / "data", objects={"pods": 5})
        uids.append(server.call(lambda core: core.cluster_uid))
        assert server.call(lambda core: core.counts())["pods"] == 5
        server.stop()
    assert uids[0] == uids[1]


def test_run_ends_when_told(tmp_path: Path) -> None:
    stop, path = threading.Event(), tmp_path / "kubeconfig"
    thread = threading.Thread(target=run, args=(ApiServerOptions(kubeconfig=path), stop))
    thread.start()
    eventually(path.exists, "the kubeconfig says that it listens")
    assert requests.get(f"{url_of(path)}/readyz", timeout=30).ok
    stop.set()
    thread.join(10)
    assert not thread.is_alive()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_process_and_its_watches_in_good_order(tmp_path: Path, number: int) -> None:
    path = tmp_path / "kubeconfig"
    process = spawn("--write-kubeconfig", str(path), "--objects", "pods=20", "--churn", "100/s")
    try:
        eventually(path.exists, "the kubeconfig says that it listens", 20)
        with requests.get(f"{url_of(path)}/api/v1/pods?watch=1", stream=True, timeout=10) as watch:
            lines = watch.iter_lines()
            next(lines)
            process.send_signal(number)
            assert all(line.endswith(b"}}") for line in lines), "whole events, then the last chunk"
    finally:
        code, out, err = finish(process)
    assert (code, out) == (0, "")
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--objects", "pods"], "error: objects: 'pods' is not RESOURCE=NUMBER (as in pods=1000)\n"),
        (["--churn", "fast"], "error: churn: 'fast' is not a rate (write it as 200/s)\n"),
        (["--write-kubeconfig", "/proc/none/x"], "error: write-kubeconfig: cannot write /proc/none/x: "),
        (["--data", "/proc/none/x"], "error: cannot open /proc/none/x: "),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(flags: list[str], told: str) -> None:
    code, out, err = finish(spawn(*flags))
    (line,) = [line for line in err.splitlines(keepends=True) if line.startswith("error:")]
    assert (code, out) == (2, "")
    assert line.startswith(told)
    assert "Traceback" not in err


def test_a_port_in_use_is_one_line_and_exit_2() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, _, err = finish(spawn("--port", str(port)))
    assert code == 2
    assert err == f"error: port: 127.0.0.1:{port} is in use (choose another port, or 0 for a free one)\n"


def test_a_killed_server_has_kept_every_answered_write(tmp_path: Path) -> None:
    path, data = tmp_path / "kubeconfig", tmp_path / "data"
    flags = ("--write-kubeconfig", str(path), "--data", str(data))
    process = spawn(*flags)
    answered: dict[str, str] = {}
    try:
        eventually(path.exists, "the kubeconfig says that it listens", 20)
        url = f"{url_of(path)}/api/v1/namespaces/default/configmaps"
        uid = _uid(url_of(path))
        # The first write reads the models of the built-in kinds; the clock starts after it.
        requests.post(url, json={"metadata": {"name": "first"}}, timeout=20).raise_for_status()
        timer = threading.Timer(0.3, os.kill, (process.pid, signal.SIGKILL))
        timer.start()
        try:
            with requests.Session() as session:
                for number in range(100_000):
                    body = {"metadata": {"name": f"a{number}"}}
                    created = session.post(url, json=body, timeout=30).json()
                    answered[created["metadata"]["name"]] = created["metadata"]["resourceVersion"]
        except requests.ConnectionError:
            pass
        timer.join()
    finally:
        process.kill()
        finish(process)
    path.unlink()
    process = spawn(*flags)
    try:
        eventually(path.exists, "it starts again", 20)
        listed = requests.get(f"{url_of(path)}/api/v1/configmaps", timeout=30).json()
        kept = {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in listed["items"]}
        assert len(answered) > 10
        assert answered.items() <= kept.items()
        assert len(kept) - len(answered) <= 2  # the first one, and one whose answer was lost
        assert _uid(url_of(path)) == uid
    finally:
        process.terminate()
        finish(process)


def _uid(url: str) -> Any:
    return requests.get(f"{url}/api/v1/namespaces/kube-system", timeout=30).json()["metadata"]["uid"]


def test_the_range_of_service_addresses_is_there(api_server: ApiServer) -> None:
    url = f"{api_server.url}/apis/networking.k8s.io/v1/servicecidrs/kubernetes"
    found = requests.get(url, timeout=30).json()
    (condition,) = found["status"]["conditions"]
    assert (found["spec"], condition["type"], condition["status"]) == (
        {"cidrs": ["10.0.0.0/16"]},
        "Ready",
        "True",
    )
    table = requests.get(
        url, headers={"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}, timeout=30
    ).json()
    assert table["rows"][0]["cells"][:2] == ["kubernetes", "10.0.0.0/16"]


def test_a_server_that_starts_loads_nothing_that_it_does_not_need_yet() -> None:
    program = """
import asyncio
import sys
from deltawire.apiserver.options import ApiServerOptions
from deltawire.apiserver.service import Service

async def start():
    service = Service(ApiServerOptions())
    await service.start()
    late = ("apiserver.cel.library", "apiserver.rules.table", "apiserver.containers.shell", "apiserver.http.columns")
    loaded = [name for name in (*(f"deltawire.{part}" for part in late), "yaml") if name in sys.modules]
    await service.stop()
    assert not loaded, loaded

asyncio.run(start())
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


def test_a_process_has_its_certificates_again_once_it_has_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "mine.pem")
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    with without_certificates():
        assert os.environ["SSL_CERT_FILE"] == os.environ["SSL_CERT_DIR"] == os.devnull
    assert os.environ["SSL_CERT_FILE"] == "mine.pem"
    assert "SSL_CERT_DIR" not in os.environ


def test_a_server_starts_within_a_moment() -> None:
    began = time.monotonic()
    with ApiServer():
        assert time.monotonic() - began < 5


def test_a_stopped_service_leaves_no_task() -> None:
    async def scenario() -> set[str]:
        service = Service(ApiServerOptions(objects={"pods": 10}, churn_per_s=500.0))
        await service.start()
        host, port = service.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /api/v1/pods?watch=1 HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"ADDED")
        await service.stop()
        writer.close()
        await writer.wait_closed()
        await asyncio.sleep(0)
        return {task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()}

    assert asyncio.run(scenario()) == set()


def test_two_changes_of_the_rate_at_once_run_one_churn() -> None:
    async def scenario() -> list[str]:
        service = Service(ApiServerOptions(objects={"pods": 10}, churn_per_s=10.0))
        await service.start()
        try:
            churn = service.churn
            await asyncio.gather(churn.set_rate(20), churn.set_rate(30), churn.set_rate(40))
            return [task.get_name() for task in asyncio.all_tasks() if task.get_name() == "churn"]
        finally:
            await service.stop()

    assert asyncio.run(scenario()) == ["churn"]
