"""P8 against a whole pipeline: nothing claims to be ready, or done, for a moment at which it was not.

Each fault comes with a change in the API server that cannot be handled while it lasts. Faces are asked all the time.
"""

import http.client
import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from deltawire.cli.requests import Supervision
from deltawire.common.config.load import load
from deltawire.common.config.plan import Plan
from deltawire.common.errors import DeltawireError
from tests.support.pipeline import DELTAWIRE, Pipeline, ServerProcess, wait_until

pytestmark = [pytest.mark.process, pytest.mark.xdist_group("readiness"), pytest.mark.timeout(300)]

HEARTBEAT_S = 0.3
# A death withdraws within 0.2 s, a stop within three beats; what a busy machine adds is asked for generously.
DEATH_S, STOP_S, SLACK_S = 0.2, 3 * HEARTBEAT_S, 1.0
SAMPLE_S = 0.05
ROLES = ("reflector-0", "fifo", "worker-0", "worker-1", "latest-0")
POD = {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{"name": "c", "image": "i"}]}}


class _Unix(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


@dataclass
class Sample:
    """What the faces said between ``asked_s`` and ``told_s``."""

    asked_s: float
    told_s: float
    is_ready: bool
    metrics: str = ""
    status: dict[str, Any] = field(default_factory=dict)


class Faces:
    """Asks /readyz and /metrics each 50 ms, and the status beside it, in threads of their own."""

    def __init__(self, socket_path: Path, plan: Plan) -> None:
        self.samples: list[Sample] = []
        self.statuses: list[Sample] = []
        self._path = socket_path
        self._plan = plan
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=t) for t in (self._ask_http, self._ask_status)]

    def __enter__(self) -> "Faces":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(20)

    def get(self, path: str, timeout: float = 1.0) -> tuple[int, str]:
        """Code 0 where nobody answers."""
        connection = _Unix(self._path, timeout)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except OSError:
            return 0, ""
        finally:
            connection.close()

    def _ask_http(self) -> None:
        while not self._stop.wait(SAMPLE_S):
            asked_s = time.monotonic()
            code, _ = self.get("/readyz")
            told_s = time.monotonic()
            self.samples.append(Sample(asked_s, told_s, code == 200, self.get("/metrics")[1]))

    def _ask_status(self) -> None:
        while not self._stop.wait(SAMPLE_S):
            try:
                with Supervision(self._plan) as supervision:
                    while not self._stop.wait(2 * SAMPLE_S):
                        asked_s = time.monotonic()
                        status = supervision.ask("status")
                        self.statuses.append(
                            Sample(asked_s, time.monotonic(), status["ready"], status=status)
                        )
            except DeltawireError:
                continue


