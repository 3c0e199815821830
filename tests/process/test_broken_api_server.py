"""An API server whose answers are broken: one clear line in status, tried again, and the other informers go on."""

import itertools
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.broken_server import (
    EXPIRED,
    HONEST,
    LISTS,
    VERSIONLESS,
    WATCHES,
    BrokenServer,
    broken_server,
)
from tests.support.pipeline import RECORDER, Pipeline, ServerProcess, wait_until

pytestmark = [pytest.mark.process, pytest.mark.timeout(120), pytest.mark.xdist_group("broken-server")]

STREAM = "dev/pods@*"


@dataclass
class Scene:
    server: ServerProcess
    proxy: BrokenServer
    pipeline: Pipeline
    calls: Path
    names: Iterator[int]

    def stream(self) -> dict[str, Any]:
        return self.pipeline.answer()["streams"][STREAM]

    def lie_found(self) -> str:
        """What status says of Pods, unless it is only that a list is needed."""
        error: str = self.stream()["error"]
        return "" if EXPIRED["message"] in error else error

    def create(self, resource: str) -> None:
        name = f"probe-{next(self.names)}"
        body = {"metadata": {"name": name}, "data": {}}
        if resource == "pods":
            body = {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
        self.server.call("POST", f"/api/v1/namespaces/default/{resource}", json=body)
        wait_until(
            f"{resource} {name} to reach the handler",
            lambda: f'"default/{name}"' in self.calls.read_text(),
            seconds=40,
        )


@pytest.fixture
def scene(tmp_path) -> Iterator[Scene]:
    """Of each test alone: the delay between attempts grows with each failure and falls back after minutes."""
    with begun(tmp_path, HONEST) as made:
        yield made


@pytest.fixture(scope="module")
def calm(tmp_path_factory) -> Iterator[Scene]:
    """For what makes no stream wait; shared."""
    with begun(tmp_path_factory.mktemp("calm"), HONEST) as made:
        yield made


@contextmanager
def begun(folder: Path, mode: str) -> Iterator[Scene]:
    """A pipeline that has synced with a server that answers so."""
    server = ServerProcess(folder, "--objects", "pods=5")
    calls = folder / "calls"
    command = [sys.executable, str(RECORDER), str(calls)]
    with broken_server(server.url, server.kubeconfig, folder / "proxy.kubeconfig") as proxy:
        pipeline = Pipeline(
            folder,
            folder / "proxy.kubeconfig",
            runtime={"reflectors": 1, "workers": 1, "heartbeat": 1},
            handlers=[{"name": "latest", "command": command, "on": ["pods", "configmaps"]}],
        )
        proxy.lie(mode)
        try:
            pipeline.up()
            pipeline.wait_synced()
            yield Scene(server, proxy, pipeline, calls, itertools.count())
            assert pipeline.down() == 0
        finally:
            print(pipeline.log[-4000:])
            pipeline.close()
            server.stop()


MODES = [*(f"list {name}" for name in LISTS), *(f"watch {name}" for name in WATCHES)]
# Each costs a pipeline: one of both kinds, and the others in `make test-long`.
SHORT = ("list HTML", "watch garbage")


@pytest.mark.parametrize(
    "mode", [mode if mode in SHORT else pytest.param(mode, marks=pytest.mark.long) for mode in MODES]
)
def test_a_broken_answer_is_one_line_in_status_and_hurts_no_other_informer(scene, mode):
    before = scene.pipeline.pids()
    offset = len(scene.pipeline.log)
    scene.proxy.lie(mode)
    try:
        error = wait_until("the error in status", scene.lie_found, seconds=30, every_s=0.2)
        assert len(error.splitlines()) == 1
        assert len(error) < 500
        scene.create("configmaps")
    finally:
        scene.proxy.lie(HONEST)
    scene.create("pods")
    wait_until("the error to be gone", lambda: not scene.stream()["error"], seconds=30, every_s=0.2)
    assert scene.pipeline.pids() == before
    log = scene.pipeline.log[offset:]
    assert "Traceback" not in log
    assert len([line for line in log.splitlines() if f"stream {STREAM}" in line]) <= 4
    # At once, or earlier: the same line is not repeated for a minute.
    written = json.dumps(f"stream {STREAM}: {error}", ensure_ascii=False)[1:-1]
    assert written in scene.pipeline.log or f"stream {STREAM}: {error}" in scene.pipeline.log


def test_an_object_without_metadata_is_named_and_counted_and_the_others_pass(calm):
    unsupported = calm.stream()["refused"]
    calm.proxy.lie("nameless")
    try:
        wait_until(
            "the object in status",
            lambda: calm.stream()["error"] == "skipped: a Pod without a name",
            seconds=30,
            every_s=0.2,
        )
        assert calm.stream()["refused"] > unsupported
        calm.create("configmaps")
        calm.create("pods")
    finally:
        calm.proxy.lie(HONEST)


def test_an_object_over_the_bound_is_named_and_counted_and_the_others_pass(calm):
    before = calm.pipeline.pids()
    refused = calm.stream()["refused"]
    calm.proxy.lie("huge")
    try:
        wait_until("the count", lambda: calm.stream()["refused"] > refused, seconds=30, every_s=0.2)
        assert "default/huge" not in calm.calls.read_text()
        calm.create("configmaps")
        calm.create("pods")
    finally:
        calm.proxy.lie(HONEST)
    assert calm.pipeline.pids() == before


def test_a_server_whose_lists_have_no_version_is_listed_stored_and_ready(tmp_path):
    with begun(tmp_path, VERSIONLESS) as scene:
        status = wait_until(
            "the pipeline to be ready", lambda: ready(scene.pipeline), seconds=60, every_s=0.2
        )
        informer = status["informers"]["dev/pods"]
        assert (informer["synced"], informer["fresh"]) == (True, True)
        assert status["streams"][STREAM]["error"] == ""
        scene.create("pods")
        wait_until("the pipeline to be ready", lambda: ready(scene.pipeline), seconds=60, every_s=0.2)
        scene.pipeline.kill_9("worker-0")
        scene.create("pods")
        wait_until("the pipeline to be ready", lambda: ready(scene.pipeline), seconds=60, every_s=0.2)


def ready(pipeline: Pipeline) -> dict[str, Any]:
    """The status, if all is ready."""
    status = pipeline.status()
    return status if status.get("ready") else {}
