"""Two workers with state folders of their own, as on two hosts: one is killed for good, the other has its shards."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.nats_servers import NatsServers
from tests.support.patience import Patience, wait_until
from tests.support.pipeline import ACCEPTANCE, RECORDER, ServerProcess

pytestmark = [pytest.mark.process, pytest.mark.timeout(180), pytest.mark.xdist_group("nats")]
HANDLERS = ("latest", "every")


class Hosts:
    """Lone roles: a reflector, a broker and two handlers, and on each of two hosts a worker for the same place."""

    def __init__(self, folder: Path, kubeconfig: Path, servers: list[str]) -> None:
        self.folder = folder
        self.kubeconfig = kubeconfig
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.calls = {name: folder / f"{name}.calls" for name in HANDLERS}
        (folder / "run").mkdir(mode=0o700)
        for host in "ab":
            config = {
                "version": 1,
                "clusters": {"dev": {"kubeconfig": str(kubeconfig)}},
                "store": {"dir": str(folder / host), "shards": 2},
                "runtime": {"reflectors": 1, "workers": 1, "heartbeat": 1, "dir": str(folder / "run")},
                "archive": {"servers": servers, "replicas": 1},
                "handlers": [
                    {
                        "name": name,
                        "command": [sys.executable, str(RECORDER), str(path)],
                        "on": ["pods"],
                        "delivery": name,
                    }
                    for name, path in self.calls.items()
                ],
            }
            (folder / f"{host}.yaml").write_text(yaml.safe_dump(config))

    def start(self, name: str, role: str, *arguments: str, host: str = "a") -> None:
        command = [sys.executable, "-m", f"deltawire.{role}", "--config", str(self.folder / f"{host}.yaml")]
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [*command, *arguments], stdout=log, stderr=log, start_new_session=True
            )

    def start_all(self) -> None:
        self.start("fifo", "fifo")
        self.start("reflector", "reflector")
        for name in HANDLERS:
            self.start(name, "handlers", "--handler", name)
        self.start("worker-a", "informer", host="a")
        wait_until(lambda: "has the lease" in self.log("worker-a"), "the first worker's lease")
        self.start("worker-b", "informer", host="b")

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def end(self, name: str, sign: int) -> int:
        process = self.processes.pop(name)
        process.send_signal(sign)
        return process.wait(60)

    def ended(self, name: str) -> list[dict[str, Any]]:
        """The calls that a handler has acknowledged."""
        path = self.calls[name]
        lines = path.read_bytes().splitlines() if path.exists() else []
        return [
            entry for entry in map(json.loads, lines) if entry["what"] == "end" and entry["type"] != "gap"
        ]

    def complaints(self) -> list[str]:
        done = subprocess.run(
            [sys.executable, str(ACCEPTANCE / "judge.py"), "--kubeconfig", str(self.kubeconfig), "--resource",
             "pods", *map(str, self.calls.values())],
            capture_output=True, text=True, timeout=180, check=False,
        )  # fmt: skip
        assert done.stdout, done.stderr
        judged = json.loads(done.stdout)["handlers"]
        found = [f"{name}: {text}" for name, of in judged.items() for text in of["complaints"]]
        # What was acknowledged in the last moment before a kill may come again, and says so.
        again = {call["key"] for name in HANDLERS for call in self.ended(name) if call["attempt"] > 1}
        return [text for text in found if "goes back" not in text or not any(key in text for key in again)]

    def close(self) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServers]:
    with NatsServers(tmp_path_factory.mktemp("nats")) as servers:
        yield servers


@pytest.fixture
def hosts(tmp_path: Path, servers: NatsServers, request: pytest.FixtureRequest) -> Iterator[Hosts]:
    server = ServerProcess(tmp_path, "--objects", "pods=100", "--churn", "40/s")
    hosts = Hosts(tmp_path, server.kubeconfig, servers.urls)
    hosts.server = server
    try:
        hosts.start_all()
        wait_until(
            lambda: all(len(hosts.ended(name)) > 150 for name in HANDLERS), "calls under churn", seconds=60
        )
        yield hosts
    except BaseException:
        for name in hosts.processes:
            print(name, hosts.log(name)[-3000:])
        raise
    finally:
        hosts.close()
        server.stop()


def _is_content(hosts: Hosts) -> None:
    hosts.server.churn(0)
    patience = Patience(60)
    while found := hosts.complaints():
        assert patience.left_s() > 0, found
        time.sleep(0.5)
    for name in HANDLERS:
        adds = Counter(
            call["uid"] for call in hosts.ended(name) if call["type"] == "added" and call["attempt"] == 1
        )
        assert [uid for uid, times in adds.items() if times > 1] == [], f"{name}: new twice"


def test_a_host_that_is_lost_with_its_disk_leaves_its_shards_to_the_other(hosts: Hosts) -> None:
    hosts.end("worker-a", signal.SIGKILL)
    shutil.rmtree(hosts.folder / "a")
    before = {name: len(hosts.ended(name)) for name in HANDLERS}
    wait_until(
        lambda: all(len(hosts.ended(name)) > before[name] + 50 for name in HANDLERS),
        "the other host's worker to go on",
        seconds=60,
    )
    assert "is filled from its archive" in hosts.log("worker-b")
    _is_content(hosts)


@pytest.mark.long
def test_a_worker_that_is_stopped_hands_its_shards_over_and_back(hosts: Hosts) -> None:
    assert hosts.end("worker-a", signal.SIGTERM) in (0, 4)
    wait_until(lambda: "has the lease" in hosts.log("worker-b"), "the lease of the other host's worker")
    hosts.start("worker-a", "informer", host="a")
    wait_until(lambda: "is filled from its archive" in hosts.log("worker-b"), "the shards to be there")
    before = {name: len(hosts.ended(name)) for name in HANDLERS}
    wait_until(
        lambda: all(len(hosts.ended(name)) > before[name] + 50 for name in HANDLERS),
        "the other host's worker to go on",
        seconds=60,
    )
    hosts.end("worker-b", signal.SIGTERM)
    wait_until(
        lambda: "is older than its archive" in hosts.log("worker-a"), "the old disk to be found out of date"
    )
    _is_content(hosts)


@pytest.mark.long
def test_a_worker_killed_on_its_own_host_does_not_wait_for_its_lease_to_run_out(hosts: Hosts) -> None:
    hosts.end("worker-b", signal.SIGTERM)
    hosts.end("worker-a", signal.SIGKILL)
    before = {name: len(hosts.ended(name)) for name in HANDLERS}
    hosts.start("worker-a", "informer", host="a")
    wait_until(
        lambda: all(len(hosts.ended(name)) > before[name] + 50 for name in HANDLERS),
        "the worker to go on",
        seconds=60,
    )
    assert "is filled from its archive" not in hosts.log("worker-a"), "its disk has it all"
    _is_content(hosts)


@pytest.mark.long
def test_hosts_of_other_numbers_of_shards_are_refused(hosts: Hosts) -> None:
    hosts.end("worker-b", signal.SIGTERM)
    config = yaml.safe_load((hosts.folder / "b.yaml").read_text())
    config["store"] |= {"shards": 3, "dir": str(hosts.folder / "c")}
    (hosts.folder / "c.yaml").write_text(yaml.safe_dump(config))
    hosts.end("worker-a", signal.SIGTERM)
    hosts.start("worker-c", "informer", host="c")
    assert hosts.processes.pop("worker-c").wait(60) == 2
    assert "set store.shards to 2" in hosts.log("worker-c")


@pytest.mark.long
def test_a_worker_that_wakes_up_after_its_lease_ends_by_itself(hosts: Hosts) -> None:
    hosts.end("worker-b", signal.SIGTERM)
    # A host that sees nothing of the first one but its lease.
    config = yaml.safe_load((hosts.folder / "b.yaml").read_text())
    (hosts.folder / "other").mkdir(mode=0o700)
    config["runtime"]["dir"] = str(hosts.folder / "other")
    (hosts.folder / "b.yaml").write_text(yaml.safe_dump(config))
    stopped = hosts.processes["worker-a"]
    stopped.send_signal(signal.SIGSTOP)
    hosts.start("worker-d", "informer", host="b")
    wait_until(lambda: "has the lease" in hosts.log("worker-d"), "the lease to run out", seconds=60)
    before = {name: len(hosts.ended(name)) for name in HANDLERS}
    stopped.send_signal(signal.SIGCONT)
    assert stopped.wait(60) == 1
    assert "the lease of these shards has ended" in hosts.log("worker-a")
    assert {name: len(hosts.ended(name)) for name in HANDLERS} == before, "it has sent nothing more"