@dataclass
class Stage:
    server: ServerProcess
    pipeline: Pipeline
    faces: Faces
    changes: int = 0

    def change(self) -> tuple[str, float]:
        """A new pod; its name and the wall time at which it is there."""
        self.changes += 1
        name = f"change-{self.changes}"
        body = POD | {"metadata": {"name": name, "namespace": "default"}}
        self.server.call("POST", "/api/v1/namespaces/default/pods", json=body)
        return name, time.time()

    def handled_s(self, name: str) -> float:
        """The monotonic instant at which the handler was done with it; infinity while it is not."""
        path = self.pipeline.calls["latest"]
        calls = [
            json.loads(line) for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")
        ]
        return min(
            (c["at"] for c in calls if c["what"] == "end" and c["key"].endswith(f"/{name}")),
            default=float("inf"),
        )

    def is_handled(self, name: str) -> bool:
        return self.handled_s(name) < float("inf")

    def is_ready(self) -> bool:
        return self.faces.get("/readyz")[0] == 200

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [str(DELTAWIRE), *arguments, "-c", str(self.pipeline.config)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    def judge(self, name: str, written_s: float, since_s: float, until_s: float) -> None:
        """No claim between two monotonic instants; none at all that covers the change before it was handled."""
        for sample in self.faces.samples:
            if sample.asked_s > since_s and sample.told_s < until_s:
                assert not sample.is_ready, (
                    f"ready {sample.asked_s - since_s:.2f} s after the fault had to show"
                )
                assert "\ndeltawire_ready 1.0\n" not in sample.metrics
                assert 'deltawire_handler_ready{handler="latest"} 1.0' not in sample.metrics
        handled_s = self.handled_s(name)
        for sample in self.faces.statuses:
            group = sample.status["groups"]["latest"]
            if sample.asked_s > since_s and sample.told_s < until_s:
                assert not sample.is_ready
                assert not group["ready"]
            covers = (group["as_of"] or 0) / 1e6 > written_s + SLACK_S
            if covers and (group["pending"] == 0 or group["synced"]):
                assert handled_s <= sample.told_s, "done was claimed as of a later moment"


@contextmanager
def stage(folder: Path, **config: Any) -> Iterator[Stage]:
    server = ServerProcess(folder, "--objects", "pods=5", "--churn", "0")
    listen = folder / "m.sock"
    pipeline = Pipeline(
        folder,
        server.kubeconfig,
        runtime={"reflectors": 1, "workers": 2, "heartbeat": HEARTBEAT_S, "dir": str(folder)},
        metrics={"listen": f"unix:{listen}"},
        **config,
    )
    pipeline.handle("pods")
    try:
        pipeline.up()
        wait_until("the effective config", (folder / "config.json").exists, seconds=30)
        with Faces(listen, Plan(load(folder / "config.json"))) as faces:
            made = Stage(server, pipeline, faces)
            wait_until("readiness", made.is_ready, seconds=60)
            yield made
    except BaseException:
        print(pipeline.log[-6000:])
        raise
    finally:
        try:
            pipeline.close()
        finally:
            server.stop()


@pytest.fixture(scope="module")
def up() -> Iterator[Stage]:
    with tempfile.TemporaryDirectory(prefix="dw-") as folder, stage(Path(folder).resolve()) as made:
        yield made


def killed(up: Stage, role: str) -> None:
    wait_until("readiness", up.is_ready, seconds=60)
    pid = up.pipeline.pids()[role]
    os.kill(pid, signal.SIGKILL)
    since_s = time.monotonic()
    name, written_s = up.change()
    # The last moment at which there was no successor: one that is there may be ready before we hear of it.
    until_s = since_s

    def has_successor() -> bool:
        nonlocal until_s
        asked_s = time.monotonic()
        if up.pipeline.pids().get(role) not in (0, None, pid):
            return True
        until_s = asked_s
        return False

    wait_until("its successor", has_successor, seconds=30)
    wait_until("readiness again", up.is_ready, seconds=60)
    assert up.is_handled(name), "ready again before what happened meanwhile was handled"
    up.judge(name, written_s, since_s + DEATH_S + SLACK_S / 2, until_s)


def stopped(up: Stage, role: str) -> None:
    wait_until("readiness", up.is_ready, seconds=60)
    pid = up.pipeline.pids()[role]
    os.kill(pid, signal.SIGSTOP)
    try:
        since_s = time.monotonic()
        name, written_s = up.change()
        time.sleep(STOP_S + 2 * SLACK_S)  # the fault's length
        head = up.run("get", "pods").stderr.splitlines()[0]
        if role != "latest-0":
            assert f"unknown: {role} is not heard" in head
            assert f"unknown: {role} is not heard" in up.run("trace", "pods/change-1").stdout.splitlines()[0]
            assert f"unknown: {role} is not heard" in up.run("tail", "pods", "--for", "0.1s").stderr
        assert "not ready" in up.run("status").stdout.splitlines()[0]
        until_s = time.monotonic()
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_until("readiness again", up.is_ready, seconds=60)
    assert up.is_handled(name), "ready again before what happened meanwhile was handled"
    up.judge(name, written_s, since_s + STOP_S + SLACK_S, until_s)


@pytest.mark.parametrize("role", ["worker-0", "fifo"])
def test_a_killed_role_withdraws_readiness_until_what_it_missed_is_handled(up: Stage, role: str) -> None:
    killed(up, role)


@pytest.mark.parametrize("role", ["reflector-0", "worker-1"])
def test_a_stopped_role_withdraws_readiness_until_what_it_missed_is_handled(up: Stage, role: str) -> None:
    stopped(up, role)


@pytest.mark.long
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("fault", [killed, stopped])
def test_each_role_killed_and_stopped(up: Stage, role: str, fault: Callable[[Stage, str], None]) -> None:
    fault(up, role)


@pytest.mark.long
def test_a_stopped_supervisor_answers_nobody_and_claims_nothing_old_when_it_wakes(up: Stage) -> None:
    wait_until("readiness", up.is_ready, seconds=60)
    assert up.pipeline._process
    pid = up.pipeline._process.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        since_s = time.monotonic()
        name, written_s = up.change()
        time.sleep(STOP_S + 2 * SLACK_S)
        until_s = time.monotonic()
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_until("readiness again", up.is_ready, seconds=60)
    assert up.is_handled(name), "ready again before what happened meanwhile was handled"
    up.judge(name, written_s, since_s + SLACK_S, until_s)


def test_an_api_server_that_is_away_leaves_the_caches_served_and_not_fresh_and_the_core_ready() -> None:
    with tempfile.TemporaryDirectory(prefix="dw-") as text:
        folder = Path(text).resolve()
        server = ServerProcess(folder, "--objects", "pods=5", "--churn", "0")
        listen = folder / "m.sock"
        runtime = {"reflectors": 1, "workers": 2, "heartbeat": HEARTBEAT_S, "dir": str(folder)}
        pipeline = Pipeline(folder, server.kubeconfig, runtime=runtime, metrics={"listen": f"unix:{listen}"})
        pipeline.handle("pods")
        try:
            pipeline.up()
            faces = Faces(listen, Plan(load(pipeline.config)))
            wait_until("readiness", lambda: faces.get("/readyz")[0] == 200, seconds=60)
            assert pipeline.down() == 0
            server.stop()
            pipeline.up()
            wait_until("the core", lambda: faces.get("/readyz/core")[0] == 200, seconds=60)
            made = Stage(server, pipeline, faces)

            def informer() -> dict[str, Any]:
                return dict(json.loads(made.run("status", "--json").stdout)["informers"]["dev/pods"])

            # Which cluster it is cannot be asked: after a while the one that was known last is taken.
            wait_until("the caches", lambda: informer()["objects"] == 5, seconds=60, every_s=0.5)
            for _ in range(20):
                assert faces.get("/readyz")[0] == 503
                assert "deltawire_ready 0.0" in faces.get("/metrics")[1]
                time.sleep(SAMPLE_S)
            found = made.run("get", "pods", "-A", "-o", "name")
            assert len(found.stdout.splitlines()) == 5
            assert "unknown: " in found.stderr
            assert (informer()["fresh"], informer()["synced"]) == (False, False)
        finally:
            pipeline.close()
            if server.process.poll() is None:
                server.stop()


def test_a_run_that_is_interrupted_while_it_compares_says_what_was_not_compared_and_fails() -> None:
    with tempfile.TemporaryDirectory(prefix="dw-") as text:
        folder = Path(text).resolve()
        server = ServerProcess(folder, "--objects", "pods=5", "--churn", "0")
        # It takes its events and never acknowledges one, so that the run waits for it.
        never = {"name": "never", "command": ["sleep", "1000"], "on": ["pods"]}
        pipeline = Pipeline(
            folder,
            server.kubeconfig,
            handlers=[never],
            runtime={"drain_deadline": "2s", "heartbeat": HEARTBEAT_S},
        )
        try:
            pipeline.up("--for", "1s")
            wait_until("the comparison", lambda: "pending 5" in pipeline.log, seconds=60)
            time.sleep(1.5)  # the time of --for is over; it waits up to 20 s for the handler
            # 4: its call did not end within the drain's deadline either.
            assert pipeline.down() in (1, 4)
            assert (
                "FAILED: interrupted: it is not known whether every handler has acknowledged" in pipeline.log
            )
            assert "equals the API server" not in pipeline.log
        finally:
            pipeline.close()
            server.stop()
