"""A controller of a custom resource in a real pipeline: what its context reads and writes, by way of the API server."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.pipeline import DELTAWIRE, ServerProcess, wait_until
from tests.support.websites import CRD

pytestmark = [pytest.mark.process, pytest.mark.xdist_group("controllers"), pytest.mark.timeout(180)]

SITES = "/apis/example.com/v1/namespaces/default/websites"
CONTROLLER = """
from deltawire import Handler

handler = Handler("site", reads=["configmaps"])

@handler.reconcile("websites.example.com")
def reconcile(key, ctx):
    if ctx.object is None:
        return
    with ctx.finalizer("example.com/dns") as leaving:
        if leaving:
            ctx.log.info("leaving %s", key)
            return
        child = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "of-" + ctx.object["metadata"]["name"]}}
        stored = ctx.apply(ctx.own({**child, "data": {"image": ctx.object["spec"]["image"]}}))
        ctx.wait_for_cache(stored, timeout_s=60)
        cached = ctx.lister("configmaps").get_key("default/" + stored["metadata"]["name"])
        ctx.record("Served", "its map is there")
        ctx.status(image=cached["data"]["image"])
        ctx.log.info("served %s", key)
"""


class Scene:
    """An API server with the CRD, and ``deltawire run`` of a file against it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = ServerProcess(folder)
        self.server.call("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", json=CRD)
        wait_until("the CRD to be served", lambda: self.get(SITES) is not None)
        self._run: subprocess.Popen[bytes] | None = None

    def run(self, source: str) -> None:
        (self.folder / "site.py").write_text(source)
        with (self.folder / "run.log").open("wb") as log:
            self._run = subprocess.Popen(
                [str(DELTAWIRE), "run", str(self.folder / "site.py"), "--store", str(self.folder / "state")],
                stdout=log, stderr=log, cwd=self.folder, start_new_session=True,
                env=os.environ | {"NO_COLOR": "1", "KUBECONFIG": str(self.server.kubeconfig)},
            )  # fmt: skip

    @property
    def log(self) -> str:
        return (self.folder / "run.log").read_text()

    def get(self, path: str) -> dict | None:
        try:
            return self.server.call("GET", path).json()
        except Exception:
            return None

    def until(self, what: str, path: str, done) -> dict:
        found = wait_until(
            f"{what}: {self.log}", lambda: done(got := self.get(path) or {}) and got, seconds=90
        )
        assert found
        return found

    def stop(self) -> None:
        """End the run, in order."""
        if self._run is not None:
            self._run.terminate()
            try:
                self._run.wait(60)
            except subprocess.TimeoutExpired:
                self._run.kill()
                self._run.wait()
            self._run = None

    def close(self) -> None:
        self.stop()
        self.server.stop()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    try:
        yield made
    finally:
        made.close()


def test_a_controller_owns_applies_records_reads_its_write_and_is_waited_for_at_the_end(scene: Scene) -> None:
    scene.run(CONTROLLER)
    site = {
        "apiVersion": "example.com/v1",
        "kind": "Website",
        "metadata": {"name": "shop"},
        "spec": {"image": "a"},
    }
    scene.server.call("POST", SITES, json=site)
    stored = scene.until("the status", f"{SITES}/shop", lambda o: o.get("status") == {"image": "a"})
    assert stored["metadata"]["finalizers"] == ["example.com/dns"]
    child = scene.get("/api/v1/namespaces/default/configmaps/of-shop")
    assert child is not None
    assert child["metadata"]["ownerReferences"][0]["uid"] == stored["metadata"]["uid"]
    events = scene.until("the Event", "/api/v1/namespaces/default/events", lambda o: o.get("items"))["items"]
    assert [(e["reason"], e["involvedObject"]["uid"]) for e in events if e["reason"] == "Served"] == [
        ("Served", stored["metadata"]["uid"])
    ]
    # Shown although `run` shows warnings only of our own.
    wait_until("the handler's own log", lambda: "served default/shop" in scene.log)
    scene.server.call("DELETE", f"{SITES}/shop")
    scene.until("the end", SITES, lambda o: o.get("items") == [])
    wait_until("the line of its end", lambda: "leaving default/shop" in scene.log)


WITH_CHILDREN = """
from typing import Any, ClassVar

import msgspec
from lightkube.models.core_v1 import ConfigMap

from deltawire import Handler

class Website(msgspec.Struct):
    resource: ClassVar[str] = "websites.example.com"
    metadata: dict[str, Any]
    spec: dict[str, Any]

handler = Handler("site", indexes={Website: {"by-secret": ".spec.secretName"}})

@handler.on_startup()
def start(ctx):
    ctx.log.info("hook: start")

@handler.timer(every_s=0.2)
def tick(ctx):
    ctx.log.info("hook: %d sites", len(ctx.lister(Website).list()))

@handler.on_cleanup()
def end(ctx):
    ctx.log.info("hook: end")

@handler.reconcile(Website, owns=[ConfigMap], maps={"serviceaccounts": "by-secret"})
def reconcile(key, ctx):
    site = ctx.lister(Website).get_key(key)
    if site is not None:
        child = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}
        child["data"] = {"image": site.spec["image"]}
        ctx.apply(ctx.own(child))
        ctx.log.info("asked by %s %s", ctx.event.resource, ctx.event.key)
"""


def test_a_controller_is_asked_by_what_it_owns_and_by_what_its_objects_name(scene: Scene) -> None:
    scene.run(WITH_CHILDREN)
    spec = {"image": "a", "secretName": "robot"}
    site = {"apiVersion": "example.com/v1", "kind": "Website", "metadata": {"name": "shop"}, "spec": spec}
    scene.server.call("POST", SITES, json=site)
    maps = "/api/v1/namespaces/default/configmaps/c"
    scene.until("the child", maps, lambda o: o.get("data") == {"image": "a"})
    scene.server.call("DELETE", maps)
    scene.until("the child again", maps, lambda o: o.get("data") == {"image": "a"})
    robot = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot"}}
    scene.server.call("POST", "/api/v1/namespaces/default/serviceaccounts", json=robot)
    wait_until(
        "the account's site", lambda: "asked by serviceaccounts default/robot" in scene.log, seconds=90
    )
    wait_until("a timer", lambda: "hook: 1 sites" in scene.log, seconds=90)
    scene.stop()
    assert scene.log.index("hook: start") < scene.log.index("asked by") < scene.log.index("hook: end")
