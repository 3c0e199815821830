"""A whole pipeline whose every face is asked all the time, for tests in which something goes wrong (P8).

Faces: /readyz, /metrics, the status, and the lister of a real handler (`asking_plugin`).
"""

import http.client
import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
import yaml

from deltawire.cli.chaos.server import Server
from deltawire.cli.requests import Supervision
from deltawire.common.clock import SystemClock
from deltawire.common.config.load import load
from deltawire.common.config.plan import Plan
from deltawire.common.errors import DeltawireError
from tests.support.patience import Patience
from tests.support.pipeline import DELTAWIRE, Pipeline, ServerProcess, wait_until

HEARTBEAT_S = 0.3
# A death withdraws within 0.2 s, a stop within three beats; what a busy machine adds is asked for generously.
DEATH_S, STOP_S, SLACK_S = 0.2, 3 * HEARTBEAT_S, 1.0
SAMPLE_S = 0.05
POD = {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{"name": "c", "image": "i"}]}}
PODS = "/api/v1/namespaces/default/pods"
_PLUGIN = Path(__file__).with_name("asking_plugin.py")
_STUCK = Path(__file__).with_name("stuck")


def pass_time(seconds: float) -> float:
    """Let so much of the machine's own time pass, seconds; the monotonic instant afterwards."""
    patience = Patience(seconds)
    while patience.left_s() > 0:
        time.sleep(SAMPLE_S)
    return time.monotonic()


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
        """Code 0 without an answer."""
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


class Guarded:
    """The API server of a chaos run: RBAC, a data file, a user whose rights come and go. As a `ServerProcess`."""

    def __init__(self, folder: Path) -> None:
        self.chaos = Server(folder, SystemClock())
        self.chaos.start()
        self.kubeconfig = self.chaos.kubeconfig

    def call(self, method: str, path: str, json: Any = None, params: Any = None) -> Any:
        answer = requests.request(
            method,
            f"{self.chaos.url}{path}",
            params=params,
            json=json,
            headers={"Authorization": f"Bearer {self.chaos.token.read_text()}"},
            verify=str(self.chaos.ca),
            timeout=30,
        )
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def admin(self, method: str, path: str, /, **params: Any) -> Any:
        return self.call(method, f"/_deltawire/{path}", params=params)

    def stop(self) -> None:
        self.chaos.stop()


@dataclass
class Stage:
    server: Any
    pipeline: Pipeline
    faces: Faces
    changes: int = 0

    def change(self) -> tuple[str, float]:
        """A new pod; its name and the wall time at which it is there."""
        self.changes += 1
        name = f"change-{self.changes}"
        self.server.call("POST", PODS, json=POD | {"metadata": {"name": name, "namespace": "default"}})
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

    def status(self) -> dict[str, Any]:
        """The last status that was reported."""
        return self.faces.statuses[-1].status if self.faces.statuses else {}

    def asked(self) -> list[dict[str, Any]]:
        """What the lister said, and what it showed right after."""
        path = self.pipeline.folder / "asker.jsonl"
        lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        return [json.loads(line) for line in lines if line.endswith(b"\n")]

    def wait_ready(self, seconds: float = 60) -> None:
        wait_until(lambda: f"readiness: {self.status().get('unready')}", self.is_ready, seconds=seconds)

    @property
    def stuck_folder(self) -> Path:
        return self.pipeline.folder / "stuck"

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [str(DELTAWIRE), *arguments, "-c", str(self.pipeline.config)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    def judge_commands(self, why: str) -> None:
        """Each command that shows a cache says that it is not known how old it is, and why."""
        for told in (
            self.run("get", "pods").stderr,
            self.run("trace", "pods/change-1").stdout,
            self.run("tail", "pods", "--for", "0.1s").stderr,
        ):
            first = next((line for line in told.splitlines() if "unknown: " in line), "")
            assert why in first, told
        assert "not ready" in self.run("status").stdout.splitlines()[0]

    def judge_lister(self, name: str, written_s: float, since_s: float, until_s: float) -> None:
        """Not fresh between two monotonic instants; and never as of a time at which it did not show the change."""
        answers = self.asked()
        assert any(since_s < a["asked_s"] and a["told_s"] < until_s for a in answers), (
            "nobody asked the lister"
        )
        for answer in answers:
            if since_s < answer["asked_s"] and answer["told_s"] < until_s:
                assert not answer["is_fresh"], (
                    f"fresh {answer['asked_s'] - since_s:.2f} s after the fault had to show"
                )
        self.judge_claims_of_lister(name, written_s)

    def judge_claims_of_lister(self, name: str, written_s: float) -> None:
        for answer in self.asked():
            if (answer["as_of_s"] or 0) > written_s + SLACK_S and answer["keys"] is not None:
                assert f"default/{name}" in answer["keys"], f"as of {answer['as_of_s']} it was not there"

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
def stage(folder: Path, *, is_guarded: bool = False, is_ready: bool = True, **config: Any) -> Iterator[Stage]:
    """All is up, and ready. ``is_guarded``: the API server knows rights. ``config``: entries of the config's own."""
    server: Any = (
        Guarded(folder) if is_guarded else ServerProcess(folder, "--objects", "pods=5", "--churn", "0")
    )
    with made(folder, server, **config) as found:
        if is_ready:
            found.wait_ready()
        yield found


@contextmanager
def made(folder: Path, server: Any, **config: Any) -> Iterator[Stage]:
    """As `stage`, with this server, which it ends, and without a wait for readiness."""
    listen = folder / "m.sock"
    # A role that a test stops, on a busy machine for long, is not to be killed for that meanwhile.
    runtime = {
        "reflectors": 1, "workers": 2, "heartbeat": HEARTBEAT_S, "hang_after": "300s", "dir": str(folder),
    }  # fmt: skip
    metrics = {"listen": f"unix:{listen}"}
    (folder / "stuck").mkdir()
    pipeline = Pipeline(folder, server.kubeconfig, runtime=runtime, metrics=metrics, **config)
    pipeline.handle("pods")
    plain = yaml.safe_load(pipeline.config.read_text())
    plain["handlers"].append(
        {"name": "asker", "run": str(_PLUGIN), "env": {"ASKER_FILE": str(folder / "asker.jsonl")}}
    )
    pipeline.config.write_text(yaml.safe_dump(plain))
    try:
        with _environment(PYTHONPATH=str(_STUCK), STUCK_FOLDER=str(folder / "stuck")):
            pipeline.up()
        wait_until("the effective config", (folder / "config.json").exists, seconds=60)
        with Faces(listen, Plan(load(folder / "config.json"))) as faces:
            yield Stage(server, pipeline, faces)
    except BaseException:
        print(pipeline.log[-6000:])
        raise
    finally:
        try:
            pipeline.close()
        finally:
            server.stop()


@contextmanager
def _environment(**more: str) -> Iterator[None]:
    """Of processes that are started within."""
    before = {name: os.environ.get(name) for name in more}
    os.environ.update(more)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
